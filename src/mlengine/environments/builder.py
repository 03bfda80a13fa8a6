"""Building the environment of a runtime once per machine, and finding it again.

Each is a virtual environment in the cache, named after a hash of all that went into it:

    CACHE/environments/2026.11-sklearn-0123456789ab/           the environment
    CACHE/environments/2026.11-sklearn-0123456789ab/complete.json    written last: what stands there is whole
    CACHE/environments/2026.11-sklearn-0123456789ab.lock       held while somebody builds or removes it

It is built in its final place and not renamed into it: console scripts and bytecode carry absolute paths. A
build that died leaves no `complete.json`, and the next one starts from an empty folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlengine.environments import uv
from mlengine.environments.catalogue import Runtime, pins
from mlengine.environments.progress import Progress, size
from mlengine.errors import FailedPrecondition

# Part of the hash: raise it when environments of the same lock are to be built differently.
_LAYOUT = 2

# How often a build says where it stands, to those who do not watch it live.
_EVERY = 5.0

# Modules that yesterday's trainers and pickles import from scikit-learn, which had copies of them until 0.23.
_EXTERNALS = ("joblib", "six")
_SHIM = """\
# scikit-learn had a copy of {name} here until 0.23; old trainers and pickles still ask for it.
import sys

import {name}

for name, module in list(sys.modules.items()):
    if name == "{name}" or name.startswith("{name}."):
        sys.modules[f"sklearn.externals.{{name}}"] = module
"""


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

    def facts(self, runtime: Runtime) -> dict[str, object]:
        """What is known of the built environment: "packages", "bytes", "seconds" it took; empty if not built.

        The bytes are those of its files. On a file system with hard links uv's cache shares them.
        """
        directory = self.directory(runtime)
        if not _whole(directory):
            return {}
        return dict(json.loads((directory / "complete.json").read_text(encoding="utf-8")))

    def build(
        self,
        runtime: Runtime,
        on_progress: Callable[[str], None] = _quiet,
        *,
        on_tick: Callable[[str], None] | None = None,
    ) -> Path:
        """Build the environment unless it is there. If another process is at it, wait for that one.

        Args:
            runtime: What to build.
            on_progress: Gets a line when a step begins or ends, and every few seconds between; nothing when
                there is nothing to do.
            on_tick: Gets the lines between in place of `on_progress`, as often as there is news.

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
            with self._only_one(directory, runtime.name, on_progress) as lock:
                if not _whole(directory):  # or else whoever held the lock has built it
                    progress = Progress(
                        runtime.name, packages=len(_system_pins(runtime)), clock=time.monotonic
                    )
                    _Build(runtime, directory, lock, progress, on_progress, on_tick).run()
        except OSError as error:
            raise FailedPrecondition(
                f"The runtime {runtime.name} cannot be built in {self._folder}: {error.strerror or error}.",
                hint="The folder must be writable and have room; MLENGINE_CACHE_DIR=/some/folder moves it.",
            ) from error
        return _python(directory)

    def derived(
        self,
        runtime: Runtime,
        name: str,
        make: Callable[[Path], Path],
        on_wait: Callable[[str], None] = _quiet,
    ) -> Path:
        """An environment that lies over that of a runtime; made once, for whoever needs the same.

        Args:
            runtime: What lies below, unless `make` takes something else.
            name: Its folder; says by a hash what it was made of.
            make: Makes it in the folder given, and returns the environment that really lies below.
            on_wait: Told when another process is making the same.

        Returns:
            The Python of the environment.
        """
        directory = self._folder / name
        if not _stands(directory):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._only_one(directory, runtime.name, on_wait):
                if not _stands(directory):
                    began = time.monotonic()
                    below = make(directory)
                    number, took = _bytes(directory), round(time.monotonic() - began, 1)
                    _complete(
                        directory,
                        {"runtime": runtime.name, "below": str(below), "bytes": number, "seconds": took},
                    )
        return _python(directory)

    def keep_lock(self, name: str, text: str) -> Path:
        """Write a lock file beside the environments, for a runtime that is not one of the catalogue."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.txt"
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        return draft.replace(path)

    def kept_lock(self, name: str) -> Path | None:
        """The lock file of that name, if it was written."""
        path = self._folder / f"{name}.txt"
        return path if path.exists() else None

    def remove(self, runtime: Runtime) -> list[Path]:
        """Remove all environments of a runtime: of this lock and earlier ones, and those made of it.

        Returns:
            The folders that are gone.

        Raises:
            FailedPrecondition: One is being built, or a process runs in it. Nothing was removed of that one.
        """
        stems = re.compile(rf"{re.escape(runtime.name)}(\+(job|fits|model))?-[0-9a-f]{{12}}(\.txt)?")
        gone = []
        for path in sorted(self._folder.glob(f"{runtime.name}*")):
            if not stems.fullmatch(path.name):
                continue
            if path.is_dir():
                with self._only_one(path, runtime.name, None):
                    _remove(path, runtime.name)
                gone.append(path)
            else:
                path.unlink(missing_ok=True)
        return gone

    @contextmanager
    def _only_one(self, directory: Path, name: str, on_wait: Callable[[str], None] | None) -> Iterator[int]:
        """Hold the lock of the environment; yields its descriptor. Without `on_wait` nobody waits."""
        path = directory.with_name(f"{directory.name}.lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not on_wait:
                    raise FailedPrecondition(
                        f"The runtime {name} is being built by another process.",
                        hint="Wait for it, or stop it; then remove the runtime.",
                    ) from None
                on_wait(f"Waiting: another process is building the runtime {name}.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)


class _Build:
    """One build, with the lock of its environment held."""

    def __init__(
        self,
        runtime: Runtime,
        directory: Path,
        lock: int,
        progress: Progress,
        on_progress: Callable[[str], None],
        on_tick: Callable[[str], None] | None,
    ) -> None:
        self._runtime, self._directory, self._progress = runtime, directory, progress
        self._say, self._on_tick = on_progress, on_tick
        # uv inherits the lock: if we die and it lives on, nobody else builds in the same folder meanwhile.
        self._keep = (lock,)
        self._told = 0.0

    def run(self) -> None:
        name, directory, progress = self._runtime.name, self._directory, self._progress
        if directory.exists():
            shutil.rmtree(directory)
        base = uv.python(self._runtime.python, folder=directory.parent)
        count = len(_system_pins(self._runtime))

        self._say(f"Building the runtime {name} (once per machine): installing {count} packages.")
        self._uv(["venv", "--quiet", "--python", base, str(directory)])
        sync = ["pip", "sync", "--python", str(_python(directory)), str(self._runtime.lock_file)]
        self._install(sync)
        installed = progress.seconds
        self._say(f"Installed {count} packages in {installed:.1f} s. Compiling them to bytecode.")
        progress.compiling()
        _add_shims(directory)
        # uv installs no bytecode. Without it TensorFlow takes 5 s to import instead of 2, in every process.
        # A second run, which finds nothing to install, for the progress line's sake; quicker than compileall.
        self._uv([*sync, "--compile-bytecode"])
        compiled = progress.seconds
        number = _bytes(directory)
        _complete(
            directory, {"runtime": name, "packages": count, "bytes": number, "seconds": round(compiled, 1)}
        )
        self._say(
            f"Compiled in {compiled - installed:.1f} s. The runtime {name} is ready "
            f"after {compiled:.1f} s, {size(number)}: {self._runtime.contents()}."
        )

    def _install(self, sync: list[str]) -> None:
        try:
            self._uv(sync)
        except FailedPrecondition as error:
            if uv.NO_TORCH not in " ".join(str(error).split()):
                raise
            # uv knows where PyTorch's makers keep it; the user's own indexes were asked first.
            try:
                self._uv([*sync, "--torch-backend", "cpu"])
            except FailedPrecondition:
                raise error from None

    def _uv(self, arguments: list[str]) -> None:
        uv.run(
            arguments,
            folder=self._directory.parent,
            purpose=f"The runtime {self._runtime.name} cannot be built",
            keep=self._keep,
            on_line=self._hear,
        )

    def _hear(self, line: str) -> None:
        self._progress.hear(line)
        if self._on_tick:
            self._on_tick(self._progress.sentence())
        elif self._progress.seconds - self._told >= _EVERY:
            self._told = self._progress.seconds
            self._say(self._progress.sentence())


def _system_pins(runtime: Runtime) -> Mapping[str, str]:
    return pins(runtime.lock_file, system=sys.platform)


def _add_shims(directory: Path) -> None:
    for externals in directory.glob("lib/python3.*/site-packages/sklearn/externals"):
        for name in _EXTERNALS:
            (externals / f"{name}.py").write_text(_SHIM.format(name=name), encoding="utf-8")


def _bytes(directory: Path) -> int:
    """The sizes of all files."""
    number, folders = 0, [str(directory)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    number += entry.stat(follow_symlinks=False).st_size
    return number


def _remove(directory: Path, name: str) -> None:
    if users := _users(directory):
        raise FailedPrecondition(
            f"The runtime {name} is in use: {', '.join(users)}.",
            hint="Cancel the jobs, delete the versions or stop the processes that run on it. Then try again.",
        )
    # First what says that it is whole: if we die in between, the next build starts from an empty folder.
    (directory / "complete.json").unlink(missing_ok=True)
    shutil.rmtree(directory)


def _users(directory: Path) -> list[str]:
    """The processes that run in an environment, as far as this system tells."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = (process / "maps").read_bytes() + (process / "cmdline").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended, or is not ours
        if os.fsencode(f"{directory}/") in texts and int(process.name) != os.getpid():
            found.append(f"process {process.name} ({command.strip()[:80]})")
    return found


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


def _stands(directory: Path) -> bool:
    """Whether a derived environment is whole, and so is the one below it."""
    if not _whole(directory):
        return False
    facts = json.loads((directory / "complete.json").read_text(encoding="utf-8"))
    return _whole(Path(facts["below"]))


def _python(directory: Path) -> Path:
    return directory / "bin" / "python"
