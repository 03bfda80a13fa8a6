"""Whether packages fit the Python, the system and the pinned packages of a runtime, by what they state."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mlengine.preflight.archive import Archive
from mlengine.preflight.distributions import DISTRIBUTION_OF, Target, normal, standard_library
from mlengine.preflight.findings import Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

# Distributions of a runtime, and the other names under which packages ask for the same.
_ALSO_CALLED = {
    "tensorflow-cpu": ("tensorflow", "tensorflow-gpu", "tensorflow-intel"),
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu", "tensorflow-macos"),
    "xgboost-cpu": ("xgboost",),
    "scikit-learn": ("sklearn",),
}
# First versions with a wheel for a Python; what is older would have to be compiled, and does not.
_FIRST_WHEELS = {
    "3.11": {
        "numpy": "1.23.2",
        "pandas": "1.5.0",
        "scipy": "1.9.2",
        "scikit-learn": "1.1.3",
        "tensorflow": "2.12.0",
        "torch": "1.13.0",
        "h5py": "3.8.0",
        "pyarrow": "10.0.0",
    },
    "3.12": {
        "numpy": "1.26.0",
        "pandas": "2.1.1",
        "scipy": "1.11.2",
        "scikit-learn": "1.3.1",
        "tensorflow": "2.16.1",
        "torch": "2.2.0",
        "h5py": "3.10.0",
        "pyarrow": "14.0.0",
    },
}


def names(archives: Sequence[Archive]) -> list[str]:
    """The distributions that the archives ask for, and their own."""
    found = []
    for archive in archives:
        for text in archive.requires:
            if match := re.match(r"[A-Za-z0-9][\w.-]*", text):
                found.append(match[0])
    return found


def check_requirements(archives: Sequence[Archive], target: Target) -> Iterator[Finding]:
    """Compare what the archives require with what the runtime has."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    present = {
        alias: version for name, version in target.pinned.items() for alias in _ALSO_CALLED.get(name, ())
    }
    present |= target.pinned
    given = {normal(archive.name.partition("-")[0]) for archive in archives}
    standard = standard_library(target.python)
    for archive in archives:
        if archive.requires_python:
            try:
                fits = SpecifierSet(archive.requires_python).contains(f"{target.python}.0")
            except InvalidSpecifier:
                fits = True
            # `>3.11.2` says nothing about a minor version: only a clear no counts.
            if not fits and not SpecifierSet(archive.requires_python).contains(f"{target.python}.99"):
                yield Finding(
                    code="requires-python",
                    message=f"It needs Python {archive.requires_python}; {target.label} has {target.python}.",
                    where=archive.name,
                    hint="Loosen python_requires, or take another runtime: mlengine runtimes list",
                )
        for text in archive.requires:
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            name = normal(wanted.name)
            if wanted.marker and not wanted.marker.evaluate(
                {"python_version": target.python, "python_full_version": f"{target.python}.0", "extra": ""}
            ):
                continue
            if name in given:
                continue
            if name in present:
                if not wanted.specifier.contains(present[name], prereleases=True):
                    yield _conflict(archive, wanted, present[name], target)
            elif wanted.name in DISTRIBUTION_OF or wanted.name in standard:
                yield _misnamed(archive, wanted.name)


def check_wheels(archives: Sequence[Archive], target: Target, *, same_machine: bool) -> Iterator[Finding]:
    """See that wheels are for the runtime's Python and system.

    Args:
        same_machine: Whether the job will run on a system like this one.
    """
    from packaging.tags import compatible_tags, cpython_tags
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    version = tuple(int(part) for part in target.python.split("."))
    tags = {*cpython_tags(version), *compatible_tags(version, f"cp{version[0]}{version[1]}")}
    pythons = {(tag.interpreter, tag.abi) for tag in tags}
    for archive in archives:
        if not archive.wheel:
            continue
        try:
            own = parse_wheel_filename(archive.name)[3]
        except InvalidWheelFilename as error:
            yield Finding(
                code="not-an-archive",
                message=f"{error}.",
                where=archive.name,
                hint="Keep the name that the build gave it: NAME-VERSION-py3-none-any.whl",
            )
            continue
        if tags & own:
            continue
        if not any((tag.interpreter, tag.abi) in pythons for tag in own):
            spelled = ", ".join(sorted({f"{tag.interpreter}-{tag.abi}" for tag in own}))
            yield Finding(
                code="wheel-python",
                message=f"The wheel is for {spelled}; {target.label} has Python {target.python}.",
                where=archive.name,
                hint=f"Build it with Python {target.python}, or give the source archive.",
            )
        else:
            platforms = sorted({tag.platform for tag in own})
            foreign = any(name.startswith(("win", "macosx")) for name in platforms)
            yield Finding(
                code="wheel-platform",
                message=f"The wheel is for {', '.join(platforms)}; jobs run on the server's system.",
                where=archive.name,
                hint="Give a wheel for it (or a py3-none-any one), or the source archive.",
                lowered=not (same_machine or foreign),
            )


def _conflict(archive: Archive, wanted: Requirement, version: str, target: Target) -> Finding:
    """A need that the runtime does not meet: nothing can if no version of it runs on that Python."""
    spelled = f"{wanted.name}{wanted.specifier}"
    first = _first_wheel(wanted.name, target.python)
    if first and not _any_from(wanted.specifier, first):
        return Finding(
            code="requirement-conflict",
            message=f"It needs {spelled}, of which there is none for Python {target.python}; "
            f"{target.label[0].lower() + target.label[1:]} has {version}.",
            where=archive.name,
            hint=f"Loosen or drop {wanted.name} in install_requires: the runtime brings it.",
        )
    return Finding(
        code="requirement-conflict",
        message=f"It needs {spelled}, and {target.label[0].lower() + target.label[1:]} has {version}: "
        "an environment of its own is made for it, which takes longer.",
        where=archive.name,
        hint=f"If the runtime's will do, drop {wanted.name} from install_requires.",
        lowered=True,
    )


def _first_wheel(name: str, python: str) -> str:
    plain = {"tensorflow-gpu": "tensorflow", "tensorflow-cpu": "tensorflow", "sklearn": "scikit-learn"}
    return _FIRST_WHEELS.get(python, {}).get(plain.get(normal(name), normal(name)), "")


def _any_from(specifier: SpecifierSet, first: str) -> bool:
    """Whether a specifier admits a version from `first` on; of those, its own bounds are tried."""
    from packaging.version import InvalidVersion, Version

    least = Version(first)
    try:
        tried = [least, *(Version(each.version.removesuffix(".*")) for each in specifier)]
    except InvalidVersion:  # `===` takes any text
        return True
    return any(version >= least and specifier.contains(version, prereleases=True) for version in tried)


def _misnamed(archive: Archive, name: str) -> Finding:
    if name in DISTRIBUTION_OF:
        return Finding(
            code="requirement-name",
            message=f"'{name}' in install_requires is a module's name; the package is called otherwise.",
            where=archive.name,
            hint=f"Write '{DISTRIBUTION_OF[name]}'.",
        )
    return Finding(
        code="requirement-name",
        message=f"'{name}' in install_requires is part of Python and need not be installed.",
        where=archive.name,
        hint="Leave it out.",
    )
