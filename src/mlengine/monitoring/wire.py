"""What versions did as JSON, and what a query says about the time."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlengine.clock import from_text, to_text
from mlengine.errors import InvalidArgument
from mlengine.monitoring.domain import Figures, Histogram, History, Interval, Live, Span, quantile

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_POINTS = 10_000


def span_from_query(query: Mapping[str, str], now: datetime, *, usual: str = "1h") -> Span:
    """What `since`, `until` and `step` say.

    Args:
        usual: What `since` is where nobody says.

    Raises:
        InvalidArgument: one of them is no time, or there would be too many points.
    """
    until = _moment(query.get("until") or "0s", now, "until")
    since = _moment(query.get("since") or usual, now, "since")
    step = _seconds(query.get("step", "") or "0s")
    if step is None:
        text = query["step"][:40]
        raise InvalidArgument(f"'{text}' is no step.", hint="Write it like 10s, 5m or 1h.", field="step")
    if since >= until:
        raise InvalidArgument(f"since ({_text(since)}) is not before until ({_text(until)}).", field="since")
    if step and (until - since) / step > _MOST_POINTS:
        raise InvalidArgument(
            f"From {_text(since)} to {_text(until)} are more than {_MOST_POINTS} steps of {step} s.",
            hint="Leave step out, and it is as it fits.",
            field="step",
        )
    return Span(since=since, until=until, step=step)


def span_to_json(span: Span) -> dict[str, Any]:
    """From when to when, by which step."""
    return {"since": _text(span.since), "until": _text(span.until), "step": f"{span.step}s"}


def history_to_json(history: History, span: Span) -> dict[str, Any]:
    """Points, sum and present of one or several versions."""
    said: dict[str, Any] = {
        "points": [_point(one, span) for one in history.points],
        "sum": sum_to_json(history.figures, span.until - span.since),
        "now": live_to_json(history.live),
    }
    if history.trouble:
        said["requestLoggingError"] = history.trouble
    return said


def sum_to_json(figures: Figures, seconds: float) -> dict[str, Any]:
    """What happened in so many seconds."""
    said: dict[str, Any] = {
        "requests": figures.requests,
        "requestsPerSecond": _rounded(figures.requests / max(1.0, seconds)),
        "errors": figures.errors,
        "codes": dict(sorted(figures.codes.items())),
        "totalSeconds": _times(figures.total, figures.total_seconds),
        "queueSeconds": _times(figures.queue, figures.queue_seconds),
        "modelSeconds": _times(figures.model, figures.model_seconds),
        "instances": figures.instances,
        "batch": _batch(figures),
        "shadowed": figures.shadowed,
        "retried": figures.retried,
        "mostInFlight": figures.most_waiting,
        "logged": figures.logged,
        "unlogged": figures.unlogged,
    }
    if figures.seconds:
        said["nodes"] = {"mean": _rounded(figures.node_seconds / figures.seconds), "most": figures.most_nodes}
        said["memoryBytes"] = {
            "mean": str(round(figures.memory_seconds / figures.seconds)),
            "most": str(figures.most_memory),
        }
        said["cpus"] = _rounded(figures.cpu_seconds / figures.seconds)
    return said


def live_to_json(live: Live) -> dict[str, Any]:
    """How it stands at this moment."""
    said: dict[str, Any] = {
        "inFlight": live.in_flight,
        "held": live.held,
        "nodes": live.nodes,
        "memoryBytes": str(live.memory),
    }
    return said | ({"lastUseTime": to_text(live.last_use)} if live.last_use else {})


def _point(one: Interval, span: Span) -> dict[str, Any]:
    # Of the last step only a part is over.
    seconds = min(float(one.width), span.until - one.start)
    return {"start": _text(one.start)} | sum_to_json(one.figures, seconds)


def _times(histogram: Histogram, added: float) -> dict[str, float | None]:
    count = sum(histogram.values())
    if not count:
        return {}
    found = {word: _rounded(quantile(histogram, share) or 0.0) for word, share in _QUANTILES.items()}
    return {"mean": _rounded(added / count), **found}


def _batch(figures: Figures) -> dict[str, Any]:
    count = sum(figures.batch.values())
    if not count:
        return {}
    counts = [
        {"requests": requests} if math.isinf(to) else {"upTo": int(to), "requests": requests}
        for (_, to), requests in sorted(figures.batch.items())
    ]
    return {"mean": _rounded(figures.batch_instances / count), "counts": counts}


def _rounded(value: float) -> float:
    """Six digits that say something: a microsecond among seconds, and no tail of a division."""
    return float(f"{value:.6g}")


def _moment(text: str, now: datetime, field: str) -> float:
    if (ago := _seconds(text)) is not None:
        return now.timestamp() - ago
    try:
        return from_text(text).timestamp()
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"'{text[:40]}' is no time.",
            hint="Write 2026-01-31T12:00:00Z, or how long ago: 30m, 1h, 7d.",
            field=field,
        ) from None


def _seconds(text: str) -> int | None:
    """How long `text` is; None where it is no duration."""
    found = re.fullmatch(r"(\d{1,8})([smhd])", text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _text(moment: float) -> str:
    return to_text(datetime.fromtimestamp(moment, UTC))
