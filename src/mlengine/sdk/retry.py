"""Sending a request until it is answered: what is sent again, how often, and with which pauses."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mlengine.errors import Unavailable
from mlengine.sdk.effects import Pause, Reply, Request, Steps
from mlengine.sdk.problems import refusal

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Retry:
    """How one client goes on trying.

    A request that was refused before anything happened (429) is sent again always; after 502, 503 or a broken
    connection only one that may run twice. A server that has never answered is not waited for.

    Args:
        seconds: For one request, all pauses together; 0 for no second attempt.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._heard = False

    def answer(self, request: Request) -> Steps[Reply]:
        """The good answer to a request. Raises Problem: the server's refusal, or that none answers."""
        deadline = time.monotonic() + self._seconds
        longest = _FIRST_PAUSE
        while True:
            wanted = 0.0
            try:
                reply: Reply = yield request
            except Unavailable as problem:
                found, again = problem, request.repeatable and self._heard
            else:
                self._heard = True
                if reply.status < 300:
                    return reply
                found = refusal(reply)  # type: ignore[assignment]  # any Problem
                again = reply.status == 429 or (request.repeatable and reply.status in (502, 503))
                wanted = retry_after(reply.headers.get("retry-after", ""))
            # Not all clients of a server that restarts should come back in the same moment.
            pause = max(longest * random.uniform(0.5, 1.0), wanted)
            if not again or time.monotonic() + pause > deadline:
                raise found
            yield Pause(pause)
            longest = min(longest * 2, _LONGEST_PAUSE)


def retry_after(text: str) -> float:
    """The seconds that a Retry-After header asks for, given as a number or as a date; 0 for none."""
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
