"""Building source distributions, and what is known to fail before they are sent."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from mlengine.client.packaging import build, check_names, checksum, contents
from mlengine.errors import InvalidArgument
from mlengine.preflight.archive import read_archive
from mlengine.preflight.findings import Finding
from mlengine.preflight.modules import check_module
from mlengine.preflight.syntax import parse


def unreadable(archive: Path) -> Finding:
    """What is wrong with the trainer's only faulty file."""
    found = parse("trainer/task.py", read_archive(archive).contents["trainer/task.py"])
    assert isinstance(found, Finding)
    return found


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_a_bare_package_becomes_trainer_0_0_0_with_its_data_files(project: Path, out: Path):
    built = build(project / "trainer", out)

    assert [path.name for path in built.files] == ["trainer-0.0.0.tar.gz"]
    names = set(contents(built.files[0]))
    assert {
        "trainer/__init__.py",
        "trainer/task.py",
        "trainer/schema.json",
        "trainer/inner/words.txt",
    } <= names
    assert not any("pycache" in name or name.startswith("data") for name in names)


def test_nothing_is_written_to_the_users_folder(project: Path, out: Path):
    (project / "setup.py").write_text(
        "import os\nfrom setuptools import find_packages, setup\nimport version\n"
        "open('side-effect', 'w').close()\n"
        "setup(name='mine', version=version.number, packages=find_packages())\n"
    )
    (project / "version.py").write_text("number = '0.7'\n")
    before = snapshot(project)

    built = build(project / "trainer", out)

    assert built.files[0].name == "mine-0.7.tar.gz"
    assert built.own_setup
    assert snapshot(project) == before


def test_the_same_sources_give_the_same_bytes(project: Path, tmp_path: Path):
    sums = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        sums.append(checksum(build(project / "trainer", folder).files))
        os.utime(project / "trainer" / "task.py", (number, number))

    assert sums[0] == sums[1]


def test_links_are_followed_and_do_not_go_round(project: Path, out: Path, tmp_path: Path):
    (tmp_path / "shared.py").write_text("x = 1\n")
    (project / "trainer" / "shared.py").symlink_to(tmp_path / "shared.py")
    (project / "trainer" / "round").symlink_to(project / "trainer")

    archive = build(project / "trainer", out).files[0]

    with tarfile.open(archive) as tar:
        member = tar.getmember("trainer-0.0.0/trainer/shared.py")
        assert member.isfile()
        assert tar.extractfile(member).read() == b"x = 1\n"


def test_dependencies_of_a_pyproject_without_setup_py_are_kept(project: Path, out: Path):
    (project / "pyproject.toml").write_text('[project]\nname = "p"\ndependencies = ["six>=1"]\n')

    archive = build(project / "trainer", out).files[0]

    with tarfile.open(archive) as tar:
        assert b"six>=1" in tar.extractfile("trainer-0.0.0/setup.py").read()


def test_a_requirements_file_that_nobody_reads_is_spoken_of(project: Path, out: Path):
    (project / "requirements.txt").write_text("six\n")

    assert "requirements.txt is not read" in build(project / "trainer", out).notes[0]


def test_a_broken_setup_py_is_shown_with_its_own_words(project: Path, out: Path):
    (project / "setup.py").write_text("raise RuntimeError('no such luck')\n")

    with pytest.raises(InvalidArgument) as caught:
        build(project / "trainer", out)

    assert caught.value.message.startswith("Packaging of user Python code failed with message:")
    assert "no such luck" in caught.value.message
    assert "--packages" in caught.value.hint


def test_a_setup_py_on_bare_commands_is_asked_for_less(project: Path, out: Path):
    (project / "setup.py").write_text(
        "import sys\nif 'egg_info' in sys.argv:\n    sys.exit('error: invalid command egg_info')\n"
        "from setuptools import setup\nsetup(name='bare', packages=['trainer'])\n"
    )

    assert build(project / "trainer", out).files[0].name == "bare-0.0.0.tar.gz"


def test_a_folder_without_init_is_no_package_and_the_inner_one_is_offered(project: Path, out: Path):
    with pytest.raises(InvalidArgument, match=r"not a valid Python package.*Did you mean .*project/trainer"):
        build(project, out)
    with pytest.raises(InvalidArgument, match=r"__init__\.py.*touch"):
        build(project / "data", out)
    with pytest.raises(InvalidArgument, match="is no folder"):
        build(project / "missing", out)


def test_two_packages_of_one_file_name_are_refused(tmp_path: Path):
    with pytest.raises(InvalidArgument, match=r"same|file name a\.tar\.gz"):
        check_names([tmp_path / "x" / "a.tar.gz", tmp_path / "y" / "a.tar.gz"])


@pytest.mark.parametrize(
    ("line", "what", "cure"),
    [
        ("  print tf.__version__", "print statement", "print(tf.__version__)"),
        ("  exec code", "exec statement", "exec("),
        ("  raise ValueError, 'x'", "raise", "raise ValueError('x')"),
        ("  x = 0777", "octal", "0o"),
        ("  x = 1 <> 2", "<>", "!="),
    ],
)
def test_python_2_is_named_with_file_line_and_cure(project: Path, out: Path, line: str, what: str, cure: str):
    (project / "trainer" / "task.py").write_text(f"import os\nif True:\n{line}\n")

    found = unreadable(build(project / "trainer", out).files[0])

    assert (found.code, found.where) == ("python2", "trainer/task.py:3")
    assert what in found.message
    assert "Python 2" in found.message
    assert cure in found.hint


def test_another_syntax_error_is_shown_with_its_place(project: Path, out: Path):
    (project / "trainer" / "task.py").write_text("def f(:\n    pass\n")

    found = unreadable(build(project / "trainer", out).files[0])

    assert found.text.startswith("trainer/task.py:1: Python cannot read this")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("trainer.taks", "Did you mean 'trainer.task'?"),
        ("task", "Did you mean 'trainer.task'?"),
        ("trainer", "cannot be run"),
        ("taxifare.task", "Did you mean 'trainer.task'?"),
    ],
)
def test_a_module_that_is_not_packed_is_refused_with_the_nearest(
    project: Path, out: Path, module: str, words: str
):
    archives = [read_archive(path) for path in build(project / "trainer", out).files]

    assert check_module("trainer.task", archives, package=project / "trainer") is None
    assert words in str(check_module(module, archives, package=project / "trainer"))


def test_a_module_below_a_source_folder_is_found_by_its_own_name(tmp_path: Path, out: Path):
    (tmp_path / "src" / "trainer").mkdir(parents=True)
    (tmp_path / "src" / "trainer" / "__init__.py").touch()
    (tmp_path / "src" / "trainer" / "__main__.py").touch()
    (tmp_path / "src" / "trainer" / "task.py").touch()
    (tmp_path / "lonely").mkdir()
    (tmp_path / "lonely" / "__init__.py").touch()
    (tmp_path / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='s', package_dir={'': 'src'}, packages=['trainer'])\n"
    )
    archives = [read_archive(path) for path in build(tmp_path / "lonely", out).files]

    assert check_module("trainer.task", archives) is None
    assert check_module("trainer", archives) is None


def test_a_setup_py_that_forgets_the_package_is_told_so(project: Path, out: Path):
    (project / "other").mkdir()
    (project / "other" / "__init__.py").touch()
    (project / "setup.py").write_text("from setuptools import setup\nsetup(name='o', packages=['other'])\n")
    built = build(project / "trainer", out)

    found = check_module(
        "trainer.task", [read_archive(path) for path in built.files], package=project / "trainer"
    )

    assert found is not None
    assert "setup.py does not pack it" in found.message
