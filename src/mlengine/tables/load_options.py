"""What a load job may say, and what it means. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlengine.errors import InvalidArgument, nearest
from mlengine.tables.schema import Schema, TableReference
from mlengine.tables.service import CREATES, UPDATES, WRITES, Manner
from mlengine.tables.wire import numeral, reference_from, said_of_table, schema_from, truth, word

FORMATS = ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET", "AVRO", "ORC", "IDX")
_ENCODINGS = {"UTF-8": "utf-8", "UTF8": "utf-8", "ISO-8859-1": "latin-1", "UTF-16": "utf-16"}
# Said by clients with the value that means what we do anyway.
_NEUTRAL: dict[str, Sequence[Any]] = {
    "preserveAsciiControlCharacters": (False,),
    "useAvroLogicalTypes": (True,),
    "ignoreUnknownValues": (True, False),
    "decimalTargetTypes": ([], ["NUMERIC"], ["NUMERIC", "BIGNUMERIC"]),
    "columnNameCharacterMap": ("STRICT", "COLUMN_NAME_CHARACTER_MAP_UNSPECIFIED"),
    "sourceColumnMatch": ("SOURCE_COLUMN_MATCH_UNSPECIFIED", "POSITION"),
    "jsonExtension": (),
    "timeZone": ("UTC",),
    "allowQuotedNewlines": (True,),  # they always are
}
_KNOWN = (
    "sourceUris",
    "sourceFormat",
    "schema",
    "destinationTable",
    "destinationTableProperties",
    "createDisposition",
    "writeDisposition",
    "nullMarker",
    "nullMarkers",
    "fieldDelimiter",
    "skipLeadingRows",
    "encoding",
    "quote",
    "maxBadRecords",
    "allowJaggedRows",
    "ignoreUnknownValues",
    "autodetect",
    "schemaUpdateOptions",
    "timePartitioning",
    "rangePartitioning",
    "clustering",
    "parquetOptions",
    "projectionFields",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """A load, understood.

    Attributes:
        schema: None if none was given.
        null: Of CSV: what stands for NULL.
        quote: Of CSV: what may stand around a value; empty for nothing.
        skip: Of CSV: lines before the first row; None if nothing was said.
        jagged: Of CSV: whether rows may be too short.
        names: Of Parquet, ORC and Avro: the only columns to read; empty for all.
    """

    uris: tuple[str, ...]
    format: str
    destination: TableReference
    schema: Schema | None
    manner: Manner
    autodetect: bool
    most_bad: int
    ignore_unknown: bool
    delimiter: str = ","
    null: tuple[str, ...] = ("",)
    quote: str = '"'
    skip: int | None = None
    encoding: str = "utf-8"
    jagged: bool = False
    names: tuple[str, ...] = ()


def load_options(said: Mapping[str, Any], *, project: str) -> LoadOptions:
    """Read `configuration.load`.

    Raises:
        InvalidArgument: a wrong value, or something that would have no effect here.
    """
    _check_known(said)
    if said.get("encoding", "UTF-8") not in _ENCODINGS:
        raise InvalidArgument(f"Encoding {said['encoding']} is not supported.", hint=", ".join(_ENCODINGS))
    markers = said.get("nullMarkers") or [said.get("nullMarker", "")]
    delimiter = word(said, "fieldDelimiter", ",") or ","
    return LoadOptions(
        uris=tuple(said.get("sourceUris") or ()),
        format=one_of(said, "sourceFormat", FORMATS, "CSV"),
        destination=reference_from(said.get("destinationTable"), project=project),
        schema=schema_from(said["schema"]) if said.get("schema", {}).get("fields") else None,
        manner=manner(said, default="WRITE_APPEND"),
        autodetect=truth(said, "autodetect"),
        most_bad=numeral(said, "maxBadRecords") or 0,
        ignore_unknown=truth(said, "ignoreUnknownValues"),
        delimiter={"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter),
        null=tuple(str(marker) for marker in markers),
        quote=word(said, "quote", '"'),
        skip=numeral(said, "skipLeadingRows"),
        encoding=_ENCODINGS[said.get("encoding", "UTF-8")],
        jagged=truth(said, "allowJaggedRows"),
        names=tuple(said.get("projectionFields") or ()),
    )


def manner(said: Mapping[str, Any], *, default: str) -> Manner:
    """How a job writes, as its configuration says."""
    properties = said.get("destinationTableProperties") or {}
    table = {
        key: said[key] for key in ("timePartitioning", "rangePartitioning", "clustering") if said.get(key)
    }
    updates = tuple(said.get("schemaUpdateOptions") or ())
    for update in updates:
        if update not in UPDATES:
            raise InvalidArgument(f"schemaUpdateOptions must be of {', '.join(UPDATES)}, not {update!r}.")
    return Manner(
        write=one_of(said, "writeDisposition", WRITES, default),
        create=one_of(said, "createDisposition", CREATES, "CREATE_IF_NEEDED"),
        updates=updates,
        said=said_of_table(properties | table) or None,
    )


def one_of(said: Mapping[str, Any], key: str, values: Sequence[str], default: str) -> str:
    """A word out of a few."""
    found = word(said, key, default) or default
    if found not in values:
        raise InvalidArgument(f"{key} must be one of {', '.join(values)}, not {found!r}.")
    return found


def _check_known(said: Mapping[str, Any]) -> None:
    for key, value in said.items():
        if key in _NEUTRAL:
            if value not in _NEUTRAL[key]:
                raise InvalidArgument(f"{key} = {value!r} is not supported in a load.")
        elif key not in _KNOWN and value not in (None, "", [], {}):
            raise InvalidArgument(f"{key} is not supported in a load.", hint=nearest(key, list(_KNOWN)))
