"""Whose turn it is among requests that take many steps, and how much of the time they get."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from mlengine.serving.messages import Frame
from mlengine.serving.worker.lengthy import Lengthy, Task
from mlengine.serving.worker.outcome import Answer
from mlengine.serving.worker.turns import Request


class Caller:
    """As much of a line as matters here."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.closed = False


def steps(name: str, diary: list[str], count: int) -> Generator[None, None, Answer]:
    for _ in range(count):
        diary.append(name)
        yield
    return Answer(200, name.encode())


def task(
    desk: Any, name: str, diary: list[str], *, caller: Any = None, count: int = 2, left: int = 0
) -> Task:
    frame = Frame(len(name), 3, left, b"")
    request: Any = Request(caller or Caller(desk), frame, time.monotonic())
    return Task(desk, request, steps(name, diary, count), time.monotonic())


def test_versions_take_turns_and_each_answers_its_first_request_first() -> None:
    lengthy, diary = Lengthy(), list[str]()
    for desk, name in (("one", "a"), ("one", "b"), ("two", "c")):
        lengthy.add(task(desk, name, diary))

    ended = [done.answer.body for _ in range(20) if lengthy and (done := lengthy.step()) and done.answer]

    assert diary == ["a", "c", "a", "c", "b", "b"]
    assert ended == [b"a", b"c", b"b"]
    assert lengthy.wait(time.monotonic()) is None


def test_all_the_time_is_theirs_while_nobody_asks_for_predictions() -> None:
    lengthy, diary = Lengthy(), list[str]()
    lengthy.add(task("one", "a", diary))

    lengthy.step()

    assert lengthy.wait(time.monotonic()) == 0.0


def test_three_quarters_of_the_time_belong_to_predictions_that_are_asked_for() -> None:
    lengthy = Lengthy()

    def slow() -> Generator[None, None, Answer]:
        while True:
            time.sleep(0.01)
            yield

    lengthy.add(task("one", "a", [])._replace(steps=slow()))
    began = time.monotonic()
    lengthy.step()
    now = time.monotonic()
    lengthy.served(now)

    assert 0.03 - (now - began - 0.01) <= (lengthy.wait(now) or 0) <= 3 * (now - began)
    assert lengthy.wait(now + 3 * (now - began)) == 0.0
    assert lengthy.wait(now + 1) == 0.0


def test_what_nobody_wants_any_more_or_is_late_ends() -> None:
    lengthy, diary = Lengthy(), list[str]()
    gone, wanted = Caller("one"), Caller("one")
    tasks = [
        task("one", "a", diary, caller=gone),
        task("one", "bb", diary, caller=wanted),
        task("one", "ccc", diary, caller=wanted, left=1),
        task("one", "dddd", diary, caller=wanted),
    ]
    for each in tasks:
        lengthy.add(each)
    gone.closed = True
    lengthy.cancel(wanted, 2)  # type: ignore[arg-type]
    lengthy.cancel(wanted, 99)  # type: ignore[arg-type]
    late = tasks[2].request
    late.arrived -= 1

    ended = [lengthy.step() for _ in range(6)]

    assert [(done.answer, done.late) for done in ended[:3] if done] == [
        (None, False),
        (None, False),
        (None, True),
    ]
    assert diary == ["dddd", "dddd"]
    assert ended[-1] is not None
    assert ended[-1].answer == Answer(200, b"dddd")
