"""What becomes of a value on its way out."""

from __future__ import annotations

import os
import time

import pytest

from mlengine.cli.formats.keys import read_key
from mlengine.cli.formats.scanner import Scanner
from mlengine.cli.formats.transforms import TRANSFORMS
from tests.unit.cli.formats.resources import JOB


@pytest.fixture(autouse=True)
def seoul(monkeypatch: pytest.MonkeyPatch):
    """This machine stands in Seoul, nine hours before UTC."""
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
    assert os.environ.get("TZ") != "Asia/Seoul"


@pytest.mark.parametrize(
    ("value", "call", "made"),
    [
        ("a/b/c", "basename()", "c"),
        (["a/b", "c/d"], "basename()", ["b", "d"]),
        (None, "basename(undefined=-)", "-"),
        ("2020-05-01T10:00:00Z", "date(tz=LOCAL)", "2020-05-01T19:00:00"),
        ("2020-05-01T10:00:00.123456789Z", "date()", "2020-05-01T10:00:00"),
        ("2020-05-01T10:00:00Z", "date(format='%d.%m.%Y %H h', tz=Europe/Berlin)", "01.05.2020 12 h"),
        ("2020-05-01T10:00:00+02:00", "date('%H:%M', tz=UTC)", "08:00"),
        ("soon", "date(tz=LOCAL)", "soon"),
        (None, "date(undefined=never)", "never"),
        (["b", "a"], "list()", "b,a"),
        (["b", "a"], 'list(separator="\\n")', "b\na"),
        ({"b": 1, "a": 2}, "list()", "a=2,b=1"),
        ({"b": 1, "a": 2}, "list(show=keys)", "a,b"),
        ({"b": 1, "a": 2}, "list(show=values)", "2,1"),
        ([1, 2], "len()", 2),
        ("abc", "len()", 3),
        (None, "count()", 0),
        (["10", "9", "x"], "sort()", ["9", "10", "x"]),
        ([{"n": "10"}, {"n": "9"}], "sort(n)", [{"n": "9"}, {"n": "10"}]),
        (True, "yesno()", "Yes"),
        (None, "yesno(yes=on,no=off)", "off"),
        ("false", "yesno(no=off)", "off"),
        ([1, "b"], "join(sep=', ')", "1, b"),
        ([1, "b"], "join()", "1/b"),
        ("a/b/c", "split()", ["a", "b", "c"]),
        ("a/b/c", "segment(1)", "b"),
        ("a/b/c", "segment(7,undefined=none)", "none"),
        ("Ab", "lower()", "ab"),
        ("Ab", "upper()", "AB"),
        ("a-1", "sub('[0-9]+', N)", "a-N"),
        ("abcdefgh", "trailoff(6)", "abc..."),
        (["a/b", "c"], "map().len()", [3, 1]),
        ([1, None, 2], "notnull()", [1, 2]),
        (0, "size()", "0"),
        ("1536", "size()", "1.5 KiB"),
        (5, "size()", "5 B"),
        (3 * 1024**3, "size(precision=0)", "3 GiB"),
        ("big", "size()", "big"),
        (3661, "duration()", "PT1H1M1S"),
        ("3.5s", "duration()", "PT4S"),
        (90061, "duration(parts=2)", "P1DT1H"),
        (2, "duration(unit=60)", "PT2M"),
        (0, "duration()", "PT0S"),
        (None, "duration(undefined=-)", "-"),
        ({"start": JOB["startTime"], "end": JOB["endTime"]}, "duration(start=start,end=end)", "PT1H1M3S"),
    ],
)
def test_a_transform_makes(value: object, call: str, made: object):
    assert read_key(Scanner(f"value.{call}", "--format")).value({"value": value}) == made


def test_the_time_a_job_took_is_between_its_fields():
    assert read_key(Scanner("@.duration()", "--format")).value(JOB) == "PT1H1M3S"


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"sub", "trailoff"}))
@pytest.mark.parametrize("value", [None, "", "x", 1, -2.5, True, [], [None, {}], {}, {"a": [1]}])
def test_no_transform_breaks_on_any_value(name: str, value: object):
    read_key(Scanner(f"value.{name}()", "--format")).value({"value": value})
