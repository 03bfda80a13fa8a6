"""What is read from a package archive without unpacking it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mlengine.environments.package import read_package
from mlengine.errors import InvalidArgument


def tar(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def test_name_and_build_tool_come_from_the_archive_s_own_files(tmp_path: Path) -> None:
    files = {
        "t-0.1/PKG-INFO": "Metadata-Version: 2.1\nName: My_Trainer\nVersion: 0.1\n",
        "t-0.1/my_trainer.egg-info/PKG-INFO": "Name: wrong\n",
        "t-0.1/pyproject.toml": '[build-system]\nrequires = ["flit"]\nbuild-backend = "flit.buildapi"\n',
    }

    package = read_package(tar(tmp_path / "anything.tar.gz", files))

    assert (package.name, package.needs_isolation) == ("my-trainer", True)


@pytest.mark.parametrize(
    "project",
    [
        "",
        "[tool.black]\n",
        '[build-system]\nrequires = ["setuptools>=61", "wheel"]\nbuild-backend = "setuptools.build_meta"\n',
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta:__legacy__"\n',
    ],
)
def test_setuptools_alone_is_built_with_the_runtime_s(tmp_path: Path, project: str) -> None:
    files = {"t-0.1/setup.py": "", "t-0.1/pyproject.toml": project, "t-0.1/PKG-INFO": "Name: t\n"}

    assert not read_package(tar(tmp_path / "t-0.1.tar.gz", files)).needs_isolation


def test_setuptools_with_a_plug_in_needs_an_environment_of_its_own(tmp_path: Path) -> None:
    project = '[build-system]\nrequires = ["setuptools", "setuptools_scm[toml]>=8"]\n'

    assert read_package(tar(tmp_path / "t-0.1.tar.gz", {"t-0.1/pyproject.toml": project})).needs_isolation


def test_an_archive_without_metadata_is_named_after_its_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "my.trainer-1.0.zip", "w") as archive:
        archive.writestr("my.trainer-1.0/setup.py", "")

    assert read_package(tmp_path / "my.trainer-1.0.zip").name == "my-trainer"


def test_a_wheel_is_named_by_its_file(tmp_path: Path) -> None:
    assert read_package(tmp_path / "My_Trainer-0.1-py3-none-any.whl").name == "my-trainer"


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "trainer.tar.gz").write_text("not an archive")

    with pytest.raises(InvalidArgument, match=r"The package trainer\.tar\.gz cannot be read"):
        read_package(tmp_path / "trainer.tar.gz")
    with pytest.raises(InvalidArgument, match=r"gone\.tar\.gz does not exist"):
        read_package(tmp_path / "gone.tar.gz")
