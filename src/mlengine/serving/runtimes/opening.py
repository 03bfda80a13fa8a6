"""Opens a model directory with the adapter of its framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlengine.serving.runtimes.artefact import (
    BOOSTER,
    SAVED_MODEL,
    framework_of,
    model_file,
    serving_settings,
    unpickle,
)
from mlengine.serving.runtimes.model import LoadFailed, Model


def open_model(model_dir: Path, framework: str | None) -> Model:
    """Load the model in `model_dir`.

    Args:
        model_dir: The directory of the version.
        framework: One of FRAMEWORKS, or None to go by the files.

    Raises:
        LoadFailed: Whatever went wrong, with the exception behind it as its cause.
    """
    try:
        settings = serving_settings(model_dir)
        model = _adapted(model_dir, framework, settings.signature_name)
        if not settings.samples:
            return model
        given = settings.samples[0]
        describe = model.describe
        return replace(model, samples=[given], describe=lambda: {**describe(), "sample": given})
    except LoadFailed:
        raise
    except MemoryError as error:
        raise LoadFailed("Not enough memory for this model.") from error
    except ModuleNotFoundError as error:
        raise LoadFailed(f"{error}. The model needs it, and this runtime does not have it.") from error
    except Exception as error:
        raise LoadFailed(f"{type(error).__name__}: {error}") from error


def _adapted(model_dir: Path, framework: str | None, chosen: str | None) -> Model:
    path = model_file(model_dir, framework)
    # Each adapter imports its framework; no other may be imported, for memory and seconds.
    if path.name in SAVED_MODEL:
        from mlengine.serving.runtimes import tensorflow

        return tensorflow.load(model_dir, chosen)
    if path.name == BOOSTER:
        from mlengine.serving.runtimes import xgboost

        return xgboost.load(path, chosen)
    model = unpickle(path)
    if (framework or framework_of(model)) == "xgboost":
        from mlengine.serving.runtimes import xgboost

        return xgboost.serve(model, chosen)
    from mlengine.serving.runtimes import scikit_learn

    return scikit_learn.serve(model, chosen)
