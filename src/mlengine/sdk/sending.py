"""What begins with files on this machine: trainers packed, models and contents uploaded, as by the CLI."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlengine.client.api import Api
from mlengine.client.http import Json
from mlengine.client.storage import Storage, no_bucket
from mlengine.errors import AlreadyExists, InvalidArgument, Problem
from mlengine.names import ObjectUrl
from mlengine.sdk.effects import Steps, Work
from mlengine.sdk.problems import in_python

Config = Mapping[str, Any] | str | Path | None


def submit(
    job_id: str,
    *,
    settings: Json,
    package: str | Path | None,
    packages: Sequence[str | Path],
    staging_bucket: str,
    args: Sequence[object] | None,
    labels: Mapping[str, str] | None,
    config: Config,
) -> Steps[Json]:
    """The job as accepted.

    Args:
        settings: Fields of trainingInput; what is None is not given.
    """

    def act(api: Api, storage: Storage) -> Json:
        from mlengine.client.submission import Request, Voice, read_config
        from mlengine.client.submission import submit as submitted

        given = without_none(settings)
        wanted = read_config(str(config)) if isinstance(config, str | Path) else dict(config or {})
        training = wanted.get("trainingInput", {})
        if not isinstance(training, Mapping):
            raise InvalidArgument("config: trainingInput must hold settings.")
        local = [name for name in map(str, packages) if not name.startswith("gs://")]
        has_place = staging_bucket or {"jobDir", "job_dir"} & (given.keys() | training.keys())
        request = Request(
            job_id=job_id,
            settings=given,
            config=wanted,
            labels=dict(labels or {}),
            package_path=Path(package) if package else None,
            packages=tuple(str(name) for name in packages),
            staging_bucket=_own_bucket(api, storage)
            if (package or local) and not has_place
            else staging_bucket,
            args=None if args is None else tuple(str(argument) for argument in args),
        )
        now = datetime.now(UTC).astimezone()
        return submitted(api, storage, request, now=now, voice=Voice(warn=warnings.warn, info=_unsaid))

    accepted: Json = yield from _work(act)
    return accepted


def create_version(model: str, body: Json, *, staging_bucket: str, config: Config) -> Steps[Json]:
    """The operation that creates a version.

    Args:
        body: A Version; what is None is not given.
    """

    def act(api: Api, storage: Storage) -> Json:
        from mlengine.client.deployment import create, read_config

        wanted = read_config(str(config)) if isinstance(config, str | Path) else dict(config or {})
        whole = wanted | without_none(body)
        return create(api, storage, model, whole, staging_bucket=staging_bucket, say=_unsaid)

    operation: Json = yield from _work(act)
    return operation


def upload(path: str | Path, url: str) -> Steps[None]:
    """Store a file as an object."""

    def act(_: Api, storage: Storage) -> None:
        target = _object(url)
        # Asked first, for an upload waits a minute for a server that is not there.
        if not storage.bucket_exists(target.bucket):
            raise no_bucket(target.bucket)
        storage.upload(Path(path), target)

    yield from _work(act)


def download(url: str, path: str | Path) -> Steps[None]:
    """Write an object to a file."""
    yield from _work(lambda _, storage: storage.download_file(_object(url), Path(path)))


def without_none(fields: Mapping[str, object]) -> Json:
    """The fields that are given."""
    return {name: value for name, value in fields.items() if value is not None}


def _object(url: str) -> ObjectUrl:
    found = ObjectUrl.parse(url, field="url")
    if not found.object or found.object.endswith("/"):
        raise InvalidArgument(f"{url} names no object.", hint="Write gs://BUCKET/NAME.", field="url")
    return found


def _work(act: Callable[[Api, Storage], Any]) -> Steps[Any]:
    try:
        return (yield Work(act))
    except Problem as problem:
        raise in_python(problem) from None


def _own_bucket(api: Api, storage: Storage) -> str:
    """The project's own bucket for packages, made when it is missing."""
    own = f"{api.project}-mlengine"
    if not storage.bucket_exists(own):
        try:
            storage.create_bucket(own)
        except AlreadyExists:  # somebody else made it in the meantime
            pass
    return own


def _unsaid(_text: str) -> None:
    """Progress that only a person at a screen wants to read."""
