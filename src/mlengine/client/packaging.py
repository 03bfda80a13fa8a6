"""A trainer's folder as a source distribution, built without writing a byte into that folder.

A child process builds in a temporary mirror made of links, so read-only folders work too.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlengine.errors import InvalidArgument, Problem
from mlengine.preflight.archive import read_archive
from mlengine.preflight.findings import Finding, refusal
from mlengine.preflight.syntax import parse

SKIPPED = frozenset(
    (".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".tox")
)
# Read by setuptools from the folder it runs in; copied, so that `__file__` in setup.py is in the mirror.
_COPIED = ("setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in")
# Any fixed moment from 1980 on does: a wheel is a zip file and knows no earlier one.
_MOMENT = 1577836800

_GENERATED = """\
from setuptools import find_packages, setup

setup(
    name={name!r},
    packages=find_packages(include=[{name!r}, {name!r} + ".*"]),
    package_data={{"": ["*", "**/*"]}},
    install_requires={requires!r},
)
"""


@dataclass(frozen=True, slots=True)
class Packed:
    """What was built.

    Attributes:
        files: The distributions, to be uploaded in this order.
        own_setup: Whether the user's own setup.py made them.
        notes: Sentences the user should read.
    """

    files: tuple[Path, ...]
    own_setup: bool
    notes: tuple[str, ...] = ()


def check_package(package: Path) -> None:
    """See that `package` is the folder of a Python package.

    Raises:
        InvalidArgument: missing, no folder, or without `__init__.py`.
    """
    if not package.is_dir():
        raise _refused(
            "no-package",
            f"--package-path {package} is no folder.",
            f"Name the folder it lies in: {package.parent}"
            if package.is_file()
            else f"This folder is {Path.cwd()}.",
        )
    if not (package / "__init__.py").is_file():
        inner = sorted(path.parent.name for path in package.glob("*/__init__.py"))
        raise _refused(
            "no-package",
            f"[{package}] is not a valid Python package because it does not contain an `__init__.py` file.",
            f"Did you mean --package-path {package / inner[0]}?"
            if inner
            else f"Make one: touch {package / '__init__.py'}",
        )


def build(package: Path, out: Path) -> Packed:
    """Build the source distribution that holds `package`.

    A setup.py beside the package is used; without one a plain one is made up, named after the package.

    Args:
        package: The package's folder, with `__init__.py`.
        out: Existing empty folder for the distributions.

    Raises:
        InvalidArgument: no package, or the build failed; with the build's own output.
    """
    check_package(package)
    package = package.resolve()
    parent = package.parent
    own_setup = (parent / "setup.py").is_file()
    if own_setup:
        _check_setup(parent / "setup.py")
    with tempfile.TemporaryDirectory(prefix="mlengine-pack-") as scratch:
        mirror = Path(scratch, "source")
        mirror.mkdir()
        _mirror(package, mirror / package.name, frozenset())
        notes: list[str] = []
        if own_setup:
            _link_beside(parent, mirror, but=package.name)
        else:
            text = _GENERATED.format(name=package.name, requires=_declared(parent))
            (mirror / "setup.py").write_text(text, encoding="utf-8")
            if (parent / "requirements.txt").is_file():
                notes.append(
                    f"{parent / 'requirements.txt'} is not read. "
                    "What the trainer needs stands in install_requires of a setup.py beside the package."
                )
        built = Path(scratch, "dist")
        _run_setup(mirror, Path(scratch), built, shown=parent / "setup.py" if own_setup else None)
        files = tuple(_settled(path, out) for path in sorted(built.iterdir()))
    return Packed(files, own_setup, tuple(notes))


def contents(archive: Path) -> dict[str, int]:
    """Names and sizes in bytes of the files in a distribution, without a source archive's top folder.

    Raises:
        InvalidArgument: no tar, zip or wheel.
    """
    return read_archive(archive).sizes


def checksum(files: tuple[Path, ...] | list[Path]) -> str:
    """One SHA-256 over the contents of all files, in order, in hexadecimal."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as source:
            while piece := source.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def check_names(files: list[Path]) -> None:
    """See that no two files would be uploaded to the same name. Raises InvalidArgument."""
    seen: dict[str, Path] = {}
    for path in files:
        if other := seen.get(path.name):
            raise _refused(
                "same-file-name",
                f"Two packages have the file name {path.name}: {other} and {path}.",
                "Rename one.",
            )
        seen[path.name] = path


def _mirror(source: Path, target: Path, above: frozenset[str]) -> None:
    """Folders anew, files as links, junk left out. `above` keeps a link to a parent from going round."""
    real = os.path.realpath(source)
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name in SKIPPED or entry.name.endswith((".pyc", ".pyo")):
                continue
            if entry.is_dir():
                inside = Path(entry.path)
                if os.path.realpath(inside) not in above | {real} and not _is_environment(inside):
                    _mirror(inside, target / entry.name, above | {real})
            elif entry.is_file():
                (target / entry.name).symlink_to(os.path.realpath(entry.path))


def _link_beside(parent: Path, mirror: Path, *, but: str) -> None:
    for entry in sorted(parent.iterdir()):
        if entry.name == but or entry.name in SKIPPED or entry.name in ("build", "dist"):
            continue
        if entry.name.endswith(".egg-info") or (entry.is_dir() and _is_environment(entry)):
            continue
        if entry.name in _COPIED and entry.is_file():
            shutil.copyfile(entry, mirror / entry.name)
        else:
            (mirror / entry.name).symlink_to(entry)


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file()


def _declared(parent: Path) -> list[str]:
    """The dependencies in a pyproject.toml beside the package, when it has any."""
    import tomllib

    try:
        project = tomllib.loads((parent / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError:
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{parent / 'pyproject.toml'} is not TOML: {error}.") from None
    found = project.get("dependencies", []) if isinstance(project, dict) else []
    return [str(requirement) for requirement in found] if isinstance(found, list) else []


def _run_setup(mirror: Path, scratch: Path, built: Path, *, shown: Path | None) -> None:
    temporary = scratch / "build"
    temporary.mkdir()
    information = ["egg_info", "--egg-base", str(temporary)]
    building = ["build", "--build-base", str(temporary), "--build-temp", str(temporary)]
    pack = ["sdist", "--formats", "gztar", "--dist-dir", str(built)]
    outputs: list[str] = []
    # A setup.py on bare distutils knows fewer commands: each attempt asks for less.
    for attempt in ([*information, *building, *pack], [*building, *pack], pack):
        child = subprocess.run(
            [sys.executable, "setup.py", *attempt],
            cwd=mirror,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"},
            check=False,
        )
        outputs.append(child.stdout.decode(errors="replace").strip())
        if child.returncode == 0 and built.is_dir() and any(built.iterdir()):
            return
        if "invalid command" not in outputs[-1]:
            break
    output = outputs[-1] or "setup.py built nothing and said nothing."
    lines = re.findall(r'File "[^"\n]*setup\.py", line (\d+)', output)
    place = f"{shown}:{lines[-1]}" if shown and lines else ""
    raise _refused(
        "build-failed",
        f"Packaging of user Python code failed with message:\n\n{output}\n"
        + (f"\nIt failed at {place}." if place else ""),
        "Write or mend the setup.py beside your package, or build the package yourself and name it "
        "with --packages.",
    )


def _check_setup(setup: Path) -> None:
    """See that Python 3 can read the user's setup.py; a build would say it in fewer words."""
    found = parse(str(setup), setup.read_bytes())
    if isinstance(found, Finding):
        raise refusal((found,))


def _refused(code: str, message: str, hint: str) -> Problem:
    return refusal((Finding(code=code, message=message, hint=hint),))


def _settled(path: Path, out: Path) -> Path:
    """The archive in `out`, with times and owners settled: the same sources give the same bytes."""
    target = out / path.name
    if not path.name.endswith(".tar.gz"):
        shutil.move(path, target)
        return target
    with (
        tarfile.open(path) as source,
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=_MOMENT, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as sink,
    ):
        for member in sorted(source, key=lambda member: member.name):
            member.mtime = _MOMENT
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            sink.addfile(member, source.extractfile(member) if member.isfile() else None)
    return target
