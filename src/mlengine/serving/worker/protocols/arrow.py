"""Arrow IPC streams: a column an input, a row an instance; answered with a stream of a column an output."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from mlengine.serving.runtimes.arrays import ArrayInstances
from mlengine.serving.runtimes.model import BadOutput, Model, RawInstances, Signature
from mlengine.serving.worker import answers
from mlengine.serving.worker.decode import refuse
from mlengine.serving.worker.protocols.ml_v1 import policy
from mlengine.serving.worker.protocols.protocol import (
    GoogleErrors,
    NotOffered,
    Request,
    columns_of,
    inputs_of,
)

try:
    import pyarrow
except ImportError:  # an old or foreign environment, or a small one
    pyarrow = None


class ArrowStream(GoogleErrors):
    """See the module."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart. Raises Refused, or NotOffered where the runtime has no pyarrow."""
        if pyarrow is None:
            raise NotOffered(
                "The runtime of this version has no pyarrow, so it cannot read Arrow. Send JSON, JSON lines "
                "or CSV, or give pyarrow with the version's packages."
            )
        try:
            with pyarrow.ipc.open_stream(io.BytesIO(body)) as stream:
                table = stream.read_all()
        except (pyarrow.ArrowException, OSError) as error:
            refuse("", f"The request is not an Arrow IPC stream: {error}")
        names = table.column_names
        if not table.num_rows:
            refuse("", "The stream has no rows: there is nothing to predict.")
        if len(set(names)) != len(names):
            refuse("", "Two columns have the same name.")
        kind = model.description.get("instance")
        arrays = {name: _numbers(table.column(name)) for name in names} if kind == "tensor" else {}
        extras: dict[str, Any] = {"signature_name": None} if model.takes_extras else {}
        if arrays and all(array is not None for array in arrays.values()):
            return Request(ArrayInstances(arrays, model.rules))
        columns = {name: [_plain(value) for value in table.column(name).to_pylist()] for name in names}
        if len(names) == 1 and (kind == "text" or (kind == "row" and not model.description.get("named"))):
            rows: list[Any] = columns[names[0]]
        elif kind == "row" and not model.description.get("named"):
            # Columns of a model without names stand in its order.
            rows = [list(row) for row in zip(*columns.values(), strict=True)]
        else:
            rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if kind == "row" and len(inputs_of(model)) == 1 and not model.description.get("named"):
            rows = [row if isinstance(row, list) else [row] for row in rows]
        return Request(RawInstances(rows, True, extras, model.rules))

    def write(self, predictions: list[Any], request: Request, model: Model, signature: Signature) -> bytes:
        """A column per output. NaN stays NaN unless it is refused: Arrow has it. Raises BadOutput."""
        del request
        if policy(model) == "REJECT":
            answers.sayable(predictions, "REJECT")
        columns = columns_of(predictions, signature.name)
        try:
            table = pyarrow.table({name: _array(values) for name, values in columns.items()})
        except (pyarrow.ArrowException, TypeError) as error:
            raise BadOutput(f"The answer cannot be written as Arrow: {error}") from error
        sink = io.BytesIO()
        with pyarrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return sink.getvalue()


def _numbers(column: Any) -> Any:
    """A column as an array of numbers, or None where it is something else or has gaps."""
    whole = column.combine_chunks()
    if isinstance(whole, pyarrow.ChunkedArray):
        whole = pyarrow.concat_arrays(whole.chunks)
    kind = whole.type
    sizes = []
    while pyarrow.types.is_fixed_size_list(kind):
        if whole.null_count:
            return None
        sizes.append(kind.list_size)
        whole, kind = whole.flatten(), kind.value_type
    if whole.null_count or not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
        return None
    array = whole.to_numpy(zero_copy_only=False).reshape(len(column), *sizes)
    return array if array.dtype.kind in "iu" or bool(np.isfinite(array).all()) else None


def _plain(value: Any) -> Any:
    """A value as JSON has it: a missing number is null, bytes are an object."""
    if isinstance(value, float) and not np.isfinite(value):
        if value != value:
            return None
        refuse("", "A number in the stream is infinite, which no model is asked with.")
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return refuse(
        "", f"A column holds values of type {type(value).__name__}. Send numbers, texts or booleans."
    )


def _array(values: list[Any]) -> Any:
    if values and isinstance(values[0], np.ndarray):
        stacked = np.stack(values)
        array = pyarrow.array(stacked.ravel())
        for size in reversed(stacked.shape[1:]):
            array = pyarrow.FixedSizeListArray.from_arrays(array, size)
        return array
    return pyarrow.array([value.item() if isinstance(value, np.generic) else value for value in values])


PROTOCOL = ArrowStream()
