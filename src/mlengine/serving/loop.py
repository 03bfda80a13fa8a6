"""Brings versions to where their rows say they should be: deployed, kept running, scaled, or taken away.

One turn looks at every version; what takes long (fetching a model, building an environment, waiting
for a worker's first answer) runs in a thread of its own per version, so that none waits for another.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from mlengine.errors import Conflict, Problem, Unavailable
from mlengine.models.domain import Standing, State, Traffic, Version
from mlengine.models.service import ModelService
from mlengine.names import ModelName, ObjectUrl
from mlengine.serving.deployment import Deployment, Home
from mlengine.serving.routing import Routing
from mlengine.serving.scaling import Bounds, Scaler
from mlengine.serving.workers import Load, Routes, Workers, WorkerState

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS, _IDLE_SECONDS = 0.05, 1.0
_FIRST_PAUSE, _SLOWEST_RESTART = 1.0, 30.0
# A worker that served for so long has earned a fresh start.
_FORGIVEN_SECONDS = 60.0
_LISTEN_SECONDS = 20.0
# Nothing is prepared for later while something is wanted now.
_CALM_SECONDS = 2.0


class ServingLoop:
    """The deployer of one machine.

    Args:
        root: Folder that keeps the served copies of models.
        fetch: Copies a bucket folder into a local one.
        home: Gives, and builds if need be, what a version needs; the folder is the version's own.
        project: Whose models protocols without projects mean first.
        cores: The most nodes of a version that make sense.
        start_seconds: How long a worker may take to its first answer.
        idle_seconds: After so long without a request a version that may sleep does.
        standbys: Processes per environment and framework that wait for a version to wake.
        now: The time of day, in seconds; the gateway tells last uses by it.
    """

    def __init__(
        self,
        service: ModelService,
        workers: Workers,
        routes: Routes,
        *,
        root: Path,
        fetch: Callable[[ObjectUrl, Path], object],
        home: Callable[[Version, Path], Home],
        project: str = "",
        cores: int = 1,
        start_seconds: float = 300.0,
        idle_seconds: float = 300.0,
        standbys: int = 1,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._workers = workers
        self._routes = routes
        self._cores = cores
        self._idle_seconds = idle_seconds
        self._standbys = standbys
        self._now = now
        self._deployment = Deployment(
            workers, root=root, fetch=fetch, home=home, stage=service.stage, start_seconds=start_seconds
        )
        self._routing = Routing(routes, serving=self._serving, traffic=self._traffic, home=project)
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="deploy")
        # Apart: what is to be cancelled may be what keeps all of the others busy.
        self._cancelling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cancel")
        self._under_way: set[str] = set()
        self._answering: dict[str, Version] = {}
        # Nodes that have served, and those nobody shall be sent to any more.
        self._routed: set[tuple[str, int]] = set()
        self._leaving: set[tuple[str, int]] = set()
        self._scalers: dict[str, Scaler] = {}
        self._wanted: set[str] = set()
        self._loads: Mapping[str, Load] = {}
        self._looked = 0.0
        self._busy_until = 0.0
        self._again: dict[tuple[str, str], tuple[float, float]] = {}
        self._wake = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """End `run`; workers live on until the gateway ends."""
        self._stopping = True
        self._deployment.stop()
        self._wake.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._cancelling.shutdown(wait=False, cancel_futures=True)

    def run(self) -> None:
        """Turn until stopped; a turn that fails is reported and tried again."""
        threading.Thread(target=self._listen, name="wanted versions", daemon=True).start()
        while not self._stopping:
            try:
                busy = self.turn()
            except Exception:
                _LOG.exception("The serving loop stumbled; it goes on")
                busy = False
            self._wake.wait(_BUSY_SECONDS if busy else _IDLE_SECONDS)
            self._wake.clear()

    def turn(self) -> bool:
        """Look at every version once; true while something is under way."""
        # Noted before the rows are read: whatever ends in between has written its row by then.
        under_way = set(self._under_way)
        unwanted = self._service.to_cancel()
        versions = self._service.to_deploy()
        self._look()
        for version in versions:
            if version.uid in unwanted and version.state is State.CREATING:
                self._cancel(version)
            if version.uid in under_way or version.uid in unwanted:
                continue
            if version.state is State.CREATING:
                self._do("deploy", version, partial(self._deploy, version))
            elif version.state is State.DELETING:
                self._do("take away", version, partial(self._take_away, version))
            else:
                self._keep(version)
        known = {version.uid for version in versions}
        self._forget_others(known)
        self._publish()
        self._tend_standbys(versions)
        return bool(self._under_way)

    def _forget_others(self, known: set[str]) -> None:
        self._deployment.keep_only(known | self._under_way)
        self._again = {key: pause for key, pause in self._again.items() if key[0] in known}
        self._scalers = {uid: scaler for uid, scaler in self._scalers.items() if uid in known}
        self._routed = {node for node in self._routed if node[0] in known}

    def _do(self, name: str, version: Version, step: Callable[[], object]) -> None:
        if self._stopping or not self._may_try(version, name):
            return
        self._under_way.add(version.uid)

        def work() -> None:
            try:
                step()
            except Conflict:
                _LOG.info("Version %s changed meanwhile", version.name)
            except Exception:
                _LOG.exception("Version %s: %s failed", version.name, name)
            finally:
                self._under_way.discard(version.uid)
                self.wake()

        self._pool.submit(work)

    # Creating and deleting.

    def _cancel(self, version: Version) -> None:
        """End what makes a version, and then say so; beside the thread that makes it, if there is one."""
        if self._stopping or self._deployment.refused(version):
            return
        self._deployment.refuse(version)

        def work() -> None:
            try:
                self._deployment.remove(version)
                self._service.cancelled(version)
            except Exception:
                _LOG.exception("Version %s cannot be cancelled; the next turn tries again", version.name)
                self._deployment.allow(version)
            finally:
                self.wake()

        self._cancelling.submit(work)

    def _deploy(self, version: Version) -> None:
        try:
            self._deployment.must_be_wanted(version)
            self._deployment.fetch(version)
            self._deployment.serve(version, [0])
        except (Conflict, Unavailable):
            raise  # The server stops, or something is out of reach: nothing is wrong with the version.
        except Exception as error:
            if not isinstance(error, Problem):
                _LOG.exception("Version %s cannot be deployed", version.name)
            self._deployment.must_be_wanted(version)  # else it fails for the want of what was taken away
            self._deployment.remove(version)
            self._service.fail(version, f"Create Version failed. {error}")
            return
        finally:
            if self._deployment.refused(version):
                # What was fetched after it had been taken away.
                self._deployment.clear(version)
        # The route first: whoever is told READY may predict at once.
        self._answering[version.uid] = version
        try:
            self._publish()
            self._service.ready(version, self._deployment.description(version))
        finally:
            del self._answering[version.uid]

    def _take_away(self, version: Version) -> None:
        self._publish()
        self._deployment.remove(version)
        self._service.gone(version)

    # Keeping as many nodes as are wanted.

    def _keep(self, version: Version) -> None:
        """See that a READY version has the nodes that it should have."""
        now = self._now()
        scaler = self._scalers.setdefault(version.uid, Scaler(now, idle_seconds=self._idle_seconds))
        have = self._workers.nodes(version.uid)
        bounds = Bounds(
            least=min(version.min_nodes, self._cores), most=max(1, min(version.max_nodes, self._cores))
        )
        load = self._loads.get(version.name.key)
        if version.name.key in self._wanted:
            self._wanted.discard(version.name.key)
            if not have:
                load = Load(held=1)
        wanted = scaler.wanted(len(have), bounds, load, now)
        states = {node: self._workers.state(version.uid, node) for node in have}
        serving = sum(state is WorkerState.SERVING for state in states.values())
        self._service.stands(
            version.uid, Standing(wanted=wanted, serving=serving, asleep=wanted == 0 and not have)
        )
        if len(have) > wanted:
            self._do("shrink", version, partial(self._shrink, version, wanted))
        elif any(states.get(node, WorkerState.ENDED) is WorkerState.ENDED for node in range(wanted)):
            if not have:
                scaler.wake(now)
            self._do("raise", version, partial(self._raise, version, wanted))
        elif serving and self._deployment.outdated(version):
            self._do("update", version, partial(self._deployment.update, version))

    def _raise(self, version: Version, wanted: int) -> None:
        """Start the nodes that are missing; each gets requests as soon as it serves."""
        try:
            self._deployment.fetch(version)
            self._deployment.serve(version, range(wanted))
        except Conflict:
            raise
        except Problem as problem:
            _LOG.error("Version %s does not come up: %s", version.name, problem)
        self._publish()

    def _shrink(self, version: Version, wanted: int) -> None:
        """Take nodes away without losing a request: nobody is sent there, then those there are answered."""
        leaving = [node for node in self._workers.nodes(version.uid) if node >= wanted]
        nodes = {(version.uid, node) for node in leaving}
        self._leaving |= nodes
        try:
            self._publish()
            self._deployment.leave(version, leaving)
            self._routed -= nodes
        finally:
            self._leaving -= nodes

    def _look(self) -> None:
        """Ask the gateway, once a second, what is asked for."""
        if time.monotonic() - self._looked < _IDLE_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            self._loads = self._routes.loads()
        except Unavailable:
            self._loads = {}

    def _listen(self) -> None:
        """Hear at once of requests for versions that are asleep."""
        after = 0
        while not self._stopping:
            try:
                after, wanted = self._routes.events(after, seconds=_LISTEN_SECONDS)
            except Unavailable:
                time.sleep(_IDLE_SECONDS)
                continue
            except Exception:
                _LOG.exception("The gateway's events cannot be read; this goes on")
                time.sleep(_IDLE_SECONDS)
                continue
            if wanted:
                self._wanted |= set(wanted)
                self.wake()

    def _tend_standbys(self, versions: list[Version]) -> None:
        """Have processes wait for versions that sleep, or may; when there is nothing else to do."""
        if self._under_way:
            self._busy_until = time.monotonic() + _CALM_SECONDS
        if self._stopping or time.monotonic() < self._busy_until:
            return
        sleepers = [v for v in versions if v.state is State.READY and not v.min_nodes]
        unknown = [v for v in sleepers if self._deployment.known_environment(v) is None]
        if unknown and self._standbys:
            self._do("prepare", unknown[0], partial(self._deployment.environment, unknown[0]))
        environments = {self._deployment.known_environment(v) for v in sleepers if self._standbys}
        self._workers.keep_standbys({known for known in environments if known}, self._standbys)

    # Routing.

    def _publish(self) -> None:
        self._routing.publish()

    def _serving(self) -> dict[str, tuple[Version, tuple[str, ...]]]:
        """Versions that answer, with their sockets."""
        # Noted before the rows are read: who has left by then is READY in them.
        answering = list(self._answering.values())
        ready = [version for version in self._service.to_deploy() if version.state is State.READY]
        return {version.uid: (version, self._sockets(version)) for version in (*ready, *answering)}

    def _traffic(self) -> dict[ModelName, Traffic]:
        """Where each model's requests go; a model's first version answers from before it is READY."""
        traffic = self._service.traffic()
        for version in list(self._answering.values()):
            traffic.setdefault(version.name.parent, Traffic(split={version.name.version: 100}))
        return traffic

    def _sockets(self, version: Version) -> tuple[str, ...]:
        """Of the nodes that serve, or have served and will again."""
        found = []
        for node in self._workers.nodes(version.uid):
            key = (version.uid, node)
            if key in self._leaving:
                continue
            if self._workers.state(version.uid, node) is WorkerState.SERVING:
                self._routed.add(key)
            if key in self._routed:
                found.append(str(self._workers.socket(version.uid, node)))
        return tuple(found)

    def _may_try(self, version: Version, step: str) -> bool:
        """Whether a version's next step may be tried: at once, then after 1, 2, 4 … 30 s."""
        key, now = (version.uid, step), time.monotonic()
        due, pause = self._again.get(key, (now, _FIRST_PAUSE))
        if now < due:
            return False
        if now - due > _FORGIVEN_SECONDS:
            pause = _FIRST_PAUSE
        self._again[key] = (now + pause, min(pause * 2, _SLOWEST_RESTART))
        return True
