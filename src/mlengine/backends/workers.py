"""Model workers on this machine: which process serves which version, and what becomes of both.

Small models without code of the user's share processes; the others have one each. A process that has imported
its framework and waits for a model, a standby, makes a version serve at once.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlengine.backends.hosts import Host, Hosts
from mlengine.errors import Unavailable
from mlengine.serving.workers import Environment, WorkerSpec, WorkerState

_LOG = logging.getLogger(__name__)
# Versions in a shared process before another one is started, as long as there are cores for it.
_ENOUGH_IN_ONE = 50
# A version that has ended so many shared processes gets its own.
_MOST_CRASHES = 3
_ORDER_SECONDS = 10.0
# After a standby has died by itself.
_STANDBY_PAUSE = 60.0
# Within the worker's own patience with callers who stay (serving/worker/server.py), and a batch.
_UNLOAD_SECONDS = 30.0


class ChildWorkers:
    """Implements `mlengine.serving.workers.Workers`.

    Args:
        root: Folder that keeps one folder per version, the same as the served models', and one for hosts.
        sockets: Folder for sockets; its path must be short (a Unix socket's has at most 107 bytes).
        tether: File descriptor that reads end-of-file when the gateway is gone; None ties workers to nothing.
        environment: The control plane's environment, of which a few variables are passed on.
    """

    def __init__(
        self, root: Path, sockets: Path, *, tether: int | None, environment: Mapping[str, str]
    ) -> None:
        self._root = root
        self._sockets = sockets
        self._start_host = Hosts(root / "hosts", sockets, tether=tether, environment=environment)
        self._cores = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        self._lock = threading.RLock()
        sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._hosts = {host.id: host for host in self._start_host.known()}
        # By uid and node: the id of the host that has it.
        self._nodes: dict[tuple[str, int], str] = {}
        self._standby_died: dict[Environment, float] = {}
        self._find_again()

    def start(self, spec: WorkerSpec) -> None:
        with self._lock:
            if self.state(spec.uid, spec.node) is not WorkerState.ENDED:
                return
            self._make_room(spec)
            host = self._take(spec)
            order = self._order(spec, alone=host is None or not host.shared)
            if host is None:
                host = self._launch(spec, order)
                self._settle(spec, host)
                return
            self._settle(spec, host)
        try:
            host.load(order, seconds=_ORDER_SECONDS)
        except Unavailable as problem:
            _LOG.warning("%s A new process is started for %s.", problem, spec.name)
            with self._lock:
                self._settle(spec, self._launch(spec, order))

    def state(self, uid: str, node: int = 0) -> WorkerState:
        with self._lock:
            host = self._hosts.get(self._nodes.get((uid, node), ""))
            if host is None:
                return WorkerState.ENDED
            if host.pid is None:
                self._bury(host)
                return WorkerState.ENDED
        # The socket appears, by a rename, only once the golden prediction was answered.
        if self.socket(uid, node).exists():
            return WorkerState.SERVING
        return WorkerState.ENDED if self._failed(uid, node).exists() else WorkerState.STARTING

    def nodes(self, uid: str) -> list[int]:
        with self._lock:
            return sorted(node for known, node in self._nodes if known == uid)

    def processes(self) -> list[tuple[str, int, int]]:
        """Version's uid, node and process of all that live."""
        with self._lock:
            pids = {id: host.pid for id, host in self._hosts.items()}
            found = [(uid, node, pids.get(id)) for (uid, node), id in self._nodes.items()]
        return [(uid, node, pid) for uid, node, pid in found if pid is not None]

    def log(self, uid: str, node: int = 0) -> str:
        try:
            return self._log(uid, node).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self, uid: str, node: int) -> None:
        with self._lock:
            host = self._hosts.get(self._nodes.get((uid, node), ""))
        if host is not None and host.pid is not None:
            self._leave(host, uid, node)
        with self._lock:
            self._nodes.pop((uid, node), None)
            self.socket(uid, node).unlink(missing_ok=True)
            self._node_file(uid, node).unlink(missing_ok=True)
            self._failed(uid, node).unlink(missing_ok=True)
            empty = host is not None and host.id not in self._nodes.values()
            if host is not None and empty:
                self._hosts.pop(host.id, None)
        if host is not None and empty:
            host.end()

    def reload(self, uid: str) -> None:
        for node in self.nodes(uid):
            host = self._hosts.get(self._nodes.get((uid, node), ""))
            if host is not None and self.state(uid, node) is WorkerState.SERVING:
                host.order({"op": "reload", "node": _key(uid, node)}, seconds=_ORDER_SECONDS)

    def socket(self, uid: str, node: int = 0) -> Path:
        return self._sockets / (f"{uid}-{node}.sock" if node else f"{uid}.sock")

    def keep_standbys(self, environments: Collection[Environment], count: int) -> None:
        with self._lock:
            idle = [host for host in self._hosts.values() if host.id not in self._nodes.values()]
            kept: dict[Environment, int] = {}
            ended = []
            for host in idle:
                have = kept.get(host.environment, 0)
                if host.pid is None:
                    self._standby_died[host.environment] = time.monotonic()
                if host.pid is None or host.environment not in environments or have >= count:
                    del self._hosts[host.id]
                    ended.append(host)
                else:
                    kept[host.environment] = have + 1
            for environment in environments:
                died = self._standby_died.get(environment)
                if died is not None and time.monotonic() - died < _STANDBY_PAUSE:
                    continue  # it would only die again
                for _ in range(count - kept.get(environment, 0)):
                    host = self._start_host.start(environment, shared=False, first=None)
                    self._hosts[host.id] = host
        for host in ended:
            host.end()

    # Which process.

    def _take(self, spec: WorkerSpec) -> Host | None:
        """A process that is there already and may serve `spec`."""
        shares = spec.shareable and self._crashes(spec.uid) < _MOST_CRASHES
        alive = [host for host in self._hosts.values() if host.pid is not None]
        if shares:
            fitting = [
                host
                for host in alive
                if host.shared and _kin(host.environment, spec.environment) and not self._has(host, spec.uid)
            ]
            least = min(fitting, key=self._count, default=None)
            if least is not None and (self._count(least) < _ENOUGH_IN_ONE or len(fitting) >= self._cores):
                return least
        used = set(self._nodes.values())
        fitting = [h for h in alive if h.id not in used and h.environment == spec.environment]
        standby = max(fitting, key=lambda host: host.ready, default=None)
        if standby is not None and shares:
            standby.shared = True
            standby.write()
        return standby

    def _launch(self, spec: WorkerSpec, order: dict[str, Any]) -> Host:
        shared = spec.shareable and self._crashes(spec.uid) < _MOST_CRASHES
        host = self._start_host.start(spec.environment, shared=shared, first=order | {"alone": not shared})
        self._hosts[host.id] = host
        return host

    def _settle(self, spec: WorkerSpec, host: Host) -> None:
        self._nodes[spec.uid, spec.node] = host.id
        file = self._node_file(spec.uid, spec.node)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps({"host": host.id}))
        partial.replace(file)

    def _leave(self, host: Host, uid: str, node: int) -> None:
        """Have `host` serve a node no more; a process that does not obey is ended."""
        if not host.shared and self.state(uid, node) is not WorkerState.SERVING:
            return  # it ends below: a model that is being loaded cannot be interrupted
        try:
            host.order({"op": "unload", "node": _key(uid, node)}, seconds=_UNLOAD_SECONDS)
        except Unavailable as problem:
            _LOG.warning("%s It is ended.", problem)
            host.end()

    def _bury(self, host: Host) -> None:
        """Note who is to blame for the end of a process, and tell everyone who lived in it."""
        key, manner = host.last_words()
        left = [known for known, id in self._nodes.items() if id == host.id]
        for uid, node in left:
            guilty = key == _key(uid, node)
            if guilty and host.shared:
                (self._root / uid / "crashes").write_text(str(self._crashes(uid) + 1))
            why = "while it was at this version" if guilty else "which served this version too"
            if host.shared or not self.log(uid, node):
                with self._log(uid, node).open("a") as log:
                    log.write((host.log if guilty else "") + f"The worker process {manner}, {why}.\n")
        del self._hosts[host.id]
        host.forget()

    def _find_again(self) -> None:
        for file in self._root.glob("*/node-*.json"):
            try:
                host = json.loads(file.read_text())["host"]
                self._nodes[file.parent.name, int(file.stem.removeprefix("node-"))] = host
            except (OSError, ValueError, KeyError):
                file.unlink(missing_ok=True)
        for host in self._hosts.values():
            if host.pid is None or not host.ready:
                continue
            try:
                has = host.order({"op": "nodes"}, seconds=_ORDER_SECONDS)["nodes"]
            except Unavailable:
                continue  # deep in a model; it is judged by its sockets
            for uid, node in [known for known, id in self._nodes.items() if id == host.id]:
                if _key(uid, node) not in has and not self._failed(uid, node).exists():
                    # The order to load it was never given.
                    del self._nodes[uid, node]

    def _has(self, host: Host, uid: str) -> bool:
        return any(known == uid and id == host.id for (known, _), id in self._nodes.items())

    def _count(self, host: Host) -> int:
        return sum(id == host.id for id in self._nodes.values())

    def _crashes(self, uid: str) -> int:
        try:
            return int((self._root / uid / "crashes").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    # Files of a version.

    def _make_room(self, spec: WorkerSpec) -> None:
        folder = self._root / spec.uid
        folder.mkdir(parents=True, exist_ok=True)
        self.socket(spec.uid, spec.node).unlink(missing_ok=True)
        self._failed(spec.uid, spec.node).unlink(missing_ok=True)
        self._log(spec.uid, spec.node).write_bytes(b"")

    def _order(self, spec: WorkerSpec, *, alone: bool) -> dict[str, Any]:
        return {
            "node": _key(spec.uid, spec.node),
            "name": spec.name,
            "folder": str(self._root / spec.uid),
            "model_dir": str(spec.model_dir),
            "socket": str(self.socket(spec.uid, spec.node)),
            "framework": spec.environment.framework,
            "log": str(self._log(spec.uid, spec.node)),
            "failed": str(self._failed(spec.uid, spec.node)),
            "alone": alone,
        }

    def _node_file(self, uid: str, node: int) -> Path:
        return self._root / uid / f"node-{node}.json"

    def _failed(self, uid: str, node: int) -> Path:
        return self._root / uid / f"node-{node}.failed"

    def _log(self, uid: str, node: int) -> Path:
        return self._root / uid / (f"worker-{node}.log" if node else "worker.log")


def _key(uid: str, node: int) -> str:
    return f"{uid}.{node}"


def _kin(one: Environment, other: Environment) -> bool:
    """Whether two environments differ at most in the framework that they name."""
    return (one.python, one.variables) == (other.python, other.variables)
