"""Open Inference Protocol v2 over REST: named tensors in, named tensors out, all data in JSON."""

from __future__ import annotations

import base64
import math
from typing import Any

from mlengine.serving.runtimes.arrays import ArrayInstances
from mlengine.serving.runtimes.faults import listed, shown
from mlengine.serving.runtimes.model import BadOutput, Model, RawInstances, Refused, Signature, nearest
from mlengine.serving.runtimes.outputs import finite
from mlengine.serving.worker import answers
from mlengine.serving.worker.decode import refuse, request_object
from mlengine.serving.worker.protocols.ml_v1 import policy
from mlengine.serving.worker.protocols.protocol import Request, ShortErrors, columns_of, inputs_of

_WRAP = 'Send {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}.'
_DTYPES = {
    "BOOL": "bool",
    **{f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
_DATATYPES = {name: datatype for datatype, name in _DTYPES.items()}
_BINARY = ("binary_data", "binary_data_size", "binary_data_output")
_REQUEST_KEYS = ("id", "parameters", "inputs", "outputs")
_INPUT_KEYS = ("name", "shape", "datatype", "parameters", "data")


class OpenInference(ShortErrors):
    """See the module. The context of a request is its id, the outputs that it wants, and their parameters."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart. Raises Refused."""
        request = request_object(body, _WRAP)
        _only(request, _REQUEST_KEYS, "the request")
        parameters = _parameters(request, "the request", ("signature_name",))
        name = parameters.get("signature_name", "")
        if not isinstance(name, str):
            refuse("parameters", f"signature_name is {shown(name)}, but a text is needed.")
        identity = request.get("id")
        if identity is not None and not isinstance(identity, str):
            refuse("id", f"'id' is {shown(identity)}, but a text is needed.")
        inputs = request.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            refuse("inputs", f"'inputs' must be a list with at least one tensor. {_WRAP}")
        tensors: dict[str, Any] = {}
        for place, one in enumerate(inputs):
            tensor, values = _tensor(one, f"inputs[{place}]")
            if tensor in tensors:
                refuse("inputs", f"The input {tensor} is there twice.")
            tensors[tensor] = values
        counts = {tensor: len(values) for tensor, values in tensors.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{tensor} {count}" for tensor, count in counts.items())
            refuse("inputs", f"The inputs differ in their first dimension, the number of instances: {said}.")
        if not next(iter(counts.values())):
            refuse("inputs", "The first dimension of the inputs is 0: there is nothing to predict.")
        wanted = _wanted(request.get("outputs"))
        return Request(_instances(tensors, name, model), name, (identity, wanted))

    def write(self, predictions: list[Any], request: Request, model: Model, signature: Signature) -> bytes:
        """The outputs as tensors. Raises BadOutput, and Refused for an output that there is not."""
        identity, wanted = request.context
        non_finite = policy(model)
        if non_finite == "REJECT":
            answers.sayable(predictions, non_finite)
        columns = columns_of(predictions, signature.name)
        for name in wanted:
            if name not in columns:
                hint = nearest(name, list(columns))
                raise Refused(
                    f"There is no output '{name}'. The outputs are {listed(columns)}. {hint}".rstrip()
                )
        answer: dict[str, Any] = {
            "model_name": model.rules.model_name if model.rules is not None else "",
            "model_version": model.rules.version_name if model.rules is not None else "",
        }
        if identity is not None:
            answer["id"] = identity
        answer["outputs"] = [_output(name, columns[name], non_finite) for name in wanted or columns]
        return answers.dumps(answer)


def _instances(tensors: dict[str, Any], signature_name: str, model: Model) -> RawInstances:
    """Tensors as instances: by input, or rows of one tensor where the model takes rows."""
    kind = model.description.get("instance")
    rules = model.rules
    inputs = [one["name"] for one in inputs_of(model)]
    if kind == "row" or kind in ("text", "any", "object"):
        if len(tensors) == 1 and (kind != "row" or not set(tensors) & set(inputs) or len(inputs) == 1):
            # One tensor of whatever name: each of its rows is an instance.
            (values,) = tensors.values()
            tensors = {"": values}
        else:
            # A column may come as [n] or as [n, 1].
            tensors = {name: _column(name, values) for name, values in tensors.items()}
    if all(hasattr(values, "dtype") for values in tensors.values()):
        arrays = ArrayInstances(tensors, rules)
        if not model.takes_extras:
            return arrays
        return RawInstances(arrays.values, True, {"signature_name": signature_name or None}, rules)
    lists = {
        name: values.tolist() if hasattr(values, "dtype") else values for name, values in tensors.items()
    }
    if list(lists) == [""]:
        rows = [_text(value) for value in lists[""]] if kind == "row" or kind == "text" else lists[""]
    else:
        texts = kind == "row"
        rows = [
            {name: _text(value) if texts else value for name, value in zip(lists, row, strict=True)}
            for row in zip(*lists.values(), strict=True)
        ]
    extras: dict[str, Any] = {"signature_name": signature_name or None} if model.takes_extras else {}
    return RawInstances(rows, True, extras, rules)


def _tensor(one: Any, where: str) -> tuple[str, Any]:
    """Name and values of an input: a NumPy array of numbers, or nested lists of texts."""
    if not isinstance(one, dict):
        refuse(where, f"{where} is {shown(one)}, but an object is needed. {_WRAP}")
    _only(one, _INPUT_KEYS, where)
    parameters = _parameters(one, where, ("content_type",))
    for key in ("name", "shape", "datatype", "data"):
        if key not in one:
            refuse(where, f"{where} has no '{key}'. {_WRAP}")
    name, shape, datatype, data = one["name"], one["shape"], one["datatype"], one["data"]
    if not isinstance(name, str) or not name:
        refuse(where, f"{where}: the name is {shown(name)}, but a text is needed.")
    if not isinstance(shape, list) or not shape or any(type(size) is not int or size < 0 for size in shape):
        refuse(where, f"{where} ({name}): the shape must be a list of whole numbers, instances first.")
    if datatype != "BYTES" and datatype not in _DTYPES:
        known = [*_DTYPES, "BYTES"]
        hint = nearest(str(datatype), known) or f"Known: {', '.join(known)}."
        refuse(where, f"{where} ({name}): unknown datatype {shown(datatype)}. {hint}")
    if not isinstance(data, list):
        refuse(where, f"{where} ({name}): data is {shown(data)}, but a list is needed.")
    flat = _flat(data, shape, f"{where} ({name})")
    if len(flat) != math.prod(shape):
        dimensions = " × ".join(map(str, shape))
        refuse(where, f"{where} ({name}): shape {dimensions} has {math.prod(shape)} values, got {len(flat)}.")
    if datatype == "BYTES":
        content = parameters.get("content_type", "str")
        if content not in ("str", "base64"):
            refuse(where, f"{where} ({name}): content_type is {shown(content)}; known: str, base64.")
        for value in flat:
            if not isinstance(value, str):
                refuse(where, f"{where} ({name}): {shown(value)} is not a text, as BYTES are in JSON.")
        return name, _nested([{"b64": value} for value in flat] if content == "base64" else flat, shape)
    return name, _numbers(flat, shape, datatype, f"{where} ({name})")


def _numbers(flat: list[Any], shape: list[int], datatype: str, where: str) -> Any:
    import numpy as np

    allowed: set[type] = {bool} if datatype == "BOOL" else {int, float} if datatype[0] == "F" else {int}
    if not set(map(type, flat)) <= allowed:
        wrong = next(value for value in flat if type(value) not in allowed)
        refuse(where.split(" ")[0], f"{where}: {shown(wrong)} is no {datatype}.")
    dtype = np.dtype(_DTYPES[datatype])
    if dtype.kind in "iu" and flat:
        limits = np.iinfo(dtype)
        if min(flat) < limits.min or max(flat) > limits.max:
            refuse(where.split(" ")[0], f"{where}: a number is out of range for {datatype}.")
    with np.errstate(over="ignore"):
        array = np.array(flat, dtype=dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        refuse(where.split(" ")[0], f"{where}: a number is out of range for {datatype}.")
    return array


def _flat(data: list[Any], shape: list[int], where: str) -> list[Any]:
    """The values in row-major order, whether they came flat or nested as the shape says."""
    if not any(isinstance(item, list) for item in data):
        return data
    level = data
    for depth, size in enumerate(shape[1:], start=1):
        if any(not isinstance(item, list) or len(item) != size for item in level):
            dimensions = " × ".join(map(str, shape))
            refuse(
                where.split(" ")[0],
                f"{where}: the lists at depth {depth} are not as shape {dimensions} says.",
            )
        level = [value for item in level for value in item]
    return level


def _nested(flat: list[Any], shape: list[int]) -> list[Any]:
    nested = flat
    for size in reversed(shape[1:]):
        nested = [nested[start : start + size] for start in range(0, len(nested), size or 1)]
    return nested


def _column(name: str, values: Any) -> Any:
    if hasattr(values, "dtype"):
        if values.ndim == 2 and values.shape[1] == 1:
            return values[:, 0]
        if values.ndim == 1:
            return values
    elif all(isinstance(value, list) and len(value) == 1 for value in values):
        return [value[0] for value in values]
    elif not any(isinstance(value, list) for value in values):
        return values
    return refuse("inputs", f"Input {name}: a column has shape n or n × 1, with n the number of instances.")


def _text(value: Any) -> Any:
    """What columns of tables want in place of binary data."""
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, dict):
        try:
            return base64.b64decode(value["b64"], validate=True).decode("utf-8")
        except ValueError:
            refuse("inputs", f"{shown(value['b64'])} is not base64 of UTF-8 text.")
    return value


def _wanted(outputs: Any) -> list[str]:
    if outputs is None:
        return []
    if not isinstance(outputs, list) or not all(isinstance(one, dict) and "name" in one for one in outputs):
        refuse("outputs", "'outputs' must be a list of objects with a name.")
    for place, one in enumerate(outputs):
        _only(one, ("name", "parameters"), f"outputs[{place}]")
        _parameters(one, f"outputs[{place}]", ())
    return [str(one["name"]) for one in outputs]


def _parameters(holder: dict[str, Any], where: str, known: tuple[str, ...]) -> dict[str, Any]:
    parameters = holder.get("parameters") or {}
    if not isinstance(parameters, dict):
        refuse("parameters", f"The parameters of {where} are {shown(parameters)}, but an object is needed.")
    for key, value in parameters.items():
        if key in _BINARY:
            if value is False:
                continue
            refuse(
                "parameters",
                f"{key}: this server takes and gives tensors in JSON only. Switch binary data off.",
            )
        if key not in known:
            hint = nearest(key, known) or "Remove it."
            refuse("parameters", f"The parameter '{key}' of {where} has no meaning here. {hint}")
    return parameters


def _only(holder: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in holder:
        if key not in known:
            hint = nearest(key, known) or f"Known: {', '.join(known)}."
            refuse(key, f"Unknown key '{key}' in {where}. {hint}")


def _output(name: str, column: list[Any], non_finite: str) -> dict[str, Any]:
    import numpy as np

    gaps = any(value is None for value in column)
    try:
        array = np.array([math.nan if value is None else value for value in column])
    except ValueError as error:
        raise BadOutput(f"Output {name} has another shape for each instance, which is no tensor.") from error
    if array.dtype.kind in "SU":
        return _described(name, array.shape, "BYTES", array.ravel().tolist())
    if array.dtype.kind == "O":
        flat = [value.item() if hasattr(value, "item") else value for value in array.ravel()]
        if any(value is None or isinstance(value, float) for value in flat):
            # Nulls of the model, inside of lists.
            return _described(name, array.shape, "FP64", flat)
        if all(isinstance(value, (str, dict)) for value in flat):
            texts = [value["b64"] if isinstance(value, dict) else value for value in flat]
            return _described(name, array.shape, "BYTES", texts)
        raise BadOutput(f"Output {name} holds values that are no tensor of one type.")
    datatype = _DATATYPES.get(array.dtype.name)
    if datatype is None:
        raise BadOutput(f"Output {name} is of {array.dtype.name}, which Open Inference has no word for.")
    flat = array.ravel()
    if array.dtype.kind == "f" and not np.isfinite(flat).all():
        # A null of the model is one, whatever becomes of NaN.
        flat = finite([flat], "NULL" if gaps else non_finite)[0]
    return _described(name, array.shape, datatype, flat)


def _described(name: str, shape: tuple[int, ...], datatype: str, data: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


PROTOCOL = OpenInference()
