"""Health and metadata in the words of the Open Inference Protocol v2. Inference is the gateway's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlengine.models.domain import State
from mlengine.models.foreign import Found, Look, described, in_their_words
from mlengine.web.method import Call, Handler, Json, Method, Reply

_DATATYPES = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
    "bytes": "BYTES",
    "any": "BYTES",
}


def methods(look: Look, server_version: str) -> list[Method]:
    """The rows of `GET /v2…`.

    Args:
        look: Finds models.
        server_version: Of mlengine.
    """

    def asked(call: Call) -> Found:
        return look(call.path["model"], call.path.get("version", ""))

    def server(call: Call) -> Json:
        del call
        return {"name": "mlengine", "version": server_version, "extensions": []}

    def live(call: Call) -> Json:
        del call
        return {"live": True}

    def ready(call: Call) -> Json:
        del call
        return {"ready": True}

    def model(call: Call) -> Json:
        return metadata(asked(call))

    def model_ready(call: Call) -> Reply:
        found = asked(call)
        is_ready = readiness(found)
        return Reply(content={"name": found.model, "ready": is_ready}, status=200 if is_ready else 503)

    rows = [
        _row("server", "/v2", server, "Open Inference: this server."),
        _row("live", "/v2/health/live", live, "Open Inference: it runs."),
        _row("ready", "/v2/health/ready", ready, "Open Inference: it answers."),
    ]
    for path, word in (("/v2/models/{model}", "model"), ("/v2/models/{model}/versions/{version}", "version")):
        rows += [
            _row(
                word,
                path,
                in_their_words(model),
                "Open Inference: what a version takes and answers.",
            ),
            _row(
                f"{word}Ready",
                path + "/ready",
                in_their_words(model_ready),
                "Open Inference: whether a version answers.",
            ),
        ]
    return rows


def _row(name: str, path: str, handler: Handler, summary: str) -> Method:
    return Method(
        id=f"mlengine.openInference.{name}", verb="GET", path=path, handler=handler, summary=summary
    )


def readiness(found: Found) -> bool:
    """Whether a request to what was asked for would be answered."""
    return bool(found.versions) and found.one().state is State.READY


def metadata(found: Found) -> Json:
    """The model's metadata. Raises NotFound while it is not known."""
    _, description = described(found)
    return {
        "name": found.model,
        "versions": [known.version for known in found.versions],
        "platform": f"mlengine_{str(description.get('framework', '')).replace('-', '_')}",
        "inputs": _inputs(description),
        "outputs": [
            _tensor(one["name"] or description.get("signature") or "predict", one)
            for one in description["outputs"]
        ],
    }


def _inputs(description: Mapping[str, Any]) -> list[Json]:
    kind, inputs = description.get("instance"), description["inputs"]
    if kind == "text":
        return [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    if kind == "row" and not description.get("named"):
        # A model without names of features takes its rows as one tensor.
        return [{"name": "instances", "datatype": "FP64", "shape": [-1, len(inputs)]}]
    return [_tensor(one["name"], one) for one in inputs]


def _tensor(name: str, one: Mapping[str, Any]) -> Json:
    sizes: Sequence[int | None] = one["shape"] or []
    shape = [-1, *(-1 if size is None else size for size in sizes)]
    return {"name": name, "datatype": _DATATYPES.get(one["type"], "BYTES"), "shape": shape}
