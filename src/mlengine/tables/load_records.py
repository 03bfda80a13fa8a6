"""Parquet, ORC and Avro: files that tell their columns themselves."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.tables import load_json
from mlengine.tables.load_options import LoadOptions
from mlengine.tables.reading import NOTHING, Reading, Statement, Written, changed_values, written_by
from mlengine.tables.schema import Schema
from mlengine.tables.types import literal, quoted, schema_of


def read_parquet(
    connection: Any, options: LoadOptions, files: Sequence[Path], known: Schema | None, room: Path
) -> Reading:
    """Look at Parquet files."""
    del room
    names = ", ".join(literal(str(file)) for file in files)
    source = f"read_parquet([{names}], union_by_name = true)"
    told = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    if options.names:
        wanted = {name.lower() for name in options.names}
        told = [(name, kind) for name, kind in told if name.lower() in wanted]
    found = schema_of(told)
    given = {one.name.lower(): one for one in known or ()}
    schema = tuple(given.get(one.name.lower(), one) for one in found)
    reading = Reading(schema, lambda _statement, _columns: NOTHING)

    def write(statement: Statement, columns: Schema) -> Written:
        del columns
        list_ = ", ".join(quoted(one.name) for one in found)
        written = written_by(connection, statement(f"SELECT {list_} FROM {source}"))
        for name, kind in told:
            # BigQuery's times are counted in microseconds.
            if kind in ("TIMESTAMP_NS", "TIME_NS"):
                count = connection.execute(
                    f"SELECT count_if(epoch_ns({quoted(name)}) % 1000 <> 0) FROM {source}"
                ).fetchone()[0]
                if count:
                    reading.warnings.append(changed_values(name, count, kind.removesuffix("_NS")))
        return written

    reading.write = write
    return reading


def read_orc(
    connection: Any, options: LoadOptions, files: Sequence[Path], known: Schema | None, room: Path
) -> Reading:
    """Look at ORC files, by way of Parquet."""
    try:
        from pyarrow import ArrowInvalid, orc, parquet  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise FailedPrecondition(
            "ORC files are read by pyarrow, which this server lacks.", hint="pip install 'mlengine[tables]'"
        ) from None
    turned: list[Path] = []
    for number, file in enumerate(files):
        path = room / f"{number}.parquet"
        try:
            parquet.write_table(orc.read_table(str(file)), str(path), compression="lz4")
        except (ArrowInvalid, OSError) as error:
            raise InvalidArgument(f"File {number + 1} is no ORC file: {error}") from None
        turned.append(path)
    return read_parquet(connection, options, turned, known, room)


def read_avro(
    connection: Any, options: LoadOptions, files: Sequence[Path], known: Schema | None, room: Path
) -> Reading:
    """Look at Avro files, by way of JSON in which every value is exact."""
    try:
        import fastavro  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise FailedPrecondition(
            "Avro files are read by fastavro, which this server lacks.",
            hint="pip install 'mlengine[tables]'",
        ) from None
    from mlengine.tables.avro import schema_of_avro

    path = room / "avro.json"
    found: Schema = ()
    with path.open("w") as out:
        for number, file in enumerate(files):
            with file.open("rb") as opened:
                try:
                    reader = fastavro.reader(opened)
                    found = schema_of_avro(reader.writer_schema)
                    for record in reader:
                        out.write(json.dumps(record, default=_plain, ensure_ascii=False) + "\n")
                except (ValueError, EOFError) as error:
                    raise InvalidArgument(f"File {number + 1} is no Avro file: {error}") from None
    return load_json.read(connection, options, [path], known or found, room)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return str(value)
