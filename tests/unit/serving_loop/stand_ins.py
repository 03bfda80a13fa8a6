"""Workers and routes in memory, which keep the contract of `mlengine.serving.workers`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from mlengine.errors import Unavailable
from mlengine.serving.workers import WorkerSpec, WorkerState


class MemoryWorkers:
    """Workers in a dictionary; implements `mlengine.serving.workers.Workers`.

    The model file decides: "good" serves, "slow" waits, anything else ends and says so.

    Attributes:
        starts: Every start that was not left alone, by uid.
    """

    def __init__(self, sockets: Path) -> None:
        self._sockets = sockets
        self._lock = threading.Lock()
        self._states: dict[str, WorkerState] = {}
        self._logs: dict[str, str] = {}
        self.specs: dict[str, WorkerSpec] = {}
        self.starts: list[str] = []

    def start(self, spec: WorkerSpec) -> None:
        with self._lock:
            if self._states.get(spec.uid, WorkerState.ENDED) is not WorkerState.ENDED:
                return
            fate = (spec.model_dir / "model.joblib").read_text()
            self.starts.append(spec.uid)
            self.specs[spec.uid] = spec
            self._logs[spec.uid] = fate
            states = {"good": WorkerState.SERVING, "slow": WorkerState.STARTING}
            self._states[spec.uid] = states.get(fate, WorkerState.ENDED)

    def state(self, uid: str) -> WorkerState:
        return self._states.get(uid, WorkerState.ENDED)

    def log(self, uid: str) -> str:
        return self._logs.get(uid, "")

    def stop(self, uid: str) -> None:
        self._states.pop(uid, None)

    def socket(self, uid: str) -> Path:
        return self._sockets / f"{uid}.sock"

    def answer(self, uid: str) -> None:
        """The worker has answered its golden prediction."""
        self._states[uid] = WorkerState.SERVING

    def die(self, uid: str) -> None:
        """The worker's process is gone."""
        self._states[uid] = WorkerState.ENDED


class MemoryRoutes:
    """A routing table in memory; implements `mlengine.serving.workers.Routes`.

    Attributes:
        seen: Called with the table whenever one is published, before it is in force.
        away: Whether the gateway does not answer.
    """

    def __init__(self) -> None:
        self.tables: list[dict[str, Path]] = [{}]
        self.defaults: dict[str, str] = {}
        self.away = False
        self.seen: Callable[[Mapping[str, Path]], None] = lambda table: None

    def publish(self, versions: Mapping[str, Path], defaults: Mapping[str, str]) -> None:
        if self.away:
            raise Unavailable("The gateway does not answer.")
        self.seen(versions)
        self.tables.append(dict(versions))
        self.defaults = dict(defaults)

    @property
    def table(self) -> dict[str, Path]:
        return self.tables[-1]
