"""Preflight on the sender's side: what the server is asked for it, and how findings are told.

The checks themselves are in `mlengine.preflight`, which the server uses too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from mlengine.client.api import Api
from mlengine.client.http import Json
from mlengine.client.storage import Storage
from mlengine.errors import InvalidArgument, NotFound, PermissionDenied, nearest
from mlengine.names import ObjectUrl
from mlengine.preflight.findings import RULES, Finding, Report, refusal
from mlengine.preflight.surroundings import Surroundings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_TRIED = 30


def surroundings(api: Api, storage: Storage, training: Json, environment: Mapping[str, str]) -> Surroundings:
    """What the server tells about the place where the job will run.

    Args:
        training: TrainingInput; of accelerators it is asked only where they matter.
        environment: The process environment, which says where runtimes are built.
    """
    return Surroundings(
        bucket_exists=cache(storage.bucket_exists),
        anything_at=lambda url: _anything_at(storage, url),
        accelerators=_accelerators(api, training),
        same_machine=urlsplit(api.connection.endpoint).hostname in _LOOPBACK,
        interpreter=_interpreter(training, environment),
    )


def check_skipped(codes: Iterable[str]) -> None:
    """See that what is to be skipped is known. Raises InvalidArgument."""
    for code in codes:
        if code != "all" and code not in RULES:
            raise InvalidArgument(
                f"--skip-preflight: there is no check '{code}'.",
                hint=nearest(code, list(RULES)) or "The code stands in brackets behind each finding.",
            )


def tell(
    report: Report,
    *,
    skip: Iterable[str],
    root: Path | None,
    warn: Callable[[str], None],
    info: Callable[[str], None],
) -> None:
    """Say what was found; stop where it stops.

    Args:
        skip: Codes that do not stop.
        root: The folder that the first package's file names start from.

    Raises:
        Problem: what stops the job, all of it.
    """
    stopping = report.stopping(skip=skip)
    skipped = set(report.stopping()) - set(stopping)
    for found in report.findings:
        if found not in stopping:
            warn(f"{_placed(found, root)}{' Skipped.' if found in skipped else ''}")
    for sentence in report.unchecked:
        info(f"Not checked: {sentence}")
    if stopping:
        raise refusal(tuple(_placed(found, root) for found in stopping))


def duplicate(api: Api, job_id: str) -> Finding | None:
    """What is wrong with a job id that was used before; None for a new one."""
    if not _used(api, job_id):
        return None
    return Finding(
        code="duplicate-job",
        message=f"A job with the id '{job_id}' already exists, and ids are used only once.",
        where="JOB",
        hint=f"'{next_free(job_id, lambda name: _used(api, name))}' is free.",
        field="job.job_id",
    )


def next_free(job_id: str, used: Callable[[str], bool]) -> str:
    """The next id after this one that nobody has used; `train_7` is followed by `train_8`."""
    found = re.fullmatch(r"(.*?)(\d+)", job_id)
    stem, number, width = (found[1], int(found[2]), len(found[2])) if found else (f"{job_id}_", 1, 1)
    step = 1
    for _ in range(_MOST_TRIED):
        number += step
        name = f"{stem}{number:0{width}d}"
        if not used(name):
            return name
        step *= 2  # in a long row the end is found in few questions
    return f"{job_id}_{'x' * 8}"


def _used(api: Api, job_id: str) -> bool:
    try:
        api.job(job_id)
    except (NotFound, PermissionDenied):
        return False
    return True


def _anything_at(storage: Storage, url: ObjectUrl) -> bool:
    """Whether an object's name begins with `url`, or fits it where it is a pattern."""
    from mlengine.client import wildcards

    try:
        if re.search(r"[*?\[]", url.object):
            return bool(wildcards.matches(storage, url))
        return next(iter(storage.tree(url)), None) is not None
    except PermissionDenied:
        return True


def _accelerators(api: Api, training: Json) -> tuple[str, ...] | None:
    """The server's GPUs; None where the job asks for none, or nobody may know."""
    configs = [value for name, value in training.items() if name.endswith("Config")]
    types = [value for name, value in training.items() if name.endswith("Type")]
    asked = training.get("scaleTier") == "BASIC_GPU" or any(
        isinstance(config, dict) and config.get("acceleratorConfig") for config in configs
    )
    if not asked and not any(re.search("gpu|p100|v100", str(name)) for name in types):
        return None
    try:
        # Not the location's: the API has no words for most GPUs of today.
        machine = api.connection.call("GET", "/mlengine/v1/machineTypes")["machine"]
    except (NotFound, PermissionDenied):
        return None
    return tuple(gpu["name"] for gpu in machine["gpus"])


def _interpreter(training: Json, environment: Mapping[str, str]) -> Path | None:
    """The Python of the job's runtime, if it is built on this machine."""
    from mlengine.environments import Builder, default_cache_dir, resolve

    try:
        runtime = resolve(
            str(training.get("runtimeVersion") or ""), str(training.get("pythonVersion") or "")
        ).runtime
        builder = Builder(default_cache_dir(environment))
        return builder.interpreter(runtime) if builder.is_built(runtime) else None
    except (InvalidArgument, RuntimeError):  # said elsewhere; no home folder
        return None


def _placed(found: Finding, root: Path | None) -> Finding:
    """The finding with its file as seen from here."""
    name, colon, line = found.where.rpartition(":")
    if root is None or not colon or not line.isdigit() or not (root / name).is_file():
        return found
    file = (root / name).resolve()
    here = Path.cwd().resolve()
    return replace(found, where=f"{file.relative_to(here) if file.is_relative_to(here) else file}:{line}")
