"""What is done with a request: refused, answered here, predicted, passed on, or given a way through.

Apart from `http`, which knows bytes and order, so that this decision can be read in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlengine.serving.gateway import answers
from mlengine.serving.gateway.connect import connect
from mlengine.serving.gateway.passage import Passage
from mlengine.serving.gateway.turns import Prediction, Turn, overloaded, ready, too_large, wrong_encoding
from mlengine.web.heads import Request
from mlengine.web.hosts import wrong_host

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection
    from mlengine.serving.gateway.pool import WorkerLink


def receive(connection: ClientConnection, request: Request) -> Turn:
    """The turn of a request whose head was understood."""
    if request.method == b"CONNECT":
        return connect(connection, request)
    head_only = request.method == b"HEAD"
    if not connection.entrance.hosts.allows(request.host):
        refusal = answers.refusal(wrong_host(request.host))
        return ready(connection, *refusal, close=True, http10=request.http10, head_only=head_only)
    if request.method == b"POST":
        link = connection.door.routes.find(request.target)
        if link is not None:
            refused = connection.door.admission.refusal(request, link.version, connection.entrance.scheme)
            if refused is not None:
                # Whether a body that waits for our word still comes is the client's choice.
                close = request.close or (request.has_body and request.expects_continue)
                return ready(connection, *refused, close=close, http10=request.http10)
            return _prediction(connection, request, link)
    elif request.target.partition(b"?")[0] == b"/healthz" and request.method in (b"GET", b"HEAD"):
        return ready(
            connection,
            200,
            b"ok",
            kind=answers.TEXT,
            close=request.close,
            http10=request.http10,
            head_only=head_only,
        )
    return Passage(connection, request)


def _prediction(connection: ClientConnection, request: Request, link: WorkerLink) -> Turn:
    encoding = request.fields.get(b"content-encoding", b"identity").lower()
    most = connection.door.settings.max_body_bytes
    if encoding not in (b"identity", b"gzip", b"x-gzip"):
        return ready(connection, *wrong_encoding(encoding), close=True, http10=request.http10)
    if (request.length or 0) > most:
        return ready(connection, *too_large(most), close=True, http10=request.http10)
    if link.full:
        # Whether a body that waits for our word still comes is the client's choice.
        close = request.close or (request.has_body and request.expects_continue)
        return ready(connection, *overloaded(link), close=close, http10=request.http10)
    return Prediction(connection, request, link, gzip=encoding != b"identity")
