"""What the server makes of a job that any client may have sent."""

from __future__ import annotations

import pytest

from mlengine.errors import InvalidArgument, Problem
from mlengine.jobs.domain import JobRequest, TrainingInput
from mlengine.jobs.preflight import LARGEST_PACKAGE, Preflight
from mlengine.names import JobName, ObjectUrl
from tests.trainer_package import trainer_package

PACKAGE = "gs://box/t-1.tar.gz"


def checked(content: bytes | None, **training: object) -> tuple[str, ...]:
    def read(url: ObjectUrl, most: int) -> bytes | None:
        assert (str(url), most) == (PACKAGE, LARGEST_PACKAGE)
        return content

    given = {"python_module": "trainer.task", "package_uris": (PACKAGE,), "region": "here", "runtime": ""}
    request = JobRequest(
        name=JobName.of("local", "j1"),
        training=TrainingInput(**{**given, **training}),  # type: ignore[arg-type]
    )
    return Preflight(read)(request)


def test_a_good_job_is_taken_without_a_word():
    assert checked(trainer_package(), args=("--epochs", "3"), job_dir="gs://box/out") == ()


@pytest.mark.parametrize(
    ("content", "training", "code"),
    [
        (b"no archive", {}, "not-an-archive"),
        (trainer_package("print 'x'\n"), {}, "python2"),
        (trainer_package("import no_such_framework\n"), {}, "missing-import"),
        (trainer_package(), {"python_module": "trainer.tsk"}, "no-module"),
        (trainer_package(), {"job_dir": "gs:///x"}, "job-dir-no-bucket"),
        (trainer_package(), {"runtime_version": "1.3"}, "unknown-runtime"),
    ],
)
def test_what_can_never_work_is_refused_with_its_code(content: bytes, training: dict, code: str):
    with pytest.raises(Problem) as caught:
        checked(content, **training)

    assert [each["reason"] for each in caught.value.details[0]["fieldViolations"]] == [code]


def test_all_reasons_are_told_at_once():
    with pytest.raises(InvalidArgument, match=r"2 things stop") as caught:
        checked(trainer_package("print 'x'\n"), job_dir="gs:///x")

    assert {each["reason"] for each in caught.value.details[0]["fieldViolations"]} == {
        "python2",
        "job-dir-no-bucket",
    }


def test_what_is_hardly_meant_is_written_into_the_log_and_not_refused():
    (said,) = checked(trainer_package(), job_dir="gs://box/")

    assert "is a variable empty?" in said
    assert "[job-dir-bucket-root]" in said


def test_a_package_that_is_too_large_to_be_read_is_taken_on_trust():
    assert checked(None, python_module="anything.at_all") == ()


def test_nothing_of_the_trainer_is_run(tmp_path):
    mark = tmp_path / "ran"
    task = f"import argparse\nopen({str(mark)!r}, 'w')\nargparse.ArgumentParser().parse_args()\n"

    assert checked(trainer_package(task), args=("--unknown",)) == ()
    assert not mark.exists()


def test_a_report_says_everything_and_refuses_nothing():
    package = trainer_package("print 'x'\n")
    around = Preflight(lambda url, most: package)
    training = TrainingInput(
        python_module="trainer.task", package_uris=(PACKAGE,), region="here", runtime="", job_dir="gs://box/"
    )

    report = around.report(JobRequest(name=JobName.of("local", "j1"), training=training))

    assert {found.code for found in report.findings} == {"python2", "job-dir-bucket-root"}
