"""A trainer's parser is asked, and nothing else of the trainer happens."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

from mlengine.preflight.archive import Archive
from mlengine.preflight.imports import Sources
from mlengine.preflight.parser import check_parser
from mlengine.preflight.surroundings import Surroundings

PARSER = (
    "import argparse\np = argparse.ArgumentParser()\np.add_argument('--job-dir')\n"
    "p.add_argument('--epochs', type=int)\n"
)


def asked(task: str, *args: str, job_dir: str = "", interpreter: Path | None = None, **files: str):
    """Findings of `trainer.task`, and why nothing could be said."""
    contents = {"trainer/__init__.py": b"", "trainer/task.py": task.encode()}
    contents |= {f"trainer/{name}.py": text.encode() for name, text in files.items()}
    archive = Archive("t.tar.gz", {name: len(text) for name, text in contents.items()}, contents)
    surroundings = Surroundings(interpreter=interpreter)
    return check_parser(Sources([archive], "trainer.task"), args, job_dir, surroundings, {})


def test_what_stands_behind_the_parser_never_runs(tmp_path: Path):
    mark = tmp_path / "trained"

    found, unchecked = asked(
        PARSER + f"p.parse_args()\nopen({str(mark)!r}, 'w').write('x')\n", "--epochs", "3"
    )

    assert (found, unchecked) == ([], "")
    assert not mark.exists()


@pytest.mark.parametrize(
    "deed",
    [
        "open({mark!r}, 'w').write('x')",
        "import os; os.close(os.open({mark!r}, os.O_CREAT | os.O_WRONLY))",
        "import os; os.mkdir({mark!r})",
        "import pathlib; pathlib.Path({mark!r}).touch()",
        "import subprocess; subprocess.run(['touch', {mark!r}])",
        "import os; os.system('touch {mark}')",
        "import os, time\nif os.fork() == 0:\n    open({mark!r}, 'w')",
        "import shutil; shutil.copy(__file__, {mark!r})",
        "import sqlite3; sqlite3.connect({mark!r})",
    ],
)
def test_a_trainer_that_writes_before_its_parser_leaves_nothing_behind(tmp_path: Path, deed: str):
    mark = tmp_path / "written"

    found, unchecked = asked(deed.format(mark=str(mark)) + "\n" + PARSER + "p.parse_args()\n", "--x")

    assert found == []
    assert "before its arguments are read" in unchecked
    assert not mark.exists()


def test_a_file_is_not_taken_away_either(tmp_path: Path):
    (tmp_path / "data").write_text("precious")

    found, unchecked = asked(f"import os; os.remove({str(tmp_path / 'data')!r})\n" + PARSER, "--x")

    assert (found, "changes files" in unchecked) == ([], True)
    assert (tmp_path / "data").read_text() == "precious"


def test_no_connection_is_opened():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)

        found, unchecked = asked(
            f"import socket; socket.create_connection({listening.getsockname()!r})\n" + PARSER, "--x"
        )

        assert (found, "network" in unchecked) == ([], True)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_trainer_that_goes_on_for_ever_is_ended_and_undecided():
    began = time.monotonic()

    found, unchecked = asked("while True: pass\n" + PARSER, "--x")

    assert found == []
    assert "not reached within" in unchecked
    assert time.monotonic() - began < 30


def test_variables_of_the_senders_do_not_reach_the_trainer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLENGINE_SECRET_OF_MINE", "1")

    found, _ = asked(
        "import os\n" + PARSER + "if 'MLENGINE_SECRET_OF_MINE' in os.environ: p.add_argument('--x')\n"
        "p.parse_args()\n",
        "--x=1",
    )

    assert [each.code for each in found] == ["argument-rejected"]


def test_a_rejection_names_the_line_that_asked_and_the_nearest_flag():
    (found,), _ = asked("from trainer.flags import p\np.parse_args()\n", "--epoch=3", "4", flags=PARSER)
    (other,), _ = asked(PARSER + "p.parse_args()\n", "--zzz", "4")

    assert (found.code, found.where) == ("argument-rejected", "trainer/task.py:2")
    assert "4" in found.message
    assert (other.where, other.hint) == ("trainer/task.py:5", "It takes: --job-dir, --epochs")


def test_the_job_dir_comes_last_as_from_the_service():
    without = PARSER.replace("p.add_argument('--job-dir')\n", "")

    (found,), _ = asked(without + "p.parse_args()\n", "--epochs", "3", job_dir="gs://bkt/out")
    accepted = asked(PARSER + "p.parse_args()\n", "--epochs", "3", job_dir="gs://bkt/out")

    assert found.code == "job-dir-rejected"
    assert accepted == ([], "")


def test_a_parser_that_another_package_fills_is_not_judged_without_it():
    task = "import no_such_framework as f\n" + PARSER + "f.add(p)\np.parse_args()\n"

    found, unchecked = asked(task, "--gpus", "3")

    assert found == []
    assert "another package" in unchecked


def test_what_stand_ins_cannot_tell_is_asked_of_the_real_packages():
    # This very Python has the package `packaging`, whose names the parser's choices come from.
    task = (
        "import packaging.version as v\n"
        + PARSER
        + "p.add_argument('--kind', choices=[n for n in v.__all__])\n"
        "p.parse_args()\n"
    )

    unknown = asked(task, "--kind", "Nothing")
    accepted = asked(task, "--kind", "Version", interpreter=Path(sys.executable))
    (found,), _ = asked(task, "--kind", "Nothing", interpreter=Path(sys.executable))

    assert unknown[0] == []
    assert "__all__" in unknown[1]
    assert accepted == ([], "")
    assert found.code == "argument-value"


@pytest.mark.parametrize(
    "used",
    [
        "class Net(f.keras.Model): pass",
        "@f.function\ndef step(x): return x",
        "@f.jit(static=1)\ndef step(x): return x",
        "f.random.set_seed(3); x = f.float32; y = f.constant([1]) + 2 * f.pi",
        "with f.device('cpu'):\n    a = f.zeros((3, 4))[0]",
        "assert f.__version__ >= '1.2'",
        "from no_such_framework.deep.er import thing\nthing.go()",
        "if not f.test.is_gpu_available(): f.config.x = 3",
    ],
)
def test_usual_openings_of_trainers_are_done_by_stand_ins(used: str):
    task = f"import no_such_framework as f\n{used}\n" + PARSER + "p.parse_args()\n"

    assert asked(task, "--epochs", "3") == ([], "")
    assert [each.code for each in asked(task, "--epoch3")[0]] == ["argument-rejected"]


def test_other_ways_to_read_arguments_are_named_and_not_judged():
    assert asked("import sys\nprint(sys.argv[1])\n", "x") == (
        [],
        "The trainer's arguments: it reads them with sys.argv, not argparse.",
    )
    assert "click" in asked("import click\n", "x")[1]
    assert "absl" in asked("from absl import flags\n", "x")[1]


def test_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    asked(PARSER + "p.parse_args()\n", "--x")

    assert list(tmp_path.iterdir()) == []
