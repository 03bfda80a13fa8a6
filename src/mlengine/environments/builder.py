"""Building the environment of a runtime once per machine, and finding it again.

Each is a virtual environment in the cache, named after a hash of all that went into it:

    CACHE/environments/2026.11-sklearn-0123456789ab/           the environment
    CACHE/environments/2026.11-sklearn-0123456789ab/complete.json    written last: what stands there is whole
    CACHE/environments/2026.11-sklearn-0123456789ab.lock       held while somebody builds it

It is built in its final place and not renamed into it: console scripts and bytecode carry absolute paths. A
build that died leaves no `complete.json`, and the next one starts from an empty folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlengine.environments import uv
from mlengine.environments.catalogue import Runtime, pins
from mlengine.errors import FailedPrecondition

# Part of the hash: raise it when environments of the same lock are to be built differently.
_LAYOUT = 1


def _quiet(_line: str) -> None:
    """For callers that watch no progress."""


def default_cache_dir(own: Mapping[str, str]) -> Path:
    """Where environments are kept: MLENGINE_CACHE_DIR, else `mlengine` in the user's cache folder.

    Args:
        own: The variables of this process.
    """
    if chosen := own.get("MLENGINE_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    # The specification of XDG_CACHE_HOME says to ignore a relative path.
    users = own.get("XDG_CACHE_HOME", "")
    return (Path(users) if users.startswith("/") else Path.home() / ".cache") / "mlengine"


class Builder:
    """Builds and finds the environments in one cache folder. Any number of processes may share the folder.

    Args:
        cache_dir: The folder; `environments/` in it is made at the first build.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._folder = cache_dir.absolute() / "environments"

    def directory(self, runtime: Runtime) -> Path:
        """Where the environment of `runtime` stands, or would."""
        made_of = [
            str(_LAYOUT),
            runtime.python,
            sys.platform,
            platform.machine(),
            runtime.lock_file.read_text(encoding="utf-8"),
        ]
        digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()
        return self._folder / f"{runtime.name}-{digest[:12]}"

    def is_built(self, runtime: Runtime) -> bool:
        """Whether the environment is complete, and the Python below it is still installed."""
        return _whole(self.directory(runtime))

    def interpreter(self, runtime: Runtime) -> Path:
        """The Python of the environment.

        Raises:
            FailedPrecondition: It is not built.
        """
        directory = self.directory(runtime)
        if not _whole(directory):
            raise FailedPrecondition(
                f"The runtime {runtime.name} is not built on this machine.",
                hint=f"Build it: mlengine runtimes build {runtime.name}",
            )
        return _python(directory)

    def build(self, runtime: Runtime, on_progress: Callable[[str], None] = _quiet) -> Path:
        """Build the environment unless it is there. If another process is at it, wait for that one.

        Args:
            runtime: What to build.
            on_progress: Gets a line when a step begins or ends; nothing when there is nothing to do.

        Returns:
            The Python of the environment.

        Raises:
            FailedPrecondition: Its Python is missing, or uv failed.
        """
        directory = self.directory(runtime)
        if _whole(directory):
            return _python(directory)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._only_one(runtime, on_progress) as lock:
                if not _whole(directory):  # or else whoever held the lock has built it
                    _build(runtime, directory=directory, lock=lock, on_progress=on_progress)
        except OSError as error:
            raise FailedPrecondition(
                f"The runtime {runtime.name} cannot be built in {self._folder}: {error.strerror or error}.",
                hint="The folder must be writable and have room; MLENGINE_CACHE_DIR=/some/folder moves it.",
            ) from error
        return _python(directory)

    @contextmanager
    def _only_one(self, runtime: Runtime, on_progress: Callable[[str], None]) -> Iterator[int]:
        """Hold the lock of the environment; yields its descriptor."""
        path = self.directory(runtime).with_name(f"{self.directory(runtime).name}.lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_progress(f"Waiting: another process is building the runtime {runtime.name}.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)


def _build(runtime: Runtime, *, directory: Path, lock: int, on_progress: Callable[[str], None]) -> None:
    purpose = f"The runtime {runtime.name} cannot be built"
    folder, began = directory.parent, time.monotonic()
    if directory.exists():
        shutil.rmtree(directory)
    base = uv.python(runtime.python, folder=folder)
    count = len(pins(runtime.lock_file, system=sys.platform))
    # uv inherits the lock: if we die and it lives on, nobody else builds in the same folder meanwhile.
    keep = (lock,)

    on_progress(f"Building the runtime {runtime.name} (once per machine): installing {count} packages.")
    uv.run(["venv", "--quiet", "--python", base, str(directory)], folder=folder, purpose=purpose, keep=keep)
    sync = ["pip", "sync", "--python", str(_python(directory)), str(runtime.lock_file)]
    uv.run(sync, folder=folder, purpose=purpose, keep=keep)
    installed = time.monotonic()
    on_progress(f"Installed {count} packages in {installed - began:.1f} s. Compiling them to bytecode.")
    # uv installs no bytecode. Without it TensorFlow takes 5 s to import instead of 2, in every process.
    # A second run, which finds nothing to install, for the progress line's sake; quicker than compileall.
    uv.run([*sync, "--compile-bytecode"], folder=folder, purpose=purpose, keep=keep)
    compiled = time.monotonic()
    on_progress(
        f"Compiled in {compiled - installed:.1f} s. The runtime {runtime.name} is ready "
        f"after {compiled - began:.1f} s: {runtime.contents()}."
    )
    _complete(directory, {"runtime": runtime.name, "packages": count, "seconds": round(compiled - began, 1)})


def _complete(directory: Path, facts: Mapping[str, object]) -> None:
    """Say that the environment is whole, in a way that holds after a power cut too."""
    os.sync()  # thousands of files: one call for all of them
    draft = directory / "complete.json.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / "complete.json")


def _whole(directory: Path) -> bool:
    # The Python is a link to the one below, which an upgrade of the system may have taken away.
    return (directory / "complete.json").exists() and _python(directory).exists()


def _python(directory: Path) -> Path:
    return directory / "bin" / "python"
