"""The runtimes of this machine: what each holds, whether it is built, by whom it is used; built on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlengine.administration.domain import Build
from mlengine.environments import Builder, Runtime, resolve, runtimes
from mlengine.errors import FailedPrecondition, NotFound, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeState:
    """A runtime on this machine.

    Attributes:
        built: What is known of its environment ("bytes", "packages", "seconds"); empty if there is none.
        build: Its building by this server; None if it is not at it.
        jobs: Jobs that run on it.
        versions: Versions that are served on it.
    """

    runtime: Runtime
    built: Mapping[str, Any]
    build: Build | None
    jobs: int
    versions: int


class RuntimeService:
    """Runtimes, for those who look at them, build them and free their room.

    Args:
        in_use: Numbers of jobs and versions by the runtime on which they run.
        build: Builds one in a process of its own and returns when it is there; the second argument gets each
            sentence about its progress. Raises FailedPrecondition.
    """

    def __init__(
        self,
        builder: Builder,
        *,
        in_use: Callable[[], Mapping[str, tuple[int, int]]],
        build: Callable[[str, Callable[[str], None]], None],
    ) -> None:
        self._builder = builder
        self._in_use = in_use
        self._build = build
        self._builds: dict[str, Build] = {}
        self._lock = threading.Lock()

    def all(self) -> list[RuntimeState]:
        """All of the catalogue."""
        used = self._in_use()
        return [self._state(runtime, used) for runtime in runtimes()]

    def get(self, name: str) -> RuntimeState:
        """One of them. Raises NotFound."""
        return self._state(_named(name), self._in_use())

    def build(self, name: str) -> RuntimeState:
        """Begin to build one, unless it is there or being built already. Raises NotFound."""
        runtime = _named(name)
        with self._lock:
            under_way = self._builds.get(name)
            if not self._builder.is_built(runtime) and (under_way is None or under_way.failed):
                self._builds[name] = Build(progress=f"The runtime {name} is about to be built.")
                threading.Thread(target=self._run, args=[name], name=f"build {name}", daemon=True).start()
        return self.get(name)

    def remove(self, name: str) -> None:
        """Free the room of one; it is built again when it is needed.

        Raises:
            NotFound: there is no such runtime.
            FailedPrecondition: it is being built, or something runs on it.
        """
        runtime = _named(name)
        jobs, versions = self._in_use().get(name, (0, 0))
        if jobs or versions:
            raise FailedPrecondition(
                f"The runtime {name} is in use by {jobs} jobs and {versions} versions.",
                hint="Cancel the jobs and delete the versions that run on it. Then try again.",
            )
        self._builder.remove(runtime)
        with self._lock:
            self._builds.pop(name, None)

    def _run(self, name: str) -> None:
        def hear(sentence: str) -> None:
            with self._lock:
                self._builds[name] = Build(progress=sentence)

        try:
            self._build(name, hear)
            with self._lock:
                self._builds.pop(name, None)
        except FailedPrecondition as problem:
            with self._lock:
                self._builds[name] = Build(progress=problem.message, failed=True)

    def _state(self, runtime: Runtime, used: Mapping[str, tuple[int, int]]) -> RuntimeState:
        jobs, versions = used.get(runtime.name, (0, 0))
        built = self._builder.facts(runtime)
        return RuntimeState(
            runtime=runtime,
            built=built,
            build=None if built else self._builds.get(runtime.name),
            jobs=jobs,
            versions=versions,
        )


def _named(name: str) -> Runtime:
    known = {runtime.name: runtime for runtime in runtimes()}
    if name not in known:
        raise NotFound(
            f"There is no runtime '{name[:100]}'.",
            hint=nearest(name, list(known)) or "List them: mlengine runtimes list",
            field="name",
        )
    return known[resolve(name).runtime.name]
