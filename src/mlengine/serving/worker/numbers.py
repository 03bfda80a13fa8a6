"""Instances that are nothing but numbers, from text straight into arrays, where there is simdjson.

It only takes what it can take whole: one text, one shape, numbers all over. Everything else, and above all
every mistake, is left to `decode`, which has the words for it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any

from mlengine.serving.runtimes.arrays import ArrayInstances, NumberShape
from mlengine.serving.runtimes.rules import Rules
from mlengine.serving.worker.protocols.protocol import Request

try:
    import simdjson
except ImportError:  # an old or foreign environment: slower, else the same
    simdjson = None

_OPENING = re.compile(rb'\s*\{\s*"instances"\s*:\s*\[\s*[\[{]')
# Below it the ordinary way is as fast.
_WORTH = 256
# A model may be tried in one thread while others are served in another.
_mine = threading.local()


def read_numbers(body: bytes, shapes: Sequence[NumberShape], rules: Rules | None) -> Request | None:
    """A predict request whose instances are arrays of numbers, or None where it is anything else.

    Args:
        body: As the caller sent it.
        shapes: What the model takes; empty where it takes no plain numbers.
        rules: The version's.
    """
    if simdjson is None or not shapes or len(body) < _WORTH or _OPENING.match(body) is None:
        return None
    try:
        return _read(body, shapes, rules)
    # What the parser does not like comes in many types.
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError):
        _mine.parser = None  # it may still be tied to the document
        return None


def _read(body: bytes, shapes: Sequence[NumberShape], rules: Rules | None) -> Request | None:
    parser = getattr(_mine, "parser", None)
    if parser is None:
        parser = _mine.parser = simdjson.Parser()
    document = parser.parse(body)
    keys = list(document.keys())
    if keys not in (["instances"], ["instances", "signature_name"]):
        return None
    name = document["signature_name"] if len(keys) == 2 else ""
    instances = document["instances"]
    count = len(instances)
    if not isinstance(name, str) or not count:
        return None
    # Numbers are taken without regard to the lists they are in: so their number must be the one of the shape.
    if _brackets(body) != 1 + count * sum(map(_lists, shapes)):
        return None
    if len(shapes) == 1 and isinstance(instances[0], simdjson.Array):
        (only,) = shapes
        if not all(_has_shape(instance, only.shape) for instance in instances):
            return None
        return Request(ArrayInstances({"": _array(instances, count, only)}, rules), name)
    columns = _columns(instances, shapes)
    return None if columns is None else Request(ArrayInstances(columns, rules), name)


def _columns(instances: Any, shapes: Sequence[NumberShape]) -> dict[str, Any] | None:
    import numpy as np

    wanted = [one.name for one in shapes]
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for instance in instances:
        if sorted(instance.keys()) != sorted(wanted):
            return None
        for one in shapes:
            value = instance[one.name]
            if not one.shape:
                if type(value) is not int and (one.whole or type(value) is not float):
                    return None
                columns[one.name].append(value)
            elif not _has_shape(value, one.shape):
                return None
            else:
                columns[one.name].append(_array(value, 1, one)[0])
    return {
        one.name: np.array(columns[one.name], dtype=np.int64 if one.whole else np.float64) for one in shapes
    }


def _array(values: Any, count: int, one: NumberShape) -> Any:
    import numpy as np

    # Fails for all that is no number, and, asked for whole numbers, for fractions.
    buffer = values.as_buffer(of_type="i" if one.whole else "d")
    return np.frombuffer(buffer, dtype=np.int64 if one.whole else np.float64).reshape(count, *one.shape)


def _brackets(body: bytes) -> int:
    import numpy as np

    # A fifth of the time of `bytes.count`.
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord("[")))


def _lists(one: NumberShape) -> int:
    """How many lists one instance has."""
    total, level = 0, 1
    for dimension in one.shape:
        total += level
        level *= dimension
    return total


def _has_shape(array: Any, shape: tuple[int, ...]) -> bool:
    if len(array) != shape[0]:
        return False
    return len(shape) == 1 or all(_has_shape(item, shape[1:]) for item in array)
