"""How a folder with a trainer becomes a job on the server: check, pack, upload, create."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlengine.client import packaging, preflight
from mlengine.client.api import Api
from mlengine.client.http import Json
from mlengine.client.storage import Storage, no_bucket
from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl, check_bucket, check_id

# The server runs everything in one place; the API wants a name for it.
DEFAULT_REGION = "us-central1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A job as the user wrote it down.

    Attributes:
        job_id: "auto" stands for a name made of module and time.
        settings: Fields of trainingInput, over those of the file; what is not given is absent.
        config: A Job, as read from the --config file.
        packages: Distributions: local files or gs:// URLs.
        args: The trainer's own arguments; None keeps those of the file.
    """

    job_id: str
    settings: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    package_path: Path | None = None
    packages: tuple[str, ...] = ()
    staging_bucket: str = ""
    args: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom to tell what: things the user should know, and things only the curious want."""

    warn: Callable[[str], None]
    info: Callable[[str], None]


def submit(api: Api, storage: Storage, request: Request, *, now: datetime, voice: Voice) -> Json:
    """Check, pack, upload and create; the job as the server accepted it.

    Nothing is created but the uploaded packages and the job.

    Raises:
        InvalidArgument: the package, the module or a setting can never work.
        NotFound: a bucket is missing.
        AlreadyExists: the job id was used before.
    """
    training = _training(request)
    module = training.get("pythonModule") or ""
    master = training.get("masterConfig")
    image = master.get("imageUri") if isinstance(master, dict) else ""
    if not module and not image:
        raise InvalidArgument(
            "argument --module-name: Must be specified.", hint="For example: --module-name trainer.task"
        )
    job_id = _job_id(request.job_id, module, now)
    check_id(job_id, field="", noun="job")
    job_dir = _job_dir(training.get("jobDir"), voice)
    given = [Path(name) for name in request.packages if not name.startswith("gs://")]
    for path in given:
        if not path.is_file():
            raise InvalidArgument(
                f"--packages: there is no file {path}.", hint=f"This folder is {Path.cwd()}."
            )
    with tempfile.TemporaryDirectory(prefix="mlengine-submit-") as scratch:
        built = _pack(request.package_path, Path(scratch), voice) if request.package_path else None
        files = [*(built.files if built else ()), *given]
        remote = [name for name in request.packages if name.startswith("gs://")]
        if not image and not files and not remote and not training.get("packageUris"):
            raise InvalidArgument(
                "Non-custom jobs must have packages.",
                hint="Name the trainer's folder: --package-path trainer/",
            )
        if module and files and not remote and not training.get("packageUris"):
            preflight.check_module(
                module, files, package=request.package_path, own_setup=bool(built and built.own_setup)
            )
        packaging.check_names(files)
        # After all that can be known here: a missing bucket is made in a moment, a broken trainer is not.
        if job_dir and not storage.bucket_exists(job_dir.bucket):
            raise no_bucket(job_dir.bucket)
        uris = _upload(
            files, _target(request.staging_bucket, job_dir, job_id, files, storage), storage, voice
        )
    if uris or remote:
        training["packageUris"] = [*uris, *remote]
    job = {key: value for key, value in request.config.items() if key != "trainingInput"}
    job |= {"jobId": job_id, "trainingInput": training}
    if request.labels:
        job["labels"] = {**(job.get("labels") or {}), **request.labels}
    return api.create_job(job)


def read_config(path: str) -> Json:
    """A Job from a YAML or JSON file; keys we do not know are left to the server.

    Raises:
        InvalidArgument: unreadable, no YAML, or no Job.
    """
    value = read_yaml(path, "--config")
    training = value.get("trainingInput", {})
    if not isinstance(training, dict):
        raise InvalidArgument(f"--config {path}: trainingInput must hold settings, one a line.")
    if not training and {"scaleTier", "masterType", "pythonVersion", "runtimeVersion"} & value.keys():
        raise InvalidArgument(
            f"--config {path} has its settings at the top.", hint="Put them below a line `trainingInput:`."
        )
    return value


def read_yaml(path: str, flag: str) -> Json:
    """The mapping in a YAML or JSON file. Raises InvalidArgument."""
    import yaml

    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidArgument(f"{flag} {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{flag} {path} is no YAML: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"{flag} {path} must hold settings (KEY: VALUE), not {type(value).__name__}.")
    found: Json = json.loads(json.dumps(value, default=str))
    return found


def _training(request: Request) -> Json:
    # The API takes both spellings; one of them lets a flag win over the file.
    given = request.config.get("trainingInput", {})
    training: dict[str, Any] = _camel(given)
    # A number in YAML where the API has text: `runtimeVersion: 1.15`.
    for name in ("runtimeVersion", "pythonVersion"):
        if isinstance(training.get(name), float | int):
            training[name] = str(training[name])
    training = over(training, request.settings)
    if request.args is not None:
        training["args"] = list(request.args)
    training.setdefault("region", DEFAULT_REGION)
    training.setdefault("enableWebAccess", False)  # sent in any case, as gcloud does
    if training.get("scaleTier") == "CUSTOM" and not training.get("masterType"):
        raise InvalidArgument(
            "--master-machine-type is required if scale-tier is set to `CUSTOM`.",
            hint="List of types: n1-standard-4, n1-highmem-8, standard, complex_model_m, …",
        )
    return training


def _camel(value: Any) -> Any:
    """The same with the keys of all its mappings in camelCase."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {re.sub(r"_([a-z])", lambda m: m[1].upper(), key): _camel(inner) for key, inner in value.items()}


def over(lower: Json, upper: Json) -> Json:
    """`lower` with the fields of `upper` over it, also within fields that both have."""
    merged = dict(lower)
    for name, value in upper.items():
        below = merged.get(name)
        merged[name] = over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _job_id(wanted: str, module: str, now: datetime) -> str:
    if wanted != "auto":
        return wanted
    return f"{re.sub(r'[^A-Za-z0-9]', '_', module) or 'job'}_{now:%Y%m%d_%H%M%S}"


def _job_dir(text: object, voice: Voice) -> ObjectUrl | None:
    if not text:
        return None
    if str(text).startswith("gs:///"):
        raise InvalidArgument(f"--job-dir {text} names no bucket; is a variable empty?")
    url = ObjectUrl.parse(str(text))
    if not url.object.strip("/"):
        voice.warn(f"job-dir is the bucket itself ({url}); is a variable empty?")
    return url


def _pack(package: Path, scratch: Path, voice: Voice) -> packaging.Packed:
    built = packaging.build(package, scratch)
    for note in built.notes:
        voice.warn(note)
    for path in built.files:
        sizes = packaging.contents(path)
        listed = "\n".join(f"  {name}" for name in sorted(sizes))
        voice.info(f"{path.name} ({path.stat().st_size} bytes) holds {len(sizes)} files:\n{listed}")
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
        voice.info("The largest:\n" + "\n".join(f"  {size:>12} {name}" for name, size in largest))
        if path.name.endswith((".tar.gz", ".zip")):
            preflight.check_sources(path)
    return built


def _target(
    staging: str, job_dir: ObjectUrl | None, job_id: str, files: list[Path], storage: Storage
) -> ObjectUrl | None:
    if not files:
        return None
    checksum = packaging.checksum(files)
    if staging:
        bucket = check_bucket(staging.removeprefix("gs://").rstrip("/"))
        if not storage.bucket_exists(bucket):
            raise no_bucket(bucket)
        return ObjectUrl(bucket, f"{job_id}/{checksum}")
    if job_dir:
        return job_dir.child(f"packages/{checksum}")
    raise InvalidArgument(
        "If local packages are provided, the --staging-bucket or --job-dir flag must be given.",
        hint="For example: --job-dir gs://BUCKET/FOLDER",
    )


def _upload(files: list[Path], target: ObjectUrl | None, storage: Storage, voice: Voice) -> list[str]:
    uris: list[str] = []
    for path in files:
        assert target is not None
        url = target.child(path.name)
        voice.info(f"Uploading {path.name} to {url}")
        storage.upload(path, url)
        uris.append(str(url))
    return uris
