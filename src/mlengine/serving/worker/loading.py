"""From the folder of a version to a desk that can serve it: load, prove, accelerate, describe."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.acceleration import accelerate
from mlengine.serving.runtimes.governing import governed
from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.opening import open_model
from mlengine.serving.runtimes.options import BadOptions, Options, read_options
from mlengine.serving.worker import answers, golden
from mlengine.serving.worker.batch import Answerer
from mlengine.serving.worker.listening import Listener
from mlengine.serving.worker.server import Desk
from mlengine.serving.worker.turns import MOST_TAKEN, Turns

DESCRIPTION = "description.json"
"""What the loaded model told of itself, in the version's folder, from before its socket appears."""


@dataclass(frozen=True)
class Spec:
    """One version to serve, as the control plane orders it in JSON.

    Attributes:
        node: Names it in this process and in orders; its version and number.
        name: PROJECT/MODEL/VERSION, for messages.
        folder: The version's own; holds `options.json`, and gets the description.
        model_dir: The artefacts.
        socket: Where it is to listen.
        framework: As the version states it; empty to go by the files.
        log: What its model prints goes there; empty for standard error.
        failed: Appears, with the reason, where it cannot be served; empty for nowhere.
        alone: Whether the process serves nothing else, and ends with it.
    """

    node: str
    name: str
    folder: str
    model_dir: str
    socket: str
    framework: str = ""
    log: str = ""
    failed: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Loaded:
    """A model that has proved itself.

    Attributes:
        model: What answers.
        description: JSON, as DESCRIBE answers it.
    """

    model: Model
    description: bytes


def load(spec: Spec) -> Loaded:
    """Load the model of `spec`, and let it answer once. May take long, and any thread will do.

    What it is at is told by the file `stage` in the version's folder, which `description.json` follows.

    Raises:
        LoadFailed: it cannot serve.
    """
    folder = Path(spec.folder)
    try:
        options = read_options(folder)
    except BadOptions as error:
        raise LoadFailed(str(error)) from error
    model = open_model(Path(spec.model_dir).resolve(), spec.framework or None, options)
    _tell(folder, "GOLDEN")
    golden.prove(model)
    _tell(folder, "ACCELERATING")
    model, report = accelerate(model, None, folder=folder, options=options, artefacts=Path(spec.model_dir))
    description = model.describe()
    partial = folder / f"{DESCRIPTION}.{spec.node}.partial"
    partial.write_bytes(answers.dumps({**description, "acceleration": report}))
    partial.replace(folder / DESCRIPTION)
    # What is loaded stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    return Loaded(model, answers.dumps(description))


def _tell(folder: Path, stage: str) -> None:
    (folder / "stage").write_text(stage, encoding="ascii")


def desk_of(spec: Spec, loaded: Loaded) -> Desk:
    """Where `loaded` will serve."""
    options = read_options(Path(spec.folder))
    answerer = Answerer(loaded.model)
    return Desk(
        spec.node,
        Listener(Path(spec.socket)),
        answer=answerer.answer,
        explain=answerer.explain,
        description=loaded.description,
        turns=turns_of(options),
    )


def renewed(spec: Spec, loaded: Loaded) -> Loaded:
    """`loaded` under the options that are written now. Raises LoadFailed."""
    if loaded.model.passthrough is not None:
        return loaded
    try:
        options = read_options(Path(spec.folder))
    except BadOptions as error:
        raise LoadFailed(str(error)) from error
    return Loaded(governed(loaded.model, options, Path(spec.model_dir)), loaded.description)


def turns_of(options: Options) -> Turns[Any]:
    """Who is answered when, as the version wants it."""
    most = min(MOST_TAKEN, options.max_batch_size)
    return Turns(most_taken=most, latency=options.max_latency_ms / 1000)


def failure(error: BaseException) -> str:
    """The last line of the log of a version that cannot be served, which the control plane reads."""
    said = error if isinstance(error, LoadFailed) else LoadFailed(f"{type(error).__name__}: {error}")
    return json.dumps({"error": str(said)})
