"""Workers and routes in memory, which keep the contract of `mlengine.serving.workers`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlengine.errors import Unavailable
from mlengine.serving.workers import Environment, Events, Load, RouteTable, WorkerSpec, WorkerState


class MemoryWorkers:
    """Workers in a dictionary; implements `mlengine.serving.workers.Workers`.

    The model file decides: "good" serves, "slow" waits, anything else ends and says so.

    Attributes:
        starts: Every start that was not left alone, by uid.
        standbys: What was last asked to be kept.
    """

    def __init__(self, sockets: Path) -> None:
        self._sockets = sockets
        self._lock = threading.Lock()
        self._states: dict[tuple[str, int], WorkerState] = {}
        self._logs: dict[str, str] = {}
        self.specs: dict[str, WorkerSpec] = {}
        self.starts: list[str] = []
        self.reloads: list[str] = []
        self.standbys: tuple[set[Environment], int] = (set(), 0)

    def start(self, spec: WorkerSpec) -> None:
        with self._lock:
            key = (spec.uid, spec.node)
            if self._states.get(key, WorkerState.ENDED) is not WorkerState.ENDED:
                return
            fate = (spec.model_dir / "model.joblib").read_text()
            self.starts.append(spec.uid)
            self.specs[spec.uid] = spec
            self._logs[spec.uid] = fate
            states = {"good": WorkerState.SERVING, "slow": WorkerState.STARTING}
            self._states[key] = states.get(fate, WorkerState.ENDED)

    def state(self, uid: str, node: int = 0) -> WorkerState:
        return self._states.get((uid, node), WorkerState.ENDED)

    def nodes(self, uid: str) -> list[int]:
        return sorted(node for known, node in list(self._states) if known == uid)

    def log(self, uid: str, node: int = 0) -> str:
        return self._logs.get(uid, "")

    def stop(self, uid: str, node: int) -> None:
        self._states.pop((uid, node), None)

    def reload(self, uid: str) -> None:
        self.reloads.append(uid)

    def socket(self, uid: str, node: int = 0) -> Path:
        return self._sockets / (f"{uid}-{node}.sock" if node else f"{uid}.sock")

    def keep_standbys(self, environments: Collection[Environment], count: int) -> None:
        self.standbys = (set(environments), count)

    def answer(self, uid: str, node: int = 0) -> None:
        """The worker has answered its golden prediction."""
        self._states[uid, node] = WorkerState.SERVING

    def die(self, uid: str, node: int = 0) -> None:
        """The worker's process is gone."""
        self._states[uid, node] = WorkerState.ENDED


class MemoryRoutes:
    """A routing table in memory; implements `mlengine.serving.workers.Routes`.

    Attributes:
        seen: Called with the sockets by version whenever a table is published, before it is in force.
        away: Whether the gateway does not answer.
        asked: What `loads` answers.
    """

    def __init__(self) -> None:
        self.tables: list[RouteTable] = [RouteTable()]
        self.away = False
        self.asked: dict[str, Load] = {}
        self.seen: Callable[[Mapping[str, tuple[str, ...]]], None] = lambda table: None
        self._wanted: list[str] = []
        self._news = threading.Condition()

    def publish(self, table: RouteTable) -> None:
        if self.away:
            raise Unavailable("The gateway does not answer.")
        self.seen({name: route.sockets for name, route in table.versions.items()})
        self.tables.append(table)

    def want(self, version: str) -> None:
        """A request waits for a version that is asleep."""
        with self._news:
            self._wanted.append(version)
            self._news.notify_all()

    def events(self, after: int, *, seconds: float) -> Events:
        with self._news:
            self._news.wait_for(lambda: len(self._wanted) > after, timeout=0.2)
            return Events(len(self._wanted), tuple(self._wanted[after:]))

    def loads(self) -> Mapping[str, Load]:
        return dict(self.asked)

    def figures(self) -> Mapping[str, Any]:
        return {}

    def records(self, most: int) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        return [], {}

    @property
    def table(self) -> dict[str, tuple[str, ...]]:
        """The sockets by version, as they are in force."""
        return {name: route.sockets for name, route in self.tables[-1].versions.items()}

    @property
    def defaults(self) -> dict[str, str]:
        """The version that answers all requests of a model, where there is one."""
        splits = self.tables[-1].splits
        return {model: next(iter(split)) for model, split in splits.items() if len(split) == 1}
