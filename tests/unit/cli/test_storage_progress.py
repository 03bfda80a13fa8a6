"""How far, how fast and how long still, as a terminal shows it."""

from __future__ import annotations

import pytest

from mlengine.cli.storage_progress import Meter, human

MIB = 1 << 20


class HandTime:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_come_from_the_last_seconds():
    time = HandTime()
    meter = Meter(100 * MIB, 2, clock=time)

    for _ in range(20):  # slow at first, then 4 MiB a second
        time.now += 1
        meter.at(0, int(time.now * MIB), MIB)
    for _ in range(10):
        time.now += 1
        meter.at(0, int((20 + (time.now - 20) * 4) * MIB), 4 * MIB)

    assert meter.text() == "[0/2 files]  60 MiB/100 MiB  60%  4 MiB/s  0:10 left"


def test_what_an_earlier_run_moved_counts_as_done_but_not_as_speed():
    time = HandTime()
    meter = Meter(100 * MIB, 1, clock=time)

    meter.at(0, 50 * MIB, 0)
    time.now = 1
    meter.at(0, 51 * MIB, MIB)

    assert meter.text() == "51 MiB/100 MiB  51%  1 MiB/s  0:49 left"


def test_what_is_sent_again_is_not_counted_twice():
    time = HandTime()
    meter = Meter(10 * MIB, 1, clock=time)

    for position in (2, 4, 3, 5):
        time.now += 1
        meter.at(0, position * MIB, MIB)

    assert meter.text().startswith("5 MiB/10 MiB  50%")


def test_a_total_that_nobody_knows_is_not_invented():
    time = HandTime()
    meter = Meter(0, 1, clock=time)

    time.now = 2
    meter.at(0, MIB, MIB)

    assert meter.text() == "1 MiB  512 KiB/s"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (MIB - 1, "1 MiB"),
        (5 << 40, "5 TiB"),
    ],
)
def test_sizes_are_written_as_gsutil_writes_them(count: int, text: str):
    assert human(count) == text
