"""What a language of prediction must be able to do, and what is alike in several of them."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlengine.serving.runtimes.model import Model, RawInstances, Refused, Signature, Violation
from mlengine.serving.worker import answers


class NotOffered(Exception):
    """The request asks what this version, in this runtime, does not do. The message names what to use."""


class Request(NamedTuple):
    """A request taken apart, its instances not yet checked against the model.

    Attributes:
        instances: One or more.
        signature_name: Empty where the request names none.
        context: What the protocol wants to remember for the answer.
    """

    instances: RawInstances
    signature_name: str = ""
    context: Any = None


class Protocol(typing.Protocol):
    """One language."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart. Raises Refused or NotOffered."""
        ...

    def located(self, refused: Refused, request: Request) -> Refused:
        """The fault of an instance, in places that the caller knows."""
        ...

    def write(self, predictions: list[Any], request: Request, model: Model, signature: Signature) -> bytes:
        """The body of a good answer. Raises BadOutput, or Refused for outputs that there are not.

        Args:
            predictions: One per instance, ready for JSON but for NumPy's arrays.
            request: What is answered.
            model: Who answered.
            signature: What of it was asked.
        """
        ...

    def error(self, code: int, message: str, violations: Sequence[Violation] = ()) -> bytes:
        """The body of a bad answer."""
        ...


class GoogleErrors:
    """For languages without errors of their own."""

    def located(self, refused: Refused, request: Request) -> Refused:
        """As it is."""
        del request
        return refused

    def error(self, code: int, message: str, violations: Sequence[Violation] = ()) -> bytes:
        """Google's envelope."""
        return answers.error(code, message, answers.bad_request(violations))


class ShortErrors:
    """For languages whose error is one text."""

    def located(self, refused: Refused, request: Request) -> Refused:
        """As it is."""
        del request
        return refused

    def error(self, code: int, message: str, violations: Sequence[Violation] = ()) -> bytes:
        """`{"error": "text"}`."""
        del code, violations
        return answers.short_error(message)


def inputs_of(model: Model) -> list[dict[str, Any]]:
    """The inputs in the model's description."""
    inputs: list[dict[str, Any]] = model.description.get("inputs") or []
    return inputs


def columns_of(predictions: Sequence[Any], unnamed: str) -> dict[str, list[Any]]:
    """Predictions by output; bare ones as the single output `unnamed`."""
    if all(isinstance(prediction, dict) for prediction in predictions):
        names = list(predictions[0])
        if all(list(prediction) == names for prediction in predictions):
            return {str(name): [prediction[name] for prediction in predictions] for name in names}
    return {unnamed: list(predictions)}
