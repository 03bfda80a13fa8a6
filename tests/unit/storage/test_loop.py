"""The housekeeping of a running server."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from mlengine.errors import Unavailable
from mlengine.storage.collecting import Collected
from mlengine.storage.loop import CollectLoop
from mlengine.storage.service import StorageService


class Counting(StorageService):
    """A service that tells when it has collected; the first time its database is out of reach."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.turns = 0
        self.third = threading.Event()

    def collect(self, older_than: timedelta) -> Collected:
        self.turns += 1
        if self.turns == 1:
            raise Unavailable("The database does not answer.")
        if self.turns == 3:
            self.third.set()
        return super().collect(older_than)


def test_it_collects_again_and_again_whatever_happens_until_it_is_stopped(
    service: StorageService, caplog: pytest.LogCaptureFixture
) -> None:
    counting = Counting(service._database, service._blobs, service._clock)
    loop = CollectLoop(counting, older_than=timedelta(days=7), every=timedelta(milliseconds=1))
    thread = threading.Thread(target=loop.run)
    with caplog.at_level(logging.INFO):
        thread.start()
        assert counting.third.wait(timeout=30)

    loop.stop()
    thread.join(timeout=30)

    assert not thread.is_alive()
    assert "the next turn tries again" in caplog.text


def test_it_collects_at_once_and_then_sleeps_until_it_is_stopped(service: StorageService) -> None:
    counting = Counting(service._database, service._blobs, service._clock)
    loop = CollectLoop(counting, older_than=timedelta(days=7))
    thread = threading.Thread(target=loop.run)
    thread.start()

    loop.stop()
    thread.join(timeout=30)

    assert not thread.is_alive()
    assert counting.turns <= 1
