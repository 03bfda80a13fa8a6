"""The files of a model directory: which framework they are of, and how to read them."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.model import LoadFailed, nearest

SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
KERAS = ("model.keras", "model.h5")
XGBOOST = ("model.bst", "model.json", "model.ubj")
LIGHTGBM = ("model.txt",)
PYTORCH = ("model.pt2", "model.pt")
ONNX = ("model.onnx",)
PICKLES = ("model.joblib", "model.pkl")  # joblib wins where both are there
# What each framework is read from, the first that is there. A pickle tells by itself whose it is.
FILES: dict[str, tuple[str, ...]] = {
    "tensorflow": (*SAVED_MODEL, *KERAS),
    "scikit-learn": PICKLES,
    "xgboost": (*XGBOOST, *PICKLES),
    "lightgbm": (*LIGHTGBM, *PICKLES),
    "keras": KERAS,
    "pytorch": PYTORCH,
    "onnx": ONNX,
}
# The last two read no model file of ours: code of the user's does.
FRAMEWORKS = (*FILES, "custom", "container")
SETTINGS = "serving.json"
_EVERY = (*SAVED_MODEL, *KERAS, *XGBOOST, *LIGHTGBM, *PYTORCH, *ONNX, *PICKLES)
_KNOWN = ("signature_name", "sample", "inputs", "outputs")
_NUMBERS = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool")
# How each ending is called, where a file has another name than the one that is looked for.
_ENDINGS = {Path(name).suffix: name for name in reversed(_EVERY) if name not in SAVED_MODEL}


def model_file(model_dir: Path, framework: str | None) -> Path:
    """The file that holds the model. Raises LoadFailed where there is none, or no telling which.

    Args:
        model_dir: The directory of the version.
        framework: One of FRAMEWORKS, or None to go by the files.
    """
    if not model_dir.is_dir():
        raise LoadFailed(f"There is no directory {model_dir}.")
    accepted = _EVERY if framework is None else FILES[framework]
    found = [name for name in accepted if (model_dir / name).is_file()]
    if not found:
        raise LoadFailed(_none_found(model_dir, accepted))
    if framework is None and len([name for name in found if name != SAVED_MODEL[1]]) > 1:
        raise LoadFailed(
            f"Multiple model files are found in the model_path: {', '.join(found)}. Keep one of them, or say "
            f"which framework to serve ({', '.join(FILES)})."
        )
    return model_dir / found[0]


def unpickle(path: Path) -> Any:
    """The object in a model.joblib or model.pkl. Raises LoadFailed."""
    try:
        try:
            return _load(path)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("sklearn.externals"):
                raise
            # Until 0.22 scikit-learn carried joblib inside, and pickles of that time name it by that place.
            _stand_in_for_old_joblib()
            return _load(path)
    except Exception as error:
        raise LoadFailed(f"Could not load the model: {path}. {_why(error)}") from error


def framework_of(model: Any) -> str:
    """The framework of an unpickled object, by its class. Raises LoadFailed for others than ours."""
    module = type(model).__module__
    owner = module.split(".")[0]
    if owner in ("xgboost", "lightgbm"):
        return owner
    if "sklearn" in module:
        return "scikit-learn"
    raise LoadFailed(wrong_type(model, "sklearn model, xgboost model, lightgbm model or pipeline"))


def wrong_type(model: Any, expected: str) -> str:
    """The sentence about a pickle that holds something else."""
    kind = type(model)
    return (
        f"Invalid model type detected: {kind.__module__}.{kind.__qualname__}. "
        f"Please make sure the model file is an exported {expected}."
    )


@dataclass(frozen=True, slots=True)
class TensorSetting:
    """One input as `serving.json` tells it.

    Attributes:
        type: NumPy's name of its type.
        shape: Of one instance, None for a dimension that varies; None where nothing is said.
    """

    type: str = "float32"
    shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """What `serving.json` beside a model says.

    Attributes:
        signature_name: The signature for requests that name none; None leaves it to the model.
        samples: At most one instance, to be tried before serving in place of made-up ones.
        inputs: Types and shapes of inputs, for models that do not tell them.
        outputs: Names of the outputs in their order, for models that have none; empty leaves them.
    """

    signature_name: str | None = None
    samples: tuple[Any, ...] = ()
    inputs: dict[str, TensorSetting] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


def serving_settings(model_dir: Path) -> ServingSettings:
    """Read `serving.json`, if there is one. Raises LoadFailed."""
    path = model_dir / SETTINGS
    if not path.is_file():
        return ServingSettings()
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LoadFailed(f"{path} is not JSON: {error}.") from error
    if not isinstance(settings, dict):
        raise LoadFailed(f'{path} must hold an object such as {{"signature_name": "predict_proba"}}.')
    for key in settings:
        if key not in _KNOWN:
            hint = nearest(key, _KNOWN) or f"Known: {', '.join(_KNOWN)}."
            raise LoadFailed(f"{path}: unknown key '{key}'. {hint}")
    name = settings.get("signature_name")
    if name is not None and not isinstance(name, str):
        raise LoadFailed(f"{path}: signature_name must be a text.")
    outputs = settings.get("outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(each, str) and each for each in outputs):
        raise LoadFailed(f'{path}: outputs must be a list of names, as ["score", "label"].')
    return ServingSettings(
        signature_name=name or None,
        samples=(settings["sample"],) if "sample" in settings else (),
        inputs=_tensor_settings(path, settings.get("inputs", {})),
        outputs=tuple(outputs),
    )


def _tensor_settings(path: Path, inputs: Any) -> dict[str, TensorSetting]:
    example = '{"image": {"type": "float32", "shape": [3, null, null]}}'
    form = f"{path}: inputs must be an object such as {example}"
    if not isinstance(inputs, dict):
        raise LoadFailed(f"{form}.")
    found = {}
    for name, said in inputs.items():
        if not isinstance(said, dict) or not set(said) <= {"type", "shape"}:
            raise LoadFailed(f"{form}; {name} is not.")
        type_, shape = said.get("type", "float32"), said.get("shape")
        if type_ not in _NUMBERS:
            raise LoadFailed(f"{path}: input {name} is of type {type_!r}. Known: {', '.join(_NUMBERS)}.")
        sizes = [] if shape is None else shape
        if not isinstance(sizes, list) or not all(size is None or _is_size(size) for size in sizes):
            raise LoadFailed(f"{form}; the shape of {name} is not, which is of one instance.")
        found[name] = TensorSetting(type_, None if shape is None else tuple(sizes))
    return found


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def _load(path: Path) -> Any:
    try:
        import joblib
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)
    # Reads plain pickles too, and people give joblib's files either name.
    return joblib.load(path)


def _stand_in_for_old_joblib() -> None:
    for name, module in list(sys.modules.items()):
        if name == "joblib" or name.startswith("joblib."):
            sys.modules.setdefault(f"sklearn.externals.{name}", module)


def _why(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{error}. The file needs the module '{error.name}', which this runtime does not have. If it is "
            f"your own code, give its package with packageUris (--package-uris)."
        )
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, ValueError) and "pickle protocol" in str(error):
        return f"{said}. It was written by a newer Python: train and serve with the same runtime version."
    if isinstance(error, AttributeError) and "__main__" in str(error):
        return (
            f"{said}. A function or class of the script itself is part of the model: move it into a module "
            f"of your package, train again, and give the package with packageUris (--package-uris)."
        )
    return f"{said}."


def _none_found(model_dir: Path, accepted: tuple[str, ...]) -> str:
    names = list(accepted)
    if names == list(PICKLES):
        said = f"Could not find either model.joblib or model.pkl in {model_dir}."
    else:
        said = f"Could not find any of {', '.join(names)} in {model_dir}."
    below = sorted(path.parent for name in names for path in model_dir.glob(f"*/{name}"))
    if below:
        return f"{said} There is one in {below[-1]}: name that directory."
    present = sorted(path.name for path in model_dir.iterdir())
    if not present:
        return f"{said} The directory is empty."
    said += f" It holds: {', '.join(present[:10])}{' …' if len(present) > 10 else ''}."
    misnamed = [name for name in present if _ENDINGS.get(Path(name).suffix, name) in names]
    if misnamed:
        said += f" Is {misnamed[0]} the model? Name it {_ENDINGS[Path(misnamed[0]).suffix]}."
    elif any(name in _EVERY for name in present):
        other = next(name for name in present if name in _EVERY)
        owner = next(framework for framework, files in FILES.items() if other in files)
        said += f" {other} is a file of {owner}: say so, or leave the framework to the files."
    return said
