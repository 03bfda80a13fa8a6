"""A job's own environment and the launcher that makes it: real uv, real packages, a real runtime below."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlengine.environments import Builder, default_cache_dir, make_overlay, resolve, trainer_environment
from mlengine.environments.lockfile import lock_hash, read_lock
from mlengine.errors import FailedPrecondition

SKLEARN = resolve("2026.11-sklearn").runtime


@pytest.fixture(scope="module")
def cache() -> Path:
    """The cache that all runs on this machine share: runtimes are built once, by lock."""
    return default_cache_dir(os.environ)


@pytest.fixture(scope="module")
def sklearn(cache: Path) -> Path:
    return Builder(cache).build(SKLEARN)


# --- overlays ---------------------------------------------------------------------------------------------


@dataclass
class Source:
    """A trainer's source folder, packed as `setup.py sdist` packs it."""

    folder: Path
    name: str = "trainer"
    requires: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def sdist(self) -> Path:
        setup = (
            "from setuptools import find_packages, setup\n"
            f"setup(name={self.name!r}, version='0.1', packages=find_packages(), "
            f"install_requires={list(self.requires)!r})\n"
        )
        source = self.folder / f"{self.name}-source"
        for name, text in {"setup.py": setup, **self.files}.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        command = [sys.executable, "-W", "ignore", "setup.py", "--quiet", "sdist"]
        subprocess.run(command, cwd=source, capture_output=True, check=True)
        return next((source / "dist").glob("*.tar.gz"))


def names_in(python: Path, code: str) -> Any:
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(said.stdout)


def test_a_trainer_shares_the_runtime_and_adds_what_it_lacks(sklearn: Path, tmp_path: Path) -> None:
    files = {"trainer/__init__.py": "", "trainer/task.py": ""}
    requires = ["scikit-learn>=1", "sklearn", "xgboost", "pandas", "tqdm"]
    archive = Source(tmp_path, requires=requires, files=files).sdist()

    overlay = make_overlay(sklearn, tmp_path / "overlay", [archive], runtime_name=SKLEARN.name)
    found = names_in(
        overlay.python, "import json, sklearn, tqdm; print(json.dumps([sklearn.__file__, tqdm.__file__]))"
    )

    assert overlay.own == {"trainer": "0.1"}
    assert list(overlay.added) == ["tqdm"]
    assert overlay.modules == ("trainer", "trainer.task")
    assert Path(found[0]).is_relative_to(sklearn.parent.parent)
    assert Path(found[1]).is_relative_to(tmp_path / "overlay")


def test_a_package_may_need_one_given_beside_it(sklearn: Path, tmp_path: Path) -> None:
    ours = Source(tmp_path, name="ours-of-this-test", files={"ours/__init__.py": ""}).sdist()
    trainer = Source(tmp_path, requires=["ours-of-this-test"], files={"trainer/__init__.py": ""}).sdist()

    overlay = make_overlay(sklearn, tmp_path / "overlay", [trainer, ours], runtime_name=SKLEARN.name)

    assert overlay.own == {"ours-of-this-test": "0.1", "trainer": "0.1"}
    assert overlay.added == {}


def test_a_package_given_by_the_name_of_one_in_the_runtime_takes_its_place(
    sklearn: Path, tmp_path: Path
) -> None:
    own = Source(tmp_path, name="cloudpickle", files={"cloudpickle/__init__.py": "OURS = True\n"}).sdist()

    overlay = make_overlay(sklearn, tmp_path / "overlay", [own], runtime_name=SKLEARN.name)

    assert names_in(overlay.python, "import cloudpickle; print('true' if cloudpickle.OURS else '')") is True


def test_a_need_that_the_runtime_does_not_meet_is_named_with_what_is_there(
    sklearn: Path, tmp_path: Path
) -> None:
    requires = ["pandas<2", "six; python_version < '3'"]
    archive = Source(tmp_path, requires=requires, files={"trainer/__init__.py": ""}).sdist()
    pandas = SKLEARN.packages["pandas"]

    with pytest.raises(FailedPrecondition) as failure:
        make_overlay(sklearn, tmp_path / "overlay", [archive], runtime_name=SKLEARN.name)

    assert failure.value.message == (
        f"The package trainer 0.1 needs pandas<2, but the runtime 2026.11-sklearn has {pandas}."
    )
    assert "Loosen or drop pandas in its install_requires" in failure.value.hint


def test_a_package_that_does_not_build_shows_why(sklearn: Path, tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("raise SystemExit('broken on purpose')\n")
    with tarfile.open(tmp_path / "trainer-0.1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "setup.py", "trainer-0.1/setup.py")

    with pytest.raises(FailedPrecondition, match="broken on purpose"):
        make_overlay(
            sklearn, tmp_path / "overlay", [tmp_path / "trainer-0.1.tar.gz"], runtime_name=SKLEARN.name
        )


def test_another_build_tool_is_fetched_for_the_package_that_asks_for_it(
    sklearn: Path, tmp_path: Path
) -> None:
    project = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    project += '[project]\nname = "trainer"\nversion = "0.1"\n'
    files = {"pyproject.toml": project, "trainer/__init__.py": "", "trainer/task.py": ""}
    archive = Source(tmp_path, files=files).sdist()

    overlay = make_overlay(sklearn, tmp_path / "overlay", [archive], runtime_name=SKLEARN.name)

    assert "trainer.task" in overlay.modules
    assert overlay.added == {}


# --- the launcher -----------------------------------------------------------------------------------------

TASK = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "files": os.listdir()}))
sys.exit(7)
"""


@dataclass
class Launch:
    """One run of the launcher."""

    folder: Path
    cache: Path

    def run(self, archives: Sequence[Path], **changes: Any) -> subprocess.CompletedProcess[str]:
        env = trainer_environment(
            job_id="job_1",
            training_input={"scale_tier": "BASIC"},
            project="p",
            storage_endpoint="http://127.0.0.1:1",
            home=self.folder / "home",
            temporary=self.folder / "tmp",
            machine=os.environ,
        )
        spec = {
            "runtime": SKLEARN.name,
            "packages": [str(archive) for archive in archives],
            "python_module": "trainer.task",
            "args": ["--alpha", "two words"],
            "job_dir": "gs://bucket/dir",
            "env": env | {"PYTHONDONTWRITEBYTECODE": "1"},
            "task_dir": str(self.folder),
            "cache_dir": str(self.cache),
        }
        path = self.folder / "spec.json"
        path.write_text(json.dumps(spec | changes))
        own = {
            "MLENGINE_PHASE_FILE": str(self.folder / "phase"),
            "MLENGINE_TASK_ID": "t1",
            "MLENGINE_OTHER": "x",
        }
        return subprocess.run(
            [sys.executable, "-m", "mlengine.backends.launcher", str(path)],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def launch(sklearn: Path, cache: Path, tmp_path: Path) -> Launch:
    (tmp_path / "task").mkdir()
    return Launch(tmp_path / "task", cache)


def lines(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    return [(entry["severity"], entry["message"]) for entry in map(json.loads, done.stderr.splitlines())]


def test_the_launcher_becomes_the_trainer_with_job_dir_last(launch: Launch, tmp_path: Path) -> None:
    files = {"trainer/__init__.py": "", "trainer/task.py": TASK}

    done = launch.run([Source(tmp_path, files=files).sdist()])
    seen = json.loads(done.stdout)

    assert done.returncode == 7
    assert seen["argv"] == ["--alpha", "two words", "--job-dir", "gs://bucket/dir"]
    assert (seen["cwd"], seen["files"]) == (str(launch.folder / "work"), [])
    assert lines(done)[-1] == (
        "INFO",
        "Running command: python3 -m trainer.task --alpha 'two words' --job-dir gs://bucket/dir",
    )
    assert lines(done)[0][1].startswith("Installed trainer 0.1 on 2026.11-sklearn in ")
    assert (launch.folder / "phase").read_text() == "RUNNING"


def test_the_trainer_sees_its_own_environment_and_nothing_of_the_server(
    launch: Launch, tmp_path: Path
) -> None:
    files = {"trainer/__init__.py": "", "trainer/task.py": TASK}

    done = launch.run([Source(tmp_path, files=files).sdist()], job_dir="")
    seen = json.loads(done.stdout)
    env = seen["env"]

    assert seen["argv"] == ["--alpha", "two words"]
    assert json.loads(env["TF_CONFIG"])["task"]["type"] == "chief"
    assert (env["PYTHONUNBUFFERED"], env["OMP_WAIT_POLICY"]) == ("1", "PASSIVE")
    assert "PYTHONDONTWRITEBYTECODE" not in env
    ours = {name for name in env if name.startswith("MLENGINE_")}
    assert ours == {"MLENGINE_TASK_ID", "MLENGINE_ENDPOINT", "MLENGINE_PROJECT"}
    assert env["PATH"].split(":")[0] == str(launch.folder / "environment" / "bin")
    assert Path(env["HOME"]).is_dir()
    assert Path(env["TMPDIR"]).is_dir()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "trainer.tsk",
            "Module trainer.tsk is not in the packages; they contain: trainer, trainer.model, trainer.task. "
            "Did you mean 'trainer.task'?",
        ),
        (
            "trainer",
            "Module trainer is a package without a __main__.py, so it cannot be run; "
            "it contains: trainer.model, trainer.task. Did you mean 'trainer.task'?",
        ),
    ],
)
def test_a_module_that_cannot_run_is_told_before_anything_runs(
    launch: Launch, tmp_path: Path, module: str, message: str
) -> None:
    files = {"trainer/__init__.py": "", "trainer/task.py": TASK, "trainer/model.py": ""}

    done = launch.run([Source(tmp_path, files=files).sdist()], python_module=module)

    assert done.returncode == 1
    assert lines(done)[-1] == ("ERROR", message)
    assert not (launch.folder / "phase").exists()


def test_a_forgotten_init_file_is_guessed(launch: Launch, tmp_path: Path) -> None:
    done = launch.run([Source(tmp_path, files={"trainer/task.py": TASK}).sdist()])

    assert done.returncode == 1
    assert lines(done)[-1][1].endswith("takes only folders with an __init__.py: is it there?")


def test_what_the_job_runs_on_is_written_down_beside_it_and_its_hash_is_logged(
    launch: Launch, tmp_path: Path
) -> None:
    files = {"trainer/__init__.py": "", "trainer/task.py": TASK}

    done = launch.run([Source(tmp_path, requires=["tqdm"], files=files).sdist()])

    text = (launch.folder / "requirements.lock").read_text()
    pins = {pin.name: pin for pin in read_lock(text, system=sys.platform)}
    assert {"trainer", "tqdm", "scikit-learn", "numpy"} <= set(pins)
    assert pins["trainer"].hashes
    assert pins["numpy"].hashes
    assert (
        "INFO",
        f"Its packages with their versions are in requirements.lock, SHA-256 {lock_hash(text)}.",
    ) in (lines(done))


def test_a_trainer_that_needs_other_versions_runs_with_them_and_a_warning(
    launch: Launch, tmp_path: Path
) -> None:
    task = "import idna, sklearn\nprint(idna.__version__, sklearn.__version__)\n"
    files = {"trainer/__init__.py": "", "trainer/task.py": task}

    done = launch.run([Source(tmp_path, requires=["idna<3.11"], files=files).sdist()])

    version = SKLEARN.packages["scikit-learn"]
    assert done.stdout == f"3.10 {version}\n"
    warnings = [message for severity, message in lines(done) if severity == "WARNING"]
    assert len(warnings) == 1
    assert "needs idna<3.11, but the runtime 2026.11-sklearn has " in warnings[0]
    assert "2026.11-sklearn with idna 3.10 in place of " in warnings[0]


@pytest.mark.slow
def test_the_first_job_that_needs_a_runtime_says_in_its_log_how_far_its_build_is(
    launch: Launch, tmp_path: Path
) -> None:
    files = {"trainer/__init__.py": "", "trainer/task.py": TASK}

    done = launch.run([Source(tmp_path, files=files).sdist()], cache_dir=str(tmp_path / "cache"))

    said = [message for _, message in lines(done)]
    assert done.returncode == 7
    assert said[0].startswith("Building the runtime 2026.11-sklearn (once per machine): installing ")
    assert any(re.fullmatch(r"Runtime 2026\.11-sklearn, \d+ s: .* packages.*\.", line) for line in said)
    assert any(line.startswith("Compiled in ") for line in said)
