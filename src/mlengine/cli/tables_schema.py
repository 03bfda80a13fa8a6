"""Schemas as they are typed: `name:type,…`, a JSON file of fields, and back again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlengine.errors import InvalidArgument

_COLUMN = re.compile(r"\s*([^\s:,]+)(?::\s*([^:,]+?))?(?::\s*(\w+))?\s*")


def read_schema(text: str) -> list[dict[str, Any]]:
    """The fields of a schema. Raises InvalidArgument, with the place at fault."""
    path = Path(text)
    if text.endswith(".json") or path.is_file():
        return _of_file(path)
    fields: list[dict[str, Any]] = []
    for number, part in enumerate(text.split(","), start=1):
        match = _COLUMN.fullmatch(part)
        if match is None:
            raise InvalidArgument(
                f"Column {number} of the schema, '{part}', cannot be read.",
                hint="Write name:type, as in label:INT64,image:ARRAY<FLOAT64>,id:STRING:REQUIRED",
            )
        name, kind, mode = match[1], (match[2] or "STRING").upper(), match[3]
        array = re.fullmatch(r"ARRAY\s*<\s*(\w+)\s*>", kind)
        field: dict[str, Any] = {"name": name, "type": array[1] if array else kind}
        if array or mode:
            field["mode"] = "REPEATED" if array else str(mode).upper()
        fields.append(field)
    return fields


def spelled(fields: Sequence[dict[str, Any]], within: str = "") -> Iterator[str]:
    """Columns one a line: name, type, mode if it is another than NULLABLE."""
    for field in fields:
        mode = field.get("mode", "NULLABLE")
        kind = f"ARRAY<{field['type']}>" if mode == "REPEATED" else field["type"]
        yield f"{within}{field['name']}: {kind}{' REQUIRED' if mode == 'REQUIRED' else ''}"
        yield from spelled(field.get("fields", ()), f"{within}{field['name']}.")


def _of_file(path: Path) -> list[dict[str, Any]]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgument(f"The schema file {path}: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidArgument(f"The schema file {path} is not JSON: {error}.") from None
    fields = value.get("fields") if isinstance(value, dict) else value
    if not isinstance(fields, list) or not all(isinstance(one, dict) for one in fields):
        raise InvalidArgument(
            f"The schema file {path} holds no list of fields.", hint='Like [{"name": "id", "type": "INT64"}]'
        )
    return fields
