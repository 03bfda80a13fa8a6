"""Every value comes out of a segment, and as a JSON cell, as it went in: properties over random values."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlengine.tables.cells import row_text
from mlengine.tables.domain import Segment
from mlengine.tables.engine import Engine, write_parquet
from mlengine.tables.json_rows import prepared
from mlengine.tables.load_json import source
from mlengine.tables.scans import scan_rows, stored
from mlengine.tables.schema import Field
from mlengine.tables.segments import Segments

_FLOATS = st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("<d", raw)[0]) | st.floats()
_NUMERICS = st.decimals(
    min_value=Decimal(-(10**29) + 1), max_value=Decimal(10**29 - 1), places=9, allow_nan=False
)
_TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
_ROWS = st.fixed_dictionaries(
    {
        "f": _FLOATS,
        "i": st.integers(-(2**63), 2**63 - 1),
        "n": _NUMERICS,
        "s": _TEXTS,
        "b": st.binary(),
        "ts": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
        "da": st.dates(date(1, 1, 1)),
        "ti": st.times(),
        "a": st.lists(_FLOATS, max_size=4),
        "r": st.fixed_dictionaries({"x": _FLOATS, "y": st.lists(_TEXTS, max_size=3)}),
    }
)
_SCHEMA = (
    Field(name="f", type="FLOAT"),
    Field(name="i", type="INTEGER"),
    Field(name="n", type="NUMERIC"),
    Field(name="s", type="STRING"),
    Field(name="b", type="BYTES"),
    Field(name="ts", type="TIMESTAMP"),
    Field(name="da", type="DATE"),
    Field(name="ti", type="TIME"),
    Field(name="a", type="FLOAT", mode="REPEATED"),
    Field(
        name="r",
        type="RECORD",
        fields=(Field(name="x", type="FLOAT"), Field(name="y", type="STRING", mode="REPEATED")),
    ),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(Segments(tmp_path_factory.mktemp("exact")))
    yield made
    made.close()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_ROWS, min_size=1, max_size=8))
def test_a_row_comes_back_as_it_was(engine: Engine, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    text, segment = tmp_path / "rows.json", tmp_path / "segment.parquet"
    sent = [prepared(json.loads(json.dumps(_sent(row))), _SCHEMA, ignore_unknown=False) for row in rows]
    text.write_text("".join(json.dumps(row) + "\n" for row in sent))

    with engine.reader() as connection:
        connection.execute(write_parquet(stored(_SCHEMA, source(_SCHEMA, [text])), segment))
        columns = tuple(one.name for one in _SCHEMA)
        query = scan_rows(
            _SCHEMA,
            Segment(key="x", rows=len(rows), size=0, columns=columns),
            lambda _key: segment,
            row_text(_SCHEMA),
            start=0,
            stop=len(rows),
        )
        found = [json.loads(row[0]) for row in connection.execute(query).fetchall()]

    assert [_got(row) for row in found] == [_comparable(row) for row in rows]


def _sent(row: dict[str, Any]) -> dict[str, Any]:
    """As Google's client writes it."""
    import base64

    return {
        "f": _number(row["f"]),
        "i": str(row["i"]),
        "n": str(row["n"]),
        "s": row["s"],
        "b": base64.b64encode(row["b"]).decode(),
        "ts": row["ts"].isoformat(),
        "da": row["da"].isoformat(),
        "ti": row["ti"].isoformat(),
        "a": [_number(one) for one in row["a"]],
        "r": {"x": _number(row["r"]["x"]), "y": row["r"]["y"]},
    }


def _number(value: float) -> Any:
    return value if math.isfinite(value) else repr(value)


def _bits(value: float) -> int:
    return 0 if math.isnan(value) else struct.unpack("<q", struct.pack("<d", value))[0]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    since = row["ts"] - epoch
    return row | {
        "f": _bits(row["f"]),
        "ts": (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,
        "a": [_bits(one) for one in row["a"]],
        "r": (_bits(row["r"]["x"]), row["r"]["y"]),
    }


def _got(row: dict[str, Any]) -> dict[str, Any]:
    import base64

    f, i, n, s, b, ts, da, ti, a, r = [cell["v"] for cell in row["f"]]
    return {
        "f": _bits(float(f)),
        "i": int(i),
        "n": Decimal(n),
        "s": s,
        "b": base64.b64decode(b),
        "ts": int(ts),
        "da": date.fromisoformat(da),
        "ti": time.fromisoformat(ti),
        "a": [_bits(float(cell["v"])) for cell in a],
        "r": (_bits(float(r["f"][0]["v"])), [cell["v"] for cell in r["f"][1]["v"]]),
    }
