"""Time as the rest of the house sees it: aware UTC datetimes in, RFC 3339 text out.

Apart, so that a test can hold the clock in its hand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """RFC 3339 with `Z` and microseconds only where there are any, as protobuf's JSON mapping writes it."""
    moment = moment.astimezone(UTC)
    digits = "microseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=digits).replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """The moment that RFC 3339 `text` names; digits past the microsecond are cut.

    Raises:
        ValueError: `text` is no timestamp with a zone.
    """
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{head}.{digits[:6]:0<6}{rest[len(digits) :]}"
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment.astimezone(UTC)
