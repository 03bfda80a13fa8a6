"""Running a trainer on this machine as the service would start it, and what its failure may mean."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlengine.client.local_cluster import config
from mlengine.client.packaging import SKIPPED
from mlengine.client.preflight import check_source
from mlengine.errors import FailedPrecondition, InvalidArgument, nearest

# Run by the trainer's Python: which of these modules it cannot find.
_PROBE = """\
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
print(json.dumps([name for name in sys.argv[2:] if importlib.util.find_spec(name) is None]))
"""


def interpreter(environment: Mapping[str, str]) -> str:
    """The Python for trainers when none is named: MLENGINE_LOCAL_PYTHON, else `python` on PATH.

    Raises:
        FailedPrecondition: there is none.
    """
    chosen = environment.get("MLENGINE_LOCAL_PYTHON", "")
    for name in (chosen,) if chosen else ("python", "python3"):
        if found := shutil.which(name, path=environment.get("PATH")):
            return found
    raise FailedPrecondition(
        f"There is no {chosen or 'python'} to run the trainer with.",
        hint="Name one with --python PATH, or let mlengine make one: --runtime-version V",
    )


def run(
    python: str,
    module: str,
    args: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
) -> int:
    """Run `PYTHON -m MODULE ARGS` in `folder` with TF_CONFIG set; its exit code, 128 + n for signal n.

    Raises:
        FailedPrecondition: the Python cannot be started.
    """
    variables = {**environment, "TF_CONFIG": config(module, args, None, "", 0)}
    try:
        child = subprocess.Popen([python, "-m", module, *args], cwd=folder, env=variables)
    except OSError as error:
        raise FailedPrecondition(f"{python} cannot be started: {error.strerror}.") from None
    # Ctrl-C reaches the trainer as well: how that ends is for the trainer to say.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def diagnosis(python: str, module: str, package: Path) -> str:
    """Why a trainer may have failed at once, with the cure; "" when nothing is found."""
    sources = _sources(package)
    if module.partition(".")[0] == package.name:
        wanted = package.parent / module.replace(".", "/")
        if not wanted.with_suffix(".py").is_file() and not (wanted / "__main__.py").is_file():
            known = [_dotted(path, package.parent) for path in sources]
            return f"There is no module '{module}' in {package}. {nearest(module, known)}".strip()
    for path, content in sources.items():
        try:
            check_source(str(path.relative_to(package.parent)), content)
        except InvalidArgument as problem:
            return str(problem)
    missing = _missing(python, package, _imports(sources))
    if missing:
        return (
            f"{python} has no {', '.join(missing)}. Run it in a runtime of the service: "
            "add --runtime-version V (see: mlengine runtimes list)."
        )
    return ""


def _sources(package: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in sorted(package.rglob("*.py"))
        if not SKIPPED & set(path.relative_to(package).parts) and path.is_file()
    }


def _imports(sources: Mapping[Path, bytes]) -> list[str]:
    """What the files import at their top level; what stands in a `try` there may be missing."""
    found: set[str] = set()
    for content in sources.values():
        for node in ast.parse(content).body:
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return sorted(found)


def _missing(python: str, package: Path, names: Sequence[str]) -> list[str]:
    child = subprocess.run(
        [python, "-c", _PROBE, str(package.parent), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    try:
        return list(json.loads(child.stdout))
    except ValueError:
        return []


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts)
