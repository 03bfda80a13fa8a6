"""A job's own environment: its packages, laid over a runtime that stays as it is.

The overlay is a virtual environment of its own whose `.pth` file puts the runtime's packages behind its own.
What the runtime has is left out of the installation: uv is told to override it away, under every name it goes
by, for a required `tensorflow` is not satisfied by an installed `tensorflow-cpu` and would be fetched again.

That hides conflicts of versions, so they are looked for afterwards. What to do about one is said in `layers`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlengine.environments import uv
from mlengine.environments.lockfile import Pin, file_hash
from mlengine.environments.package import Package, normal, read_package
from mlengine.errors import FailedPrecondition, nearest

# A distribution of a runtime -> other names under which packages ask for the same thing.
ALSO_CALLED = {
    "tensorflow-cpu": ("tensorflow", "tensorflow-gpu", "tensorflow-intel", "tf-nightly"),
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu", "tensorflow-macos"),
    "xgboost-cpu": ("xgboost",),
    "xgboost": ("xgboost-cpu",),
    "tensorboard": ("tensorflow-tensorboard", "tb-nightly"),
    "scikit-learn": ("sklearn",),  # a package that only fails, and old setup.py files that ask for it
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A job's environment.

    Args:
        python: Its Python.
        directory: The environment itself.
        runtime: The environment below it.
        own: What was installed for the packages given: version by distribution.
        added: What they needed and the runtime lacks: version by distribution.
        modules: The modules of the packages given, sorted.
        pins: All that lies over the runtime, by name, with the hashes of the packages given.
    """

    python: Path
    directory: Path
    runtime: Path
    own: Mapping[str, str]
    added: Mapping[str, str]
    modules: tuple[str, ...]
    pins: Mapping[str, Pin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Something a package needs in another version than the runtime has.

    Args:
        package: Whose need it is, with its version: "trainer 0.1".
        name: What it needs, as the runtime calls it.
        wanted: The need as written: "pandas<2".
        present: The runtime's version.
        direct: Whether it is a package given that needs it, and not one fetched for those.
    """

    package: str
    name: str
    wanted: str
    present: str
    direct: bool


class Conflicts(FailedPrecondition):
    """Packages do not fit the runtime below them.

    Args:
        found: Where they do not fit; at least one.
        needs: All that the packages given need, whether it fits or not.
        runtime_name: For the message.
    """

    def __init__(self, found: Sequence[Conflict], needs: Sequence[str], *, runtime_name: str) -> None:
        self.found, self.needs = tuple(found), tuple(needs)
        said = "; ".join(
            f"{each.package} needs {each.wanted}, but the runtime {runtime_name} has {each.present}"
            for each in found
        )
        name = found[0].wanted.split("<")[0].split(">")[0].split("=")[0].strip("!~ ")
        super().__init__(
            f"The package {said}.",
            hint=f"Loosen or drop {name} in its install_requires: the runtime brings it. "
            "Or take another runtime version: mlengine runtimes list",
        )


def make_overlay(
    runtime_python: Path,
    target: Path,
    packages: Sequence[Path],
    *,
    runtime_name: str,
    constraints: Sequence[str] = (),
) -> Overlay:
    """Make an environment of `packages` over a runtime.

    Source archives for setuptools are built with the runtime's, without fetching anything; those that ask for
    another build tool get it in a passing environment of its own.

    Args:
        runtime_python: The Python of the built runtime.
        target: The folder to make; what stood there is removed.
        packages: Archives, installed in this order. One that bears the name of a package of the runtime
            takes its place.
        runtime_name: For messages.
        constraints: Versions of what is fetched, "tqdm==4.70.1"; the newest of all others.

    Raises:
        InvalidArgument: A file is not a package.
        Conflicts: A package needs other versions than the runtime's.
        FailedPrecondition: A package does not build, or needs what no index has.
    """
    archives = [read_package(path) for path in packages]
    runtime = runtime_python.parent.parent
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(archive.path.name for archive in archives) or "the job"
    purpose = f"The environment of {listed} cannot be made"
    # The base Python is named, not the runtime's: uv would look through the link anyhow.
    uv.run(
        ["venv", "--quiet", "--python", str(runtime_python), str(target)],
        folder=target.parent,
        purpose=purpose,
    )
    site, below = _site(target), _site(runtime)
    (site / "_runtime.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n", encoding="utf-8")
    python = target / "bin" / "python"

    brought = _versions(below)
    if archives:
        _install(archives, python=python, leave_out=_names(brought), constraints=constraints, folder=target)
    installed = _versions(site)
    names = {archive.name for archive in archives}
    _check(site, own=names, installed=installed, brought=brought, runtime_name=runtime_name)
    hashes = {archive.name: (file_hash(archive.path),) for archive in archives}
    return Overlay(
        python=python,
        directory=target,
        runtime=runtime,
        own={name: version for name, version in installed.items() if name in names},
        added={name: version for name, version in installed.items() if name not in names},
        modules=_modules(site, names),
        pins={
            name: Pin(name=name, version=version, hashes=hashes.get(name, ()))
            for name, version in installed.items()
        },
    )


def check_module(overlay: Overlay, module: str) -> None:
    """See to it that `python -m module` will find something.

    Raises:
        FailedPrecondition: It will not.
    """
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return
    is_package = False
    for site in (_site(overlay.directory), _site(overlay.runtime)):
        place = site.joinpath(*parts)
        if place.with_name(f"{place.name}.py").is_file() or (place / "__main__.py").is_file():
            return
        is_package = is_package or place.is_dir()
    if is_package:
        inside = [name for name in overlay.modules if name.startswith(f"{module}.")]
        raise FailedPrecondition(
            f"Module {module} is a package without a __main__.py, so it cannot be run; "
            f"it contains: {', '.join(inside) or 'no modules'}.",
            hint=nearest(f"{module}.task", inside),
        )
    if not overlay.modules:
        raise FailedPrecondition(
            f"Module {module} is not in the packages; they contain no modules at all.",
            hint="find_packages() in setup.py takes only folders with an __init__.py: is it there?",
        )
    shown = ", ".join(overlay.modules[:40]) + (", …" if len(overlay.modules) > 40 else "")
    close = nearest(module, list(overlay.modules))
    raise FailedPrecondition(f"Module {module} is not in the packages; they contain: {shown}.", hint=close)


def _install(
    archives: Sequence[Package],
    *,
    python: Path,
    leave_out: Iterable[str],
    constraints: Sequence[str],
    folder: Path,
) -> None:
    given = {archive.name for archive in archives}
    overrides = folder / "left-out.txt"
    lines = [f"{name} ; sys_platform == 'never'\n" for name in sorted(set(leave_out) - given)]
    overrides.write_text("".join(lines), encoding="utf-8")
    command = ["pip", "install", "--python", str(python), "--overrides", str(overrides)]
    if constraints:
        versions = folder / "versions.txt"
        versions.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        command += ["--constraints", str(versions)]
    for archive in archives:
        if not archive.needs_isolation:
            command += ["--no-build-isolation-package", archive.name]
    command += [str(archive.path) for archive in archives]
    names = ", ".join(archive.path.name for archive in archives)
    uv.run(command, folder=folder, purpose=f"The packages {names} cannot be installed")


def _check(
    site: Path,
    *,
    own: set[str],
    installed: Mapping[str, str],
    brought: Mapping[str, str],
    runtime_name: str,
) -> None:
    """Compare what was installed with the runtime below it; raises `Conflicts`."""
    from importlib.metadata import distributions

    from packaging.requirements import Requirement

    # Of the Python they are for, which need not be the one that runs us.
    full = _python_version(site.parent.parent.parent)
    markers = {"python_full_version": full, "python_version": ".".join(full.split(".")[:2]), "extra": ""}
    called = {alias: name for name in brought for alias in ALSO_CALLED.get(name, ())}
    called |= {name: name for name in brought}
    found, needs = [], []
    for distribution in distributions(path=[str(site)]):
        for text in distribution.requires or ():
            required = Requirement(text)
            name = normal(required.name)
            if required.marker and not required.marker.evaluate(markers):
                continue
            if normal(distribution.name) in own and name not in own:
                plain = f"{called.get(name, name)}{_extras(required.extras)}"
                needs.append(f"{plain} @ {required.url}" if required.url else f"{plain}{required.specifier}")
            if name in installed or name not in called:
                continue
            present = brought[called[name]]
            if not required.specifier.contains(present, prereleases=True):
                found.append(
                    Conflict(
                        package=f"{distribution.name} {distribution.version}",
                        name=called[name],
                        wanted=f"{required.name}{required.specifier}",
                        present=present,
                        direct=normal(distribution.name) in own,
                    )
                )
    if found:
        raise Conflicts(found, needs, runtime_name=runtime_name)


def _extras(extras: Iterable[str]) -> str:
    return f"[{','.join(sorted(extras))}]" if extras else ""


def _versions(site: Path) -> dict[str, str]:
    """Version by distribution, from the names of the metadata folders: to read 80 files takes long."""
    found = {}
    for folder in sorted(site.glob("*.dist-info")):
        distribution, _, version = folder.stem.partition("-")
        found[normal(distribution)] = version
    return found


def _names(brought: Iterable[str]) -> set[str]:
    return {name for each in brought for name in (each, *ALSO_CALLED.get(each, ()))}


def _modules(site: Path, names: set[str]) -> tuple[str, ...]:
    """The modules that the distributions of these names installed."""
    from importlib.metadata import distributions

    found = set()
    for distribution in distributions(path=[str(site)]):
        if normal(distribution.name) in names:
            for file in distribution.files or ():
                if file.suffix == ".py" and ".." not in file.parts:
                    parts = file.with_suffix("").parts
                    found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return tuple(sorted(found))


def _site(environment: Path) -> Path:
    return next((environment / "lib").glob("python3.*")) / "site-packages"


def _python_version(environment: Path) -> str:
    for line in (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version_info", "version"):
            return value.strip()
    raise FailedPrecondition(f"The environment {environment} does not say which Python it has.")
