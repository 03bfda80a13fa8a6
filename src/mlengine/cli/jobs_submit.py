"""`mlengine jobs submit training`: the flags of a job, and what is said once it is on its way."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from mlengine.cli import jobs_replicas
from mlengine.cli.command import Command, UsageError
from mlengine.cli.grammar import Parser, choice, comma_list, mapping
from mlengine.cli.output import show
from mlengine.cli.session import Session

_TIERS = ("basic", "basic-gpu", "basic-tpu", "standard-1", "premium-1", "custom")
# What is said about a submitted job, as gcloud does.
_SUBMITTED = "yaml(jobId, state, startTime.date(tz=LOCAL), endTime.date(tz=LOCAL))"


def _arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("job", metavar="JOB", help="the job's id, unique for ever; 'auto' makes one of module and time")
    add("--module-name", metavar="MODULE", help="module to run, as python -m would: trainer.task")
    add("--package-path", metavar="DIR", help="folder of the trainer's package; it is built and uploaded")
    add("--packages", type=comma_list, default=(), metavar="FILE,...", help="packages: local or gs://")
    add("--job-dir", metavar="gs://...", help="where results go; the trainer gets it as --job-dir")
    add("--staging-bucket", metavar="gs://...", help="bucket for packages; default: the job-dir")
    add("--region", metavar="REGION", help="any region; everything runs on this server")
    add("--runtime-version", metavar="V", help="see: mlengine runtimes list")
    add("--python-version", metavar="V", help="checked against the runtime version")
    add("--scale-tier", type=choice(_TIERS), choices=_TIERS, metavar="TIER", help="shape of the machine(s)")
    add("--config", metavar="FILE", help="YAML or JSON file of a Job; flags win over it")
    add("--labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels of the job")
    add(
        "--skip-preflight",
        type=comma_list,
        default=(),
        metavar="CODE,...",
        help="findings that shall not stop the job, by the codes behind them; 'all' looks for none",
    )
    add("--dry-run", action="store_true", help="pack and check, print the job, send nothing")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--stream-logs", action="store_true", help="print the log until the job ends")
    end.add_argument("--async", action="store_true", dest="asynchronous", help="do not wait; the default")
    jobs_replicas.flags(parser)


def _run(arguments: Namespace, session: Session) -> int:
    from mlengine.client.submission import Request, Voice, read_config, submit
    from mlengine.clock import system_clock

    _refuse_empty(arguments)
    request = Request(
        job_id=arguments.job,
        settings=_settings(arguments) | jobs_replicas.settings(arguments),
        config=read_config(arguments.config) if arguments.config else {},
        labels=arguments.labels,
        package_path=Path(arguments.package_path) if arguments.package_path else None,
        packages=arguments.packages,
        staging_bucket=arguments.staging_bucket or "",
        args=arguments.rest,
        skip=arguments.skip_preflight,
        send=not arguments.dry_run,
    )
    voice = Voice(warn=session.warn, info=session.info)
    if arguments.asynchronous:
        session.warn("--async is the default, and deprecated; leave it out.")
    job = submit(
        session.api,
        session.storage,
        request,
        now=system_clock().astimezone(),
        voice=voice,
        environment=session.environment,
    )
    if arguments.dry_run:
        session.say("Nothing was sent. This job would be:")
        show(session, job, columns="yaml")
        return 0
    job_id = job["jobId"]
    session.say(f"Job [{job_id}] submitted successfully.")
    if not arguments.stream_logs:
        session.say(
            "Your job is still active. You may view the status of your job with the command\n\n"
            f"  $ mlengine jobs describe {job_id}\n\n"
            "or continue streaming the logs with the command\n\n"
            f"  $ mlengine jobs stream-logs {job_id}"
        )
        show(session, job, columns=_SUBMITTED)
        return 0

    from mlengine.cli.streaming import stream

    code = stream(session, job_id, out=sys.stderr)
    if code != 130:
        show(session, session.api.job(job_id), columns=_SUBMITTED)
    return code


def _refuse_empty(arguments: Namespace) -> None:
    """A flag with an empty value comes of a variable that was never set."""
    for name, value in vars(arguments).items():
        if value == "":
            raise UsageError(f"argument --{name.replace('_', '-')}: it is empty; is a variable unset?")


def _settings(arguments: Namespace) -> dict[str, Any]:
    tier = arguments.scale_tier
    given = {
        "pythonModule": arguments.module_name,
        "jobDir": arguments.job_dir,
        "region": arguments.region,
        "runtimeVersion": arguments.runtime_version,
        "pythonVersion": arguments.python_version,
        "scaleTier": tier and tier.upper().replace("-", "_"),
    }
    return {name: value for name, value in given.items() if value is not None}


SUBMIT_TRAINING = Command(
    words="jobs submit training",
    summary="Pack a trainer, upload it, and queue it as a job.",
    arguments=_arguments,
    run=_run,
    rest="USER_ARGS",
    detail="What follows a bare -- is handed to the trainer; the service appends --job-dir. Evaluators and "
    "tuning have no flags: write them in the --config file.",
    example="jobs submit training j1 --module-name trainer.task --package-path trainer/ "
    "--job-dir gs://BUCKET/j1 -- --epochs 3",
)
