"""TensorFlow graphs of plain arithmetic, such as dense networks, as a list of NumPy calls.

A call of TensorFlow costs 0.3 ms before it computes anything. The graph is frozen, what is constant is
computed at once, and the rest becomes a short list of steps. Where the environment can make and run ONNX,
that form is tried as well: for convolutions it is the only one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.forms import SMALLER_FLOATS, Form
from mlengine.serving.runtimes.acceleration.guard import Run
from mlengine.serving.runtimes.acceleration.operations import operation
from mlengine.serving.runtimes.acceleration.words import Unsupported
from mlengine.serving.runtimes.model import Model, Signature

Arrays = dict[str, Any]
Call = Callable[[Arrays], Mapping[str, Any]]

# The frozen graph is a second copy of the weights.
_LARGEST_GRAPH = 512 * 1024 * 1024


@dataclass
class Frozen:
    """A function of TensorFlow with its variables made constants.

    Attributes:
        graph: The GraphDef.
        inputs: For each input its name in the graph.
        outputs: For each output its tensor in the graph.
    """

    graph: Any
    inputs: dict[str, str]
    outputs: dict[str, str]


def dense_forms(model: Model, folder: Path) -> Iterator[Form]:
    """The forms to try. Raises Unsupported."""
    from mlengine.serving.runtimes.acceleration.tensor_graph import graph_form

    frozen = {name: frozen_call(signature) for name, signature in model.signatures.items()}
    failure: Unsupported | None = None
    try:
        calls = {name: _compiled(each) for name, each in frozen.items()}
        yield Form(
            "numpy",
            "the graph in NumPy",
            SMALLER_FLOATS,
            lambda signature: _by_call(signature, calls),
            exact=False,
        )
    except Unsupported as error:
        failure = error
    form = graph_form(frozen, folder, _by_call)
    if form is not None:
        yield form
    elif failure is not None:
        raise failure


def frozen_call(signature: Signature) -> Frozen:
    """The graph behind a signature. Raises Unsupported for what is not only numbers."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    given: Any = getattr(signature, "_call", None)
    function = getattr(given, "_function", None)
    if function is None or any(tensor.holds_strings for tensor in getattr(signature, "inputs", ())):
        raise Unsupported("The model takes texts." if function is not None else "There is no graph to read.")
    weights = sum(int(np.prod(variable.shape)) * 4 for variable in function.variables)
    if weights > _LARGEST_GRAPH:
        raise Unsupported("The model is too large for a second form of it in memory.")
    answer = function.structured_outputs
    if not isinstance(answer, Mapping):
        raise Unsupported("The outputs have no names.")
    frozen = convert_variables_to_constants_v2(function)
    aliases = list(given._types)
    names = list(getattr(function, "_arg_keywords", None) or aliases)
    if not given._by_name or set(names) != set(aliases):
        names = aliases
    if len(names) != len(frozen.inputs) or len(answer) != len(frozen.outputs):
        raise Unsupported("Inputs or outputs of the graph are not those of the signature.")
    return Frozen(
        frozen.graph.as_graph_def(),
        {alias: tensor.op.name for alias, tensor in zip(names, frozen.inputs, strict=True)},
        {alias: tensor.name for alias, tensor in zip(sorted(answer), frozen.outputs, strict=True)},
    )


def _by_call(signature: Signature, calls: Mapping[str, Call]) -> Run:
    twin: Any = copy.copy(signature)
    twin._call = calls[signature.name]
    run: Run = twin.run
    return run


def _compiled(frozen: Frozen) -> Call:
    import tensorflow as tf

    known: dict[str, Any] = {}
    # Values live in a list, by place; constants stay there.
    places: dict[str, int] = {}
    values: list[Any] = []
    steps: list[tuple[Callable[..., Any], tuple[int, ...], int]] = []

    def place_of(name: str) -> int:
        if name not in places:
            places[name] = len(values)
            values.append(known.get(name))
        return places[name]

    taken = {node: alias for alias, node in frozen.inputs.items()}
    nodes = {node.name: node for node in frozen.graph.node}
    needed = _needed(frozen, nodes)
    for node in frozen.graph.node:
        if node.name in taken or node.name not in needed:
            continue
        if node.op == "Const":
            known[node.name] = tf.make_ndarray(node.attr["value"].tensor)
            continue
        if node.op == "NoOp":
            continue
        sources = [_source(text, nodes) for text in node.input if not text.startswith("^")]
        act = operation(node.op, node.attr)
        if all(source in known for source in sources):
            known[node.name] = act(*(known[source] for source in sources))
            continue
        steps.append((act, tuple(place_of(source) for source in sources), place_of(node.name)))
    inputs = [(alias, place_of(node)) for alias, node in frozen.inputs.items()]
    outputs = [(alias, place_of(_source(text, nodes))) for alias, text in frozen.outputs.items()]
    if not steps:
        raise Unsupported("The graph computes nothing.")

    def call(arrays: Arrays) -> Arrays:
        current = values.copy()
        for alias, place in inputs:
            current[place] = arrays[alias]
        with np.errstate(all="ignore"):
            for act, sources, target in steps:
                # Most operations have one or two inputs, and a call without unpacking is faster.
                if len(sources) == 2:
                    current[target] = act(current[sources[0]], current[sources[1]])
                elif len(sources) == 1:
                    current[target] = act(current[sources[0]])
                else:
                    current[target] = act(*[current[source] for source in sources])
        return {alias: current[place] for alias, place in outputs}

    return call


def _needed(frozen: Frozen, nodes: Mapping[str, Any]) -> set[str]:
    """The nodes on which the outputs depend."""
    found: set[str] = set()
    open_ = [_source(text, nodes) for text in frozen.outputs.values()]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += [_source(text, nodes) for text in nodes[name].input if not text.startswith("^")]
    return found


def _source(text: str, nodes: Mapping[str, Any]) -> str:
    """The node of a tensor. Raises Unsupported for a further output of a node."""
    name, _, number = text.partition(":")
    if nodes[name].op == "IdentityN":
        return _source(nodes[name].input[int(number or 0)], nodes)
    if number not in ("", "0"):
        raise Unsupported(f"The graph uses a further output of {name}.")
    return name
