"""The file of samples: how it grows, and how it is kept small."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.backends.executors.samples import read_samples
from mlengine.backends.shim import METRICS, SampleFile, usage_in
from mlengine.backends.shim.samples import LARGEST_FILE, thinned

WEEK = 7 * 86400


def sample(time: float, **more: Any) -> dict[str, Any]:
    return {
        "time": time,
        "cpu_seconds": round(time * 1.5, 2),
        "memory_bytes": 12_345_678_901,
        "processes": 17,
        "disk_read_bytes": 123_456_789_012,
        "disk_written_bytes": 123_456_789_012,
        "machine_received_bytes": 123_456_789_012,
        "machine_sent_bytes": 123_456_789_012,
    } | more


@pytest.mark.parametrize("gpus", [0, 8])
def test_a_week_of_seconds_stays_below_a_megabyte_and_its_last_minutes_are_whole(
    tmp_path: Path, gpus: int
) -> None:
    path = tmp_path / METRICS
    file = SampleFile(str(path))
    now = 1_700_000_000.0
    figures = {"gpus": [[index, 0.5, 80_000_000_000] for index in range(gpus)]} if gpus else {}
    # All seconds of a week would take a minute; a file that is thinned forgets how dense it was.
    times = [*range(0, WEEK - 6000, 60), *range(WEEK - 6000, WEEK)]
    largest = 0
    for time in times:
        file.add(sample(now + time, **figures))
        largest = max(largest, path.stat().st_size)

    samples = usage_in(str(path))

    assert largest < LARGEST_FILE
    assert samples[0]["time"] == now
    assert samples[-1]["time"] == now + WEEK - 1
    fresh = [one for one in samples if one["time"] >= now + WEEK - 60]
    assert len(fresh) == 60
    assert max(two["time"] - one["time"] for one, two in pairwise(samples)) < WEEK / 100


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200), st.integers(5, 100))
def test_thinning_keeps_first_last_peaks_and_counters(steps: list[int], fresh: int) -> None:
    time, samples = 0.0, []
    for position, step in enumerate(steps):
        time += step
        samples.append(sample(time, memory_bytes=(position * 7919) % 1000))

    kept = thinned(samples, now=time, fresh=fresh)

    assert kept[0] == samples[0]
    assert kept[-1]["time"] == samples[-1]["time"]
    assert {one["time"] for one in kept} <= {one["time"] for one in samples}
    assert all(one["time"] < two["time"] for one, two in pairwise(kept))
    assert max(one["memory_bytes"] for one in kept) == max(one["memory_bytes"] for one in samples)
    assert [one for one in kept if one["time"] > time - fresh] == [
        one for one in samples if one["time"] > time - fresh
    ]
    counted = {one["time"]: one["cpu_seconds"] for one in samples}
    assert all(counted[one["time"]] == one["cpu_seconds"] for one in kept)
    assert thinned(kept, now=time, fresh=fresh) == kept


def test_a_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    SampleFile(str(path)).add(sample(1))
    with path.open("ab") as file:
        file.write(b'{"time": 2, "cpu_sec')

    assert [one["time"] for one in usage_in(str(path))] == [1]


def test_on_a_full_disk_samples_are_left_out() -> None:
    SampleFile("/dev/full").add(sample(1))  # and no more: the task goes on


def test_processors_in_use_are_counted_from_the_sample_before(tmp_path: Path) -> None:
    file = SampleFile(str(tmp_path / METRICS))
    for time, used in ((100.0, 0.0), (101.0, 2.0), (103.0, 3.0), (102.0, 3.5)):  # a clock that was set back
        file.add(sample(time, cpu_seconds=used))

    assert [one.cpus for one in read_samples(tmp_path)] == [0.0, 2.0, 0.5, 0.0]


def test_without_a_file_there_are_no_samples(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
