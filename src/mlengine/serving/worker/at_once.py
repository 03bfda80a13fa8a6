"""Whole batches of requests that hold nothing but numbers, read at one go and asked in one call.

A request of a few thousand numbers costs the model less than reading it does, and most of that is not parsing
but what Python does for each request. Here the instances of all requests are joined into one text, which
simdjson turns into one array. Whatever is not plain (one bad request, a name of a signature, a rule) makes
the whole batch go the ordinary way, which has the words for every mistake.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.arrays import ArrayInstances, NumberShape
from mlengine.serving.runtimes.model import Model, Rows, Signature
from mlengine.serving.runtimes.rules import DEFAULT_RULES

try:
    import simdjson
except ImportError:  # an old or foreign environment: slower, else the same
    simdjson = None

_OPENING = re.compile(rb'\s*\{\s*"instances"\s*:\s*(?=\[\s*\[)')
_CLOSING = re.compile(rb"\]\s*\}\s*\Z")
_OPEN, _CLOSE = ord("["), ord("]")
# What is parsed at a time: more falls out of the processor's cache, and takes twice as long.
_TEXT_BYTES = 96 * 1024
# Below it the ordinary way is as fast.
_WORTH = 256


class Batch(NamedTuple):
    """What a batch came to.

    Attributes:
        predictions: Of all requests, in order.
        counts: How many of them each request gets.
        decode_us: Microseconds that reading all of them took.
        model_us: Microseconds of the call.
    """

    predictions: list[Any]
    counts: list[int]
    decode_us: int
    model_us: int


class AtOnce:
    """Answers a batch of plain requests to one model. Not for several threads at once.

    Args:
        model: One for which `takes` is true.
    """

    def __init__(self, model: Model) -> None:
        assert model.default is not None
        self._shape = model.number_shapes[0]
        self._size = self._shape.shape[0]
        self._signature: Signature = model.signatures[model.default]
        self._rules = model.rules
        self._most = (model.rules or DEFAULT_RULES).max_batch_size
        self._parser: Any = simdjson.Parser()

    @staticmethod
    def takes(model: Model, signature_name: str) -> bool:
        """Whether a model has one input, a list of numbers of a fixed length, and no rules about its values.

        Args:
            signature_name: For requests that name none; empty for the model's default.
        """
        shapes: Sequence[NumberShape] = model.number_shapes
        return (
            simdjson is not None
            and model.default is not None
            and signature_name in ("", model.default)
            and len(shapes) == 1
            and len(shapes[0].shape) == 1
            and shapes[0].shape[0] > 0
            and not model.takes_extras
            and not (model.rules and model.rules.declared)
        )

    def ask(self, requests: Sequence[tuple[int, bytes]]) -> Batch | None:
        """The model's answer to all of `requests`, or None where they must be read one by one."""
        began = time.perf_counter_ns()
        try:
            rows = self._read(requests)
            if rows is None:
                return None
            decoded = time.perf_counter_ns()
            outputs = self._signature.run(rows[0])
            asked = time.perf_counter_ns()
            predictions = self._signature.predictions(outputs, 0, rows[0].count)
        # Whose fault it is, the ordinary way finds out.
        except Exception:
            self._parser = simdjson.Parser()  # the old one may still be tied to its document
            return None
        return Batch(predictions, rows[1], (decoded - began) // 1000, (asked - decoded) // 1000)

    def _read(self, requests: Sequence[tuple[int, bytes]]) -> tuple[Rows, list[int]] | None:
        read: list[Rows] = []
        counts: list[int] = []
        parts: list[bytes] = []
        size = 1
        starts: list[int] = []
        last = len(requests) - 1
        for place, (kind, body) in enumerate(requests):
            if kind != PREDICT or len(body) < _WORTH:
                return None
            opening = _OPENING.match(body)
            end = body.rfind(b"]")
            if opening is None or _CLOSING.match(body, end) is None:
                return None
            starts.append(size)
            part = body[opening.end() : end + 1]
            parts.append(part)
            size += len(part) + 1
            if size < _TEXT_BYTES and place < last:
                continue
            rows = self._parse(b"[" + b",".join(parts) + b"]", starts, counts)
            if rows is None:
                return None
            read.append(rows)
            parts, size, starts = [], 1, []
        if sum(counts) > self._most:
            return None
        return self._signature.join(read) if len(read) > 1 else read[0], counts

    def _parse(self, text: bytes, starts: list[int], counts: list[int]) -> Rows | None:
        """The rows of the lists in `text`, which begin at `starts`; adds how many each has to `counts`."""
        import numpy as np

        letters = np.frombuffer(text, np.uint8)
        if len(starts) == 1:
            opened = [int(np.count_nonzero(letters == _OPEN)) - 1]
        else:
            ends = [*starts, len(text) - 1]
            opened = np.diff(np.searchsorted(np.flatnonzero(letters == _OPEN), ends)).tolist()
            closed = np.diff(np.searchsorted(np.flatnonzero(letters == _CLOSE), ends)).tolist()
            # Lists that begin and end within each request, and as many of them together as there are
            # requests: so none of them reaches into its neighbour's.
            if opened != closed:
                return None
        document = self._parser.parse(text)
        if len(document) != len(starts):
            return None
        found: list[int] = []
        for instances in document:
            found.append(len(instances))
            for instance in instances:
                if len(instance) != self._size:
                    return None
        # Where every instance is a list, and there are no other lists, there are no lists within instances.
        if opened != [count + 1 for count in found]:
            return None
        counts += found
        whole = self._shape.whole
        # Fails for all that is no number, and, asked for whole numbers, for fractions.
        buffer = document.as_buffer(of_type="i" if whole else "d")
        numbers = np.frombuffer(buffer, np.int64 if whole else np.float64).reshape(-1, self._size)
        # NumPy's array keeps the buffer, and that is a copy: the parser is free again.
        del document
        return self._signature.decode(ArrayInstances({self._shape.name: numbers}, self._rules))
