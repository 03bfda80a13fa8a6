"""Running a trainer on this machine as the service would start it, and what is known to fail beforehand."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlengine.client.local_cluster import config
from mlengine.client.packaging import SKIPPED
from mlengine.errors import FailedPrecondition
from mlengine.preflight.findings import Report

# Run by the trainer's Python: its version, and which of these modules it cannot find.
_PROBE = """\
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True
print(json.dumps(["%d.%d" % sys.version_info[:2], [name for name in sys.argv[2:] if not there(name)]]))
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


def check(
    python: str, module: str, args: Sequence[str], package: Path, environment: Mapping[str, str]
) -> Report:
    """What is known to fail before the trainer is started: the checks of a submitted job that apply here."""
    from mlengine.preflight.archive import read_folder
    from mlengine.preflight.check import check_local
    from mlengine.preflight.imports import Sources

    folder = read_folder(package, SKIPPED)
    if folder is None:
        return Report(unchecked=(f"The sources: {package} holds too many files.",))
    sources = Sources([folder], module)
    wanted = {each.module.partition(".")[0] for name in sources.trees for each in sources.imports(name)}
    version, missing = _probe(python, package, sorted(wanted - {""}), environment)
    return check_local(module, args, folder, interpreter=python, python=version, missing=missing)


def _probe(
    python: str, package: Path, names: Sequence[str], environment: Mapping[str, str]
) -> tuple[str, list[str]]:
    """The version of a Python, and what of `names` it lacks; "" and nothing if it cannot say."""
    try:
        child = subprocess.run(
            [python, "-c", _PROBE, str(package.parent), *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
        version, missing = json.loads(child.stdout)
    except (OSError, ValueError):
        return "", []
    return str(version), list(missing)
