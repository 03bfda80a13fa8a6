from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mlengine.administration.runtimes import RuntimeService, RuntimeState
from mlengine.environments import Builder
from mlengine.errors import FailedPrecondition, NotFound

NAME = "2026.11-sklearn"


class Works:
    """A build that goes on when it is told to, and ends as it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.problem = ""
        self.builds = 0

    def __call__(self, name: str, hear: Callable[[str], None]) -> None:
        self.builds += 1
        hear(f"Installing {name}.")
        assert self.go.wait(20)
        if self.problem:
            raise FailedPrecondition(self.problem)


@pytest.fixture
def works() -> Works:
    return Works()


def service(tmp_path: Path, works: Works, used: tuple[int, int] = (0, 0)) -> RuntimeService:
    return RuntimeService(Builder(tmp_path), in_use=lambda: {NAME: used}, build=works)


def until(look: Callable[[], RuntimeState], wanted: Callable[[RuntimeState], bool]) -> RuntimeState:
    for _ in range(2000):
        if wanted(state := look()):
            return state
        threading.Event().wait(0.005)
    pytest.fail(f"it stays {look()}")


def test_a_build_tells_where_it_stands_and_is_begun_once(tmp_path: Path, works: Works) -> None:
    runtimes = service(tmp_path, works)
    assert runtimes.get(NAME).build is None

    runtimes.build(NAME)
    state = until(lambda: runtimes.build(NAME), lambda state: "Installing" in str(state.build))
    works.go.set()

    assert state.build and not state.build.failed
    until(lambda: runtimes.get(NAME), lambda state: state.build is None)
    assert works.builds == 1


def test_a_failed_build_tells_why_and_can_be_begun_again(tmp_path: Path, works: Works) -> None:
    runtimes = service(tmp_path, works)
    works.problem = "no room on the disk"
    works.go.set()

    runtimes.build(NAME)
    state = until(lambda: runtimes.get(NAME), lambda state: bool(state.build and state.build.failed))
    works.problem = ""
    runtimes.build(NAME)

    assert state.build and state.build.progress == "no room on the disk"
    until(lambda: runtimes.get(NAME), lambda state: state.build is None)
    assert works.builds == 2


def test_a_runtime_in_use_is_not_removed(tmp_path: Path, works: Works) -> None:
    with pytest.raises(FailedPrecondition, match="in use by 1 jobs and 2 versions"):
        service(tmp_path, works, used=(1, 2)).remove(NAME)


def test_a_runtime_that_there_is_not_is_missing(tmp_path: Path, works: Works) -> None:
    runtimes = service(tmp_path, works)

    for act in (runtimes.get, runtimes.build, runtimes.remove):
        with pytest.raises(NotFound, match=r"no runtime '1\.15'"):
            act("1.15")
