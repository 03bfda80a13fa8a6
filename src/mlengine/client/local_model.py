"""Predictions of an exported model without a server: the service's own model worker, run once."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mlengine.client.http import Json, problem
from mlengine.environments import Builder, resolve
from mlengine.environments.models import for_model
from mlengine.errors import Internal, InvalidArgument

# What a model folder holds -> its framework, as `resolve` wants it.
_FILES = {
    "saved_model.pb": "TENSORFLOW",
    "saved_model.pbtxt": "TENSORFLOW",
    "model.keras": "KERAS",
    "model.h5": "KERAS",
    "model.bst": "XGBOOST",
    "model.json": "XGBOOST",
    "model.ubj": "XGBOOST",
    "model.txt": "LIGHTGBM",
    "model.pt2": "PYTORCH",
    "model.pt": "PYTORCH",
    "model.onnx": "ONNX",
    "model.joblib": "SCIKIT_LEARN",
    "model.pkl": "SCIKIT_LEARN",
}


def check_folder(text: str, *, any_files: bool = False) -> Path:
    """The folder of a model. Raises InvalidArgument when it is none, with the nearest one that is.

    Args:
        any_files: Whether code of the user's reads them, whatever they are called.
    """
    if text.startswith("gs://"):
        raise InvalidArgument(
            f"--model-dir {text} is in a bucket; local predict reads a local folder.",
            hint=f"Copy it first: mlengine storage cp -r {text.rstrip('/')} .",
        )
    folder = Path(text)
    if not folder.is_dir():
        hint = (
            f"Name its folder: --model-dir {folder.parent}"
            if folder.is_file()
            else f"This folder is {Path.cwd()}."
        )
        raise InvalidArgument(f"--model-dir {text} is no folder.", hint=hint)
    if not any_files and not framework(folder):
        below = sorted(path.parent for name in _FILES for path in folder.glob(f"*/{name}"))
        raise InvalidArgument(
            f"--model-dir {text} holds no model: none of {', '.join(_FILES)} is there.",
            hint=f"Did you mean --model-dir {below[0]}?" if below else "",
        )
    return folder


def framework(folder: Path) -> str:
    """The framework that the files of a model folder tell, "" if they tell none."""
    return next((kind for name, kind in _FILES.items() if (folder / name).exists()), "")


def predict(
    folder: Path,
    body: Json,
    *,
    named_framework: str,
    runtime_version: str,
    prediction_class: str = "",
    packages: Sequence[Path] = (),
    cache_dir: Path,
    on_progress: Callable[[str], None],
    on_output: Callable[[str], None],
) -> Json:
    """The model's answer to a prediction body, from a worker in the environment of a runtime.

    Args:
        named_framework: "scikit-learn", or "" to go by the files.
        runtime_version: "" for the default of the framework.
        prediction_class: "module.Class" of a custom prediction routine; "" for a model of a framework.
        packages: Source archives and wheels that the model needs.
        cache_dir: Where environments are kept.
        on_progress: Told what an old number is mapped to, and how the environment is built at its first use.
        on_output: Given what worker and framework write to standard error.

    Raises:
        FailedPrecondition: the environment cannot be built, or the model cannot be loaded.
        Problem: the model's refusal of an instance.
        Internal: the worker died.
    """
    own = bool(prediction_class)
    kind = "" if own else named_framework.upper().replace("-", "_") or framework(folder)
    resolution = resolve(runtime_version, framework=kind)
    for note in resolution.notes if runtime_version else ():
        on_progress(note)
    python = for_model(Builder(cache_dir), resolution.runtime, packages, on_progress)
    command = [str(python), str(_worker()), "once", "--model-dir", str(folder)]
    if named_framework:
        command += ["--framework", named_framework]
    with TemporaryDirectory() as options:
        # As a version has them. A quicker form is not worth its comparison for one request.
        wanted = {"predictionClass": prediction_class, "accelerate": False}
        Path(options, "options.json").write_text(json.dumps(wanted))
        child = subprocess.run(
            [*command, "--options", options],
            input=json.dumps(body, ensure_ascii=False).encode(),
            capture_output=True,
            check=False,
        )
    on_output(child.stderr.decode(errors="replace"))
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-20:]
        raise Internal(
            f"The model's process ended with status {child.returncode} and without an answer.\n"
            + "\n".join(last)
        ) from None
    if child.returncode:
        error = answer.get("error", {})
        raise problem(int(error.get("code", 500)) if isinstance(error, dict) else 500, "", child.stdout)
    return dict(answer)


def _worker() -> Path:
    # Found and not imported: the server's code is no part of the command line's process.
    spec = importlib.util.find_spec("mlengine")
    assert spec and spec.origin
    return Path(spec.origin).parent / "serving" / "worker" / "__main__.py"
