"""Google's ml v1 predict: `{"instances": […], "signature_name": "…"}` and `{"predictions": […]}`."""

from __future__ import annotations

from typing import Any

from mlengine.serving.runtimes.model import Model, Signature
from mlengine.serving.worker import answers
from mlengine.serving.worker.decode import read_request
from mlengine.serving.worker.numbers import read_numbers
from mlengine.serving.worker.protocols.protocol import GoogleErrors, Request


class MlV1(GoogleErrors):
    """See the module."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart. Raises Refused."""
        shapes = model.number_shapes
        if shapes:
            request = read_numbers(body, shapes, model.rules)
            # The shapes are those of the default signature.
            if request is not None and _means_default(request.signature_name, model):
                return request
        return read_request(
            body,
            ignores_unknown_keys=model.ignores_unknown_keys,
            takes_extras=model.takes_extras,
            rules=model.rules,
        )

    def write(self, predictions: list[Any], request: Request, model: Model, signature: Signature) -> bytes:
        """One prediction per instance. Raises BadOutput."""
        del request, signature
        return answers.predictions(predictions, non_finite=policy(model))


def policy(model: Model) -> str:
    """What becomes of NaN and infinity in an answer."""
    return model.rules.non_finite if model.rules is not None else "NULL"


def _means_default(name: str, model: Model) -> bool:
    return not name or name == model.default or name in model.aliases


PROTOCOL = MlV1()
