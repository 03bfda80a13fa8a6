"""Whether `python -m MODULE` will find something in the packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mlengine.errors import nearest
from mlengine.preflight.archive import Archive
from mlengine.preflight.findings import Finding

_FIELD = "job.training_input.python_module"


def check_module(
    module: str, archives: Sequence[Archive], *, package: Path | None = None, installed: bool = True
) -> Finding | None:
    """What is wrong with the module to run; None if nothing.

    Args:
        package: The folder the first archive was built from, where it is at hand.
        installed: Whether it is run from where packages are installed, and not from its own folder.
    """
    if misspelt := _as_file(module):
        return _found("module-name", f"'{module}' is the name of a file.", f"Write --module-name {misspelt}")
    known = sorted({name for archive in archives for name in archive.modules})
    runnable = [name for name in known if not _is_package(name, archives)]
    if module in runnable or f"{module}.__main__" in runnable:
        return _shadowed(module) if installed else None
    if module in known:
        inside = [name for name in runnable if name.startswith(module + ".")]
        return _found(
            "module-is-package",
            f"'{module}' is a package and cannot be run; --module-name needs a module in it.",
            f"One of: {', '.join(inside[:5])}" if inside else "",
        )
    wanted = module.replace(".", "/")
    if package and (package.parent / f"{wanted}.py").is_file() and (package.parent / "setup.py").is_file():
        return _found(
            "module-not-packed",
            f"{wanted}.py exists, but {package.parent / 'setup.py'} does not pack it.",
            "Let its `packages` name it: packages=find_packages()",
        )
    if not runnable:
        return _empty(module, archives, package)
    last = module.rpartition(".")[2]
    same = [name for name in runnable if name.rpartition(".")[2] == last]
    hint = f"Did you mean '{same[0]}'?" if same else nearest(module, runnable)
    return _found(
        "no-module",
        f"The package holds no module '{module}', so `python -m {module}` would fail.",
        hint or f"It holds: {', '.join(runnable[:10])}",
    )


def _as_file(module: str) -> str:
    """How a module named as a path is written, or "" if it is none."""
    if not module or (re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", module) and not module.endswith(".py")):
        return ""
    dotted = module.removeprefix("./").removesuffix(".py").strip("/").replace("/", ".")
    dotted = re.sub(r"[^\w.]", "_", dotted).strip(".")
    return dotted or "trainer.task"


def _is_package(module: str, archives: Sequence[Archive]) -> bool:
    return any(archive.modules.get(module, "").endswith("__init__.py") for archive in archives)


def _shadowed(module: str) -> Finding | None:
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return None
    return _found(
        "shadowed-module",
        f"Python has a module '{top}' of its own, which comes first: `python -m {module}` fails.",
        "Rename the package, to trainer for instance.",
    )


def _empty(module: str, archives: Sequence[Archive], package: Path | None) -> Finding:
    names = ", ".join(archive.name for archive in archives)
    return _found(
        "empty-package",
        f"{names} holds no module to run at all, so `python -m {module}` would fail.",
        f"Let {package.parent / 'setup.py'} pack them: packages=find_packages()"
        if package and (package.parent / "setup.py").is_file()
        else "A package is a folder with __init__.py and modules.",
    )


def _found(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, message=message, hint=hint, field=_FIELD)
