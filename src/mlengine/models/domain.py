"""What a model and a version are, and which states of a version may follow which."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

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
    """Version.framework, as far as it can be named."""

    TENSORFLOW = "TENSORFLOW"
    SCIKIT_LEARN = "SCIKIT_LEARN"
    XGBOOST = "XGBOOST"

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


# Update and delete are refused meanwhile.
MOVING = frozenset({State.CREATING, State.DELETING})
NEXT: dict[State, frozenset[State]] = {
    State.CREATING: frozenset({State.READY, State.FAILED}),
    State.READY: frozenset({State.DELETING}),
    State.FAILED: frozenset({State.DELETING}),
    State.DELETING: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A name under which versions are served. Frozen: a change is a new Model.

    Attributes:
        default_version: Id of the version that answers when none is named; empty while there is none.
        regions: At most one; kept and shown, everything runs here.
    """

    name: ModelName
    created: datetime
    description: str = ""
    regions: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    default_version: str = ""
    generation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One trained model, to be served.

    Attributes:
        uid: Ours; names its folder and sockets, never used again by a later version of the same name.
        origin: The folder that the artefacts come from.
        runtime_version: As the user asked for it; empty if he did not.
        machine_type: As the user asked for it; kept and shown, everything runs here.
        runtime: The runtime of our catalogue that serves it.
        operation: The operation that is creating or deleting it.
        error_message: Why it FAILED.
    """

    name: VersionName
    uid: str
    origin: ObjectUrl
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
class VersionRequest:
    """A version as asked for; `framework` None lets the files decide."""

    name: VersionName
    origin: ObjectUrl
    framework: Framework | None = None
    runtime_version: str = ""
    python_version: str = ""
    machine_type: str = ""
    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)


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
        stamp: What the client knows the version by; None if it did not say.
    """

    description: str | None = None
    labels: dict[str, str] | None = None
    stamp: int | None = None


_ARTEFACTS = {
    "saved_model.pb": Framework.TENSORFLOW,
    "saved_model.pbtxt": Framework.TENSORFLOW,
    "model.bst": Framework.XGBOOST,
    "model.joblib": Framework.SCIKIT_LEARN,
    "model.pkl": Framework.SCIKIT_LEARN,
}


def detect_framework(origin: ObjectUrl, files: list[str]) -> Framework:
    """The framework of the artefacts directly in `origin` (contracts, section 5).

    A pickle counts as scikit-learn here; the worker, which alone may open it, finds out if it is XGBoost's.

    Args:
        files: Paths relative to `origin`.

    Raises:
        FailedPrecondition: none is there, or several that exclude each other.
    """
    found = {name: _ARTEFACTS[name] for name in files if name in _ARTEFACTS}
    kinds = set(found.values())
    if len(kinds) == 1:
        return kinds.pop()
    if kinds:
        raise FailedPrecondition(
            f"Multiple model files are found in {origin}: {', '.join(sorted(found))}.",
            hint="Keep one of them, or name it with --framework.",
            field="version.deployment_uri",
        )
    below = sorted({name.rsplit("/", 1)[0] for name in files if name.rsplit("/", 1)[-1] in _ARTEFACTS})
    if below:
        hint = f"There is one in {origin.child(below[0])}/: use that as the origin."
    else:
        shown = ", ".join(files[:5]) or "nothing"
        hint = f"It holds {shown}. A model is one of {', '.join(_ARTEFACTS)}."
    raise FailedPrecondition(
        f"There is no model directly in {origin}.", hint=hint, field="version.deployment_uri"
    )
