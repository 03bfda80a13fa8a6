"""As long as the server runs: what versions did is written down, and so are samples of their requests."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event

from mlengine.errors import Problem, Unavailable
from mlengine.monitoring.domain import WIDTHS
from mlengine.monitoring.request_log import RequestLog
from mlengine.monitoring.service import MonitoringService

_LOG = logging.getLogger(__name__)
_THIN_SECONDS = 60.0
_RECORDS_SECONDS = 2.0
# Just after an interval is over, so that it holds what happened in it.
_AFTER = 0.05


class MonitoringLoop:
    """Collects and thins.

    Args:
        now: The time of day, in seconds.
    """

    def __init__(self, service: MonitoringService, *, now: Callable[[], float] = time.time) -> None:
        self._service = service
        self._now = now
        self._stop = Event()
        self._thinned = 0.0
        self._silent = False

    def run(self) -> None:
        """Collect until `stop`."""
        self._try(self._service.begin)
        while not self._stop.wait(WIDTHS[0] + _AFTER - self._now() % WIDTHS[0]):
            self._turn()
        # What came after the last turn; a gateway that has ended already takes it along.
        with suppress(Problem):
            self._service.collect()

    def stop(self) -> None:
        """End the loop after what it is at."""
        self._stop.set()

    def _turn(self) -> None:
        if self._try(self._service.collect) and time.monotonic() - self._thinned > _THIN_SECONDS:
            self._thinned = time.monotonic()
            self._try(self._service.thin)

    def _try(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except Unavailable as problem:
            # The next turn makes up for it; once said is enough.
            if not self._silent:
                _LOG.warning("What versions do is not written down for now: %s", problem)
            self._silent = True
        except Exception:
            _LOG.exception("Monitoring stumbled; it goes on")
        else:
            self._silent = False
            return True
        return False


class RequestLogLoop:
    """Has samples written, apart from the other loop: a slow destination delays no figures."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log
        self._stop = Event()

    def run(self) -> None:
        """Fetch and write until `stop`."""
        pause = 0.0
        while not self._stop.wait(pause):
            pause = 0.0 if self._turn() else _RECORDS_SECONDS

    def stop(self) -> None:
        """End the loop after what it is at."""
        self._stop.set()

    def _turn(self) -> bool:
        try:
            return self._log.turn()
        except Unavailable:
            return False  # the gateway keeps the newest, and counts the others
        except Exception:
            _LOG.exception("Request logging stumbled; it goes on")
            return False
