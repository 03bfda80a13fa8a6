"""TensorFlow Serving's REST predict: rows in `instances` or columns in `inputs`, and answers in kind."""

from __future__ import annotations

from typing import Any

from mlengine.serving.runtimes.faults import shown
from mlengine.serving.runtimes.model import Model, RawInstances, Signature
from mlengine.serving.worker import answers
from mlengine.serving.worker.decode import instance_list, refuse, request_object, signature_name
from mlengine.serving.worker.numbers import read_numbers
from mlengine.serving.worker.protocols.ml_v1 import policy
from mlengine.serving.worker.protocols.protocol import Request, ShortErrors, columns_of, inputs_of

_WRAP = 'Send {"instances": [ … ]} with one entry per instance, or {"inputs": { … }} with one list per input.'
_KNOWN = ("instances", "inputs", "signature_name")


class TfServing(ShortErrors):
    """See the module. The context of a request says whether it came in columns."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart. Raises Refused."""
        shapes = model.number_shapes
        if shapes:
            quick = read_numbers(body, shapes, model.rules)
            if quick is not None and not quick.signature_name:
                return quick._replace(context=False)
        request = request_object(body, _WRAP)
        columnar = "inputs" in request
        if columnar and "instances" in request:
            refuse("", f"The request has both 'instances' and 'inputs'. {_WRAP}")
        if not columnar and "instances" not in request:
            refuse("", f"Missing 'inputs' or 'instances' key. {_WRAP}")
        for key in request:
            if key not in _KNOWN and not (model.ignores_unknown_keys or model.takes_extras):
                refuse(
                    key, f"Unknown key '{key}' in the request. Known keys: {', '.join(_KNOWN)}. Remove it."
                )
        values = _rows(request["inputs"], model) if columnar else instance_list(request, "instances", _WRAP)
        extras: dict[str, Any] = {}
        name = signature_name(request)
        if model.takes_extras:
            extras = {key: value for key, value in request.items() if key not in _KNOWN}
            extras["signature_name"] = name or None
        booleans = b"true" in body or b"false" in body
        return Request(RawInstances(values, booleans, extras, model.rules), name, columnar)

    def write(self, predictions: list[Any], request: Request, model: Model, signature: Signature) -> bytes:
        """`predictions` in rows, `outputs` in columns; what has one output is a bare value."""
        del signature
        said = answers.sayable(predictions, policy(model))
        columns = columns_of(said, "")
        only = next(iter(columns.values())) if len(columns) == 1 else None
        if request.context:
            return answers.dumps({"outputs": columns if only is None else only})
        return answers.dumps({"predictions": said if only is None else only})


def _rows(inputs: Any, model: Model) -> list[Any]:
    """Columns as rows."""
    known = [one["name"] for one in inputs_of(model)]
    if isinstance(inputs, list):
        if len(known) > 1 and model.description.get("instance") == "tensor":
            refuse("inputs", f"'inputs' is a list, but the model has the inputs {', '.join(known)}. {_WRAP}")
        if not inputs:
            refuse("inputs", f"'inputs' is an empty list: there is nothing to predict. {_WRAP}")
        return inputs
    if not isinstance(inputs, dict) or not inputs:
        refuse("inputs", f"'inputs' is {shown(inputs)}, but lists by input are needed. {_WRAP}")
    counts = {}
    for name, column in inputs.items():
        if not isinstance(column, list):
            refuse(
                f"inputs.{name}",
                f"Input {name} is {shown(column)}, but a list with one entry per instance is needed.",
            )
        counts[name] = len(column)
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{name} {count}" for name, count in counts.items())
        refuse("inputs", f"The inputs differ in length: {lengths}. Send one entry per instance in each.")
    if not next(iter(counts.values())):
        refuse("inputs", f"The lists in 'inputs' are empty: there is nothing to predict. {_WRAP}")
    return [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]


PROTOCOL = TfServing()
