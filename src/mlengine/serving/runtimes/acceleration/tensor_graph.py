"""A TensorFlow graph as ONNX, where the environment has tf2onnx to make it and onnxruntime to run it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlengine.serving.runtimes.acceleration.forms import SMALLER_FLOATS, Form
from mlengine.serving.runtimes.acceleration.guard import Run
from mlengine.serving.runtimes.acceleration.onnx_form import session_of, store
from mlengine.serving.runtimes.model import Signature

if TYPE_CHECKING:
    from mlengine.serving.runtimes.acceleration.dense import Call, Frozen

_OPSET = 17


def graph_form(
    frozen: Mapping[str, Frozen],
    folder: Path,
    by_call: Callable[[Signature, Mapping[str, Call]], Run],
) -> Form | None:
    """The form, or None where it cannot be made.

    Args:
        frozen: The graph of each signature.
        folder: Where the ONNX files are kept for the next start.
        by_call: Makes the `run` of a signature that asks by the call of its name.
    """
    try:
        calls = {
            name: _call(each, folder / f"acceleration-{number}.onnx")
            for number, (name, each) in enumerate(sorted(frozen.items()))
        }
    except Exception:  # no converter here, or operations that it does not know, or a graph that does not load
        return None
    return Form(
        "onnx",
        "the graph in ONNX Runtime",
        SMALLER_FLOATS,
        lambda signature: by_call(signature, calls),
        exact=False,
    )


def _call(frozen: Frozen, file: Path) -> Call:
    inputs = {alias: f"{node}:0" for alias, node in frozen.inputs.items()}
    content = file.read_bytes() if file.exists() else _converted(frozen, inputs)
    session = session_of(content)
    store(file, content)
    wanted = list(frozen.outputs.values())
    ask = session.run

    def call(arrays: dict[str, Any]) -> dict[str, Any]:
        found = ask(wanted, {inputs[alias]: array for alias, array in arrays.items()})
        return dict(zip(frozen.outputs, found, strict=True))

    return call


def _converted(frozen: Frozen, inputs: Mapping[str, str]) -> bytes:
    import tf2onnx

    # What it cannot convert is told in the report; its own words about that are many.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    graph, _ = tf2onnx.convert._convert_common(
        frozen.graph,
        name="model",
        input_names=list(inputs.values()),
        output_names=list(frozen.outputs.values()),
        opset=_OPSET,
    )
    content: bytes = graph.SerializeToString()
    return content
