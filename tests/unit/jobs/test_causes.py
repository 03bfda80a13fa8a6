"""Why a replica ended: from what real Pythons print when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlengine.jobs.causes import Cause, Kind, exit_in_words, explain, report
from mlengine.jobs.executor import Limits, Outcome, OutOfMemory, Phase


def ended(code: int | None = 1, **more: object) -> Outcome:
    return Outcome(**{"phase": Phase.EXITED, "exit_code": code} | more)  # type: ignore[arg-type]


def died(tmp_path: Path, source: str, *args: str) -> Cause:
    """The cause of the end of a trainer that is run here and now."""
    package = tmp_path / "trainer"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "task.py").write_text(source)
    argv = [sys.executable, "-u", "-m", "trainer.task", *args]
    env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    run = subprocess.run(
        argv, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    code, number = (run.returncode, None) if run.returncode >= 0 else (None, -run.returncode)
    return explain(ended(code, signal=number), run.stdout.splitlines(), packages=["trainer"])


# What Python raises

PYTHON_2_EXCEPT = "try: pass\nexcept ValueError, error: pass"


@pytest.mark.parametrize(
    ("source", "kind", "line", "hint"),
    [
        ("raise ValueError('no such column: Agee')", Kind.EXCEPTION, "ValueError: no such column: Agee", ""),
        ("import cv2", Kind.IMPORT, "The module cv2 is not there", "'opencv-python-headless' to install_req"),
        ("import nowhere_at_all", Kind.IMPORT, "nowhere_at_all is not there", "from trainer import nowhere"),
        ("import trainer.model", Kind.IMPORT, "trainer.model is not there", "__init__.py?"),
        ("from json import cat", Kind.IMPORT, "cannot import name 'cat' from 'json'", ""),
        ("import urllib2", Kind.PYTHON_2, "urllib2", "write urllib.request for urllib2"),
        ("print 'hello'", Kind.PYTHON_2, "Missing parentheses in call to 'print'", "Python 2"),
        (PYTHON_2_EXCEPT, Kind.PYTHON_2, "must be parenthesized", "Python 2"),
        ("xrange(3)", Kind.PYTHON_2, "name 'xrange' is not defined", "Write range for xrange"),
        ("{}.iteritems()", Kind.PYTHON_2, "iteritems", "Write items for iteritems"),
        ("x = = 1", Kind.SYNTAX, "SyntaxError: invalid syntax", ""),
        ("open('gs://box/train.csv')", Kind.FILE_NOT_FOUND, "gs://box/train.csv", "tf.io.gfile.GFile"),
        (
            "import pathlib; open(pathlib.Path('gs://box/x'))",
            Kind.FILE_NOT_FOUND,
            "gs:/box/x",
            "made gs:/ of",
        ),
        ("open('train.csv')", Kind.FILE_NOT_FOUND, "train.csv", "starts in an empty folder"),
        ("open('/data/train.csv')", Kind.FILE_NOT_FOUND, "/data/train.csv", "read it from gs://"),
        ("raise PermissionError(13, 'Permission denied', '/srv/x')", Kind.PERMISSION, "/srv/x", "tempfile"),
        ("raise OSError(28, 'No space left on device')", Kind.DISK_FULL, "The disk is full", "Free some"),
        ("raise MemoryError", Kind.OUT_OF_MEMORY, "Out of memory: MemoryError", "n1-highmem-8"),
        ("bytearray(2**62)", Kind.OUT_OF_MEMORY, "Out of memory: MemoryError", "smaller batches"),
        (
            "raise RuntimeError('CUDA out of memory. Tried to allocate 20.00 MiB')",
            *(Kind.OUT_OF_MEMORY, "Out of memory on the GPU", "smaller batches"),
        ),
        ("raise AssertionError('Torch not compiled with CUDA enabled')", Kind.CUDA, "Torch", "basic-gpu"),
        (
            "raise ImportError('libcudart.so.12: cannot open shared object file: No such file or directory')",
            *(Kind.CUDA, "libcudart", "basic-gpu"),
        ),
        ("try: 1/0\nexcept Exception: raise KeyError('Age')", Kind.EXCEPTION, "KeyError: 'Age'", ""),
        ("raise RuntimeError('one\\ntwo')", Kind.EXCEPTION, "RuntimeError: one", ""),
        ("class Odd(BaseException): pass\nraise Odd('so')", Kind.EXCEPTION, "Odd: so", ""),
        ("import sys; sys.exit(3)", Kind.EXIT, "exit code 3", ""),
        ("import sys; sys.exit('no data in 2019')", Kind.EXIT, "no data in 2019", ""),
    ],
)
def test_an_end_is_explained_with_a_hint_where_one_is_known(
    tmp_path: Path, source: str, kind: Kind, line: str, hint: str
) -> None:
    cause = died(tmp_path, source)

    assert cause.kind is kind
    assert line in cause.line
    assert hint in cause.hint
    assert bool(cause.hint) == bool(hint)
    if kind is not Kind.EXIT:
        assert cause.file.endswith("trainer/task.py")
        assert cause.lineno > 0


def test_the_place_is_the_last_line_of_the_users_own_code(tmp_path: Path) -> None:
    source = "import json\n\ndef load():\n    return json.loads('{')\n\nload()"

    cause = died(tmp_path, source)

    assert cause.line.startswith("JSONDecodeError: ")
    assert (Path(cause.file).name, cause.lineno) == ("task.py", 4)


@pytest.mark.parametrize(
    ("args", "line", "hint"),
    [
        (["--stpes", "3"], "unrecognized arguments: --stpes 3", "It accepts: usage: task.py [-h] [--steps"),
        (["--steps", "3", "--job-dir", "gs://b/j"], "--job-dir gs://b/j", "add_argument('--job-dir')"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'", "usage: task.py"),
        (["required"], "the following arguments are required: --steps", "after `--`"),
        (["--steps", "3", " "], "unrecognized arguments:", "backslash"),
    ],
)
def test_an_argument_that_the_trainer_rejects_is_shown_with_its_usage(
    tmp_path: Path, args: list[str], line: str, hint: str
) -> None:
    source = (
        "import argparse, sys; parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--steps', type=int, required='required' in sys.argv)\n"
        "parser.parse_args()"
    )

    cause = died(tmp_path, source, *args)

    assert cause.kind is Kind.ARGUMENT
    assert line in cause.line
    assert hint in cause.hint


def test_a_crash_names_the_line_that_faulthandler_saw(tmp_path: Path) -> None:
    source = (
        "import ctypes, faulthandler\nfaulthandler.enable()\ndef crash():\n    ctypes.string_at(0)\ncrash()"
    )

    cause = died(tmp_path, source)

    assert (cause.kind, cause.line) == (Kind.CRASHED, "Segmentation fault (signal 11).")
    assert (Path(cause.file).name, cause.lineno) == ("task.py", 4)
    assert "faulthandler" in cause.hint


# What logs look like


RAISED = (
    "Traceback (most recent call last):",
    '  File "/usr/lib/python3.11/runpy.py", line 198, in _run_module_as_main',
    "    return _run_code(code, main_globals, None,",
    '  File "/jobs/7/environment/lib/python3.11/site-packages/trainer/model.py", line 9, in fit',
    "    model.fit(x, y)",
    '  File "/cache/lib/python3.11/site-packages/sklearn/base.py", line 1365, in wrapper',
    "    return fit_method(estimator, *args, **kwargs)",
    "           ^^^^^^^^^^^^^^^^^^^",
    "sklearn.exceptions.NotFittedError: call fit first",
)


def test_files_are_told_as_their_author_knows_them() -> None:
    cause = explain(ended(), RAISED, packages=["trainer"])

    assert (cause.line, cause.place) == ("NotFittedError: call fit first", "trainer/model.py:9")


def test_a_traceback_is_found_behind_a_progress_bar_and_among_printed_lines() -> None:
    log = [" 10%|█         | 1/10 [00:00<00:01]" + RAISED[0], *RAISED[1:5], "Epoch 3", *RAISED[5:]]

    assert explain(ended(), log, packages=["trainer"]).place == "trainer/model.py:9"


def test_the_last_traceback_counts() -> None:
    handled = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "KeyError: 'once'"]

    assert explain(ended(), [*handled, "going on", *RAISED]).line == "NotFittedError: call fit first"


def test_a_traceback_that_was_survived_explains_no_signal() -> None:
    cause = explain(ended(None, signal=9), RAISED)

    assert (cause.kind, cause.line) == (Kind.KILLED, "Killed by signal 9 (SIGKILL).")


def test_a_multi_line_message_is_read_line_by_line() -> None:
    assert explain(ended(), ["\n".join(RAISED)], packages=["trainer"]).place == "trainer/model.py:9"


def test_a_traceback_cut_short_is_no_cause() -> None:
    assert explain(ended(), RAISED[:4]).kind is Kind.EXIT


# Ends by others


def test_the_limit_of_memory_is_named_with_who_enforces_it() -> None:
    limits = Limits(memory_bytes=15_000_000_000, memory_by="cgroup v2")
    cause = explain(ended(None, signal=9, out_of_memory=OutOfMemory.LIMIT, limits=limits), ["Epoch 1"])

    assert cause.kind is Kind.OUT_OF_MEMORY
    assert cause.line == "Out of memory: it needed more than its limit of 15.0 GB (enforced by cgroup v2)."
    assert "n1-highmem-8" in cause.hint


def test_a_machine_without_memory_is_named() -> None:
    outcome = ended(None, signal=9, out_of_memory=OutOfMemory.MACHINE, peak_memory_bytes=7_000_000_000)

    assert (
        "this machine had no more, and the kernel killed it when it used 7.0 GB" in explain(outcome, []).line
    )


def test_the_time_limit_and_a_cancellation_are_told_apart() -> None:
    stopped = ended(None, signal=15, stopped=True)

    assert explain(stopped, [], time_limit_seconds=60).kind is Kind.TIME_LIMIT
    assert "60 s" in explain(stopped, [], time_limit_seconds=60).line
    assert explain(stopped, []).kind is Kind.CANCELLED


def test_a_lost_task_has_its_own_words() -> None:
    lost = Outcome(phase=Phase.LOST, message="Its supervisor ended before it did.")

    assert explain(lost, []).line == "Its supervisor ended before it did."
    assert exit_in_words(lost) == "was lost"


def test_what_ended_before_the_trainer_ran_says_its_last_message() -> None:
    cause = explain(ended(began=False), ["Building", "No module trainer.tsak in the package.\nIt has task."])

    assert (cause.kind, cause.line) == (Kind.NOT_STARTED, "No module trainer.tsak in the package.")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (ended(1), "exited with a non-zero status of 1"),
        (ended(137), "exited with a non-zero status of 137 (128 + 9: a process in it was killed by SIGKILL)"),
        (ended(255), "exited with a non-zero status of 255"),
        (ended(None, signal=signal.SIGSEGV), "was killed by signal 11 (SIGSEGV)"),
        (ended(None, signal=35), "was killed by signal 35 (signal 35)"),
        (ended(None, stopped=True), "was stopped before it started"),
        (ended(0), "exited with status 0"),
    ],
)
def test_an_exit_is_told_in_words(outcome: Outcome, words: str) -> None:
    assert exit_in_words(outcome) == words


def test_a_report_has_cause_place_last_lines_exit_and_hint_in_this_order() -> None:
    outcome = ended(1)
    log = [*(f"Epoch {n}" for n in range(30)), '  File "task.py", line 3, in <module>', "    import cv2"]
    log = [*log[:-2], RAISED[0], *log[-2:], "ModuleNotFoundError: No module named 'cv2'"]

    lines = report(explain(outcome, log), outcome, job_id="titanic_1").splitlines()

    assert lines[0] == "The module cv2 is not there (ModuleNotFoundError: No module named 'cv2')."
    assert lines[1] == "task.py:3"
    assert lines[3] == "Its last 20 lines:"
    assert lines[4] == "  Epoch 14"
    assert lines[23] == "  ModuleNotFoundError: No module named 'cv2'"
    assert lines[25:] == [
        "The replica master 0 exited with a non-zero status of 1.",
        "Hint: Add 'opencv-python-headless' to install_requires in setup.py.",
        "To find out more about why your job exited please check the logs: "
        "mlengine jobs stream-logs titanic_1",
    ]


def test_a_log_without_lines_leaves_none_out_of_the_report() -> None:
    outcome = ended(None, signal=9)

    assert report(explain(outcome, []), outcome).splitlines() == [
        "Killed by signal 9 (SIGKILL).",
        "The replica master 0 was killed by signal 9 (SIGKILL).",
        "Hint: Not by mlengine. The kernel does it when memory runs out: `dmesg` tells.",
    ]
