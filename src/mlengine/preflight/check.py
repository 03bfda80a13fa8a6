"""All checks of a job in their order; what the command line, the client library and the server call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.preflight import data, line, machines
from mlengine.preflight.archive import Archive, read_within
from mlengine.preflight.findings import Finding, Report
from mlengine.preflight.surroundings import Surroundings

Training = Mapping[str, Any]
# Of a package sent by whoever it may be, more is not unpacked while he waits.
_MOST_UNPACKED = 256 << 20
# With one of these the trainer does not come to its parser.
_NEVER_STARTS = ("python2", "syntax", "encoding")


def check_words(training: Training, surroundings: Surroundings, *, staging_bucket: str = "") -> Report:
    """Everything that the request's words tell, before any package is built.

    Args:
        training: TrainingInput as JSON, names in camelCase.
        staging_bucket: As typed; "" for none.
    """

    def found() -> Iterator[Finding]:
        args = _texts(training, "args")
        yield from machines.check_fields(training)
        yield from machines.check_runtime(training)
        yield from machines.check_machines(training, surroundings)
        yield from line.check_arguments(args)
        yield from line.check_job_dir(_text(training, "jobDir"))
        yield from line.check_staging(staging_bucket)
        yield from data.check_data(args, surroundings)

    return Report(_once(found()))


def check_archives(
    training: Training,
    archives: Sequence[Archive],
    surroundings: Surroundings,
    *,
    package: Path | None = None,
    complete: bool = True,
) -> Report:
    """Everything that the packages tell.

    Args:
        archives: In the order in which they are installed.
        package: The folder the first one was built from, where it is at hand.
        complete: Whether these are all packages of the job; of a part one cannot say what it lacks.
    """
    from mlengine.environments.catalogue import resolve
    from mlengine.preflight.distributions import Target
    from mlengine.preflight.imports import Sources, brought_along, check_readable, check_sources
    from mlengine.preflight.modules import check_module
    from mlengine.preflight.requirements import check_requirements, check_wheels, names

    found: list[Finding] = []
    unchecked: list[str] = []
    module = _text(training, "pythonModule")
    wrong = check_module(module, archives, package=package) if complete else None
    if _image(training):
        return Report((), ("What the container image holds.",))
    try:
        runtime = resolve(_text(training, "runtimeVersion"), _text(training, "pythonVersion")).runtime
    except InvalidArgument:  # said by `check_words`
        return Report((wrong,) if wrong else (), ("The imports: the runtime version is not known.",))
    target = Target(f"The runtime {runtime.name}", runtime.python, surroundings.interpreter, runtime)
    found += check_wheels(archives, target, same_machine=surroundings.same_machine)
    found += check_requirements(archives, target)
    sources = Sources(archives, module, runtime.python)
    required = names(archives)
    if wrong and not brought_along(module, sources, target, required):
        found.append(wrong)
    if complete:
        found += check_sources(sources, target, required)
    else:
        unchecked.append("The imports: some packages of the job are not at hand.")
        found += check_readable(sources)
    fatal = any(each.code in _NEVER_STARTS and not each.lowered for each in found)
    if complete and not wrong and not fatal and not surroundings.server:
        from mlengine.preflight.parser import check_parser

        rejected, reason = check_parser(
            sources,
            _texts(training, "args"),
            _text(training, "jobDir"),
            surroundings,
            _variables(training),
        )
        found += rejected
        if reason:
            unchecked.append(reason)
    elif surroundings.server:
        unchecked.append("The trainer's arguments: only its sender asks the trainer's own parser.")
    return Report(_once(found), tuple(unchecked))


def check_request(
    training: Training, fetch: Callable[[str], bytes | None], surroundings: Surroundings
) -> Report:
    """All that a server can tell of a job whose packages lie in its buckets; nothing of them is run.

    Args:
        fetch: The content of a package by its URL; None where it is too large to be looked at.
    """
    words = check_words(training, surroundings)
    found: list[Finding] = []
    archives: list[Archive] = []
    complete = True
    for position, uri in enumerate(_texts(training, "packageUris")):
        content = fetch(uri)
        if content is None:
            complete = False
            continue
        with tempfile.TemporaryDirectory(prefix="mlengine-preflight-") as scratch:
            path = Path(scratch, uri.rpartition("/")[2] or "package")
            path.write_bytes(content)
            try:
                archive = read_within(path, most=_MOST_UNPACKED)
            except InvalidArgument:
                complete = False
                found.append(
                    Finding(
                        code="not-an-archive",
                        message=f"{uri} is no Python package.",
                        hint="A .tar.gz, .zip or .whl is needed.",
                        field=f"job.training_input.package_uris[{position}]",
                    )
                )
                continue
            complete = complete and archive is not None
            archives += [archive] if archive else []
    told = check_archives(training, archives, surroundings, complete=complete and bool(archives))
    return Report(_once([*words.findings, *found, *told.findings]), (*words.unchecked, *told.unchecked))


def check_local(
    module: str,
    args: Sequence[str],
    archive: Archive,
    *,
    interpreter: str,
    python: str,
    missing: Sequence[str],
) -> Report:
    """What applies to a trainer that runs here, from its folder.

    Args:
        archive: The package's folder.
        interpreter: The Python that runs it, for messages.
        python: Its version, "3.11"; "" if it cannot say.
        missing: Modules among those the trainer imports that this Python lacks.
    """
    from mlengine.preflight.distributions import Target
    from mlengine.preflight.imports import Sources, check_sources
    from mlengine.preflight.modules import check_module

    found = list(line.check_arguments(args))
    sources = Sources([archive], module, python)
    if not python or module.partition(".")[0] not in sources.top_level:
        return Report(_once(found))
    present = {each.module.partition(".")[0] for name in sources.trees for each in sources.imports(name)}
    target = Target(interpreter, python, present=frozenset(present - set(missing)))
    if wrong := check_module(module, [archive], installed=False):
        found.append(wrong)
    for each in check_sources(sources, target, ()):
        cure = "Run it in a runtime of the service: add --runtime-version V (see: mlengine runtimes list)."
        absent = each.code == "missing-import"
        found.append(replace(each, message=_first_clause(each.message), hint=cure) if absent else each)
    return Report(_once(found))


def _first_clause(message: str) -> str:
    return message.partition(", and the packages")[0] + "."


def _variables(training: Training) -> dict[str, str]:
    """What the trainer finds in its environment, as the service sets it; nothing answers at the address."""
    import os

    from mlengine.environments.contract import trainer_environment

    return trainer_environment(
        job_id="preflight",
        training_input=dict(training),
        project="local",
        storage_endpoint="http://127.0.0.1:9",
        home=Path("/nonexistent"),
        temporary=Path("/nonexistent"),
        runtime_version=_text(training, "runtimeVersion"),
        machine={name: text for name, text in os.environ.items() if name in ("PATH", "LANG", "TZ", "LC_ALL")},
    )


def _image(training: Training) -> bool:
    config = training.get("masterConfig")
    return isinstance(config, Mapping) and bool(config.get("imageUri"))


def _once(found: Sequence[Finding] | Iterator[Finding]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(found))


def _text(training: Training, name: str) -> str:
    value = training.get(name)
    return value if isinstance(value, str) else ""


def _texts(training: Training, name: str) -> tuple[str, ...]:
    value = training.get(name)
    return tuple(str(each) for each in value) if isinstance(value, list | tuple) else ()
