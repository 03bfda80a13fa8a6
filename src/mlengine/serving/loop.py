"""Brings versions to where their rows say they should be: deployed, kept running, or taken away.

One turn looks at every version; what takes long (fetching a model, building an environment, waiting
for a worker's first answer) runs in a thread of its own per version, so that none waits for another.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlengine.errors import Conflict, FailedPrecondition, Problem, Unavailable
from mlengine.models.domain import State, Version
from mlengine.models.service import ModelService
from mlengine.names import ObjectUrl
from mlengine.serving.workers import Routes, Workers, WorkerSpec, WorkerState

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS, _IDLE_SECONDS = 0.05, 1.0
_FIRST_PAUSE, _SLOWEST_RESTART = 1.0, 30.0
# A worker that served for so long has earned a fresh start.
_FORGIVEN_SECONDS = 60.0


class ServingLoop:
    """The deployer of one machine.

    Args:
        root: Folder that keeps the served copies of models.
        fetch: Copies a bucket folder into a local one.
        interpreter: Path of a runtime's Python; builds the runtime if need be.
        start_seconds: How long a worker may take to its first answer.
    """

    def __init__(
        self,
        service: ModelService,
        workers: Workers,
        routes: Routes,
        *,
        root: Path,
        fetch: Callable[[ObjectUrl, Path], object],
        interpreter: Callable[[str], Path],
        start_seconds: float = 300.0,
    ) -> None:
        self._service = service
        self._workers = workers
        self._routes = routes
        self._root = root
        self._fetch = fetch
        self._interpreter = interpreter
        self._start_seconds = start_seconds
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="deploy")
        # Apart: what is to be cancelled may be what keeps all of the others busy.
        self._cancelling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cancel")
        self._under_way: set[str] = set()
        # Versions whose worker must not be started any more; held while one is.
        self._unwanted: set[str] = set()
        self._starting = threading.Lock()
        self._answering: dict[str, Version] = {}
        self._published: tuple[dict[str, Path], dict[str, str]] | None = None
        self._publishing = threading.Lock()
        self._again: dict[tuple[str, State], tuple[float, float]] = {}
        self._wake = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """End `run`; workers live on until the gateway ends."""
        self._stopping = True
        self._wake.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._cancelling.shutdown(wait=False, cancel_futures=True)

    def run(self) -> None:
        """Turn until stopped; a turn that fails is reported and tried again."""
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
        for version in versions:
            if version.uid in unwanted and version.state is State.CREATING:
                self._cancel(version)
            if version.uid in under_way or version.uid in unwanted:
                continue
            if version.state is State.CREATING:
                self._do(self._deploy, version)
            elif version.state is State.DELETING:
                self._do(self._take_away, version)
            elif self._workers.state(version.uid) is WorkerState.ENDED:
                self._do(self._revive, version)
        known = {version.uid for version in versions}
        self._unwanted = {uid for uid in self._unwanted if uid in known or uid in self._under_way}
        self._again = {key: pause for key, pause in self._again.items() if key[0] in known}
        self._publish()
        return bool(self._under_way)

    def _do(self, step: Callable[[Version], None], version: Version) -> None:
        if self._stopping or not self._may_try(version):
            return
        self._under_way.add(version.uid)

        def work() -> None:
            try:
                step(version)
            except Conflict:
                _LOG.info("Version %s changed meanwhile", version.name)
            except Exception:
                _LOG.exception("Version %s: %s failed", version.name, step.__name__)
            finally:
                self._under_way.discard(version.uid)
                self.wake()

        self._pool.submit(work)

    def _cancel(self, version: Version) -> None:
        """End what makes a version, and then say so; beside the thread that makes it, if there is one."""
        if self._stopping or version.uid in self._unwanted:
            return
        with self._starting:
            self._unwanted.add(version.uid)

        def work() -> None:
            try:
                self._workers.stop(version.uid)
                shutil.rmtree(self._folder(version), ignore_errors=True)
                self._service.cancelled(version)
            except Exception:
                _LOG.exception("Version %s cannot be cancelled; the next turn tries again", version.name)
                self._unwanted.discard(version.uid)
            finally:
                self.wake()

        self._cancelling.submit(work)

    def _must_be_wanted(self, version: Version) -> None:
        if version.uid in self._unwanted:
            raise Conflict(f"The creation of {version.name} was cancelled.")

    def _deploy(self, version: Version) -> None:
        try:
            self._must_be_wanted(version)
            self._stage(version)
            self._serve(version)
        except (Conflict, Unavailable):
            raise  # The server stops, or something is out of reach: nothing is wrong with the version.
        except Exception as error:
            if not isinstance(error, Problem):
                _LOG.exception("Version %s cannot be deployed", version.name)
            self._must_be_wanted(version)  # else it fails for the want of what was taken away
            self._workers.stop(version.uid)
            shutil.rmtree(self._folder(version), ignore_errors=True)
            self._service.fail(version, f"Create Version failed. {error}")
            return
        finally:
            if version.uid in self._unwanted:
                # What was fetched after it had been taken away.
                shutil.rmtree(self._folder(version), ignore_errors=True)
        # The route first: whoever is told READY may predict at once.
        self._answering[version.uid] = version
        try:
            self._publish()
            self._service.ready(version)
        finally:
            del self._answering[version.uid]

    def _revive(self, version: Version) -> None:
        try:
            self._stage(version)
            self._serve(version)
        except Conflict:
            raise
        except Problem as problem:
            _LOG.error("Version %s does not come up again: %s", version.name, problem)

    def _take_away(self, version: Version) -> None:
        self._publish()
        self._workers.stop(version.uid)
        shutil.rmtree(self._folder(version), ignore_errors=True)
        self._service.gone(version)

    def _stage(self, version: Version) -> None:
        """Copy the artefacts: what is served does not change when the bucket does."""
        target = self._folder(version) / "model"
        if target.exists():
            return
        partial = self._folder(version) / "model.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self._fetch(version.origin, partial)
        partial.rename(target)

    def _serve(self, version: Version) -> None:
        spec = WorkerSpec(
            uid=version.uid,
            name=version.name.key,
            model_dir=self._folder(version) / "model",
            framework=version.framework.word,
            python=self._interpreter(version.runtime),
        )
        with self._starting:
            self._must_be_wanted(version)
            self._workers.start(spec)
        deadline = time.monotonic() + self._start_seconds
        while (state := self._workers.state(version.uid)) is WorkerState.STARTING:
            if self._stopping:
                raise Conflict("The server stops.")
            self._must_be_wanted(version)
            if time.monotonic() > deadline:
                raise FailedPrecondition(
                    f"The model did not answer within {self._start_seconds:g} s.\n"
                    + self._workers.log(version.uid)
                )
            time.sleep(0.02)
        if state is WorkerState.ENDED:
            raise FailedPrecondition(_bad_model(self._workers.log(version.uid)))

    def _publish(self) -> None:
        # Rows are read under the lock, so that a table never replaces a newer one.
        with self._publishing:
            # Noted before the rows are read: who has left by then is READY in them.
            answering = list(self._answering.values())
            serving = {
                version.uid: version for version in self._service.to_deploy() if version.state is State.READY
            }
            defaults = self._service.defaults()
            for version in answering:
                serving[version.uid] = version
                defaults.setdefault(version.name.parent, version.name.version)
            table = {version.name.key: self._workers.socket(version.uid) for version in serving.values()}
            default_ids = {f"{model.project}/{model.model}": version for model, version in defaults.items()}
            if self._published != (table, default_ids):
                self._routes.publish(table, default_ids)
                self._published = (table, default_ids)

    def _may_try(self, version: Version) -> bool:
        """Whether a version's next step may be tried: at once, then after 1, 2, 4 … 30 s."""
        key, now = (version.uid, version.state), time.monotonic()
        due, pause = self._again.get(key, (now, _FIRST_PAUSE))
        if now < due:
            return False
        if now - due > _FORGIVEN_SECONDS:
            pause = _FIRST_PAUSE
        self._again[key] = (now + pause, min(pause * 2, _SLOWEST_RESTART))
        return True

    def _folder(self, version: Version) -> Path:
        return self._root / version.uid


def _bad_model(log: str) -> str:
    """The contract's sentence, then the worker's own words whole."""
    lines = log.rstrip().splitlines()
    reason = "the worker ended without a word"
    if lines:
        try:
            reason = str(json.loads(lines[-1])["error"])
            lines.pop()
        except (ValueError, KeyError, TypeError):
            reason = lines[-1]
    return "\n".join([f'Bad model detected with error:  "{reason}"', *lines])
