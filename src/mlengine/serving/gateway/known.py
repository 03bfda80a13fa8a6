"""Heads of predictions that came before: known again by their bytes, without reading them.

A client sends the same head again and again, and reading one takes longer than all the rest of the gateway's
work. Whether its caller may, and who answers, is asked anew each time.
"""

from __future__ import annotations

from typing import NamedTuple

from mlengine.serving.gateway.prediction import Prediction
from mlengine.serving.gateway.turns import Turn
from mlengine.web.heads import Request

END = b"\r\n\r\n"
MOST_KNOWN = 1024
LONGEST_KNOWN = 4096


class Known(NamedTuple):
    """A head that was understood before, and is again whenever the same bytes come."""

    request: Request
    length: int
    kind: int
    gzip: bool


class KnownHeads:
    """Those that came by one way in; on the way it depends under which names we answer.

    Attributes:
        recall: The known head of these bytes, or None.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        self.recall = self._known.get

    def remember(self, head: bytes, turn: Turn, request: Request) -> None:
        """Know `head` again if it is that of a prediction about which it says everything."""
        if not isinstance(turn, Prediction) or request.close or request.http10 or request.expects_continue:
            return
        whole = request.length is not None and not request.chunked and not request.by_length_only
        # Otherwise it would be open where the head ends.
        lines = head.count(b"\r\n")
        plain = head.startswith(b"POST /") and head.endswith(END)
        plain = plain and head.count(b"\n") == lines == head.count(b"\r")
        if not whole or not plain or len(head) > LONGEST_KNOWN:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[head] = Known(request, request.length or 0, turn.kind, turn.gzip)
