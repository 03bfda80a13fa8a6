"""`mlengine jobs …`: what is done with jobs that exist. Submitting one has a module of its own."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.jobs_submit import SUBMIT_TRAINING
from mlengine.cli.output import Column, basename, local_time, show, show_list
from mlengine.cli.session import Session
from mlengine.cli.streaming import stream

COLUMNS = (
    Column("jobId", show=basename),
    Column("state", "STATUS"),
    Column("createTime", "CREATED", local_time),
)


def _job(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job's id")


def _list_arguments(parser: Parser) -> None:
    parser.list_flags()


def _list(arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.jobs(limit=arguments.limit), COLUMNS)
    return 0


def _describe_arguments(parser: Parser) -> None:
    _job(parser)
    parser.later("--summarize")


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, session.api.job(arguments.job), columns=())
    return 0


def _cancel(arguments: Namespace, session: Session) -> int:
    session.api.cancel_job(arguments.job)
    return 0


def _stream_arguments(parser: Parser) -> None:
    _job(parser)
    parser.add_argument(
        "--task-name", default="", metavar="TASK", help="only this task, like master-replica-0"
    )
    parser.add_argument(
        "--polling-interval",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="time between two looks; default 0.5",
    )
    parser.add_argument(
        "--allow-multiline-logs", action="store_true", help="print a message of several lines as it is"
    )


def _stream(arguments: Namespace, session: Session) -> int:
    return stream(
        session,
        arguments.job,
        task=arguments.task_name,
        poll_seconds=arguments.polling_interval,
        whole=arguments.allow_multiline_logs,
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ArgumentTypeError(f"Value must be a number of seconds; received: {text}") from None
    if not 0.05 <= seconds <= 3600:
        raise ArgumentTypeError(f"Value must be between 0.05 and 3600 seconds; received: {text}")
    return seconds


COMMANDS = (
    SUBMIT_TRAINING,
    Command(words="jobs list", summary="List jobs, newest first.", arguments=_list_arguments, run=_list),
    Command(words="jobs describe", summary="Show one job.", arguments=_describe_arguments, run=_describe),
    Command(words="jobs cancel", summary="End a job early.", arguments=_job, run=_cancel),
    Command(
        words="jobs stream-logs",
        summary="Print a job's log lines until it ends.",
        arguments=_stream_arguments,
        run=_stream,
        detail="The exit code is 0 only if the job succeeded. Ctrl-C leaves the job running.",
    ),
)
