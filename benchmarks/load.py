"""The load generator as Python sees it: compiles `load.c`, writes its plans, reads its figures.

How we know that it is not the bottleneck: `ceiling` lets it ask a server that answers with a canned body from
C; it then makes several times the requests of the fastest server measured, and each figure carries the CPU
seconds that the generator itself took.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).with_name("load.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request and what its answer must say.

    Attributes:
        path: Of the URL.
        body: Of the request.
        numbers: What stands in the answer's body after the anchor, in order.
    """

    path: str
    body: bytes
    numbers: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run came to. Times in milliseconds; only right answers count as answered.

    Attributes:
        p99_from_asking: Without the wait for one of our own connections to be free, which an open loop adds
            once more is offered than the server can even refuse.
    """

    per_second: float
    p50: float
    p99: float
    p99_from_asking: float
    right: int
    wrong: int
    broken: int
    unanswered: int
    statuses: dict[str, int]
    generator_cpu_seconds: float
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether every request got its right answer."""
        return not self.wrong and not self.broken and not self.unanswered and set(self.statuses) == {"200"}


class Load:
    """The compiled generator."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "load"
        self._plan = folder / "plan"
        subprocess.run(["cc", "-O2", "-o", self._program, _SOURCE, "-lm"], check=True)

    def run(
        self,
        questions: Sequence[Question],
        *,
        port: int,
        connections: int,
        seconds: float,
        anchor: str = "",
        tolerance: float = 0.0,
        rate: float = 0.0,
        headers: str = "",
    ) -> Figures:
        """Ask `questions` again and again.

        Args:
            rate: Requests a second that come whatever the server does; 0 to ask again when answered.
            tolerance: By how much a number may differ.
        """
        plan = (
            struct.pack("<II", len(questions), len(anchor)) + anchor.encode() + struct.pack("<d", tolerance)
        )
        for question in questions:
            request = _request(question, port, headers)
            numbers = question.numbers
            plan += struct.pack("<I", len(request)) + request
            plan += struct.pack(f"<I{len(numbers)}d", len(numbers), *numbers)
        self._plan.write_bytes(plan)
        command = [
            self._program,
            "127.0.0.1",
            port,
            connections,
            seconds,
            self._plan,
            *([rate] if rate else []),
        ]
        done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        if done.stderr:
            print(done.stderr.strip())
        found: dict[str, Any] = json.loads(done.stdout)
        return Figures(
            per_second=found["perSecond"],
            p50=found["p50"],
            p99=found["p99"],
            p99_from_asking=found["p99FromAsking"],
            right=found["right"],
            wrong=found["wrong"],
            broken=found["broken"],
            unanswered=found["unanswered"],
            statuses=found["statuses"],
            generator_cpu_seconds=found["cpuSeconds"],
            seconds=found["seconds"],
        )

    def ceiling(self, questions: Sequence[Question], *, connections: int, seconds: float) -> Figures:
        """The same against a server that does nothing but answer."""
        port = free_port()
        server = subprocess.Popen([self._program, "serve", str(port), "40"])
        try:
            wait_for(port)
            bare = [Question(path=asked.path, body=asked.body, numbers=()) for asked in questions]
            return self.run(bare, port=port, connections=connections, seconds=seconds)
        finally:
            server.kill()
            server.wait()


def _request(question: Question, port: int, headers: str) -> bytes:
    head = (
        f"POST {question.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(question.body)}\r\n{headers}\r\n"
    )
    return head.encode() + question.body


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, seconds: float = 60.0) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
