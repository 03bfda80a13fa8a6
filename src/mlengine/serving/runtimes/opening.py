"""Opens a model directory with the adapter of its framework, or starts the user's own code that serves."""

from __future__ import annotations

import site
import sys
from dataclasses import replace
from pathlib import Path

from mlengine.serving.runtimes.artefact import (
    KERAS,
    LIGHTGBM,
    ONNX,
    PYTORCH,
    SAVED_MODEL,
    XGBOOST,
    ServingSettings,
    framework_of,
    model_file,
    serving_settings,
    unpickle,
)
from mlengine.serving.runtimes.governing import governed, refuse_container_rules
from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.options import Options


def open_model(model_dir: Path, framework: str | None, options: Options | None = None) -> Model:
    """Load the model in `model_dir`.

    Args:
        model_dir: The directory of the version.
        framework: One of FRAMEWORKS, or None to go by the files.
        options: How the version wants to be served.

    Raises:
        LoadFailed: Whatever went wrong, with the exception behind it as its cause.
    """
    options = options or Options()
    try:
        if options.container is not None or framework == "container":
            from mlengine.serving.runtimes import container

            refuse_container_rules(options, model_dir)
            return container.start(model_dir, options)
        _make_importable(options)
        settings = serving_settings(model_dir)
        if options.prediction_class or framework == "custom":
            from mlengine.serving.runtimes import routine

            model = routine.load(model_dir, framework, options)
        else:
            model = _adapted(model_dir, framework, settings)
        bare = model
        if settings.samples:
            given = settings.samples[0]
            describe = model.describe
            model = replace(model, samples=[given], describe=lambda: {**describe(), "sample": given})
        model = governed(model, options, model_dir)
        if options.explanation is None:
            return model
        from mlengine.serving.runtimes.explanation import explained

        return explained(model, options, model_dir, bare=bare)
    except LoadFailed:
        raise
    except MemoryError as error:
        raise LoadFailed("Not enough memory for this model.") from error
    except ModuleNotFoundError as error:
        raise LoadFailed(f"{error}. The model needs it, and this runtime does not have it.") from error
    except Exception as error:
        raise LoadFailed(f"{type(error).__name__}: {error}") from error


def _make_importable(options: Options) -> None:
    """Put the user's packages in front of the runtime's, `.pth` files in them obeyed."""
    for folder in reversed(options.package_folders):
        if folder in sys.path:
            continue
        before = len(sys.path)
        site.addsitedir(folder)
        sys.path[:] = [*sys.path[before:], *sys.path[:before]]


def _adapted(model_dir: Path, framework: str | None, settings: ServingSettings) -> Model:
    path = model_file(model_dir, framework)
    name, chosen = path.name, settings.signature_name
    if name not in PYTORCH and (settings.inputs or settings.outputs):
        key = "inputs" if settings.inputs else "outputs"
        raise LoadFailed(f"serving.json: '{key}' is for PyTorch; {name} tells it by itself. Remove it.")
    # Each adapter imports its framework; no other may be imported, for memory and seconds.
    if name in SAVED_MODEL:
        from mlengine.serving.runtimes import tensorflow

        return tensorflow.load(model_dir, chosen)
    if name in KERAS:
        from mlengine.serving.runtimes import keras

        return keras.load(path, chosen)
    if name in PYTORCH:
        from mlengine.serving.runtimes import pytorch

        return pytorch.load(path, settings)
    if name in ONNX:
        from mlengine.serving.runtimes import onnx

        return onnx.load(path, chosen)
    if name in XGBOOST:
        from mlengine.serving.runtimes import xgboost

        return xgboost.load(path, chosen)
    if name in LIGHTGBM:
        from mlengine.serving.runtimes import lightgbm

        return lightgbm.load(path, chosen)
    model = unpickle(path)
    # A pickle without a framework named by its owner counts as scikit-learn's until it is opened.
    owner = framework if framework not in (None, "scikit-learn") else framework_of(model)
    if owner == "xgboost":
        from mlengine.serving.runtimes import xgboost

        return xgboost.serve(model, chosen)
    if owner == "lightgbm":
        from mlengine.serving.runtimes import lightgbm

        return lightgbm.serve(model, chosen)
    from mlengine.serving.runtimes import scikit_learn

    return scikit_learn.serve(model, chosen)
