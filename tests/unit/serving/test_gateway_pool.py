"""A version's pool while workers die, dawdle, come back and go: every request gets one answer, its own."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlengine.serving.gateway.events import Events
from mlengine.serving.gateway.figures import LEFT, Figures
from mlengine.serving.gateway.node import Node
from mlengine.serving.gateway.pool import Terms, VersionPool
from mlengine.serving.gateway.records import Records
from mlengine.serving.messages import CANCEL, PREDICT, TIMES, FrameReader, pack

NAMES = ("a.sock", "b.sock")
LIMIT = 12


class StandIn(asyncio.Protocol):
    """A worker: answers at once, or when released, or dies over a request."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._frames = FrameReader()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._worker.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._worker.connections.discard(self)
        self._worker.slow = [each for each in self._worker.slow if each[0] is not self]

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if frame.kind == CANCEL:
                self._worker.slow = [each for each in self._worker.slow if each[:2] != (self, frame.id)]
                continue
            assert frame.kind == PREDICT and 0 < frame.status <= 500
            match json.loads(frame.body)["do"]:
                case "answer":
                    self.answer(frame.id, frame.body)
                case "slow":
                    self._worker.slow.append((self, frame.id, frame.body))
                case "die":
                    self.transport.abort()
                    return

    def answer(self, id: int, body: bytes) -> None:
        self.transport.write(pack(TIMES.pack(1, 1, 1, 1, 1) + body, id=id, kind=PREDICT, status=200))


class Worker:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: set[StandIn] = set()
        self.slow: list[tuple[StandIn, int, bytes]] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        if self._server is None:
            self.path.unlink(missing_ok=True)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: StandIn(self), self.path)

    async def kill(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.transport.abort()

    def release(self) -> None:
        slow, self.slow = self.slow, []
        for connection, id, body in reversed(slow):
            connection.answer(id, body)


class Question:
    """What somebody asks, and every answer to it."""

    def __init__(self, n: int, do: str) -> None:
        self.kind = PREDICT
        self.sent = self.body = json.dumps({"n": n, "do": do}).encode()
        self.began = self.until = 0.0
        self.node: Node | None = None
        self.id = 0
        self.retried = False
        self.answers: list[tuple[int, bytes]] = []
        self.taken = self.cancelled = False

    def answered(self, status: int, body: bytes, timing: bytes) -> None:
        self.answers.append((status, body))

    @property
    def open(self) -> bool:
        return self.taken and not self.cancelled and not self.answers


def terms(folder: Path, names: tuple[str, ...]) -> Terms:
    return Terms(
        sockets=tuple(str(folder / name) for name in names),
        nodes=len(names),
        queue_limit=LIMIT,
        queue_bytes=10_000,
        deadline_seconds=5.0,
        wake_seconds=5.0,
        log_fraction=0.0,
    )


STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["answer", "answer", "slow", "slow", "die"])),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.sampled_from(["kill", "start", "release"]), st.integers(0, 1)),
    st.tuples(st.just("route"), st.sampled_from([NAMES, NAMES[:1], NAMES[1:], ()])),
    st.tuples(st.just("pass"), st.integers(0, 3)),
)


async def story(folder: Path, steps: list[tuple[str, Any]]) -> None:
    workers = [Worker(folder / name) for name in NAMES]
    await workers[0].start()
    figures = Figures()
    pool = VersionPool("p/m/v", terms(folder, NAMES), figures=figures, events=Events(), records=Records())
    asked: list[Question] = []
    for step, what in steps:
        match step:
            case "ask":
                question = Question(len(asked), what)
                question.taken = pool.ask(question)
                asked.append(question)
            case "cancel" if what < len(asked) and asked[what].taken:
                asked[what].cancelled = not asked[what].answers
                pool.cancel(asked[what])
            case "kill":
                await workers[what].kill()
            case "start":
                await workers[what].start()
            case "release":
                workers[what].release()
            case "route":
                pool.apply(terms(folder, what))
            case "pass":
                for _ in range(what):
                    await asyncio.sleep(0)
        assert pool.waiting <= LIMIT
    # In the end all is well, and everybody has what they asked for.
    pool.apply(terms(folder, NAMES))
    async with asyncio.timeout(4):
        while any(question.open for question in asked) or pool.waiting:
            for worker in workers:
                await worker.start()
                worker.release()
            await asyncio.sleep(0.001)
    for question in asked:
        said = question.answers
        if question.cancelled or not question.taken:
            assert said == []
            continue
        assert len(said) == 1
        status, body = said[0]
        # Who dies over a request is not asked a third time; whose worker is killed twice gets none.
        assert (status, body) == (200, question.sent) or (status, question.retried) == (503, True)
        assert status == 503 or b"die" not in body
    counted = sum(figures.codes.values())
    assert counted == len(asked)
    assert figures.codes.get(LEFT, 0) == sum(question.cancelled for question in asked)
    pool.close()
    for _ in range(20):  # turns of the loop in which transports close
        for worker in workers:
            await worker.kill()
        await asyncio.sleep(0)
    assert (pool.waiting, pool.held, pool.connected) == (0, 0, 0)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(steps=st.lists(STEPS, max_size=40))
def test_every_request_gets_exactly_one_answer_and_it_is_its_own(steps: list[tuple[str, Any]]) -> None:
    # (A server of asyncio's own loop that closes while it accepts forgets the connection.)
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(story(Path(folder), steps))
