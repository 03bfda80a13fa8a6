"""What one caller gets, and what becomes of an error on the way; apart, as all that answer need it."""

from __future__ import annotations

import sys
import traceback
from typing import NamedTuple

from mlengine.serving.runtimes.model import BadOutput, Refused
from mlengine.serving.worker.protocols.protocol import GoogleErrors, NotOffered, Protocol


class Answer(NamedTuple):
    """What one caller gets.

    Attributes:
        status: HTTP status number.
        body: What the kind of the request is answered with.
        decode_us: Microseconds that reading the request took.
        model_us: Microseconds of the model call that answered it.
        encode_us: Microseconds that writing the answer took.
        instances: Of that call; 0 where there was none.
    """

    status: int
    body: bytes
    decode_us: int = 0
    model_us: int = 0
    encode_us: int = 0
    instances: int = 0


def failure(error: Exception, protocol: Protocol | GoogleErrors, *, what: str = "Prediction") -> Answer:
    """The answer to a caller whose request ended in `error`.

    Args:
        error: What was raised.
        protocol: The caller's language.
        what: What failed, where it is nobody's mistake in the request.
    """
    if isinstance(error, Refused):
        return Answer(400, protocol.error(400, error.message, error.violations))
    if isinstance(error, NotOffered):
        return Answer(501, protocol.error(501, str(error)))
    if isinstance(error, BadOutput):
        return Answer(500, protocol.error(500, f"{what} failed: {error}"))
    # The traceback is for the owner of the model, in the worker's log; it is no caller's business.
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    return Answer(500, protocol.error(500, f"{what} failed: {type(error).__name__}: {error}"))
