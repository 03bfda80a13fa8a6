"""The status and the metadata of a model in TensorFlow Serving's words. Predictions are the gateway's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlengine.models.domain import State
from mlengine.models.foreign import Found, Known, Look, described, in_their_words
from mlengine.web.method import Call, Json, Method

_STATES = {
    State.CREATING: "LOADING",
    State.READY: "AVAILABLE",
    State.FAILED: "END",
    State.DELETING: "UNLOADING",
}
_DTYPES = {
    "number": "DT_FLOAT",
    "integer": "DT_INT64",
    "boolean": "DT_BOOL",
    "string": "DT_STRING",
    "bytes": "DT_STRING",
    "any": "DT_VARIANT",
}


def methods(look: Look) -> list[Method]:
    """The rows of `GET /v1/models/…`."""

    def asked(call: Call) -> Found:
        return look(call.path["model"], call.path.get("version", ""))

    def get_status(call: Call) -> Json:
        return status(asked(call))

    def get_metadata(call: Call) -> Json:
        return metadata(asked(call))

    rows = []
    for path, word in (("/v1/models/{model}", ""), ("/v1/models/{model}/versions/{version}", "Version")):
        rows += [
            Method(
                id=f"mlengine.tfServing.get{word}",
                verb="GET",
                path=path,
                handler=in_their_words(get_status),
                summary="TensorFlow Serving: whether versions can answer.",
            ),
            Method(
                id=f"mlengine.tfServing.get{word}Metadata",
                verb="GET",
                path=path + "/metadata",
                handler=in_their_words(get_metadata),
                summary="TensorFlow Serving: what a version takes and answers.",
            ),
        ]
    return rows


def status(found: Found) -> Json:
    """ModelStatus: every version that was asked for, the newest first."""
    return {"model_version_status": [_status_of(known) for known in reversed(found.versions)]}


def metadata(found: Found) -> Json:
    """ModelMetadata of one version: its default signature. Raises NotFound while it is not known."""
    known, description = described(found)
    name = description.get("signature") or min(description.get("signatures") or ["serving_default"])
    definition = {
        "inputs": {
            one["name"] or "inputs": _tensor(one["name"] or "inputs", one) for one in description["inputs"]
        },
        "outputs": {
            one["name"] or "outputs": _tensor(one["name"] or "outputs", one) for one in description["outputs"]
        },
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": found.model, "signature_name": "", "version": known.version},
        "metadata": {"signature_def": {"signature_def": {name: definition}}},
    }


def _status_of(known: Known) -> Json:
    failed = known.state is State.FAILED
    return {
        "version": known.version,
        "state": _STATES[known.state],
        "status": {
            "error_code": "UNKNOWN" if failed else "OK",
            "error_message": known.error if failed else "",
        },
    }


def _tensor(name: str, one: Mapping[str, Any]) -> Json:
    shape = one["shape"]
    dimensions = [] if shape is None else [-1, *(-1 if size is None else size for size in shape)]
    return {
        "dtype": _DTYPES.get(one["type"], "DT_VARIANT"),
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in dimensions],
            "unknown_rank": shape is None,
        },
        "name": name,
    }
