"""What is done with a request: refused, answered here, predicted, passed on, or given a way through.

Apart from `http`, which knows bytes and order, so that this decision can be read in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlengine.errors import InvalidArgument, Problem
from mlengine.serving.gateway import answers, metrics
from mlengine.serving.gateway.connect import connect
from mlengine.serving.gateway.passage import Passage
from mlengine.serving.gateway.prediction import Prediction, too_large, wrong_encoding
from mlengine.serving.gateway.turns import Turn, ready
from mlengine.serving.messages import ARROW, CSV, INFER, JSON_LINES, PREDICT
from mlengine.web.heads import Request
from mlengine.web.hosts import foreign_page, wrong_host

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection
    from mlengine.serving.gateway.known import Known
    from mlengine.serving.gateway.routes import Route

# What the body of an ml v1 prediction is, by its media type; JSON where it says none or another.
_KINDS = {
    b"text/csv": CSV,
    b"application/x-ndjson": JSON_LINES,
    b"application/jsonl": JSON_LINES,
    b"application/json-lines": JSON_LINES,
    b"application/vnd.apache.arrow.stream": ARROW,
}
SMALL = 16 * 1024


def receive(connection: ClientConnection, request: Request) -> Turn:
    """The turn of a request whose head was understood."""
    if request.method == b"CONNECT":
        return connect(connection, request)
    if not connection.entrance.hosts.allows(request.host):
        return _now(connection, request, *answers.refusal(wrong_host(request.host)), close=True)
    if b"origin" in request.fields and (foreign := foreign_page(request)):
        return _now(connection, request, *answers.refusal(foreign), close=True)
    if request.method == b"POST":
        route = connection.door.routes.find(request.target)
        if route is not None:
            return _predict(connection, request, route)
    elif request.method in (b"GET", b"HEAD"):
        path = request.target.partition(b"?")[0]
        if path == b"/healthz":
            return _now(connection, request, 200, b"ok", media=answers.TEXT)
        if path == b"/metrics":
            return _metrics(connection, request)
    return Passage(connection, request)


def again(connection: ClientConnection, known: Known) -> Turn:
    """The turn of a prediction whose head came before."""
    request = known.request
    route = connection.door.routes.find(request.target)
    if route is None:
        return Passage(connection, request)
    return _admit(connection, request, route, kind=known.kind, gzip=known.gzip)


def _predict(connection: ClientConnection, request: Request, route: Route) -> Turn:
    kind = route.kind
    if kind == PREDICT and b"content-type" in request.fields:
        media = request.fields[b"content-type"].partition(b";")[0].strip().lower()
        kind = _KINDS.get(media, PREDICT)
    encoding = request.fields.get(b"content-encoding", b"identity").lower()
    most = connection.door.settings.max_body_bytes
    if encoding not in (b"identity", b"gzip", b"x-gzip"):
        return _refuse(connection, request, kind, *wrong_encoding(encoding), close=True)
    if (request.length or 0) > most:
        return _refuse(connection, request, kind, *too_large(most), close=True)
    if kind == INFER and b"inference-header-content-length" in request.fields:
        binary = InvalidArgument(
            "The binary tensor data extension of Open Inference is not spoken here.",
            hint="Send the tensors' data as JSON: with Triton's client binary_data=False.",
        )
        return _refuse(connection, request, kind, binary)
    return _admit(connection, request, route, kind=kind, gzip=encoding != b"identity")


def _admit(connection: ClientConnection, request: Request, route: Route, *, kind: int, gzip: bool) -> Turn:
    """What depends on this moment: whether the caller may, and whether there is room."""
    refused = connection.door.admission.refusal(request, route.resource, connection.entrance.scheme)
    if refused is not None:
        return _refuse(connection, request, kind, refused)
    # A small body is here as soon as its head, and is refused with it where there is no room.
    full = None if 0 < (request.length or 0) <= SMALL else route.full
    if full is not None:
        full.figures.ended(429)
        return _now(connection, request, *full.overloaded(kind), close=_unsure(request))
    return Prediction(connection, request, route, kind=kind, gzip=gzip)


def _metrics(connection: ClientConnection, request: Request) -> Turn:
    door = connection.door
    visible = door.admission.may_list(request, door.routes.projects, connection.entrance.scheme)
    if isinstance(visible, Problem):
        return _now(connection, request, *answers.refusal(visible))
    return _now(connection, request, 200, metrics.text(door.routes.pools, visible), media=metrics.MEDIA_TYPE)


def _refuse(
    connection: ClientConnection,
    request: Request,
    kind: int,
    problem: Problem,
    code: int | None = None,
    *,
    close: bool = False,
) -> Turn:
    close = close or _unsure(request)
    return _now(connection, request, *answers.spoken(kind, problem, code), close=close)


def _unsure(request: Request) -> bool:
    """Whether a body that waits for our word may or may not come: that is the client's choice."""
    return request.has_body and request.expects_continue


def _now(
    connection: ClientConnection,
    request: Request,
    status: int,
    body: bytes,
    *,
    media: bytes = answers.JSON,
    close: bool = False,
) -> Turn:
    return ready(
        connection,
        status,
        body,
        kind=media,
        close=close or request.close,
        http10=request.http10,
        head_only=request.method == b"HEAD",
    )
