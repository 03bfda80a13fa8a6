"""The columns that an Avro schema means. Pure; no I/O."""

from __future__ import annotations

from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.tables.schema import Field, Schema

_PLAIN = {
    "string": "STRING",
    "bytes": "BYTES",
    "fixed": "BYTES",
    "int": "INTEGER",
    "long": "INTEGER",
    "float": "FLOAT",
    "double": "FLOAT",
    "boolean": "BOOLEAN",
    "enum": "STRING",
}
_LOGICAL = {
    "date": "DATE",
    "time-millis": "TIME",
    "time-micros": "TIME",
    "timestamp-millis": "TIMESTAMP",
    "timestamp-micros": "TIMESTAMP",
    "local-timestamp-millis": "DATETIME",
    "local-timestamp-micros": "DATETIME",
    "uuid": "STRING",
}


def schema_of_avro(record: Any) -> Schema:
    """The columns of a record.

    Raises:
        InvalidArgument: BigQuery has no such type.
    """
    return tuple(_field(one["name"], one["type"]) for one in record["fields"])


def _field(name: str, kind: Any) -> Field:
    if isinstance(kind, list):
        real = [one for one in kind if one != "null"]
        if len(real) != 1:
            raise InvalidArgument(f"Field {name} is a union of several types.")
        return _field(name, real[0])
    if isinstance(kind, dict):
        what = kind["type"]
        if kind.get("logicalType") == "decimal":
            wide = int(kind.get("scale", 0)) > 9 or int(kind["precision"]) - int(kind.get("scale", 0)) > 29
            return Field(name=name, type="BIGNUMERIC" if wide else "NUMERIC")
        if kind.get("logicalType") in _LOGICAL:
            return Field(name=name, type=_LOGICAL[kind["logicalType"]])
        if what == "array":
            item = _field(name, kind["items"])
            return Field(name=name, type=item.type, mode="REPEATED", fields=item.fields)
        if what == "record":
            return Field(name=name, type="RECORD", fields=schema_of_avro(kind))
        if what == "map":
            value = _field("value", kind["values"])
            fields = (Field(name="key", type="STRING"), value)
            return Field(name=name, type="RECORD", mode="REPEATED", fields=fields)
        return _field(name, what)
    if kind in _PLAIN:
        return Field(name=name, type=_PLAIN[kind])
    raise InvalidArgument(f"Field {name} has the Avro type {kind}, which is not supported.")
