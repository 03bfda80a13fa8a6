"""IDX, the format of MNIST: arrays of numbers with their shape in front. Each array becomes a column.

One file may hold several arrays, one after the other: so images and labels come as one content.
"""

from __future__ import annotations

import gzip
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.tables.load_options import LoadOptions
from mlengine.tables.load_records import read_parquet
from mlengine.tables.reading import Reading
from mlengine.tables.schema import Field, Schema

# By the third byte: how Python's arrays call the type, and which column holds it.
_TYPES = {
    0x08: ("B", "INTEGER"),
    0x09: ("b", "INTEGER"),
    0x0B: ("h", "INTEGER"),
    0x0C: ("i", "INTEGER"),
    0x0D: ("f", "FLOAT"),
    0x0E: ("d", "FLOAT"),
}
_ARROW = {"B": "uint8", "b": "int8", "h": "int16", "i": "int32", "f": "float32", "d": "float64"}
_ROWS = 2048
_MOST_DIMENSIONS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Array:
    """One array, looked at.

    Attributes:
        place: Where its numbers begin in the file.
        width: Numbers in a row.
    """

    file: Path
    place: int
    code: str
    type: str
    rows: int
    width: int
    shape: tuple[int, ...]


def read(
    connection: Any, options: LoadOptions, files: Sequence[Path], known: Schema | None, room: Path
) -> Reading:
    """Look at IDX files, and write them as Parquet."""
    try:
        import pyarrow  # type: ignore[import-untyped,unused-ignore]  # noqa: F401
    except ImportError:
        raise FailedPrecondition(
            "IDX files are read by pyarrow, which this server lacks.", hint="pip install 'mlengine[tables]'"
        ) from None
    found = [one for number, file in enumerate(files) for one in _arrays(_plain(file, room, number))]
    if len({one.rows for one in found}) > 1:
        told = ", ".join(f"{one.rows} of shape {'×'.join(map(str, one.shape))}" for one in found)
        raise InvalidArgument(
            f"The arrays have different numbers of rows: {told}.",
            hint="Give images and labels of the same set.",
        )
    schema = _named(found, known)
    path = room / "idx.parquet"
    _write(found, schema, path)
    return read_parquet(connection, replace(options, names=()), [path], schema, room)


def _plain(file: Path, room: Path, number: int) -> Path:
    with file.open("rb") as opened:
        if opened.read(2) != b"\x1f\x8b":
            return file
    path = room / f"plain-{number}"
    try:
        with gzip.open(file) as packed, path.open("wb") as out:
            while piece := packed.read(1 << 20):
                out.write(piece)
    except (OSError, EOFError) as error:
        raise InvalidArgument(f"File {number + 1} cannot be unpacked: {error}.") from None
    return path


def _arrays(file: Path) -> Iterator[_Array]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        place = 0
        while place < size or not place:
            one = _array(opened, file, place, size)
            yield one
            place = one.place + one.rows * one.width * array(one.code).itemsize


def _array(opened: IO[bytes], file: Path, place: int, size: int) -> _Array:
    opened.seek(place)
    head = opened.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= _MOST_DIMENSIONS:
        raise InvalidArgument(
            f"Byte {place} begins no IDX array: {head.hex(' ') or 'the file ends there'}.",
            hint="IDX files begin with 00 00, a type of 08 to 0e, and the number of dimensions.",
        )
    code, kind = _TYPES[head[2]]
    raw = opened.read(4 * head[3])
    shape = tuple(int.from_bytes(raw[at : at + 4]) for at in range(0, len(raw), 4))
    width = 1
    for length in shape[1:]:
        width *= length
    start = place + 4 + 4 * head[3]
    needed = start + shape[0] * width * array(code).itemsize if len(shape) == head[3] else size + 1
    if needed > size:
        raise InvalidArgument(
            f"The IDX array of shape {'×'.join(map(str, shape))} at byte {place} is cut off: the file has "
            f"{size} bytes, not {needed}."
        )
    return _Array(file=file, place=start, code=code, type=kind, rows=shape[0], width=width, shape=shape)


def _named(found: list[_Array], known: Schema | None) -> Schema:
    """The columns: those that are known, in their order, or `image` and `label`."""
    if known:
        if len(known) != len(found):
            raise InvalidArgument(f"The files have {len(found)} arrays, but the schema {len(known)} columns.")
        for one, column in zip(found, known, strict=True):
            if column.type not in ("INTEGER", "FLOAT") or column.repeated != (len(one.shape) > 1):
                wanted = "REPEATED " if len(one.shape) > 1 else ""
                raise InvalidArgument(
                    f"Column {column.name} is {column.mode} {column.type}, but its array has the shape "
                    f"{'×'.join(map(str, one.shape))}.",
                    hint=f"Make it {wanted}INTEGER or {wanted}FLOAT.",
                )
        return known
    columns: list[Field] = []
    for one in found:
        stem = "image" if len(one.shape) > 1 else "label"
        count = sum(column.name.startswith(stem) for column in columns)
        mode = "REPEATED" if len(one.shape) > 1 else "NULLABLE"
        columns.append(Field(name=f"{stem}_{count + 1}" if count else stem, type=one.type, mode=mode))
    return tuple(columns)


def _write(found: list[_Array], schema: Schema, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    element = {"INTEGER": pyarrow.int64(), "FLOAT": pyarrow.float64()}
    kinds = [
        pyarrow.list_(element[column.type]) if column.repeated else element[column.type] for column in schema
    ]
    shape = pyarrow.schema([(column.name, kind) for column, kind in zip(schema, kinds, strict=True)])
    with parquet.ParquetWriter(str(path), shape, compression="lz4") as writer:
        for start in range(0, found[0].rows, _ROWS):
            columns = []
            for one, column, kind in zip(found, schema, kinds, strict=True):
                count = min(_ROWS, one.rows - start)
                raw = _numbers(one, start, count)
                kind_there = pyarrow.type_for_alias(_ARROW[one.code])
                read = pyarrow.Array.from_buffers(kind_there, len(raw), [None, pyarrow.py_buffer(raw)])
                numbers = read.cast(element[column.type])
                if column.repeated:
                    width = one.width
                    offsets = pyarrow.array(
                        range(0, count * width + 1, width) if width else [0] * (count + 1)
                    )
                    numbers = pyarrow.ListArray.from_arrays(offsets.cast(pyarrow.int32()), numbers).cast(kind)
                columns.append(numbers)
            writer.write_batch(pyarrow.record_batch(columns, schema=shape))


def _numbers(one: _Array, start: int, count: int) -> array[Any]:
    numbers = array(one.code)
    size = numbers.itemsize
    with one.file.open("rb") as opened:
        opened.seek(one.place + start * one.width * size)
        numbers.frombytes(opened.read(count * one.width * size))
    if size > 1 and sys.byteorder == "little":
        numbers.byteswap()
    return numbers
