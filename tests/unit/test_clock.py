from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.clock import from_text, system_clock, to_text

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=ZONES)


@given(MOMENTS)
def test_a_moment_comes_back_from_its_text(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment
    assert from_text(to_text(moment)).tzinfo is UTC


@given(MOMENTS)
def test_the_text_is_as_protobuf_writes_it(moment: datetime) -> None:
    text = to_text(moment)

    assert text.endswith("Z")
    assert ("." in text) == (moment.microsecond != 0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-02T09:30:00Z", datetime(2026, 11, 2, 9, 30, tzinfo=UTC)),
        ("2026-11-02T09:30:00.5Z", datetime(2026, 11, 2, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-02T09:30:00.123456789Z", datetime(2026, 11, 2, 9, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-11-02T09:30:00.123456789+02:00", datetime(2026, 11, 2, 7, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-11-02T09:30:00-08:00", datetime(2026, 11, 2, 17, 30, tzinfo=UTC)),
    ],
)
def test_every_spelling_of_rfc_3339_is_read(text: str, moment: datetime) -> None:
    assert from_text(text) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-02T09:30:00", "2026-11-02", "2026-13-02T09:30:00Z"]
)
def test_what_is_no_timestamp_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|zone|must be in"):
        from_text(text)


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert system_clock().tzinfo is UTC
