"""How far a build is, told from uv's own lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlengine.environments.progress import Progress, size


class Clock:
    """Goes by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def progress(*lines: str, clock: Clock | None = None) -> Progress:
    made = Progress("2026.11-sklearn", packages=64, clock=clock or Clock())
    for line in lines:
        made.hear(line)
    return made


def test_packages_bytes_and_time_are_told_while_archives_come() -> None:
    clock = Clock()
    building = progress(
        "Using Python 3.11.7 environment at: env",
        "Resolved 64 packages in 85ms",
        "Downloading scikit-learn (8.9MiB)",
        "Downloading lightgbm (3.3MiB)",
        " Downloaded lightgbm",
        clock=clock,
    )
    clock.now += 12

    assert building.sentence() == (
        "Runtime 2026.11-sklearn, 12 s: 64 packages, fetched 3 MB of 13 MB, 1 of 2 large archives."
    )
    assert building.fetched() == int(3.3 * 2**20)


def test_each_step_has_its_word() -> None:
    steps = [
        progress(),
        progress("Downloading numpy (15.8MiB)", "Prepared 64 packages in 213ms"),
        progress("Prepared 64 packages in 213ms", "Installed 64 packages in 70ms"),
    ]

    assert [step.sentence() for step in steps] == [
        "Runtime 2026.11-sklearn, 0 s: looking for 64 packages.",
        "Runtime 2026.11-sklearn, 0 s: installing 64 packages.",
        "Runtime 2026.11-sklearn, 0 s: compiling 64 packages to bytecode.",
    ]


def test_uv_s_second_run_is_the_compilation_whatever_it_says() -> None:
    building = progress("Resolved 64 packages in 85ms")
    building.compiling()
    building.hear("Resolved 64 packages in 10ms")

    assert building.sentence() == "Runtime 2026.11-sklearn, 0 s: compiling 64 packages to bytecode."


def test_source_archives_are_built_and_count_when_they_are() -> None:
    building = progress("Building cloudml-hypertune==0.1.0.dev6", "Built cloudml-hypertune==0.1.0.dev6")

    assert "fetched 0 B of 0 B, 1 of 1 large archives" in building.sentence()


@given(st.text())
def test_no_line_of_uv_s_stops_a_build(line: str) -> None:
    assert progress(line).sentence().startswith("Runtime 2026.11-sklearn, 0 s: ")


def test_sizes_are_short() -> None:
    assert [size(number) for number in (0, 999, 15_800, 512e6, 2.05e9)] == [
        "0 B",
        "999 B",
        "16 kB",
        "512 MB",
        "2.0 GB",
    ]
