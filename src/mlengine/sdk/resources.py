"""Jobs, models, versions, operations and log lines as typed, frozen values, read from the API's JSON.

`raw` is the JSON itself, for fields that have no attribute here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self

from mlengine.client import logs
from mlengine.client.http import Json
from mlengine.clock import from_text

FINAL = frozenset(("SUCCEEDED", "FAILED", "CANCELLED"))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A training job as the server told of it.

    Attributes:
        state: QUEUED, PREPARING, RUNNING, CANCELLING, SUCCEEDED, FAILED or CANCELLED.
        error_message: Why it FAILED.
    """

    id: str
    state: str
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    error_message: str
    module: str
    args: tuple[str, ...]
    package_uris: tuple[str, ...]
    job_dir: str
    region: str
    runtime_version: str
    scale_tier: str
    labels: dict[str, str] = field(hash=False)
    etag: str
    raw: Json = field(repr=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state in FINAL

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.state == "SUCCEEDED"

    @classmethod
    def read(cls, raw: Json, **bound: Any) -> Self:
        """A Job of the API. `bound` are the fields that a subclass adds."""
        training = raw.get("trainingInput") or {}
        return cls(
            id=str(raw.get("jobId", "")),
            state=str(raw.get("state", "")),
            create_time=_moment(raw, "createTime"),
            start_time=_moment(raw, "startTime"),
            end_time=_moment(raw, "endTime"),
            error_message=str(raw.get("errorMessage", "")),
            module=str(training.get("pythonModule", "")),
            args=tuple(training.get("args", ())),
            package_uris=tuple(training.get("packageUris", ())),
            job_dir=str(training.get("jobDir", "")),
            region=str(training.get("region", "")),
            runtime_version=str(training.get("runtimeVersion", "")),
            scale_tier=str(training.get("scaleTier", "")),
            labels=dict(raw.get("labels", {})),
            etag=str(raw.get("etag", "")),
            raw=raw,
            **bound,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A model as the server told of it.

    Attributes:
        name: The whole path ("projects/local/models/m").
        default_version: Id of the version that answers when none is named; "" for none.
        split: Percent of the requests by version; the default has all of them if nobody said otherwise.
        shadow: Fraction of the requests that is copied to a version.
    """

    id: str
    name: str
    description: str
    regions: tuple[str, ...]
    default_version: str
    split: dict[str, int] = field(hash=False)
    shadow: dict[str, float] = field(hash=False)
    labels: dict[str, str] = field(hash=False)
    etag: str
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json, **bound: Any) -> Self:
        """A Model of the API. `bound` are the fields that a subclass adds."""
        name = str(raw.get("name", ""))
        traffic = (raw.get("mlengine") or {}).get("traffic") or {}
        return cls(
            id=_last(name),
            name=name,
            description=str(raw.get("description", "")),
            regions=tuple(raw.get("regions", ())),
            default_version=_last(str((raw.get("defaultVersion") or {}).get("name", ""))),
            split=dict(traffic.get("split", {})),
            shadow=dict(traffic.get("shadow", {})),
            labels=dict(raw.get("labels", {})),
            etag=str(raw.get("etag", "")),
            raw=raw,
            **bound,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A deployed version as the server told of it.

    Attributes:
        model: The id of its model.
        name: The whole path ("projects/local/models/m/versions/v1").
        state: CREATING, READY, FAILED, DELETING or UPDATING.
        error_message: Why it FAILED.
    """

    id: str
    model: str
    name: str
    state: str
    is_default: bool
    deployment_uri: str
    framework: str
    runtime_version: str
    python_version: str
    create_time: datetime | None
    description: str
    error_message: str
    labels: dict[str, str] = field(hash=False)
    etag: str
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json, **bound: Any) -> Self:
        """A Version of the API. `bound` are the fields that a subclass adds."""
        name = str(raw.get("name", ""))
        return cls(
            id=_last(name),
            model=_last(name.partition("/versions/")[0]),
            name=name,
            state=str(raw.get("state", "")),
            is_default=bool(raw.get("isDefault", False)),
            deployment_uri=str(raw.get("deploymentUri", "")),
            framework=str(raw.get("framework", "")),
            runtime_version=str(raw.get("runtimeVersion", "")),
            python_version=str(raw.get("pythonVersion", "")),
            create_time=_moment(raw, "createTime"),
            description=str(raw.get("description", "")),
            error_message=str(raw.get("errorMessage", "")),
            labels=dict(raw.get("labels", {})),
            etag=str(raw.get("etag", "")),
            raw=raw,
            **bound,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """A long operation as the server told of it.

    Attributes:
        name: The whole path ("projects/local/operations/…").
        kind: CREATE_VERSION, DELETE_VERSION, DELETE_MODEL, UPDATE_MODEL, UPDATE_VERSION.
        model: The id of the model it works on.
        version: The id of the version it works on; "" for none.
        error: Code and message of a failure, or None.
        response: What came of it, or None.
    """

    id: str
    name: str
    done: bool
    kind: str
    model: str
    version: str
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    error: Json | None = field(hash=False)
    response: Json | None = field(repr=False, hash=False)
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json, **bound: Any) -> Self:
        """An Operation of the API. `bound` are the fields that a subclass adds."""
        name, about = str(raw.get("name", "")), raw.get("metadata") or {}
        version = about.get("version")
        spelled = version.get("name", "") if isinstance(version, dict) else version or ""
        return cls(
            id=_last(name),
            name=name,
            done=bool(raw.get("done", False)),
            kind=str(about.get("operationType", "")),
            model=_last(str(about.get("modelName", ""))),
            version=_last(str(spelled)),
            create_time=_moment(about, "createTime"),
            start_time=_moment(about, "startTime"),
            end_time=_moment(about, "endTime"),
            error=raw.get("error"),
            response=raw.get("response"),
            raw=raw,
            **bound,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One entry of a job's log; as text it is what `jobs stream-logs` shows.

    Attributes:
        task: The replica that wrote it ("master-replica-0").
    """

    severity: str
    time: datetime | None
    task: str
    message: str

    @classmethod
    def read(cls, entry: Json) -> Self:
        """An entry of the logging API."""
        parts = logs.line(entry)
        return cls(
            severity=parts.severity,
            time=_moment({"time": parts.timestamp}, "time"),
            task=parts.task,
            message=parts.message,
        )

    def __str__(self) -> str:
        shown = self.time.astimezone().strftime("%Y-%m-%d %H:%M:%S %z") if self.time else ""
        return f"{self.severity}\t{shown}\t{self.task}\t{self.message}"


class Record(Protocol):
    """Whatever can be read from the API's JSON."""

    @classmethod
    def read(cls, raw: Json, **bound: Any) -> Self:
        """From a resource of the API. `bound` are the fields that a subclass adds."""


def made_by(operation: OperationRecord) -> str:
    """What a finished operation made or changed: "Version", "Model" or "" for nothing."""
    if operation.kind in ("CREATE_VERSION", "UPDATE_VERSION"):
        return "Version"
    return "Model" if operation.kind == "UPDATE_MODEL" else ""


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _moment(raw: Json, key: str) -> datetime | None:
    text = raw.get(key)
    if not text:
        return None
    try:
        return from_text(str(text))
    except ValueError:
        return None
