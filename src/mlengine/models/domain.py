"""What a model and a version are, and which states of a version may follow which."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mlengine.errors import FailedPrecondition
from mlengine.names import ModelName, ObjectUrl, OperationName, VersionName

# Contracts, section 2: what serves online predictions, by its names old and new.
MACHINE_TYPES = (
    "mls1-c1-m2",
    "mls1-c4-m2",
    "mls1-c4-m4",
    "mls1-highmem-1",
    "mls1-highcpu-4",
    *(f"n1-{kind}-{cpus}" for kind in ("standard", "highmem", "highcpu") for cpus in (2, 4, 8, 16, 32)),
)


class Framework(StrEnum):
    """Version.framework: Google's three, the others that can be served, and what brings its own code."""

    TENSORFLOW = "TENSORFLOW"
    SCIKIT_LEARN = "SCIKIT_LEARN"
    XGBOOST = "XGBOOST"
    LIGHTGBM = "LIGHTGBM"
    KERAS = "KERAS"
    PYTORCH = "PYTORCH"
    ONNX = "ONNX"
    CUSTOM = "CUSTOM"
    CONTAINER = "CONTAINER"

    @property
    def word(self) -> str:
        """As the command line spells it ("scikit-learn")."""
        return self.value.lower().replace("_", "-")


class State(StrEnum):
    """Version.state."""

    CREATING = "CREATING"
    READY = "READY"
    FAILED = "FAILED"
    DELETING = "DELETING"


# Google's own; of the others the API's enumeration knows nothing.
GOOGLES = (Framework.TENSORFLOW, Framework.SCIKIT_LEARN, Framework.XGBOOST)
# What no request can name: such a version brings its own code.
OWN_CODE = (Framework.CUSTOM, Framework.CONTAINER)

# Update and delete are refused meanwhile.
MOVING = frozenset({State.CREATING, State.DELETING})
NEXT: dict[State, frozenset[State]] = {
    State.CREATING: frozenset({State.READY, State.FAILED}),
    State.READY: frozenset({State.DELETING}),
    State.FAILED: frozenset({State.DELETING}),
    State.DELETING: frozenset(),
}


class UnknownFields(StrEnum):
    """What becomes of a key of an instance that the model does not know."""

    REJECT = "REJECT"
    WARN = "WARN"
    IGNORE = "IGNORE"


class MissingFields(StrEnum):
    """What becomes of an instance that lacks a key."""

    DEFAULT = "DEFAULT"
    NULL = "NULL"
    REJECT = "REJECT"


class NonFinite(StrEnum):
    """How an answer says NaN and infinity, for which JSON has no number."""

    NULL = "NULL"
    TEXT = "TEXT"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the workers of a version treat requests; can be changed while it serves.

    Attributes:
        max_batch_size: Most instances in one call of the model.
        max_latency_ms: How long the first request may wait for company; 0: never on purpose.
    """

    max_batch_size: int = 1024
    max_latency_ms: int = 0
    unknown_fields: UnknownFields = UnknownFields.REJECT
    missing_fields: MissingFields = MissingFields.DEFAULT
    non_finite: NonFinite = NonFinite.NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A serving program of the user's own, run as a local process.

    Attributes:
        image: As asked for; kept and shown, for there is no container engine here.
        env: Names and values, in their order: later ones may refer to earlier ones.
        ports: The first is the one that it listens on.
        predict_route: Empty for the usual one, as is `health_route`.
    """

    command: tuple[str, ...]
    image: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = ()
    predict_route: str = ""
    health_route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What answered for a model from a moment on.

    Attributes:
        version: Id of the default version.
        split: Percent of the requests by version; empty: the default answers all.
    """

    version: str
    since: datetime
    split: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Which versions get a model's requests.

    Attributes:
        split: Percent of the requests that each version answers; whole numbers, 100 together.
        shadow: Fraction of the requests that is copied to a version whose answers nobody sees.
    """

    split: dict[str, int]
    shadow: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A name under which versions are served. Frozen: a change is a new Model.

    Attributes:
        default_version: Id of the version that answers when none is named; empty while there is none.
        regions: At most one; kept and shown, everything runs here.
        split: Percent of the requests by version; empty: the default version answers all.
        shadow: Fraction of the requests that is copied to a version.
        history: What answered when, oldest first; the last entry is what answers now.
        before: What a roll back returns to, the next one last.
    """

    name: ModelName
    created: datetime
    description: str = ""
    regions: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    default_version: str = ""
    split: dict[str, int] = field(default_factory=dict)
    shadow: dict[str, float] = field(default_factory=dict)
    history: tuple[Served, ...] = ()
    before: tuple[Served, ...] = ()
    generation: int = 1

    @property
    def traffic(self) -> Traffic:
        """Which versions get its requests; it has a default version."""
        return Traffic(split=self.split or {self.default_version: 100}, shadow=self.shadow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One trained model, to be served.

    Attributes:
        uid: Ours; names its folder and sockets, never used again by a later version of the same name.
        origin: The folder that the artefacts come from; None for a container without any.
        runtime_version: As the user asked for it; empty if he did not.
        machine_type: As the user asked for it; kept and shown, everything runs here.
        runtime: The runtime of our catalogue that serves it.
        operation: The operation that is creating or deleting it.
        error_message: Why it FAILED.
        nodes: As manualScaling says it; 0 where scaling is automatic.
        min_nodes: Fewest processes to keep, with manual scaling too; 0 lets it sleep.
        max_nodes: Most processes, with manual scaling the same; may be more than this machine has cores.
        scales: Whether autoScaling was asked for.
        settings: What its workers go by.
        settings_generation: Grows with each change that its workers must be told of.
        accelerate: Whether a quicker form of the model may take its place.
        packages: Archives of code that the model needs.
        prediction_class: "module.Class" of the user's code that predicts; empty without.
        container: The user's own serving program; None without.
        request_logging: "samplingPercentage", and "bigqueryTableName" or "destination"; empty without.
        explanation: As explanationConfig says it; empty without.
        schema: What the model takes and gives, as its worker told it; empty before it was READY.
        acceleration: What came of its acceleration; empty before it was READY.
    """

    name: VersionName
    uid: str
    origin: ObjectUrl | None
    framework: Framework
    runtime: str
    created: datetime
    operation: OperationName
    runtime_version: str = ""
    python_version: str = ""
    machine_type: str = ""
    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    state: State = State.CREATING
    error_message: str = ""
    nodes: int = 0
    min_nodes: int = 1
    max_nodes: int = 1
    scales: bool = False
    settings: Settings = field(default_factory=Settings)
    settings_generation: int = 1
    accelerate: bool = True
    packages: tuple[ObjectUrl, ...] = ()
    prediction_class: str = ""
    container: Container | None = None
    request_logging: dict[str, Any] = field(default_factory=dict)
    explanation: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    acceleration: dict[str, Any] = field(default_factory=dict)
    generation: int = 1

    def move(self, to: State, *, error_message: str = "") -> Version:
        """The version in state `to`.

        Raises:
            FailedPrecondition: that state cannot follow.
        """
        if to not in NEXT[self.state]:
            raise FailedPrecondition(
                f"Version {self.name.version} is {self.state}; it cannot become {to}.", field="name"
            )
        return replace(self, state=to, error_message=error_message)

    def must_rest(self, verb: str) -> None:
        """Refuse to `verb` it while it is being made or taken away.

        Raises:
            FailedPrecondition: it is.
        """
        if self.state in MOVING:
            raise FailedPrecondition(
                f"Version {self.name.version} is {self.state}; it cannot be {verb} meanwhile.",
                hint=f"Wait for operation {self.operation.operation}."
                + (" Or cancel it." if self.state is State.CREATING else ""),
                field="name",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What a request says about the number of a version's processes; None where it says nothing.

    Attributes:
        nodes: manualScaling.nodes; excludes the others.
        automatic: Whether autoScaling is there, empty or not.
    """

    nodes: int | None = None
    automatic: bool = False
    min_nodes: int | None = None
    max_nodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRequest:
    """A version as asked for; `framework` None lets the files decide."""

    name: VersionName
    origin: ObjectUrl | None
    framework: Framework | None = None
    runtime_version: str = ""
    python_version: str = ""
    machine_type: str = ""
    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    scaling: Scaling = field(default_factory=Scaling)
    settings: Settings = field(default_factory=Settings)
    accelerate: bool = True
    packages: tuple[ObjectUrl, ...] = ()
    prediction_class: str = ""
    container: Container | None = None
    explanation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """What a patch asks of a model; None leaves a thing as it is.

    Attributes:
        stamp: What the client knows the model by; None if it did not say.
    """

    description: str | None = None
    labels: dict[str, str] | None = None
    default_version: str | None = None
    stamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChange:
    """What a patch asks of a version; None leaves a thing as it is.

    Attributes:
        settings: Those to change, by their names in `Settings`.
        request_logging: As in `Version`; empty to end it.
        stamp: What the client knows the version by; None if it did not say.
    """

    description: str | None = None
    labels: dict[str, str] | None = None
    scaling: Scaling | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    request_logging: dict[str, Any] | None = None
    stamp: int | None = None


class Stage(StrEnum):
    """What is being done for a version that is CREATING."""

    FETCHING = "FETCHING"
    ENVIRONMENT = "ENVIRONMENT"
    LOADING = "LOADING"
    GOLDEN = "GOLDEN"
    ACCELERATING = "ACCELERATING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How many processes a version has at this moment.

    Attributes:
        wanted: How many it should have.
        serving: How many of them answer.
        asleep: Whether it is scaled to zero; the next request wakes it.
    """

    wanted: int
    serving: int
    asleep: bool = False
