"""What a trainer's package archive says of itself, read without unpacking or running any of it."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mlengine.errors import InvalidArgument

_SETUPTOOLS = {"setuptools", "wheel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An archive that can be installed.

    Args:
        path: Where it lies, absolute.
        name: The name of its distribution in normal form: lower case, dashes.
        needs_isolation: Whether building it takes more than setuptools and wheel, which runtimes have.
    """

    path: Path
    name: str
    needs_isolation: bool


def normal(name: str) -> str:
    """The normal form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_package(path: Path) -> Package:
    """Read an archive's name and how it wants to be built.

    Args:
        path: A wheel, or a source archive (.tar.gz, .zip, …).

    Raises:
        InvalidArgument: There is no such file, or it is no such archive.
    """
    path = path.absolute()
    if path.suffix == ".whl":
        return Package(path=path, name=normal(path.name.partition("-")[0]), needs_isolation=False)
    try:
        info, project = _members(path)
    except FileNotFoundError as error:
        raise InvalidArgument(f"The package {path} does not exist.") from error
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InvalidArgument(
            f"The package {path.name} cannot be read: {error}.",
            hint="A package is a source archive (python setup.py sdist) or a wheel.",
        ) from error
    named = re.search(r"^Name: *(\S+)", info, re.MULTILINE)
    # Archives not made by a build tool, a zipped repository say, have no PKG-INFO; their file name must do.
    name = named[1] if named else re.split(r"-\d|\.(?:tar|tgz|zip)", path.name)[0]
    return Package(path=path, name=normal(name), needs_isolation=_needs_isolation(project, path))


def _members(path: Path) -> tuple[str, str]:
    """PKG-INFO and pyproject.toml of the archive's only folder, "" for what is not there."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            texts = {name: archive.read(name) for name in archive.namelist() if _wanted(name)}
    else:
        texts = {}
        with tarfile.open(path) as tar:
            for member in tar:
                if _wanted(member.name) and (file := tar.extractfile(member)):
                    texts[member.name] = file.read()
    found = {name.rpartition("/")[2]: text.decode("utf-8", "replace") for name, text in texts.items()}
    return found.get("PKG-INFO", ""), found.get("pyproject.toml", "")


def _wanted(name: str) -> bool:
    return re.fullmatch(r"(?:\./)?[^/]+/(?:PKG-INFO|pyproject\.toml)", name) is not None


def _needs_isolation(project: str, path: Path) -> bool:
    try:
        build = tomllib.loads(project).get("build-system", {})
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"The package {path.name} has a faulty pyproject.toml: {error}.") from error
    names = {normal(re.split(r"[^\w.-]", required.strip())[0]) for required in build.get("requires", ())}
    backend = build.get("build-backend", "setuptools.build_meta")
    return not (names <= _SETUPTOOLS and backend.startswith("setuptools.") and "backend-path" not in build)
