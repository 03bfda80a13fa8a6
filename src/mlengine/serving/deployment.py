"""One version on this machine: its copy of the artefacts, its options, its environment, its nodes.

Apart from the loop, which decides what is to be done; here it is done, and waited for.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlengine.errors import Conflict, FailedPrecondition
from mlengine.models.domain import Framework, Stage, Version
from mlengine.models.options import options_of
from mlengine.names import ObjectUrl
from mlengine.serving.workers import Environment, Workers, WorkerSpec, WorkerState

# Frameworks that leave little behind in a process, and how large a model of theirs may be to share one.
_SHARING = frozenset({Framework.SCIKIT_LEARN, Framework.XGBOOST, Framework.LIGHTGBM, Framework.ONNX})
_LARGEST_SHARED = 64 * 1024 * 1024
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What a version needs around its model.

    Attributes:
        environment: Where its workers run.
        package_folders: With packages of the user's own, to be imported from.
    """

    environment: Environment
    package_folders: tuple[str, ...] = ()


class Deployment:
    """The versions' folders and nodes.

    Args:
        root: Folder that keeps the served copies of models.
        fetch: Copies a bucket folder into a local one.
        home: Gives, and builds if need be, what a version needs; the folder is the version's own.
        stage: Told what is being done for a version.
        start_seconds: How long a worker may take to its first answer.
    """

    def __init__(
        self,
        workers: Workers,
        *,
        root: Path,
        fetch: Callable[[ObjectUrl, Path], object],
        home: Callable[[Version, Path], Home],
        stage: Callable[[str, Stage], None],
        start_seconds: float,
    ) -> None:
        self._workers = workers
        self._root = root
        self._fetch = fetch
        self._home = home
        self._stage = stage
        self._start_seconds = start_seconds
        self._stopping = False
        # Versions whose workers must not be started any more; held while one is.
        self._unwanted: set[str] = set()
        self._starting = threading.Lock()
        self._environments: dict[str, Environment] = {}
        # The generation of the settings that a version's workers were last told.
        self._told: dict[str, int] = {}

    def stop(self) -> None:
        """Wait for no worker any more."""
        self._stopping = True

    # Whether it is wanted.

    def refuse(self, version: Version) -> None:
        """Start no worker of it any more."""
        with self._starting:
            self._unwanted.add(version.uid)

    def allow(self, version: Version) -> None:
        """Take `refuse` back."""
        self._unwanted.discard(version.uid)

    def refused(self, version: Version) -> bool:
        """Whether no worker of it may be started."""
        return version.uid in self._unwanted

    def must_be_wanted(self, version: Version) -> None:
        """Raises Conflict where it is not."""
        if version.uid in self._unwanted:
            raise Conflict(f"The creation of {version.name} was cancelled.")

    def keep_only(self, uids: set[str]) -> None:
        """Forget what is known of all other versions."""
        self._unwanted &= uids
        self._environments = {uid: known for uid, known in self._environments.items() if uid in uids}
        self._told = {uid: told for uid, told in self._told.items() if uid in uids}

    # What is done.

    def fetch(self, version: Version) -> None:
        """Copy the artefacts: what is served does not change when the bucket does."""
        target = self.folder(version) / "model"
        if target.exists():
            return
        self._stage(version.uid, Stage.FETCHING)
        partial = self.folder(version) / "model.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        if version.origin:
            self._fetch(version.origin, partial)
        partial.rename(target)

    def environment(self, version: Version) -> Environment:
        """Where it runs; built, and its options written, if need be."""
        self._stage(version.uid, Stage.ENVIRONMENT)
        home = self._home(version, self.folder(version))
        self._write_options(version, home)
        self._environments[version.uid] = home.environment
        return home.environment

    def known_environment(self, version: Version) -> Environment | None:
        """Where it runs, if that was asked for before."""
        return self._environments.get(version.uid)

    def serve(self, version: Version, nodes: Iterable[int]) -> None:
        """Have `nodes` run, and wait until each has answered.

        Raises:
            FailedPrecondition: one does not, with all it said.
            Conflict: nobody wants it any more, or the server stops.
        """
        environment = self.environment(version)
        self._stage(version.uid, Stage.LOADING)
        for node in nodes:
            spec = WorkerSpec(
                uid=version.uid,
                node=node,
                name=version.name.key,
                model_dir=self.folder(version) / "model",
                environment=environment,
                shareable=self._shares(version),
            )
            with self._starting:
                self.must_be_wanted(version)
                self._workers.start(spec)
        for node in nodes:
            self._wait(version, node)

    def outdated(self, version: Version) -> bool:
        """Whether its settings may have changed since its workers were told of them."""
        return self._told.get(version.uid) != version.settings_generation

    def update(self, version: Version) -> None:
        """Have its workers go by other options, if they have changed."""
        self._told[version.uid] = version.settings_generation
        file = self.folder(version) / "options.json"
        try:
            written = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            return  # its next start writes them
        wanted = options_of(version, package_folders=written.get("packageFolders", []))
        if wanted != written:
            _write(file, wanted)
            self._workers.reload(version.uid)

    def description(self, version: Version) -> dict[str, Any]:
        """What its worker told of the model."""
        try:
            told: dict[str, Any] = json.loads((self.folder(version) / "description.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return told

    def leave(self, version: Version, nodes: Iterable[int]) -> None:
        """Stop `nodes`; nobody is sent to them any more."""
        for node in nodes:
            self._workers.stop(version.uid, node)

    def remove(self, version: Version) -> None:
        """Leave nothing of it."""
        self.leave(version, self._workers.nodes(version.uid))
        self.clear(version)

    def clear(self, version: Version) -> None:
        """Remove its files."""
        shutil.rmtree(self.folder(version), ignore_errors=True)

    def folder(self, version: Version) -> Path:
        """Where all of it lies."""
        return self._root / version.uid

    def _wait(self, version: Version, node: int) -> None:
        deadline = time.monotonic() + self._start_seconds
        while (state := self._workers.state(version.uid, node)) is WorkerState.STARTING:
            if self._stopping:
                raise Conflict("The server stops.")
            self.must_be_wanted(version)
            if time.monotonic() > deadline:
                raise FailedPrecondition(
                    f"The model did not answer within {self._start_seconds:g} s.\n"
                    + self._workers.log(version.uid, node)
                )
            self._tell_stage(version)
            time.sleep(_LOOK_SECONDS)
        if state is WorkerState.ENDED:
            raise FailedPrecondition(_bad_model(self._workers.log(version.uid, node)))

    def _tell_stage(self, version: Version) -> None:
        """What its worker says it is at."""
        try:
            self._stage(version.uid, Stage((self.folder(version) / "stage").read_text()))
        except (FileNotFoundError, ValueError):
            return

    def _write_options(self, version: Version, home: Home) -> None:
        _write(
            self.folder(version) / "options.json",
            options_of(version, package_folders=list(home.package_folders)),
        )

    def _shares(self, version: Version) -> bool:
        """Whether other versions may live in its process."""
        if version.framework not in _SHARING or version.packages or version.prediction_class:
            return False
        if version.container is not None:
            return False
        model = self.folder(version) / "model"
        return sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) < _LARGEST_SHARED


def _write(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content))
    partial.replace(file)


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
