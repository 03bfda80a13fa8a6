"""Findings as errors, and the page that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.client.preflight import next_free
from mlengine.errors import AlreadyExists, InvalidArgument
from mlengine.preflight.findings import RULES, Finding, Report, refusal
from tests.preflight.page import PAGE, table

ONE = Finding(
    code="duplicate-job", message="It was used.", where="JOB", hint="Free is: j2", field="job.job_id"
)
TWO = Finding(code="python2", message="`print x` is old.", where="t.py:4", hint="Write: print(x)")


def test_one_finding_is_an_error_of_its_own_class_and_several_are_all_told():
    one, both = refusal((ONE,)), refusal((ONE, TWO))

    assert isinstance(one, AlreadyExists)
    assert str(one) == "JOB: It was used. Free is: j2 [duplicate-job]"
    assert isinstance(both, InvalidArgument)
    for words in ("2 things stop", "It was used. [duplicate-job]", "t.py:4", "Write: print(x)"):
        assert words in str(both)
    assert [each["reason"] for each in both.details[0]["fieldViolations"]] == ["duplicate-job", "python2"]


def test_the_server_leaves_the_doubtful_to_the_sender_and_codes_can_be_skipped():
    doubtful = Finding(code="job-dir-bucket-root", message="It is the bucket.")
    report = Report((ONE, doubtful, Finding(code="empty-value", message="It is empty.")))

    assert report.stopping() == (ONE, doubtful)
    assert report.stopping(certain_only=True) == (ONE,)
    assert report.stopping(skip=["duplicate-job"]) == (doubtful,)


@pytest.mark.parametrize(
    ("used", "asked", "free"),
    [
        ({"train_7"}, "train_7", "train_8"),
        ({"train_07", "train_08"}, "train_07", "train_10"),
        ({"train"}, "train", "train_2"),
        ({f"j{n}" for n in range(1, 10_000)}, "j1", "j16384"),
    ],
)
def test_the_next_free_id_is_found_in_few_questions(used: set[str], asked: str, free: str):
    questions: list[str] = []

    def is_used(name: str) -> bool:
        questions.append(name)
        return name in used

    assert next_free(asked, is_used) == free
    assert len(questions) < 20


def test_the_page_lists_every_rule():
    assert table() in Path(PAGE).read_text(), "run python -m tests.preflight.page"
    assert all(code in table() for code in RULES)
