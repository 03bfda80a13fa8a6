"""A server that is killed while four clients write: what it acknowledged is there, and nothing by halves."""

from __future__ import annotations

import http.client
import threading
import zlib
from pathlib import Path
from random import Random
from urllib.parse import quote, urlsplit

import pytest

from tests.clients.forked_server import BUCKET, Caller, calling, media, serving

WRITERS = 4


class Writer(threading.Thread):
    """Writes as fast as it can until the server is gone.

    Attributes:
        stored: Contents by name that were acknowledged.
        under_way: Name and content of which nothing is known.
    """

    def __init__(self, port: int, mark: str, began: threading.Semaphore) -> None:
        super().__init__()
        self._caller = Caller(port)
        self._mark = mark
        self._luck = Random(mark)
        self._began = began
        self.stored: dict[str, bytes] = {}
        self.under_way: tuple[str, bytes] = ("", b"")
        self.broken = ""

    def run(self) -> None:
        try:
            for number in range(10_000):
                self._write(number)
                self._began.release()
        except (OSError, http.client.HTTPException):
            pass
        except BaseException as error:
            self.broken = repr(error)
        finally:
            self._caller.close()

    def _write(self, number: int) -> None:
        # Every third is the same name again and again, which replaces and deletes.
        name = f"{self._mark}/again" if number % 3 == 0 else f"{self._mark}/{number} 한#?"
        content = f"{self._mark} {number} ".encode() * self._luck.choice([1, 100, 20_000])
        self.under_way = (name, content)
        self._luck.choice([self._at_once, self._in_parts])(name, content)
        self.stored[name] = content

    def _at_once(self, name: str, content: bytes) -> None:
        status, answer = self._caller.upload(name, content)
        assert status == 200, answer

    def _in_parts(self, name: str, content: bytes) -> None:
        target = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name={quote(name, safe='')}"
        _, fields, _ = self._caller.ask("POST", target)
        place = urlsplit(fields["location"])
        half, size = len(content) // 2, len(content)
        for first, last in ((0, half), (half, size)):
            total = size if last == size else "*"
            headers = {"Content-Range": f"bytes {first}-{last - 1}/{total}"}
            status, _, answer = self._caller.ask(
                "PUT", f"{place.path}?{place.query}", content[first:last], headers
            )
            assert status == (200 if last == size else 308), answer


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_all_that_was_acknowledged_is_there_after_a_kill_and_nothing_is_there_by_halves(
    tmp_path: Path, sqlite_template: Path, rounds: int
) -> None:
    luck = Random(rounds)
    expected: dict[str, int] = {}
    with serving(tmp_path, template=sqlite_template) as server:
        for turn in range(rounds):
            began = threading.Semaphore(0)
            writers = [Writer(server.port, f"{turn}-{number}", began) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            for _ in range(luck.randrange(1, 40)):
                assert began.acquire(timeout=60)
            # Anywhere within the next writes, not just behind one.
            threading.Event().wait(luck.random() * 0.02)
            server.kill()
            for writer in writers:
                writer.join()
            assert [writer.broken for writer in writers] == [""] * WRITERS

            server.start()

            with calling(server) as caller:
                there = set(caller.names())
                for writer in writers:
                    name, content = writer.under_way
                    for known in {*writer.stored, name} & there:
                        status, _, found = caller.ask("GET", media(known))
                        possible = {writer.stored.get(known), content if known == name else None}
                        assert status == 200 and found in possible, known
                        expected[known] = zlib.crc32(found)
                    assert set(writer.stored) <= there
                assert there == set(expected)
                assert caller.findings() == []
        # Nothing that came later has touched what was there before.
        with calling(server) as caller:
            for name, checksum in expected.items():
                assert zlib.crc32(caller.ask("GET", media(name))[2]) == checksum
