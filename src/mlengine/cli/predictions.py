"""Instances in and predictions out, for `predict` and `local predict`: flags, slices, gcloud's table."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from mlengine.cli.grammar import Parser
from mlengine.cli.output import plain, rows, snake, table, yaml_text
from mlengine.cli.session import Session
from mlengine.client import instances
from mlengine.errors import Problem

_KINDS = {
    "json-instances": "a JSON value a line; - is standard input",
    "text-instances": "a line of text is an instance",
    "json-request": 'a JSON object {"instances": [...]}',
}


def input_flags(parser: Parser, *, signature: bool = True) -> None:
    """Exactly one of the three ways to hand over instances; and the signature, where one may be named."""
    group = parser.add_mutually_exclusive_group(required=True)
    for kind, text in _KINDS.items():
        group.add_argument(f"--{kind}", metavar="FILE", help=text)
    if signature:
        parser.add_argument(
            "--signature-name", default="", metavar="NAME", help="signature of a TensorFlow model"
        )


def ask(
    arguments: Namespace,
    session: Session,
    send: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    size: int = instances.SLICE,
) -> int:
    """Read the instances, have them answered by `send` in runs of at most `size`, and print.

    Raises:
        Problem: of reading or of `send`; an instance is then numbered as in the file.
    """
    kind = next(kind for kind in _KINDS if getattr(arguments, kind.replace("-", "_")) is not None)
    found = instances.read(getattr(arguments, kind.replace("-", "_")), kind)
    for note in found.notes:
        session.say(f"Note: {note}.")
    signature = getattr(arguments, "signature_name", "") or found.signature
    answer: dict[str, Any] = {"predictions": []}
    for before, some in instances.slices(found.values, size):
        body: dict[str, Any] = {"instances": some} | ({"signature_name": signature} if signature else {})
        try:
            part = send(body)
        except Problem as problem:
            raise instances.renumbered(problem, before) from None
        if not isinstance(part.get("predictions"), list):
            answer = part
            break
        answer["predictions"] += part["predictions"]
    _show(session, answer)
    return 0


def _show(session: Session, answer: dict[str, Any]) -> None:
    predictions = answer.get("predictions")
    listed = predictions if isinstance(predictions, list) else []
    if rows(session, answer, listed):
        return
    if not isinstance(predictions, list):
        import json

        print(json.dumps(answer, indent=2, sort_keys=True, ensure_ascii=False))
    elif not predictions:
        print(yaml_text({"predictions": []}), end="")
    elif isinstance(predictions[0], dict):
        keys = sorted({key for record in predictions if isinstance(record, dict) for key in record})
        lines = [
            [plain(record.get(key)) for key in keys]
            if isinstance(record, dict)
            else [plain(record)] + [""] * (len(keys) - 1)
            for record in predictions
        ]
        print(table([snake(key).upper() for key in keys], lines))
    else:
        print(predictions)
