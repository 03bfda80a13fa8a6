"""What a replica's process is first: it makes the trainer's environment, then becomes the trainer.

    python -m mlengine.backends.launcher SPEC.json

runs under the shim with the server's own Python, in an environment in which uv works. SPEC.json says:

    runtime         name of the runtime version
    packages        paths of the package archives, in the order to install them
    python_module   what to run
    args            the user's arguments
    job_dir         appended as `--job-dir URL`; "" for none
    env             the whole environment of the trainer (`trainer_environment`)
    task_dir        a folder of this task's own; `environment/` and `work/` are made in it, and
                    `requirements.lock`, which says what the environment holds
    cache_dir       where the environments of runtimes are kept

Lines of ours go to standard error as JSON with a severity, which the shim takes apart. What does not work
before the trainer runs ends with code 1 and a last line of severity ERROR that says why. Lean in its imports:
it stands before every start of every job.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mlengine.environments import (
    Builder,
    Layers,
    Overlay,
    check_module,
    framework_variables,
    make_layers,
    resolve,
)
from mlengine.environments.lockfile import lock_hash
from mlengine.errors import Problem

# In the task's folder: all distributions of its environment, with versions and hashes.
LOCK = "requirements.lock"

_PHASE = "MLENGINE_PHASE_FILE"
# The executor's marks, by which it finds the strays of a job among all processes, and the GPUs it gave.
_MARKS = ("MLENGINE_TASK_ID", "MLENGINE_TASK_FOLDER", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run; the fields are those of SPEC.json."""

    runtime: str
    packages: tuple[Path, ...]
    python_module: str
    args: tuple[str, ...]
    job_dir: str
    env: dict[str, str]
    task_dir: Path
    cache_dir: Path

    @classmethod
    def read(cls, path: Path) -> Spec:
        """Read SPEC.json.

        Raises:
            OSError, ValueError, KeyError: It is not there, or not one.
        """
        said = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            runtime=said["runtime"],
            packages=tuple(Path(package) for package in said["packages"]),
            python_module=said["python_module"],
            args=tuple(said["args"]),
            job_dir=said["job_dir"],
            env=dict(said["env"]),
            task_dir=Path(said["task_dir"]).absolute(),
            cache_dir=Path(said["cache_dir"]).absolute(),
        )

    def command(self) -> list[str]:
        """The trainer's command line after its Python; --job-dir is last, and two words, as ever."""
        return ["-m", self.python_module, *self.args, *(["--job-dir", self.job_dir] if self.job_dir else [])]


def main(arguments: Sequence[str]) -> int:
    """Prepare, then become the trainer. Returns an exit code only if that fails.

    Args:
        arguments: The path of SPEC.json.
    """
    if len(arguments) != 1:
        _say("ERROR", "usage: python -m mlengine.backends.launcher SPEC.json")
        return 2
    try:
        spec = Spec.read(Path(arguments[0]))
        overlay = _prepare(spec)
        _become(spec, overlay)
    except Problem as problem:
        _say("ERROR", str(problem))
    except (OSError, ValueError, KeyError) as error:
        _say("ERROR", f"The task of {arguments[0]} cannot be started: {type(error).__name__}: {error}.")
    return 1


def _prepare(spec: Spec) -> Overlay:
    runtime = resolve(spec.runtime).runtime
    builder = Builder(spec.cache_dir)
    builder.build(runtime, lambda line: _say("INFO", line))
    began = time.monotonic()
    layers = make_layers(
        builder,
        runtime,
        spec.task_dir / "environment",
        spec.packages,
        lambda line: _say("INFO", line),
    )
    overlay = layers.overlay
    for note in layers.notes:
        _say("WARNING", note)
    if spec.packages:
        _say("INFO", f"Installed {_listed(overlay)} on {runtime.name} in {time.monotonic() - began:.1f} s.")
    _keep_lock(layers, spec.task_dir)
    check_module(overlay, spec.python_module)
    return overlay


def _keep_lock(layers: Layers, folder: Path) -> None:
    """Write down what the job runs on, beside the job."""
    text = layers.lock()
    draft = folder / f"{LOCK}.new"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / LOCK)
    _say("INFO", f"Its packages with their versions are in {LOCK}, SHA-256 {lock_hash(text)}.")


def _become(spec: Spec, overlay: Overlay) -> NoReturn:
    env = _environment(spec, overlay)
    work = spec.task_dir / "work"
    for folder in (work, *(Path(env[name]) for name in ("HOME", "TMPDIR") if env.get(name))):
        folder.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    command = spec.command()
    _say("INFO", f"Running command: python3 {shlex.join(command)}")
    _say_running()
    os.execve(overlay.python, [str(overlay.python), *command], env)


def _environment(spec: Spec, overlay: Overlay) -> dict[str, str]:
    env = {
        "PYTHONUNBUFFERED": "1",  # lines appear when they are printed
        **framework_variables(""),
        **spec.env,
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["VIRTUAL_ENV"] = str(overlay.directory)
    # `python`, `pip install`ed scripts and `tensorboard` started by the trainer are those of its environment.
    env["PATH"] = os.pathsep.join(
        [str(overlay.directory / "bin"), str(overlay.runtime / "bin"), env.get("PATH", os.defpath)]
    )
    return env | {mark: os.environ[mark] for mark in _MARKS if mark in os.environ}


def _say_running() -> None:
    """Tell the executor, if it asked to be told, that from now on the user's code runs."""
    if path := os.environ.get(_PHASE):
        draft = Path(f"{path}.new")
        draft.write_text("RUNNING", encoding="utf-8")
        draft.replace(path)


def _listed(overlay: Overlay) -> str:
    own = ", ".join(f"{name} {version}" for name, version in overlay.own.items())
    added = ", ".join(f"{name} {version}" for name, version in overlay.added.items())
    return f"{own} and what it needs ({added})" if added else own


def _say(severity: str, message: str) -> None:
    sys.stderr.write(json.dumps({"severity": severity, "message": message}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
