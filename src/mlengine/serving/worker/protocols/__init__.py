"""The languages of prediction, one module each: bytes to instances, predictions to bytes, errors to bytes.

None of them knows the model: all reach it through the same checks, and instances of one may share a model
call with those of another.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from mlengine.serving import messages
from mlengine.serving.worker.protocols.protocol import Protocol

_MODULES = {
    messages.PREDICT: "ml_v1",
    messages.TF_SERVING: "tf_serving",
    messages.INFER: "open_inference",
    messages.CSV: "csv_rows",
    messages.JSON_LINES: "json_lines",
    messages.ARROW: "arrow",
}
_loaded: dict[int, Protocol] = {}


def protocol_of(kind: int) -> Protocol | None:
    """The protocol of a kind of message; None for a kind that asks no prediction."""
    protocol = _loaded.get(kind)
    if protocol is None and kind in _MODULES:
        # Only when it is asked for: most versions are spoken to in one language.
        protocol = _loaded[kind] = cast(Protocol, import_module(f"{__name__}.{_MODULES[kind]}").PROTOCOL)
    return protocol
