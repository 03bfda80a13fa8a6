"""Connections from process to process, and which requests they are for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.web.handover import MOST_AHEAD, Handover, is_bulk

Ends = tuple[Handover, Handover]


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    one = Handover(tmp_path / "one.sock", tmp_path / "two.sock")
    two = Handover(tmp_path / "two.sock", tmp_path / "one.sock")
    yield one, two
    one.close()
    two.close()


def test_a_connection_arrives_with_what_was_read_of_it(ends: Ends) -> None:
    ours, clients = socket.socketpair()

    assert ends[0].give(ours.fileno(), b"GET /", loopback=True)
    ours.close()
    taken = ends[1].take()

    assert taken is not None
    arrived, ahead, loopback = taken
    arrived.sendall(b"still open")
    assert (clients.recv(100), ahead, loopback) == (b"still open", b"GET /", True)
    arrived.close()
    clients.close()


def test_an_end_that_is_not_there_takes_none(tmp_path: Path) -> None:
    alone = Handover(tmp_path / "one.sock", tmp_path / "nobody.sock")
    ours, clients = socket.socketpair()

    assert not alone.give(ours.fileno(), b"", loopback=False)
    assert not alone.give(ours.fileno(), b"", loopback=False, wait=True)
    for each in (alone, ours, clients):
        each.close()


def test_more_than_fits_is_not_handed_over(ends: Ends) -> None:
    ours, clients = socket.socketpair()

    assert not ends[0].give(ours.fileno(), b"x" * (MOST_AHEAD + 1), loopback=True)
    assert ends[0].give(ours.fileno(), b"x" * MOST_AHEAD, loopback=True)
    taken = ends[1].take()

    assert taken is not None
    assert len(taken[1]) == MOST_AHEAD
    for each in (taken[0], ours, clients):
        each.close()


def test_who_may_wait_is_not_refused_by_an_end_that_is_busy(ends: Ends) -> None:
    ours, clients = socket.socketpair()
    given = 0
    while ends[0].give(ours.fileno(), b"", loopback=True):
        given += 1
    answers: list[bool] = []
    waiting = threading.Thread(
        target=lambda: answers.append(ends[0].give(ours.fileno(), b"last", loopback=True, wait=True))
    )

    waiting.start()
    taken = [ends[1].take() for _ in range(given + 1)]
    waiting.join(10)

    assert answers == [True]
    assert [found[1] for found in taken if found] == [b""] * given + [b"last"]
    for found in taken:
        if found:
            found[0].close()
    ours.close()
    clients.close()


@pytest.mark.parametrize(
    ("line", "bulk"),
    [
        (b"GET /storage/v1/b HTTP/1.1", True),
        (b"POST /upload/storage/v1/b/x/o?name=a HTTP/1.1", True),
        (b"PUT /bucket/object HTTP/1.1", True),
        (b"POST /upload/bigquery/v2/projects HTTP/1.1", True),
        (b"GET /bigquery/v2/projects/p/datasets/d/tables/t/data HTTP/1.1", True),
        (b"POST /v1/projects/p/models/m:predict HTTP/1.1", False),
        (b"GET /healthz HTTP/1.1", False),
        (b"GET / HTTP/1.1", False),
        (b"CONNECT storage.googleapis.com:443 HTTP/1.1", False),
        (b"GET /stor", True),
        (b"\x16\x03\x01", False),
    ],
)
def test_which_requests_are_about_contents(line: bytes, bulk: bool) -> None:
    assert is_bulk(line) is bulk
