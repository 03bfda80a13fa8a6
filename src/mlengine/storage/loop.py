"""Housekeeping: once at the start of the server, and then again and again, what is left behind is deleted."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event

from mlengine.storage.service import StorageService

_LOG = logging.getLogger(__name__)
_EVERY = timedelta(hours=1)


class CollectLoop:
    """Collects as long as the server runs.

    Args:
        older_than: How long an unfinished upload is left alone.
        every: Time between two collections.
    """

    def __init__(self, service: StorageService, *, older_than: timedelta, every: timedelta = _EVERY) -> None:
        self._service = service
        self._older_than = older_than
        self._every = every
        self._stop = Event()

    def run(self) -> None:
        """Collect until `stop`."""
        while not self._stop.is_set():
            self._collect()
            self._stop.wait(self._every.total_seconds())

    def stop(self) -> None:
        """End the loop after what it is at."""
        self._stop.set()

    def _collect(self) -> None:
        try:
            done = self._service.collect(older_than=self._older_than)
        except Exception:
            # Whatever was the matter, an hour later it may be over; nothing is lost by waiting.
            _LOG.exception("Storage could not be cleaned up; the next turn tries again")
            return
        if done.blobs or done.uploads:
            _LOG.info(
                "Storage cleaned up: %d blobs (%d bytes abandoned), %d unfinished uploads",
                done.blobs,
                done.size,
                done.uploads,
            )
