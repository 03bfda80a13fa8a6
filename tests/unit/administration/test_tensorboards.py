"""TensorBoards by a stand-in that speaks the same to the server as `tensorboard_process`, in milliseconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from mlengine.administration.domain import Board
from mlengine.administration.passing import pass_on, policy
from mlengine.administration.tensorboard_methods import methods, pages
from mlengine.backends.tensorboards import TensorBoards
from mlengine.environments import Builder, Runtime
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unavailable
from mlengine.web.method import Call, Reply
from mlengine.web.routing import Router
from tests.conftest import HandClock

STAND_IN = """\
import http.server, json, os, sys, threading
order = json.loads(sys.stdin.readline())
if "bad" in order["logdir"]:
    sys.exit("no such folder")
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = json.dumps([self.path, dict(self.headers), order["logdir"]]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(said)))
        self.send_header("Content-Security-Policy", "default-src 'self';img-src 'self' data: https://example.org")
        self.send_header("Set-Cookie", "a=b")
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.server_port}), flush=True)
sys.stdin.read()
os._exit(0)
"""


class StandIns(Builder):
    """Every runtime is built, or none, and its Python runs the stand-in."""

    def __init__(self, folder: Path, *, built: bool = True) -> None:
        super().__init__(folder)
        self._built = built
        self._python = folder / "python"
        (folder / "stand_in.py").write_text(STAND_IN)
        self._python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder / "stand_in.py"}"\n')
        self._python.chmod(0o755)

    def is_built(self, runtime: Runtime) -> bool:
        return self._built

    def interpreter(self, runtime: Runtime) -> Path:
        return self._python


def started(tmp_path: Path, clock: HandClock, *, built: bool = True) -> TensorBoards:
    builder = StandIns(tmp_path, built=built)
    return TensorBoards(
        tmp_path / "boards", builder, clock, environment=lambda *_: {"PATH": os.environ["PATH"]}
    )


@pytest.fixture
def boards(tmp_path: Path, clock: HandClock) -> Iterator[TensorBoards]:
    found = started(tmp_path, clock)
    yield found
    found.close()


def lives(board: Board) -> bool:
    url = f"http://127.0.0.1:{board.port}/"
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10).close()
    except OSError:  # also in the middle of an answer
        return False
    return True


def test_one_folder_has_one_and_projects_share_none(boards: TensorBoards) -> None:
    first = boards.start("local", "gs://b/a")

    assert boards.start("local", "gs://b/a").secret == first.secret
    assert boards.start("other", "gs://b/a").secret != first.secret
    assert [board.logdir for board in boards.running("local")] == ["gs://b/a"]
    assert len(first.secret) >= 32


def test_one_that_nobody_uses_ends_after_a_quarter_of_an_hour(boards: TensorBoards, clock: HandClock) -> None:
    used, idle = boards.start("local", "gs://b/used"), boards.start("local", "gs://b/idle")
    clock.forward(600)
    assert boards.find(used.secret)
    clock.forward(301)

    boards.end_idle()

    assert boards.find(idle.secret) is None and not lives(idle)
    assert boards.find(used.secret) and lives(used)


def test_all_end_with_the_server(boards: TensorBoards, tmp_path: Path) -> None:
    board = boards.start("local", "gs://b/a")

    boards.close()

    assert not lives(board)
    assert list((tmp_path / "boards").iterdir()) == []


def test_all_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    StandIns(tmp_path)
    killed = f"""
import os, signal, sys
from tests.unit.administration.test_tensorboards import started
from mlengine.clock import system_clock
from pathlib import Path
board = started(Path({str(tmp_path)!r}), system_clock).start("local", "gs://b/a")
print(board.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, text=True, timeout=60)
    port = int(done.stdout)

    now = datetime.now()
    board = Board(secret="s", project="p", logdir="gs://b/a", runtime="r", port=port, started=now, used=now)

    until = time.monotonic() + 20
    while lives(board):
        assert time.monotonic() < until, "it lives on"
        time.sleep(0.02)


def test_the_seventh_ends_the_one_that_was_used_longest_ago(boards: TensorBoards, clock: HandClock) -> None:
    found = []
    for number in range(6):
        found.append(boards.start("local", f"gs://b/{number}"))
        clock.forward()
    assert boards.find(found[0].secret)

    boards.start("local", "gs://b/6")

    assert boards.find(found[1].secret) is None
    assert boards.find(found[0].secret) and boards.find(found[2].secret)


def test_where_no_runtime_with_it_is_built_the_command_to_build_one_is_told(
    tmp_path: Path, clock: HandClock
) -> None:
    with pytest.raises(FailedPrecondition, match="No runtime that is built") as problem:
        started(tmp_path, clock, built=False).start("local", "gs://b/a")

    assert problem.value.hint == "Build one: mlengine runtimes build 2026.11-tensorflow"
    assert "2026.11-sklearn" not in problem.value.message


def test_one_that_does_not_start_says_why(boards: TensorBoards) -> None:
    with pytest.raises(FailedPrecondition, match=r"did not start for gs://bad/a\.\nno such folder"):
        boards.start("local", "gs://bad/a")

    assert boards.running("local") == []


def test_what_a_browser_asks_is_passed_on_without_credentials(boards: TensorBoards) -> None:
    board = boards.start("local", "gs://b/a")
    router = Router(pages(boards))
    headers = {"authorization": "Bearer x", "cookie": "c", "accept": "text/html", "host": "h:1"}
    target = f"/tensorboard/{board.secret}/data/runs?a=%2F"

    reply = router.answer(Call(path={}, target=target, headers=headers, base_url="http://h:1"))

    assert isinstance(reply.content, bytes)
    path, passed, logdir = json.loads(reply.content)
    assert (reply.status, path, logdir) == (200, target, "gs://b/a")
    assert {name.lower() for name in passed} == {"host", "accept", "accept-encoding"}
    assert "set-cookie" not in {name.lower() for name in reply.headers}
    assert reply.headers["Referrer-Policy"] == "no-referrer"


def test_its_pages_reach_nothing_but_its_own_path(boards: TensorBoards) -> None:
    board = boards.start("local", "gs://b/a")
    call = Call(path={}, base_url="https://ml.example:8443")

    said = policy("default-src 'self';img-src 'self' data: https://example.org", call, board)

    own = f"ml.example:8443/tensorboard/{board.secret}/"
    assert said.startswith(f"default-src {own};img-src {own} data:;")
    assert "example.org" not in said and "'self'" not in said.replace("frame-ancestors 'self'", "")
    strange = Call(path={}, base_url="http://h; script-src *")
    assert policy("default-src 'self'", strange, board).startswith("default-src 'none'")


def test_a_path_that_opens_nothing_is_missing_and_one_without_its_slash_leads_on(
    boards: TensorBoards,
) -> None:
    router = Router(pages(boards))

    assert router.answer(Call(path={}, target="/tensorboard/guessed/")).status == 404
    moved = router.answer(Call(path={}, target="/tensorboard/any"))
    assert (moved.status, moved.headers["Location"]) == (302, "/tensorboard/any/")


def test_one_that_has_died_is_unavailable_to_who_was_looking(boards: TensorBoards) -> None:
    board = boards.start("local", "gs://b/a")
    boards.stop(board.secret)

    with pytest.raises(Unavailable, match="does not answer"):
        pass_on(Call(path={}, target=f"/tensorboard/{board.secret}/"), board)


def test_who_may_not_read_the_bucket_neither_starts_nor_sees_nor_ends_one(boards: TensorBoards) -> None:
    def may_read(_call: Call, bucket: str) -> None:
        if bucket != "mine":
            raise PermissionDenied("no")

    table = {method.id.rpartition(".")[2]: method.handler for method in methods(boards, may_read=may_read)}
    theirs = boards.start("local", "gs://theirs/a")
    path = {"project": "local", "tensorboard": theirs.secret}

    def call(logdir: object) -> Call:
        return Call(path=path, body=iter([json.dumps({"logdir": logdir}).encode()]))

    with pytest.raises(PermissionDenied):
        table["create"](call("gs://theirs/a"))
    with pytest.raises(PermissionDenied):
        table["delete"](Call(path=path))
    assert table["list"](Call(path=path)) == {}
    mine = table["create"](call("gs://mine/a/"))
    assert not isinstance(mine, Reply) and mine["logdir"] == "gs://mine/a"
    assert table["list"](Call(path=path)) == {"tensorboards": [mine]}
    assert table["delete"](Call(path=path | {"tensorboard": mine["url"].split("/")[2]})) == {}
    with pytest.raises(NotFound):
        table["delete"](Call(path=path | {"tensorboard": "gone"}))
    for wrong in ("", 3, "/etc", "gs://B"):
        with pytest.raises(InvalidArgument):
            table["create"](call(wrong))
