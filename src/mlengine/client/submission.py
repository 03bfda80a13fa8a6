"""How a folder with a trainer becomes a job on the server: check, pack, upload, create."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mlengine.client import packaging, preflight
from mlengine.client.api import Api
from mlengine.client.http import Json
from mlengine.client.storage import Storage
from mlengine.errors import InvalidArgument, NotFound, Problem
from mlengine.names import ObjectUrl, check_bucket, check_id
from mlengine.preflight import check
from mlengine.preflight.archive import Archive, read_archive
from mlengine.preflight.findings import Finding, Report, finding_of, refusal
from mlengine.preflight.surroundings import Surroundings

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
        skip: Codes of preflight checks that do not stop the job; "all" leaves out preflight altogether.
        send: Whether it is really sent, or only checked.
    """

    job_id: str
    settings: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    package_path: Path | None = None
    packages: tuple[str, ...] = ()
    staging_bucket: str = ""
    args: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()
    send: bool = True


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom to tell what: things the user should know, and things only the curious want."""

    warn: Callable[[str], None]
    info: Callable[[str], None]


def submit(
    api: Api,
    storage: Storage,
    request: Request,
    *,
    now: datetime,
    voice: Voice,
    environment: Mapping[str, str] | None = None,
) -> Json:
    """Check, pack, upload and create; the job as the server accepted it, or as it would be sent.

    Nothing is created but the uploaded packages and the job.

    Args:
        environment: The process environment, which says where runtimes are built; None if nobody knows.

    Raises:
        InvalidArgument: the package, the module or a setting can never work.
        NotFound: a bucket is missing.
        AlreadyExists: the job id was used before.
    """
    preflight.check_skipped(request.skip)
    training = _training(request)
    module = training.get("pythonModule") or ""
    master = training.get("masterConfig")
    image = master.get("imageUri") if isinstance(master, dict) else ""
    if not module and not image:
        raise _refused(
            "no-module-name",
            "argument --module-name: Must be specified.",
            "For example: --module-name trainer.task",
        )
    job_id = _job_id(request.job_id, module, now)
    if request.job_id == "auto":
        job_id = _unused(api, job_id)
    given, remote = _given(request)
    if not (image or request.package_path or given or remote or training.get("packageUris")):
        raise _refused(
            "no-packages",
            "Non-custom jobs must have packages.",
            "Name the trainer's folder: --package-path trainer/",
        )
    around = preflight.surroundings(api, storage, training, environment or {})
    with tempfile.TemporaryDirectory(prefix="mlengine-submit-") as scratch:
        report = _words(request, training, job_id, api, around)
        try:
            built = _pack(request.package_path, Path(scratch), voice) if request.package_path else None
            files = [*(built.files if built else ()), *given]
            packaging.check_names(files)
            if files and "all" not in request.skip:
                report = report + _archives(training, files, remote, around, request)
        except Problem as problem:
            if not (found := finding_of(problem)):
                raise
            # What keeps the package from being built stands beside what the line tells, and is not skipped.
            _tell(report + Report((found,)), replace(request, skip=()), voice)
        _tell(report, request, voice)
        target = _target(request.staging_bucket, training.get("jobDir"), job_id, files)
        uris = _upload(files, target, storage, voice) if request.send else _urls(files, target)
    if uris or remote:
        training["packageUris"] = [*uris, *remote]
    job = {key: value for key, value in request.config.items() if key != "trainingInput"}
    job |= {"jobId": job_id, "trainingInput": training}
    if request.labels:
        job["labels"] = {**(job.get("labels") or {}), **request.labels}
    return api.create_job(job) if request.send else job


def _given(request: Request) -> tuple[list[Path], list[str]]:
    """The packages named: files of this machine, and URLs."""
    remote = [name for name in request.packages if name.startswith("gs://")]
    given = [Path(name) for name in request.packages if not name.startswith("gs://")]
    for path in given:
        if not path.is_file():
            raise _refused(
                "no-file", f"--packages: there is no file {path}.", f"This folder is {Path.cwd()}."
            )
    return given, remote


def _words(request: Request, training: Json, job_id: str, api: Api, around: Surroundings) -> Report:
    """What the line tells before anything is built."""
    skipped = "all" in request.skip
    words = (
        Report() if skipped else check.check_words(training, around, staging_bucket=request.staging_bucket)
    )
    found: list[Finding] = []
    try:
        check_id(job_id, field="", noun="job")
        used = None if skipped else preflight.duplicate(api, job_id)
        found += [used] if used else []
    except InvalidArgument as problem:
        found.append(Finding(code="job-id", message=problem.message, hint=problem.hint, field="job.job_id"))
    places = () if skipped else _places(request, training, around)
    return Report((*found, *words.findings, *places), words.unchecked)


def _places(request: Request, training: Json, around: Surroundings) -> Iterator[Finding]:
    """Whether buckets and packages that are named are there."""
    assert around.bucket_exists is not None and around.anything_at is not None
    local = request.package_path or any(not name.startswith("gs://") for name in request.packages)
    job_dir, staging = str(training.get("jobDir") or ""), request.staging_bucket
    if local and not job_dir and not staging:
        yield Finding(
            code="nowhere-to-upload",
            message="If local packages are provided, the --staging-bucket or --job-dir flag must be given.",
            hint="For example: --job-dir gs://BUCKET/FOLDER",
        )
    buckets = {"--job-dir": job_dir.removeprefix("gs://").partition("/")[0]} if job_dir[:5] == "gs://" else {}
    if staging:
        buckets["--staging-bucket"] = staging.removeprefix("gs://").rstrip("/")
    for flag, bucket in buckets.items():
        try:
            missing = not around.bucket_exists(check_bucket(bucket))
        except InvalidArgument:  # said already
            continue
        if missing:
            yield Finding(
                code="missing-bucket",
                message=f"There is no bucket gs://{bucket}.",
                where=flag,
                hint=f"Make it: mlengine storage mb gs://{bucket}",
            )
    for uri in (name for name in request.packages if name.startswith("gs://")):
        url = ObjectUrl.parse(uri)
        if not around.bucket_exists(url.bucket) or not around.anything_at(url):
            yield Finding(
                code="missing-package",
                message=f"There is no package at {uri}.",
                where="--packages",
                hint=f"Look what there is: mlengine storage ls gs://{url.bucket}/",
            )


def _archives(
    training: Json, files: list[Path], remote: list[str], around: Surroundings, request: Request
) -> Report:
    """What the packages tell."""
    archives: list[Archive] = []
    for path in files:
        try:
            archives.append(read_archive(path))
        except InvalidArgument as problem:
            raise _refused("not-an-archive", problem.message, problem.hint) from None
    return check.check_archives(
        training,
        archives,
        around,
        package=request.package_path and request.package_path.resolve(),
        complete=not remote and not training.get("packageUris"),
    )


def _tell(report: Report, request: Request, voice: Voice) -> None:
    if "all" in request.skip:
        voice.warn("Preflight is skipped: what fails, fails when the job runs.")
    root = request.package_path.resolve().parent if request.package_path else None
    preflight.tell(report, skip=request.skip, root=root, warn=voice.warn, info=voice.info)


def _refused(code: str, message: str, hint: str) -> Problem:
    return refusal((Finding(code=code, message=message, hint=hint),))


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


def _unused(api: Api, job_id: str) -> str:
    """The id, or the first of `id_2`, `id_3`, … that no job has: two may be submitted in one second."""
    found, number = job_id, 1
    while True:
        try:
            api.job(found)
        except NotFound:
            return found
        number += 1
        found = f"{job_id}_{number}"


def _job_id(wanted: str, module: str, now: datetime) -> str:
    if wanted != "auto":
        return wanted
    return f"{re.sub(r'[^A-Za-z0-9]', '_', module) or 'job'}_{now:%Y%m%d_%H%M%S}"


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
    return built


def _target(staging: str, job_dir: object, job_id: str, files: list[Path]) -> ObjectUrl | None:
    """The folder that packages are uploaded to; None where there are none."""
    if not files:
        return None
    checksum = packaging.checksum(files)
    if staging:
        return ObjectUrl(check_bucket(staging.removeprefix("gs://").rstrip("/")), f"{job_id}/{checksum}")
    return ObjectUrl.parse(str(job_dir or "")).child(f"packages/{checksum}")


def _urls(files: list[Path], target: ObjectUrl | None) -> list[str]:
    return [str(target.child(path.name)) for path in files if target is not None]


def _upload(files: list[Path], target: ObjectUrl | None, storage: Storage, voice: Voice) -> list[str]:
    uris: list[str] = []
    for path in files:
        assert target is not None
        url = target.child(path.name)
        voice.info(f"Uploading {path.name} to {url}")
        storage.upload(path, url)
        uris.append(str(url))
    return uris
