"""Over 60 broken trainers are told what is wrong before anything is sent; over 40 good ones go through."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlengine.preflight.findings import RULES, Weight
from tests.preflight.broken import BROKEN, POSTS
from tests.preflight.cases import Case
from tests.preflight.conftest import Verdict
from tests.preflight.good import GOOD

Submit = Callable[[Case], Verdict]
# Generous: cores are shared while tests run. The figures themselves are printed with `-s`.
MEDIAN_SECONDS, WORST_SECONDS = 6.0, 60.0
seconds: list[float] = []


def named(cases: tuple[Case, ...]) -> list[object]:
    return [pytest.param(case, id=case.name.replace(" ", "-")) for case in cases]


@pytest.mark.parametrize("case", named(BROKEN))
def test_a_broken_trainer_is_told_its_fault_before_anything_is_sent(case: Case, submit: Submit):
    done = submit(case)
    seconds.append(done.seconds)

    assert f"[{case.code}]" in done.said, done.said
    if not case.warned:
        assert done.code != 0
        assert not done.sent


@pytest.mark.parametrize("case", named(GOOD))
def test_a_good_trainer_is_not_stopped(case: Case, submit: Submit):
    done = submit(case)
    seconds.append(done.seconds)

    assert done.code == 0, done.said
    assert done.sent
    assert "submitted successfully" in done.said


def test_the_corpus_is_as_large_as_promised_and_has_a_case_for_nearly_every_rule():
    covered = {case.code for case in BROKEN}

    assert len(BROKEN) >= 60
    assert len(GOOD) >= 40
    assert len(POSTS) >= 9
    assert covered <= RULES.keys()
    # Regions are checked by the flag itself; replicas without a type by the flags together.
    assert RULES.keys() - covered <= {"unknown-region", "replica-count"}
    assert all(case.warned == (RULES[case.code].weight is Weight.WARNING) for case in BROKEN)
    assert len({case.name for case in (*BROKEN, *GOOD)}) == len(BROKEN) + len(GOOD)


def test_the_verdict_comes_within_seconds(capsys: pytest.CaptureFixture[str]):
    if len(seconds) < 60:
        pytest.fail("the corpus was not run: select the whole file")
    with capsys.disabled():
        print(
            f"\npreflight: {len(seconds)} verdicts, median {statistics.median(seconds):.2f} s, "
            f"worst {max(seconds):.2f} s"
        )

    assert statistics.median(seconds) < MEDIAN_SECONDS
    assert max(seconds) < WORST_SECONDS


def test_no_process_of_a_trainer_is_left_behind(submit: Submit, tmp_path: Path):
    mark = f"mlengine-left-behind-{os.getpid()}"
    case = Case(
        "a trainer that forks before its parser",
        task="import argparse, os, time\nif os.fork() == 0:\n    os.setsid()\n"
        f"    os.execlp('sleep', '{mark}', '60')\nargparse.ArgumentParser().parse_args()\n",
    )

    done = submit(case)

    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert done.code == 0  # undecided is no reason to stop
    assert mark not in listed
