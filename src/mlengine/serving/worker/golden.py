"""The golden prediction: a worker serves only after its model has answered one, made up from its own schema.

It goes the way of every request, bytes in and bytes out. Of the samples (what an imputer would fill in, first
categories, and zeros, ones or a ramp where training left nothing) one good answer is enough: a model that
divides by the norm of its input may answer NaN to zeros. If none gets a good answer, the model is refused.
Where types or shapes are guesses (columns that only the user's own code sees, string tensors, dimensions
that may vary), the user helps with a sample in `serving.json`, which is tried instead.
"""

from __future__ import annotations

from dataclasses import replace

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.rules import DEFAULT_RULES
from mlengine.serving.worker import answers
from mlengine.serving.worker.batch import Answerer
from mlengine.serving.worker.decode import loads

_MOST_SHOWN = 2000


def prove(model: Model) -> None:
    """Make sure that `model` answers. Raises LoadFailed with what was sent and what came back."""
    if model.passthrough is not None or (model.takes_extras and not model.samples):
        return  # a container is healthy by now; of a class of the user's no more is known than that it loaded
    signature = {} if model.default is not None else {"signature_name": min(model.signatures)}
    failures: list[str] = []
    # Whatever its answers may hold later: here NaN says that the model has learnt nothing.
    strict = replace(model, rules=replace(model.rules or DEFAULT_RULES, non_finite="REJECT"))
    for sample in model.samples:
        body = answers.dumps({"instances": [sample], **signature})
        status, answer = Answerer(strict).answer([(PREDICT, body)])[0][:2]
        if status == 200:
            return
        failures.append(f"Sent: {_cut(body)} Answered: {loads(answer)['error']['message']}")
    why = failures[0] if failures else "It does not tell what an instance looks like."
    if model.sure:
        raise LoadFailed(
            f"The model was loaded, but it does not answer a prediction made from its own schema. {why}"
        )
    raise LoadFailed(
        f"The model was loaded, but what it takes can only be guessed, and it does not answer that. {why} "
        f'Put an instance that it answers into serving.json beside the model: {{"sample": …}}.'
    )


def _cut(body: bytes) -> str:
    text = body.decode("utf-8")
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)} characters)"
