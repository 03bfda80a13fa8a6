"""How many nodes: pure arithmetic over what the gateway says."""

from __future__ import annotations

import pytest

from mlengine.serving.scaling import GROW_SECONDS, SHRINK_SECONDS, Bounds, Scaler
from mlengine.serving.workers import Load

SLEEPER, WIDE = Bounds(least=0, most=4), Bounds(least=1, most=3)
IDLE = 60.0


def follow(scaler: Scaler, have: int, bounds: Bounds, load: Load, *, start: float, seconds: int) -> int:
    """The number of nodes after `seconds` of the same load, looked at each second."""
    for second in range(seconds + 1):
        have = scaler.wanted(have, bounds, load, start + second)
    return have


def test_requests_that_keep_waiting_get_a_node_more_up_to_the_bound() -> None:
    scaler = Scaler(0, idle_seconds=IDLE)
    busy = Load(in_flight=20, last_use=0)

    assert follow(scaler, 1, WIDE, busy, start=0, seconds=int(GROW_SECONDS) - 1) == 1
    assert follow(scaler, 1, WIDE, busy, start=GROW_SECONDS, seconds=0) == 2
    assert follow(scaler, 2, WIDE, busy, start=100, seconds=60) == 3


def test_a_short_rush_changes_nothing() -> None:
    scaler = Scaler(0, idle_seconds=IDLE)

    for second in range(0, 40, 2):
        assert scaler.wanted(1, WIDE, Load(in_flight=20), second) == 1
        assert scaler.wanted(1, WIDE, Load(in_flight=0), second + 1) == 1


def test_what_one_node_less_could_do_is_done_by_one_less_after_a_while() -> None:
    scaler = Scaler(0, idle_seconds=IDLE)
    quiet = Load(in_flight=1, last_use=0)

    assert follow(scaler, 3, WIDE, quiet, start=0, seconds=int(SHRINK_SECONDS) - 1) == 3
    assert follow(scaler, 3, WIDE, quiet, start=SHRINK_SECONDS, seconds=0) == 2
    assert follow(scaler, 1, WIDE, Load(), start=100, seconds=1000) == 1


def test_a_version_that_may_sleep_does_when_nobody_asked_for_long() -> None:
    scaler = Scaler(1000, idle_seconds=IDLE)

    assert scaler.wanted(1, SLEEPER, Load(last_use=0), 1000 + IDLE - 1) == 1
    assert scaler.wanted(1, SLEEPER, Load(last_use=1030), 1000 + IDLE) == 1
    assert scaler.wanted(1, SLEEPER, Load(last_use=1030, in_flight=1), 1030 + IDLE) == 1
    assert scaler.wanted(1, SLEEPER, Load(last_use=1030), 1030 + IDLE) == 0


def test_it_wakes_for_a_request_and_stays_awake_for_a_while() -> None:
    scaler = Scaler(0, idle_seconds=IDLE)

    assert scaler.wanted(0, SLEEPER, Load(), 1000) == 0
    assert scaler.wanted(0, SLEEPER, Load(held=1, in_flight=1), 1001) == 1
    scaler.wake(1001)
    assert scaler.wanted(1, SLEEPER, Load(last_use=0), 1002) == 1


@pytest.mark.parametrize(
    ("have", "bounds", "wanted"), [(0, SLEEPER, 0), (0, WIDE, 1), (2, WIDE, 2), (5, WIDE, 3)]
)
def test_while_the_gateway_is_silent_nothing_changes_but_the_bounds_hold(
    have: int, bounds: Bounds, wanted: int
) -> None:
    assert Scaler(0, idle_seconds=IDLE).wanted(have, bounds, None, 1e9) == wanted
