"""`mlengine local …`: train and predict on this machine, without a server."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mlengine.cli.command import Command, UsageError
from mlengine.cli.grammar import Parser, at_least, choice, comma_list
from mlengine.cli.predictions import ask, input_flags
from mlengine.cli.session import Session

if TYPE_CHECKING:
    from mlengine.client.local_cluster import Cluster

_FRAMEWORKS = ("tensorflow", "scikit-learn", "xgboost", "lightgbm", "keras", "pytorch", "onnx")
# Kinds of processes besides the first one, and how many there are if nothing is said.
_COUNTS = {"parameter-server": 2, "worker": 2, "evaluator": 0}


def _train_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("--module-name", required=True, metavar="MODULE", help="module to run: trainer.task")
    add("--package-path", default=".", metavar="DIR", help="folder of the package; runs in its parent")
    add("--job-dir", metavar="DIR", help="handed to the trainer as its last argument")
    python = parser.add_mutually_exclusive_group()
    python.add_argument("--runtime-version", metavar="V", help="run in this runtime of the service")
    python.add_argument(
        "--python", metavar="PATH", help="run with this Python; default MLENGINE_LOCAL_PYTHON, else python"
    )
    add("--distributed", action="store_true", help="a cluster of processes on this machine")
    for kind, default in _COUNTS.items():
        add(
            f"--{kind}-count",
            type=at_least(0),
            metavar="N",
            help=f"number of {kind.replace('-', ' ')}s with --distributed; default {default}",
        )
    add("--skip-preflight", type=comma_list, default=(), metavar="CODE,...", help="findings that do not stop")
    add("--start-port", type=at_least(1), metavar="N", help="port of the first process; default 27182")


def _train(arguments: Namespace, session: Session) -> int:
    from mlengine.client import local_cluster, trainer

    package = Path(arguments.package_path).absolute()
    if not package.is_dir():
        from mlengine.errors import InvalidArgument

        raise InvalidArgument(
            f"--package-path {arguments.package_path} is no folder.", hint=f"This folder is {Path.cwd()}."
        )
    package = package.resolve()
    python = arguments.python or (
        _runtime_python(arguments.runtime_version, session)
        if arguments.runtime_version
        else trainer.interpreter(session.environment)
    )
    args = [*(arguments.rest or ()), *(("--job-dir", arguments.job_dir) if arguments.job_dir else ())]
    session.info(f"Running in {package.parent}: {' '.join([python, '-m', arguments.module_name, *args])}")
    environment = {
        **session.environment,
        **_frameworks(arguments.runtime_version or ""),
        **_storage(args, session),
    }
    skip = arguments.skip_preflight
    if "all" not in skip:
        from mlengine.client import preflight

        preflight.check_skipped(skip)
        report = trainer.check(python, arguments.module_name, args, package, environment)
        preflight.tell(report, skip=skip, root=package.parent, warn=session.warn, info=session.info)
    if cluster := _cluster(arguments, session, python):
        code = local_cluster.run(
            python,
            arguments.module_name,
            args,
            cluster,
            folder=package.parent,
            environment=environment,
            say=session.warn,
        )
    else:
        code = trainer.run(
            python, arguments.module_name, args, folder=package.parent, environment=environment
        )
    return code


def _cluster(arguments: Namespace, session: Session, python: str) -> Cluster | None:
    """The cluster asked for, None for one process; warns of flags that mean nothing then."""
    from mlengine.client.local_cluster import Cluster, tensorflow_version

    counts = {kind: getattr(arguments, f"{kind.replace('-', '_')}_count") for kind in _COUNTS}
    if not arguments.distributed:
        given = [f"--{kind}-count" for kind, count in counts.items() if count is not None]
        given += ["--start-port"] if arguments.start_port is not None else []
        for flag in given:
            session.warn(f"{flag} is for --distributed only, and has no effect here.")
        return None
    version = tensorflow_version(python, session.environment)
    if not version:
        session.warn(f"{python} has no TensorFlow; the first process is called 'chief'.")
    numbers = {kind: _COUNTS[kind] if count is None else count for kind, count in counts.items()}
    return Cluster(
        primary="master" if version.startswith("1.") else _first_task(arguments.runtime_version or ""),
        parameter_servers=numbers["parameter-server"],
        workers=numbers["worker"],
        evaluators=numbers["evaluator"],
        start_port=27182 if arguments.start_port is None else arguments.start_port,
    )


def _runtime_python(version: str, session: Session) -> str:
    from mlengine.environments import Builder, default_cache_dir, resolve

    resolution = resolve(version)
    for note in resolution.notes:
        session.say(note)
    builder = Builder(default_cache_dir(session.environment))
    return str(builder.build(resolution.runtime, session.say))


def _frameworks(version: str) -> dict[str, str]:
    """What the trainers of that runtime version expect, such as Keras 2; nothing if none was named."""
    from mlengine.environments import framework_variables

    return framework_variables(version) if version else {}


def _first_task(version: str) -> str:
    from mlengine.environments.contract import first_task_type

    return first_task_type(version)


def _storage(args: list[str], session: Session) -> dict[str, str]:
    """What makes gs:// paths work in the trainer, where a server of ours is to be had."""
    from mlengine.environments import storage_variables

    if session.endpoint_given or answers(session):
        from mlengine.client.credentials import authorization

        token = authorization(session.environment, session.endpoint).removeprefix("Bearer ")
        return storage_variables(session.endpoint, project=session.project, token=token)
    if any("gs://" in text for text in args):
        session.warn(
            f"No server answers at {session.endpoint}, so gs:// paths will not be found. "
            "Start one: mlengine server start --detach"
        )
    return {}


def answers(session: Session) -> bool:
    """Whether a server is there, asked without patience."""
    from mlengine.errors import Problem

    try:
        session.connection.send("GET", "/healthz", timeout=1.0).read()
    except (Problem, OSError):
        return False
    return True


def _predict_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("--model-dir", required=True, metavar="DIR", help="folder of the exported model")
    add(
        "--framework",
        type=choice(_FRAMEWORKS),
        choices=_FRAMEWORKS,
        default="",
        metavar="F",
        help=f"{', '.join(_FRAMEWORKS)}; default: told by the files",
    )
    add("--runtime-version", default="", metavar="V", help="see: mlengine runtimes list")
    add(
        "--prediction-class",
        default="",
        metavar="MODULE.CLASS",
        help="class of a custom prediction routine",
    )
    add("--packages", type=comma_list, default=(), metavar="FILE,...", help="local packages that it needs")
    input_flags(parser)


def _predict(arguments: Namespace, session: Session) -> int:
    import sys

    from mlengine.client import local_model
    from mlengine.environments import default_cache_dir

    own = arguments.prediction_class
    if own and arguments.framework:
        raise UsageError("argument --framework: not allowed with argument --prediction-class.")
    folder = local_model.check_folder(arguments.model_dir, any_files=bool(own))
    # All at once: loading the model takes longer than any number of instances.
    return ask(
        arguments,
        session,
        lambda body: local_model.predict(
            folder,
            body,
            named_framework=arguments.framework,
            runtime_version=arguments.runtime_version,
            prediction_class=own,
            packages=[Path(name) for name in arguments.packages],
            cache_dir=default_cache_dir(session.environment),
            on_progress=session.say,
            on_output=session.debug,
        ),
        size=sys.maxsize,
    )


COMMANDS = (
    Command(
        words="local train",
        summary="Run a trainer here as the service would start it.",
        arguments=_train_arguments,
        run=_train,
        rest="USER_ARGS",
        detail="What follows a bare -- is handed to the trainer. The exit code is the trainer's.",
        example="local train --module-name trainer.task --package-path trainer/ -- --epochs 3",
    ),
    Command(
        words="local predict",
        summary="Ask an exported model for predictions, without a server.",
        arguments=_predict_arguments,
        run=_predict,
        example="local predict --model-dir export/ --json-instances test.json",
    ),
)
