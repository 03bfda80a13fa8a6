"""Collecting what is wrong with the instances of one request, and showing values in sentences about it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mlengine.serving.runtimes.model import Refused, Violation

# Enough to mend a request by; a request of thousands of broken rows must not get an answer of their size.
MOST_VIOLATIONS = 50
MOST_LISTED = 20


class Faults:
    """What is wrong with one request, in its order."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []
        self._instances: set[int] = set()

    def add(self, instance: int, path: str, sentence: str) -> None:
        """Note one fault.

        Args:
            instance: Position of the instance, from 0.
            path: What follows `instances[n]` in the field's path.
            sentence: All that is to be said, with the instance counted from 1.
        """
        self._instances.add(instance)
        if len(self._violations) < MOST_VIOLATIONS:
            self._violations.append(Violation(f"instances[{instance}]{path}", sentence))

    def raise_if_any(self) -> None:
        """Raise Refused with the first fault and the number of the other instances that have one."""
        if not self._violations:
            return
        message = self._violations[0].description
        others = len(self._instances) - 1
        if others:
            message += f" {others} more instance{' has' if others == 1 else 's have'} errors."
        raise Refused(message, self._violations)


def shown(value: Any) -> str:
    """A JSON value as it may stand in a sentence: short, texts in quotes."""
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 40 else f"'{value[:40]}…'"
    if isinstance(value, list):
        return f"a list of {len(value)} value{'' if len(value) == 1 else 's'}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, bytes):
        return "binary data"
    return json.dumps(value)


def listed(values: Iterable[Any]) -> str:
    """Names or values one after the other, cut where there are too many to read."""
    every = [value if isinstance(value, str) else json.dumps(value) for value in values]
    text = ", ".join(every[:MOST_LISTED])
    return text if len(every) <= MOST_LISTED else f"{text} and {len(every) - MOST_LISTED} more"
