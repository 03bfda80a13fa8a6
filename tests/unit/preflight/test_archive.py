"""What an archive says of itself, whoever packed it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mlengine.errors import InvalidArgument
from mlengine.preflight.archive import Archive, read_archive, read_folder, read_within
from tests.trainer_package import trainer_package


def of(**texts: str) -> Archive:
    contents = {name: text.encode() for name, text in texts.items()}
    return Archive("a.tar.gz", {name: len(text) for name, text in contents.items()}, contents)


def test_modules_are_named_as_once_installed():
    archive = of(
        **{"src/t/__init__.py": "", "src/t/task.py": "", "tool.py": "", "setup.py": "", "a-b.py": ""}
    )

    assert archive.modules == {"t": "src/t/__init__.py", "t.task": "src/t/task.py", "tool": "tool.py"}
    assert archive.roots == ("", "src")
    assert archive.top_level == {"t", "tool"}


def test_requirements_are_read_in_new_and_old_metadata():
    new = of(**{"PKG-INFO": "Name: t\nRequires-Dist: six>=1\nRequires-Dist: x; extra == 'more'\n\nText"})
    old = of(**{"t.egg-info/requires.txt": "six>=1\nkeras\n\n[more]\nx\n"})
    python = of(**{"PKG-INFO": "Name: t\nRequires-Python: >=3.6\n\nRequires-Python: none\n"})

    assert (new.requires, old.requires) == (("six>=1",), ("six>=1", "keras"))
    assert python.requires_python == ">=3.6"


def test_more_than_is_asked_for_is_not_unpacked(tmp_path: Path):
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz") as tar:
        entry = tarfile.TarInfo("t-1/zeros")
        entry.size = 64 << 20
        tar.addfile(entry, io.BytesIO(bytes(64 << 20)))
    (tmp_path / "t.tar.gz").write_bytes(trainer_package())

    assert read_within(bomb, most=1 << 20) is None
    assert read_within(tmp_path / "t.tar.gz", most=1 << 20) is not None
    assert read_archive(bomb).contents == {}


@pytest.mark.parametrize("cut", [0, 1, 20, 100])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_damaged_archive_is_no_archive(tmp_path: Path, kind: str, cut: int):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bag:
        bag.writestr("t/task.py", "x = 1\n" * 100)
    whole = trainer_package("x = 1\n" * 100) if kind == "tar" else content.getvalue()
    path = tmp_path / f"t.{kind}"
    path.write_bytes(whole[:cut])

    with pytest.raises(InvalidArgument, match="is no Python package"):
        read_archive(path)


def test_a_folder_is_read_without_what_no_trainer_is_in(tmp_path: Path):
    for name in ("t/__init__.py", "t/task.py", "t/.git/x.py", "t/env/lib/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "t" / "env" / "pyvenv.cfg").touch()

    found = read_folder(tmp_path / "t", frozenset([".git"]))

    assert found is not None
    assert set(found.modules) == {"t", "t.task"}
