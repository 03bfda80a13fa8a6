"""The golden prediction: a worker serves only after its model has answered one, made up from its own schema.

It goes the way of every request, bytes in and bytes out. Of the samples (what an imputer would fill in, first
categories, and zeros, ones or a ramp where training left nothing) one good answer is enough: a model that
divides by the norm of its input may answer NaN to zeros. If none gets a good answer, the model is refused;
but where types or shapes in the samples are guesses (columns that only the user's own code sees, string
tensors, dimensions that may vary) failure proves nothing, so the worker warns, and serves.
"""

from __future__ import annotations

import sys

from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.worker import answers
from mlengine.serving.worker.batch import Answerer
from mlengine.serving.worker.decode import loads

_MOST_SHOWN = 2000


def prove(model: Model) -> None:
    """Make sure that `model` answers. Raises LoadFailed with what was sent and what came back."""
    signature = {} if model.default is not None else {"signature_name": min(model.signatures)}
    failures: list[str] = []
    for sample in model.samples:
        body = answers.dumps({"instances": [sample], **signature})
        status, answer = Answerer(model).answer([body])[0]
        if status == 200:
            return
        failures.append(f"Sent: {_cut(body)} Answered: {loads(answer)['error']['message']}")
    if model.sure:
        raise LoadFailed(
            f"The model was loaded, but it does not answer a prediction made from its own schema. "
            f"{failures[0]}"
        )
    why = "\n".join(failures) or "The model does not tell what an instance looks like."
    sys.stderr.write(
        f"Warning: the model could not be tried out, since its inputs can only be guessed. {why}\n"
    )


def _cut(body: bytes) -> str:
    text = body.decode("utf-8")
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)} characters)"
