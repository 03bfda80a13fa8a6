"""How an exported model becomes a version: settings checked, a local folder uploaded, the version created."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mlengine.client.api import Api
from mlengine.client.http import Json
from mlengine.client.packaging import SKIPPED, checksum
from mlengine.client.storage import Storage, no_bucket
from mlengine.client.submission import read_yaml
from mlengine.errors import AlreadyExists, InvalidArgument, NotFound
from mlengine.names import ObjectUrl, check_bucket

# What gcloud and its beta commands let a version's --config file hold, and the block of our own.
_ALLOWED = (
    "autoScaling",
    "container",
    "deploymentUri",
    "description",
    "framework",
    "labels",
    "machineType",
    "manualScaling",
    "mlengine",
    "packageUris",
    "predictionClass",
    "pythonVersion",
    "routes",
    "runtimeVersion",
    "serviceAccount",
)
_MOST_FILES = 1000


def read_config(path: str) -> Json:
    """A Version from a YAML or JSON file. Raises InvalidArgument, also for fields that no version has."""
    value = read_yaml(path, "--config")
    check_fields(value, _ALLOWED, path)
    for name in ("runtimeVersion", "pythonVersion"):
        if isinstance(value.get(name), float | int):  # `runtimeVersion: 1.15` is a number in YAML
            value[name] = str(value[name])
    return value


def check_fields(value: Json, allowed: Sequence[str], path: str) -> None:
    """See that a file holds nothing but fields that are allowed in it. Raises InvalidArgument."""
    unknown = sorted(value.keys() - set(allowed))
    if unknown:
        raise InvalidArgument(
            f"Invalid fields [{', '.join(unknown)}] in configuration file [{path}]. "
            f"Allowed fields: [{', '.join(allowed)}]"
        )


def create(
    api: Api,
    storage: Storage,
    model: str,
    body: Json,
    *,
    staging_bucket: str,
    say: Callable[[str], None],
) -> Json:
    """Create the version that `body` names, after uploading what of it is local.

    Args:
        body: A Version; `deploymentUri` may be a local folder, `packageUris` local files.
        staging_bucket: Where local ones go; "" for the project's own bucket, made when it is missing.
        say: Told when a bucket is made or chosen.

    Returns:
        The operation.

    Raises:
        InvalidArgument: no origin, or a local one that is no folder of a model, or no such package.
        NotFound: the model or a bucket is missing.
    """
    origin = str(body.get("deploymentUri") or "")
    if not origin and not body.get("container"):
        raise InvalidArgument(
            "argument --origin: Must be specified.",
            hint="The folder of the exported model: gs://... or local.",
        )
    try:
        api.model(model)
    except NotFound as problem:
        raise NotFound(
            problem.message, hint=f"Make the model first: mlengine models create {model}"
        ) from None
    if origin and not origin.startswith("gs://"):
        body = body | {"deploymentUri": _upload(api, storage, Path(origin), staging_bucket, say)}
    if local := [uri for uri in body.get("packageUris") or () if not str(uri).startswith("gs://")]:
        sent = _upload_packages(api, storage, [Path(uri) for uri in local], staging_bucket, say)
        body = body | {"packageUris": [sent.get(str(uri), uri) for uri in body["packageUris"]]}
    return api.create_version(model, body)


def _upload(api: Api, storage: Storage, folder: Path, staging_bucket: str, say: Callable[[str], None]) -> str:
    """Upload every file below `folder`; the gs:// folder they are in, named by their contents."""
    if not folder.is_dir():
        raise InvalidArgument(
            f"--origin {folder} is no folder.",
            hint=f"Name its folder: --origin {folder.parent}"
            if folder.is_file()
            else f"This folder is {Path.cwd()}.",
        )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not SKIPPED & set(path.parts)]
    if not files:
        raise InvalidArgument(f"--origin {folder} holds no file.")
    if len(files) > _MOST_FILES:
        raise InvalidArgument(
            f"--origin {folder} holds {len(files)} files; a version has at most {_MOST_FILES}.",
            hint="Name the folder of the exported model itself.",
        )
    target = ObjectUrl(_bucket(api, storage, staging_bucket, say), checksum(files))
    for path in files:
        storage.upload(path, target.child(path.relative_to(folder).as_posix()))
    return f"{target}/"


def _upload_packages(
    api: Api, storage: Storage, files: list[Path], staging_bucket: str, say: Callable[[str], None]
) -> dict[str, str]:
    """Upload archives; their gs:// addresses by the names given."""
    for path in files:
        if not path.is_file():
            raise InvalidArgument(f"--package-uris {path} is no file.", hint=f"This folder is {Path.cwd()}.")
    target = ObjectUrl(_bucket(api, storage, staging_bucket, say), checksum(files))
    for path in files:
        storage.upload(path, target.child(path.name))
    return {str(path): str(target.child(path.name)) for path in files}


def _bucket(api: Api, storage: Storage, staging_bucket: str, say: Callable[[str], None]) -> str:
    if staging_bucket:
        named = check_bucket(staging_bucket.removeprefix("gs://").rstrip("/"))
        if not storage.bucket_exists(named):
            raise no_bucket(named)
        return named
    own = f"{api.project}-mlengine"
    if storage.bucket_exists(own):
        say(f"Using the bucket gs://{own}/ for the model's files.")
        return own
    try:
        storage.create_bucket(own)
        say(f"Made the bucket gs://{own}/ for the model's files.")
    except AlreadyExists:  # somebody else made it in the meantime
        pass
    return own
