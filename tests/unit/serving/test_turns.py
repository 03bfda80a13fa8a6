"""Who is answered next, and when: no sockets, no model, and a clock in the hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.messages import LARGEST_BODY, PREDICT, Frame
from mlengine.serving.worker.turns import MOST_TAKEN, Caller, Turns

SLOW_CALL = 0.004


def frame(id: int, *, status: int = 0, body: bytes = b"{}") -> Frame:
    return Frame(id, PREDICT, status, body)


def asked(turns: Turns[Any], caller: Caller[Any], ids: range, now: float = 0.0) -> None:
    for id in ids:
        turns.add(caller, frame(id), now)


@given(counts=st.lists(st.integers(0, 150), min_size=1, max_size=5))
def test_every_request_is_taken_once_in_its_callers_order(counts: list[int]) -> None:
    turns: Turns[Any] = Turns()
    callers: list[Caller[Any]] = [Caller() for _ in counts]
    for caller, count in zip(callers, counts, strict=True):
        asked(turns, caller, range(count))

    taken: dict[int, list[int]] = {id(caller): [] for caller in callers}
    while len(turns):
        batch, dropped = turns.take()
        assert 0 < len(batch) <= MOST_TAKEN
        assert dropped == []
        for request in batch:
            taken[id(request.caller)].append(request.frame.id)

    assert [taken[id(caller)] for caller in callers] == [list(range(count)) for count in counts]


def test_a_caller_with_many_requests_does_not_keep_one_with_few_waiting() -> None:
    turns: Turns[Any] = Turns()
    many: Caller[Any] = Caller()
    few: Caller[Any] = Caller()
    asked(turns, many, range(500))
    asked(turns, few, range(3))

    batch, _ = turns.take()

    assert [request.frame.id for request in batch if request.caller is few] == [0, 1, 2]


def test_what_was_cancelled_in_time_is_left_out_and_told() -> None:
    turns: Turns[Any] = Turns()
    caller: Caller[Any] = Caller()
    asked(turns, caller, range(3))
    caller.cancelled.add(1)

    batch, dropped = turns.take()

    assert [request.frame.id for request in batch] == [0, 2]
    assert dropped == [caller]
    assert len(turns) == 0


def test_who_has_gone_leaves_nothing_behind() -> None:
    turns: Turns[Any] = Turns()
    gone: Caller[Any] = Caller()
    here: Caller[Any] = Caller()
    turns.add(gone, frame(1, body=bytes(LARGEST_BODY)), 0.0)
    asked(turns, here, range(2))
    assert turns.full

    turns.forget(gone)

    assert not turns.full
    assert [request.caller for request in turns.take()[0]] == [here, here]


@pytest.mark.parametrize(("status", "late"), [(0, False), (100, False), (99, True)])
def test_a_request_is_late_after_its_own_time_and_never_without_one(status: int, late: bool) -> None:
    turns: Turns[Any] = Turns()
    turns.add(Caller(), frame(1, status=status), 50.0)

    (request,), _ = turns.take()

    assert request.late(50.995) is late


def test_a_batch_waits_for_those_just_answered_for_a_tenth_of_the_call_at_most() -> None:
    turns: Turns[Any] = Turns()
    caller: Caller[Any] = Caller()
    asked(turns, caller, range(4), now=10.0)

    turns.answered(4, SLOW_CALL, 10.0)

    assert turns.due() == pytest.approx(10.0 + SLOW_CALL / 10)
    asked(turns, caller, range(4, 8), now=10.0001)
    assert turns.due() == 0.0, "all are back"


def test_a_full_batch_waits_for_nobody() -> None:
    turns: Turns[Any] = Turns()
    asked(turns, Caller(), range(MOST_TAKEN))

    turns.answered(MOST_TAKEN, SLOW_CALL, 10.0)

    assert turns.due() == 0.0


def test_one_client_alone_never_waits() -> None:
    turns: Turns[Any] = Turns()

    turns.answered(1, SLOW_CALL, 10.0)
    turns.add(Caller(), frame(1), 10.0002)

    assert turns.due() == 0.0


def test_nobody_waits_after_a_short_call() -> None:
    turns: Turns[Any] = Turns()
    asked(turns, Caller(), range(4))

    turns.answered(4, 0.0004, 10.0)

    assert turns.due() == 0.0


def test_a_latency_that_was_asked_for_is_waited_from_the_first_request_on() -> None:
    turns: Turns[Any] = Turns(latency=0.05)
    caller: Caller[Any] = Caller()
    turns.add(caller, frame(1), 10.0)
    turns.add(caller, frame(2), 10.04)

    assert turns.due() == pytest.approx(10.05)
    asked(turns, caller, range(3, 3 + MOST_TAKEN))
    assert turns.due() == 0.0


def test_batches_are_small_while_reading_is_most_of_the_work() -> None:
    turns: Turns[Any] = Turns()
    asked(turns, Caller(), range(100))

    turns.answered(MOST_TAKEN, 0.0002, 10.0, whole=0.002)
    few = len(turns.take()[0])
    turns.answered(few, SLOW_CALL, 10.0, whole=SLOW_CALL * 1.1)

    assert few == 16
    assert len(turns.take()[0]) == MOST_TAKEN


def test_a_latency_that_was_asked_for_keeps_batches_large() -> None:
    turns: Turns[Any] = Turns(latency=0.05)
    asked(turns, Caller(), range(100))

    turns.answered(MOST_TAKEN, 0.0002, 10.0, whole=0.002)

    assert len(turns.take()[0]) == MOST_TAKEN
