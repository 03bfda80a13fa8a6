"""Samples go where a version says; what cannot be written is lost, counted, and said once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mlengine.errors import NotFound, Unavailable
from mlengine.monitoring.hourly import HourlyObjects, Outcome
from mlengine.monitoring.request_log import COLUMNS, RequestLog, wrong_columns
from mlengine.names import ObjectUrl
from tests.conftest import HandClock

KEY, OTHER = "local/titanic/v1", "local/titanic/v2"
FOLDER = ObjectUrl.parse("gs://box/logs")


class Bucket:
    """Objects by name; can refuse."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.refuses: Exception | None = None
        self.writes = 0

    def put(self, url: ObjectUrl, pieces: Iterator[bytes]) -> None:
        if self.refuses:
            raise self.refuses
        self.writes += 1
        self.objects[str(url)] = b"".join(pieces)

    @property
    def lines(self) -> list[str]:
        return [line for name in sorted(self.objects) for line in self.objects[name].decode().splitlines()]


class Notes:
    """What monitoring is told."""

    def __init__(self) -> None:
        self.written: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.troubles: dict[str, str] = {}
        self.keys: set[str] = set()

    def logged(self, key: str, *, written: int = 0, lost: int = 0, trouble: str = "") -> None:
        self.written[key] = self.written.get(key, 0) + written
        self.lost[key] = self.lost.get(key, 0) + lost
        self.troubles[key] = trouble

    def logging(self, keys: Mapping[str, object]) -> None:
        self.keys = set(keys)


class House:
    """A gateway with samples, a table, a bucket."""

    def __init__(self, root: Path, clock: HandClock) -> None:
        self.clock = clock
        self.bucket = Bucket()
        self.root = root
        self.samples: list[dict[str, Any]] = []
        self.dropped: dict[str, int] = {}
        self.wanted: dict[str, dict[str, Any]] = {}
        self.rows: list[dict[str, Any]] = []
        self.table_refuses: Exception | None = None
        self.asked = 0
        self.notes = Notes()
        self.log = RequestLog(
            self.notes,  # type: ignore[arg-type]
            records=self.records,
            wanted=lambda: self.wanted,
            tables=self.insert,
            objects=self.objects(),
        )

    def objects(self) -> HourlyObjects:
        return HourlyObjects(self.root, self.clock, put=self.bucket.put)

    def sample(self, key: str, *requests: str) -> None:
        time = self.clock().timestamp()
        self.samples += [
            {"version": key, "time": time, "request": text, "response": "{}"} for text in requests
        ]

    def records(self, most: int) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        self.asked += 1
        given, self.samples = self.samples[:most], self.samples[most:]
        dropped, self.dropped = self.dropped, {}
        return given, dropped

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> tuple[int, str]:
        if self.table_refuses:
            raise self.table_refuses
        good = [row for row in rows if row["raw_data"] != "bad"]
        self.rows += [{"table": table, **row} for row in good]
        return len(rows) - len(good), "raw_data is bad" if len(rows) > len(good) else ""


@pytest.fixture
def house(tmp_path: Path, clock: HandClock) -> House:
    return House(tmp_path / "logs", clock)


def test_samples_become_rows_of_the_table_that_their_version_names(house: House) -> None:
    house.wanted = {KEY: {"bigqueryTableName": "p.d.t"}}
    house.sample(KEY, "one", "bad")
    house.sample(OTHER, "nobody wants this")
    house.dropped = {KEY: 4}

    assert house.log.turn()

    [row] = house.rows
    assert row == {
        "table": "p.d.t", "model": "titanic", "model_version": "v1", "time": "2026-11-02T09:30:00Z",
        "raw_data": "one", "raw_prediction": "{}", "groundtruth": None,
    }  # fmt: skip
    assert set(row) == {"table", *COLUMNS}
    assert (house.notes.written[KEY], house.notes.lost[KEY]) == (1, 5)
    assert house.notes.troubles[KEY] == "raw_data is bad"
    assert house.notes.lost[OTHER] == 1
    assert not house.log.turn()


def test_a_place_that_fails_is_said_once_and_again_when_it_is_well(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.wanted = {KEY: {"bigqueryTableName": "p.d.t"}}
    house.table_refuses = NotFound("Not found: Table p:d.t")
    caplog.set_level(logging.INFO)

    for _ in range(3):
        house.sample(KEY, "a", "b")
        house.log.turn()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Table p:d.t" in caplog.text
    assert house.notes.lost[KEY] == 6 and house.notes.troubles[KEY] == "Not found: Table p:d.t"

    house.table_refuses = None
    house.sample(KEY, "c")
    house.log.turn()
    assert house.notes.written[KEY] == 1 and house.notes.troubles[KEY] == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_the_gateway_is_left_alone_while_nobody_wants_samples(house: House) -> None:
    for _ in range(3):
        house.log.turn()
    assert house.asked == 1

    house.wanted = {KEY: {"destination": "gs://box/logs"}}
    house.log.turn()
    house.wanted = {}
    for _ in range(3):
        house.log.turn()
    assert house.asked == 3 and house.notes.keys == set()


def test_lines_of_an_hour_are_one_object_and_the_next_hour_has_another(house: House) -> None:
    house.wanted = {KEY: {"destination": "gs://box/logs"}}
    for minute in range(0, 70, 2):
        house.sample(KEY, str(minute))
        house.log.turn()
        house.clock.forward(120)

    house.clock.forward(3600)
    house.log.turn()

    assert [json.loads(line)["raw_data"] for line in house.bucket.lines] == [str(n) for n in range(0, 70, 2)]
    hours = [name.rpartition("-")[0] for name in sorted(house.bucket.objects)]
    assert hours == [f"gs://box/logs/titanic/v1/2026-11-02T{hour}" for hour in ("09", "10")]
    assert house.notes.written[KEY] == 35
    assert list(house.root.iterdir()) == []


def test_an_object_is_not_written_again_for_every_line(house: House) -> None:
    objects = house.objects()
    for n in range(600):
        objects.add(KEY, FOLDER, [f"line {n}"])
        objects.tend()
        house.clock.forward(0.1)
    house.clock.forward(60)
    objects.tend()

    assert house.bucket.lines == [f"line {n}" for n in range(600)]
    assert house.bucket.writes < 40


def test_after_a_restart_the_hour_goes_on(house: House) -> None:
    first = house.objects()
    first.add(KEY, FOLDER, ["one"])
    first.tend()
    first.add(KEY, FOLDER, ["two"])

    again = house.objects()
    again.add(KEY, FOLDER, ["three"])
    again.tend()

    assert len(house.bucket.objects) == 1
    assert house.bucket.lines == ["one", "two", "three"]


def test_what_a_bucket_refuses_is_lost_and_nothing_that_is_there(house: House) -> None:
    objects = house.objects()
    objects.add(KEY, FOLDER, ["one"])
    assert objects.tend() == [Outcome(key=KEY, written=1)]
    house.bucket.refuses = NotFound("There is no bucket 'box'.")
    objects.add(KEY, FOLDER, ["two", "three"])
    assert objects.tend() == [Outcome(key=KEY, lost=2, trouble="There is no bucket 'box'.")]

    house.bucket.refuses = None
    objects.add(KEY, FOLDER, ["four"])
    objects.tend()

    assert sorted(house.bucket.lines) == ["four", "one"]


def test_a_bucket_out_of_reach_gets_its_lines_later(house: House) -> None:
    objects = house.objects()
    house.bucket.refuses = Unavailable("The database does not answer.")
    objects.add(KEY, FOLDER, ["one"])
    assert objects.tend() == [Outcome(key=KEY, trouble="The database does not answer.")]

    house.bucket.refuses = None
    house.clock.forward(11)
    assert objects.tend() == [Outcome(key=KEY, written=1)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"TIME": ("TIMESTAMP", "NULLABLE")}, ""),
        ({"extra": ("INTEGER", "NULLABLE")}, ""),
        ({"extra": ("INTEGER", "REQUIRED")}, "extra"),
        ({"groundtruth": None}, "no column groundtruth"),
        ({"raw_data": ("BYTES", "NULLABLE")}, "not STRING"),
        ({"model": ("STRING", "REPEATED")}, "REPEATED"),
        ({"raw_prediction": ("STRING", "REQUIRED")}, "raw_prediction is REQUIRED"),
    ],
)
def test_a_table_must_have_the_columns_of_a_sample(
    change: dict[str, tuple[str, str] | None], why: str
) -> None:
    usual = {name: (kind, "REQUIRED" if always else "NULLABLE") for name, (kind, always) in COLUMNS.items()}
    columns = {**usual, **change}
    if "TIME" in change:
        del columns["time"]

    found = wrong_columns([(name, *said) for name, said in columns.items() if said])

    assert (why in found) if why else found == ""
