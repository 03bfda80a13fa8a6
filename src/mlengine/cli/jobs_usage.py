"""`mlengine jobs metrics` and `jobs requirements`: what a job uses, and on what it runs."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from urllib.parse import quote

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, within
from mlengine.cli.output import Column, show_list
from mlengine.cli.session import Session
from mlengine.clock import from_text


def _metrics_arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job's id")
    parser.add_argument(
        "--task-name", default="", metavar="TASK", help="only this task, like worker-replica-1"
    )
    parser.add_argument(
        "--since", default="", metavar="TIME", help="only what came after: 2026-01-31T12:00:00Z"
    )
    parser.add_argument(
        "--rows",
        type=within(2, 10_000),
        default=20,
        metavar="N",
        help="rows for each task at most; default 20",
    )
    parser.list_flags()


def _metrics(arguments: Namespace, session: Session) -> int:
    query = {"since": arguments.since} if arguments.since else {}
    found = session.connection.call("GET", f"{_path(arguments, session)}/metrics", query=query)
    rows: list[dict[str, Any]] = []
    for replica in found["replicas"]:
        if arguments.task_name in ("", replica["name"]):
            few = _thinned(replica["samples"], int(arguments.rows))
            rows += [{"task": replica["name"], **sample} for sample in few]
    show_list(session, rows, COLUMNS)
    return 0


def _thinned(samples: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """So many of the samples, from the first to the last, at even distances."""
    if len(samples) <= most:
        return samples
    return [samples[round(place * (len(samples) - 1) / (most - 1))] for place in range(most)]


def _requirements_arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job's id")


def _requirements(arguments: Namespace, session: Session) -> int:
    found = session.connection.call("GET", f"{_path(arguments, session)}/requirements")
    print(found["requirements"], end="")
    return 0


def _path(arguments: Namespace, session: Session) -> str:
    return f"/mlengine/{session.api.parent}/jobs/{quote(arguments.job, safe='')}"


def _gpus(found: list[dict[str, Any]] | None) -> str:
    """Each GPU as "0: 97 %, 12.1 GB"."""
    return "; ".join(
        f"{gpu['index']}: {gpu['busy']:.0%}, {int(gpu['memoryBytes']) / 1e9:.1f} GB" for gpu in found or ()
    )


COLUMNS = (
    Column("task", "TASK"),
    Column("time", "TIME", show=lambda text: from_text(text).astimezone().strftime("%H:%M:%S")),
    Column("cpus", "CPUS", show=lambda cpus: f"{cpus:.2f}"),
    Column("memoryBytes", "MEMORY_MB", show=lambda size: f"{int(size) / 1e6:.0f}"),
    Column("processes", "PROCESSES"),
    Column("diskWrittenBytes", "WRITTEN_MB", show=lambda size: f"{int(size) / 1e6:.0f}"),
    Column("machineReceivedBytes", "RECEIVED_MB", show=lambda size: f"{int(size) / 1e6:.0f}"),
    Column("gpus", "GPUS", show=_gpus),
)

COMMANDS = (
    Command(
        words="jobs metrics",
        summary="Show what each task of a job used: processors, memory, disk, network, GPUs.",
        arguments=_metrics_arguments,
        run=_metrics,
        detail="While it runs and after. All samples, and all figures: --rows 10000 --format json",
        example="jobs metrics j1 --task-name master-replica-0",
    ),
    Command(
        words="jobs requirements",
        summary="Print all packages a job runs on, with versions and hashes, as pip reads them.",
        arguments=_requirements_arguments,
        run=_requirements,
        example="jobs requirements j1",
    ),
)
