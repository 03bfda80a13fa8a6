"""`mlengine jobs …`: what is done with jobs that exist. Submitting one has a module of its own."""

from __future__ import annotations

from argparse import Namespace

from mlengine.cli import jobs_usage, policies
from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, within
from mlengine.cli.jobs_submit import SUBMIT_TRAINING
from mlengine.cli.output import show, show_list, summarize
from mlengine.cli.session import Session
from mlengine.cli.streaming import stream

TABLE = "table(jobId.basename(), state:label=STATUS, createTime.date(tz=LOCAL):label=CREATED)"


def _job(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job's id")


def _list(_arguments: Namespace, session: Session) -> int:
    where = f"{session.endpoint}/{session.api.parent}/jobs"
    show_list(session, session.api.jobs(), TABLE, uri=lambda job: f"{where}/{job['jobId']}")
    return 0


def _describe_arguments(parser: Parser) -> None:
    _job(parser)
    parser.add_argument("--summarize", action="store_true", help="boxed tables in place of the whole job")


def _describe(arguments: Namespace, session: Session) -> int:
    job = session.api.job(arguments.job)
    if arguments.summarize:
        summarize(session, job)
    else:
        show(session, job)
    return 0


def _update_arguments(parser: Parser) -> None:
    _job(parser)
    parser.label_flags()


def _update(arguments: Namespace, session: Session) -> int:
    from mlengine.client.updates import Labels, nothing_asked

    labels = Labels(
        update=arguments.update_labels, remove=arguments.remove_labels, clear=arguments.clear_labels
    )
    if not labels.asked:
        raise nothing_asked()
    wanted = labels.changed(session.api.job(arguments.job).get("labels", {}))
    if wanted is None:
        session.say("No update to perform.")
        return 0
    session.api.update_job(arguments.job, {"labels": wanted}, mask="labels")
    session.say(f"Updated ml engine job [{arguments.job}].")
    return 0


def _cancel(arguments: Namespace, session: Session) -> int:
    session.api.cancel_job(arguments.job)
    return 0


def _stream_arguments(parser: Parser) -> None:
    _job(parser)
    parser.add_argument(
        "--task-name", default="", metavar="TASK", help="only this task, like worker-replica-1"
    )
    parser.add_argument(
        "--polling-interval",
        type=within(0.05, 3600),
        metavar="SECONDS",
        help="time between two looks; default: 0.5, and up to 2 while nothing comes",
    )
    parser.add_argument(
        "--allow-multiline-logs", action="store_true", help="print a message of several lines as it is"
    )


def _stream(arguments: Namespace, session: Session) -> int:
    return stream(
        session,
        arguments.job,
        task=arguments.task_name,
        polling_seconds=arguments.polling_interval,
        whole=arguments.allow_multiline_logs,
    )


COMMANDS = (
    SUBMIT_TRAINING,
    Command(
        words="jobs list",
        summary="List jobs, newest first.",
        arguments=Parser.list_flags,
        run=_list,
        example="jobs list --filter state=FAILED --limit 5",
    ),
    Command(
        words="jobs describe",
        summary="Show one job.",
        arguments=_describe_arguments,
        run=_describe,
        example="jobs describe j1 --summarize",
    ),
    Command(
        words="jobs cancel", summary="End a job early.", arguments=_job, run=_cancel, example="jobs cancel j1"
    ),
    Command(
        words="jobs update",
        summary="Change a job's labels.",
        arguments=_update_arguments,
        run=_update,
        example="jobs update j1 --update-labels team=a --remove-labels old",
    ),
    Command(
        words="jobs stream-logs",
        summary="Print a job's log lines until it ends.",
        arguments=_stream_arguments,
        run=_stream,
        detail="The exit code is 0 only if the job succeeded. Ctrl-C leaves the job running.",
        example="jobs stream-logs j1 --task-name worker-replica-1",
    ),
    *jobs_usage.COMMANDS,
    *policies.commands(
        "jobs",
        metavar="JOB",
        resource=lambda arguments, session: (
            f"projects/{session.project}/jobs/{policies.part(arguments.name)}"
        ),
        region=False,
    ),
)
