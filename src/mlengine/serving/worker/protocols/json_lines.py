"""JSON lines: an instance a line, answered with a prediction a line."""

from __future__ import annotations

import re
from typing import Any

from mlengine.serving.runtimes.model import Model, RawInstances, Refused, Signature, Violation
from mlengine.serving.worker import answers
from mlengine.serving.worker.decode import loads, refuse
from mlengine.serving.worker.protocols.ml_v1 import policy
from mlengine.serving.worker.protocols.protocol import GoogleErrors, Request

_INSTANCE = re.compile(r"^Instance (\d+)")


class JsonLines(GoogleErrors):
    """See the module. The context of a request is the number of each instance's line."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart; empty lines mean nothing. Raises Refused."""
        values: list[Any] = []
        lines: list[int] = []
        for number, line in enumerate(body.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                values.append(loads(line))
            except Refused as refused:
                words = refused.message.replace("The request is not", "it is not").replace(" line 1,", "")
                refuse("", f"Line {number}: {words}")
            lines.append(number)
        if not values:
            refuse("", "The request is empty. Send one instance a line, as JSON.")
        booleans = b"true" in body or b"false" in body
        extras: dict[str, Any] = {"signature_name": None} if model.takes_extras else {}
        return Request(RawInstances(values, booleans, extras, model.rules), "", lines)

    def located(self, refused: Refused, request: Request) -> Refused:
        """With the line in place of the instance."""
        return by_line(refused, request.context)

    def write(self, predictions: list[Any], request: Request, model: Model, signature: Signature) -> bytes:
        """A prediction a line. Raises BadOutput."""
        del request, signature
        said = answers.sayable(predictions, policy(model))
        return b"".join(answers.dumps(prediction) + b"\n" for prediction in said)


def by_line(refused: Refused, lines: list[int]) -> Refused:
    """`refused` with the line of the body in place of the instance's number.

    Args:
        refused: About instances.
        lines: Each one's line.
    """

    def placed(sentence: str) -> str:
        found = _INSTANCE.match(sentence)
        if found is None or not 0 < int(found[1]) <= len(lines):
            return sentence
        return f"Line {lines[int(found[1]) - 1]}{sentence[found.end() :]}"

    violations = [Violation(one.field, placed(one.description)) for one in refused.violations]
    return Refused(placed(refused.message), violations)


PROTOCOL = JsonLines()
