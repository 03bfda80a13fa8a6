"""The loop looks when an interval is over, survives what goes wrong, and says once that nothing answers."""

from __future__ import annotations

import logging
import threading

import pytest

from mlengine.access.rules import Need, On, needs
from mlengine.errors import InvalidArgument, Unavailable
from mlengine.monitoring.domain import HOUR
from mlengine.monitoring.loop import MonitoringLoop
from mlengine.monitoring.wire import span_from_query
from tests.conftest import HandClock


class Service:
    """Counts what it is asked, and goes wrong as told."""

    def __init__(self) -> None:
        self.wrong: list[Exception | None] = []
        self.collected = 0
        self.ended = threading.Event()

    def begin(self) -> None:
        pass

    def collect(self) -> None:
        self.collected += 1
        wrong = self.wrong.pop(0) if self.wrong else None
        if not self.wrong:
            self.ended.set()
        if wrong:
            raise wrong

    def thin(self) -> int:
        return 0


def test_what_goes_wrong_does_not_end_the_loop_and_silence_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service()
    silent = Unavailable("The gateway does not answer.")
    service.wrong = [silent, silent, ValueError("a fault of ours"), None, silent, None]
    # Always at the end of an interval, so that it never waits for long.
    loop = MonitoringLoop(service, now=lambda: 9.999)  # type: ignore[arg-type]
    caplog.set_level(logging.WARNING)

    thread = threading.Thread(target=loop.run)
    thread.start()
    assert service.ended.wait(30)
    loop.stop()
    thread.join(30)

    assert not thread.is_alive()
    assert service.collected >= 6
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "WARNING"]


@pytest.mark.parametrize(
    ("query", "since", "until", "step"),
    [
        ({}, HOUR, 0, 0),
        ({"since": "30m"}, 1800, 0, 0),
        ({"since": "2d", "until": "1d", "step": "1h"}, 2 * 86400, 86400, 3600),
        ({"since": "2026-11-02T09:00:00Z", "step": "10s"}, 1800, 0, 10),
    ],
)
def test_times_are_moments_or_how_long_ago(
    clock: HandClock, query: dict[str, str], since: int, until: int, step: int
) -> None:
    now = clock().timestamp()

    span = span_from_query(query, clock())

    assert (now - span.since, now - span.until, span.step) == (since, until, step)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-11-02"}, "until"),
        ({"since": "1h", "until": "2h"}, "since"),
        ({"step": "fast"}, "step"),
        ({"since": "400d", "step": "10s"}, "step"),
    ],
)
def test_what_is_no_time_is_refused_by_its_name(clock: HandClock, query: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        span_from_query(query, clock())

    assert refused.value.field == field


def test_figures_are_for_those_who_may_read_what_they_are_about() -> None:
    assert needs("mlengine.versions.metrics") == (Need("ml.versions.get", On.MODEL),)
    assert needs("mlengine.models.metrics") == (Need("ml.models.get", On.MODEL),)
    assert needs("mlengine.projects.metrics") == (Need("ml.models.list", On.PROJECT),)
