"""`mlengine versions metrics` and `models metrics`: what versions did, as tables."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from urllib.parse import quote

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, within
from mlengine.cli.output import Column, show_list
from mlengine.cli.session import Session
from mlengine.clock import from_text


def _span(parser: Parser) -> None:
    add = parser.add_argument
    add("--since", default="", metavar="TIME", help="30m, 1h, 7d ago, or 2026-01-31T12:00:00Z; default 1h")
    add("--until", default="", metavar="TIME", help="the same; default now")
    parser.region_flag()
    parser.list_flags()


def _version_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("version", metavar="VERSION", help="the version's id")
    add("--model", required=True, metavar="MODEL", help="the model it belongs to")
    add("--step", default="", metavar="TIME", help="how long a row is: 10s, 5m, 1h; default: as it fits")
    add("--rows", type=within(1, 10_000), default=30, metavar="N", help="newest rows at most; default 30")
    _span(parser)


def _version(arguments: Namespace, session: Session) -> int:
    place = f"{quote(arguments.model, safe='')}/versions/{quote(arguments.version, safe='')}"
    found = _ask(session, place, arguments, step=arguments.step)
    show_list(session, found["points"][-int(arguments.rows) :], _POINTS)
    _trouble(session, found)
    return 0


def _model_arguments(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model's id")
    _span(parser)


def _model(arguments: Namespace, session: Session) -> int:
    found = _ask(session, quote(arguments.model, safe=""), arguments)
    rows = [_row(one, one["version"].rpartition("/")[2]) for one in found["versions"]]
    show_list(session, [*rows, _row(found, "(all)")], _VERSIONS)
    for one in found["versions"]:
        _trouble(session, one)
    return 0


def logging_flags(parser: Parser) -> None:
    """The flags of `versions update` about samples of requests. gcloud has the first and the last."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--bigquery-table-name", metavar="PROJECT.DATASET.TABLE", help="the table requests are logged in"
    )
    where.add_argument("--request-log", metavar="gs://...", help="the bucket folder they are logged in")
    where.add_argument("--clear-request-log", action="store_true", help="log no requests any more")
    parser.add_argument(
        "--sampling-percentage", type=within(0, 1), metavar="SHARE", help="share of requests, 0 to 1"
    )


def logging(arguments: Namespace) -> dict[str, Any]:
    """The fields of a Version that these flags name."""
    if arguments.clear_request_log:
        return {"requestLoggingConfig": {}}
    share = arguments.sampling_percentage
    said = {} if share is None else {"samplingPercentage": share}
    if arguments.request_log is not None:
        return {"mlengine": {"requestLogging": {"destination": arguments.request_log, **said}}}
    if arguments.bigquery_table_name is not None:
        said["bigqueryTableName"] = arguments.bigquery_table_name
    return {"requestLoggingConfig": said} if said else {}


def _row(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {"version": name, **found["sum"], "now": found["now"]}


def _ask(session: Session, place: str, arguments: Namespace, *, step: str = "") -> dict[str, Any]:
    query = {"since": arguments.since, "until": arguments.until, "step": step}
    path = f"/mlengine/{session.api.parent}/models/{place}/metrics"
    given = {name: text for name, text in query.items() if text}
    return dict(session.connection.call("GET", path, query=given))


def _trouble(session: Session, found: dict[str, Any]) -> None:
    if why := found.get("requestLoggingError"):
        session.warn(f"Requests of {found['version']} are not logged: {why}")


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.3g}"


def _decimals(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"


def _megabytes(size: str | None) -> str:
    return "" if size is None else f"{int(size) / 1e6:.0f}"


def _moment(text: str | None) -> str:
    return from_text(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""


_LATENCY = (
    Column("requests", "REQUESTS"),
    Column("requestsPerSecond", "PER_SECOND", show=_decimals),
    Column("errors", "ERRORS"),
    Column("totalSeconds.p50", "P50_MS", show=_milliseconds),
    Column("totalSeconds.p95", "P95_MS", show=_milliseconds),
    Column("totalSeconds.p99", "P99_MS", show=_milliseconds),
    Column("batch.mean", "BATCH", show=_decimals),
)
_POINTS = (
    Column("start", "START", show=_moment),
    *_LATENCY,
    Column("nodes.mean", "NODES", show=_decimals),
    Column("memoryBytes.most", "MEMORY_MB", show=_megabytes),
    Column("cpus", "CPUS", show=_decimals),
)
_VERSIONS = (
    Column("version", "VERSION"),
    *_LATENCY,
    Column("now.nodes", "NODES"),
    Column("now.inFlight", "IN_FLIGHT"),
    Column("now.memoryBytes", "MEMORY_MB", show=_megabytes),
    Column("now.lastUseTime", "LAST_USE", show=_moment),
)

OF_VERSIONS = (
    Command(
        words="versions metrics",
        summary="Show how much a version was asked, how well and how fast it answered.",
        arguments=_version_arguments,
        run=_version,
        detail="A row for each stretch of time in which something happened. More figures: --format json",
        example="versions metrics v1 --model titanic --since 1d",
    ),
)
OF_MODELS = (
    Command(
        words="models metrics",
        summary="Show the same for all versions of a model, a row for each.",
        arguments=_model_arguments,
        run=_model,
        detail="Over the time that --since tells. More figures: --format json",
        example="models metrics titanic --since 1d",
    ),
)
