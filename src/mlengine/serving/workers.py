"""What serving asks of a machine: model workers, and a gateway that routes to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class WorkerState(StrEnum):
    """How a worker stands."""

    STARTING = "STARTING"
    SERVING = "SERVING"
    ENDED = "ENDED"


class Environment(NamedTuple):
    """Where a model runs. Workers with equal ones can take each other's place.

    Attributes:
        python: Interpreter with all that the model needs.
        framework: "tensorflow", "scikit-learn", … as Framework.word has it; empty to let the files decide.
        variables: On top of the machine's own, sorted.
    """

    python: Path
    framework: str = ""
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """A version to be served by one process.

    Attributes:
        uid: Our id of the version; names its folder and its sockets.
        node: 0 for its first worker, 1 for the second, …
        name: PROJECT/MODEL/VERSION, for messages.
        model_dir: Local folder with the artefacts.
        environment: Where it runs.
        shareable: Whether other versions may be served by the same process: its model is small, and brings
            no code of the user's.
    """

    uid: str
    node: int = 0
    name: str
    model_dir: Path
    environment: Environment
    shareable: bool = False


class Workers(Protocol):
    """Processes that serve versions: each version by one or more nodes, addressed by uid and number.

    Nobody waits inside, but for `stop`. A worker survives the control plane, and the next one finds it again.
    """

    def start(self, spec: WorkerSpec) -> None:
        """Have a node run; one that runs already is left alone."""
        ...

    def state(self, uid: str, node: int = 0) -> WorkerState:
        """SERVING once it has answered its golden prediction and listens."""
        ...

    def nodes(self, uid: str) -> list[int]:
        """The numbers of the nodes that were started and not stopped, whether they live or not."""
        ...

    def log(self, uid: str, node: int = 0) -> str:
        """What its present or last process wrote to standard error, as far as that can be told apart."""
        ...

    def stop(self, uid: str, node: int) -> None:
        """End it, once it has answered and its callers have gone; one that is not there is fine."""
        ...

    def reload(self, uid: str) -> None:
        """Have all its nodes read its options again."""
        ...

    def socket(self, uid: str, node: int = 0) -> Path:
        """Where it listens once it serves."""
        ...

    def keep_standbys(self, environments: Collection[Environment], count: int) -> None:
        """Have `count` processes per environment that have imported the framework and wait for a model."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the gateway reaches a version, and what it allows.

    Attributes:
        sockets: Of its nodes; none while it is asleep.
        queue_limit: Requests that may wait or be under way.
        deadline_seconds: How long a request may take.
        wake_seconds: How long a request waits for a version that is asleep.
        log_fraction: Of the requests, to be kept with their answers for request logging.
    """

    sockets: tuple[str, ...]
    queue_limit: int = 256
    deadline_seconds: float = 60.0
    wake_seconds: float = 60.0
    log_fraction: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """All that the gateway goes by. Equal tables need not be published again.

    Attributes:
        versions: By PROJECT/MODEL/VERSION.
        splits: By PROJECT/MODEL: percent of the requests by version id.
        shadows: By PROJECT/MODEL: fraction of the requests that is copied, by version id.
        foreign: Model ids that protocols without projects use, and the PROJECT/MODEL that they mean.
    """

    versions: Mapping[str, Route] = field(default_factory=dict)
    splits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    shadows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a version is asked for now.

    Attributes:
        in_flight: Requests taken and not yet answered.
        held: Of these, the ones that wait for a worker.
        last_use: When a request last came, as Unix time; 0 if never.
    """

    in_flight: int = 0
    held: int = 0
    last_use: float = 0.0


class Events(NamedTuple):
    """What happened in the gateway.

    Attributes:
        at: Where the next question goes on.
        wanted: Versions, as PROJECT/MODEL/VERSION, that are asleep and have been asked for.
    """

    at: int
    wanted: tuple[str, ...]


class Routes(Protocol):
    """The gateway, as far as the control plane talks to it.

    Each call raises Unavailable when it does not answer; the same call may succeed later.
    """

    def publish(self, table: RouteTable) -> None:
        """Replace the whole routing table; returns when the gateway goes by it."""
        ...

    def events(self, after: int, *, seconds: float) -> Events:
        """Wait up to `seconds` for something to happen after event number `after`."""
        ...

    def loads(self) -> Mapping[str, Load]:
        """What each version is asked for now."""
        ...

    def figures(self) -> Mapping[str, Any]:
        """Every counter of the gateway, as it gives them."""
        ...

    def records(self, most: int) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        """Up to `most` requests with their answers, each given once; and how many were lost, by version."""
        ...
