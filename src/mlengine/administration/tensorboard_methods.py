"""The URLs of TensorBoards: who may starts one for a folder; whoever then has its path sees it."""

from __future__ import annotations

from collections.abc import Callable

from mlengine.administration import wire
from mlengine.administration.domain import Board, Boards
from mlengine.administration.passing import pass_on
from mlengine.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from mlengine.names import ObjectUrl
from mlengine.web.method import Call, Json, Method, Reply

_BOARDS = "/mlengine/v1/projects/{project}/tensorboards"
_SHOWN = "/tensorboard/{secret}"


def methods(boards: Boards, *, may_read: Callable[[Call, str], None]) -> list[Method]:
    """The rows that start, list and end TensorBoards.

    Args:
        may_read: Raises when the caller may not list and read the objects of a bucket, or there is none.
    """

    def create(call: Call) -> Json:
        body = call.json()
        unknown = sorted(set(body) - {"logdir"})
        if unknown:
            raise InvalidArgument(
                f"Unknown field '{unknown[0][:80]}'.",
                hint="A TensorBoard has a logdir.",
                field=unknown[0][:80],
            )
        logdir = body.get("logdir")
        if not isinstance(logdir, str) or not logdir:
            raise InvalidArgument(
                "logdir is missing: the folder with the event files.",
                hint="gs://BUCKET/FOLDER",
                field="logdir",
            )
        url = ObjectUrl.parse(logdir, field="logdir")
        may_read(call, url.bucket)
        return wire.board(boards.start(call.path["project"], str(url).rstrip("/")))

    def list_(call: Call) -> Json:
        found = [board for board in boards.running(call.path["project"]) if _readable(call, board, may_read)]
        return {"tensorboards": [wire.board(board) for board in found]} if found else {}

    def delete(call: Call) -> Json:
        for board in boards.running(call.path["project"]):
            if board.secret == call.path["tensorboard"]:
                may_read(call, ObjectUrl.parse(board.logdir).bucket)
                boards.stop(board.secret)
                return {}
        raise NotFound("There is no such TensorBoard.", hint="It ends after 15 minutes without use.")

    return [
        Method(
            id="mlengine.tensorboards.create",
            verb="POST",
            path=_BOARDS,
            handler=create,
            summary="Start TensorBoard for a folder, or find the one that runs; the answer has its URL.",
        ),
        Method(
            id="mlengine.tensorboards.list",
            verb="GET",
            path=_BOARDS,
            handler=list_,
            summary="The TensorBoards of a project that run.",
        ),
        Method(
            id="mlengine.tensorboards.delete",
            verb="DELETE",
            path=_BOARDS + "/{tensorboard}",
            handler=delete,
            summary="End a TensorBoard.",
        ),
    ]


def pages(boards: Boards) -> list[Method]:
    """The rows at which browsers see TensorBoards."""

    def show(call: Call) -> Reply:
        board = boards.find(call.path["secret"])
        if board is None:
            raise NotFound(
                "There is no TensorBoard here any more: it ends after 15 minutes without use.",
                hint="Open it once more from the page of the job.",
            )
        return pass_on(call, board)

    def home(call: Call) -> Reply:
        return Reply(status=302, headers={"Location": f"/tensorboard/{call.path['secret']}/"})

    rows = (
        ("open", "GET", _SHOWN, home),
        ("page", "GET", _SHOWN + "/", show),
        ("get", "GET", _SHOWN + "/{path*}", show),
        ("post", "POST", _SHOWN + "/{path*}", show),
    )
    return [
        Method(
            id=f"mlengine.tensorboard.{name}",
            verb=verb,
            path=path,
            handler=handler,
            summary="A TensorBoard, for whoever was given its path.",
        )
        for name, verb, path, handler in rows
    ]


def _readable(call: Call, board: Board, may_read: Callable[[Call, str], None]) -> bool:
    try:
        may_read(call, ObjectUrl.parse(board.logdir).bucket)
    except (NotFound, PermissionDenied, Unauthenticated):
        return False
    return True
