"""CSV: a row an instance, below a line of names or in the order of the schema; answered as JSON."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

from mlengine.serving.runtimes.faults import listed, shown
from mlengine.serving.runtimes.model import Model, RawInstances, Refused, Violation
from mlengine.serving.worker.decode import refuse
from mlengine.serving.worker.protocols.json_lines import by_line
from mlengine.serving.worker.protocols.ml_v1 import MlV1
from mlengine.serving.worker.protocols.protocol import NotOffered, Request, inputs_of

_FIELD = re.compile(r"^instances\[\d+\]\.(.+)$")
_BOOLEANS = {"true": True, "false": False}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)


class _Wrong(Exception):
    """A cell that cannot be what its column is."""


class CsvRows(MlV1):
    """See the module. The context of a request is each instance's line, and the names of the columns."""

    def read(self, body: bytes, model: Model) -> Request:
        """Take a body apart. Raises Refused, or NotOffered for a model that no CSV can feed."""
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            refuse("", f"The request is not UTF-8 text: {error.reason} at byte {error.start}.")
        inputs = inputs_of(model)
        columns, form = _columns(inputs, model)
        records = _records(text)
        if not records:
            refuse("", "The request is empty. Send one row per instance, with or without a line of names.")
        names, header = [one["name"] for one in columns], False
        if not columns or (form == "object" and _is_header(records[0][1], columns)):
            names, header = records[0][1], True
            _check_names(names)
            records = records[1:]
            if not records:
                refuse("", "There is a line of names, but no row below it: there is nothing to predict.")
        types = {one["name"]: one["type"] for one in columns}
        values: list[Any] = []
        for line, cells in records:
            if len(cells) != len(names):
                refuse(
                    "",
                    f"Line {line}: expected {len(names)} values, got {len(cells)}. Send one value per "
                    + ("name in the first line." if header else f"column, in this order: {listed(names)}."),
                )
            row = []
            for place, (name, cell) in enumerate(zip(names, cells, strict=True)):
                try:
                    row.append(_value(cell, types.get(name, "any")))
                except _Wrong as wrong:
                    where = f"Line {line}, column {place + 1} ({name})"
                    refuse(f"instances[{len(values)}].{name}", f"{where}: {wrong}")
            values.append(_instance(row, names, form))
        lines = [line for line, _ in records]
        extras: dict[str, Any] = {"signature_name": None} if model.takes_extras else {}
        return Request(RawInstances(values, True, extras, model.rules), "", (lines, names))

    def located(self, refused: Refused, request: Request) -> Refused:
        """With line and column in place of instance and field."""
        lines, names = request.context
        placed = by_line(refused, lines)

        def with_column(violation: Violation) -> Violation:
            found = _FIELD.match(violation.field)
            if found is None or found[1] not in names:
                return violation
            column = f", column {names.index(found[1]) + 1} ({found[1]})"
            sentence = re.sub(
                rf"^(Line \d+)(, (field|input) {re.escape(found[1])})?",
                rf"\g<1>{column}",
                violation.description,
            )
            return Violation(violation.field, sentence)

        violations = [with_column(violation) for violation in placed.violations]
        message = placed.message
        if violations:
            message = violations[0].description + message[len(placed.violations[0].description) :]
        return Refused(message, violations)


def _instance(row: list[Any], names: list[str], form: str) -> Any:
    if form == "object":
        return dict(zip(names, row, strict=True))
    return row[0] if form == "bare" else row


def _columns(inputs: list[dict[str, Any]], model: Model) -> tuple[list[dict[str, Any]], str]:
    """What a row has (nothing where only its first line can tell), and as what it goes to the model."""
    instance = model.description.get("instance")
    if instance == "row":
        return inputs, "object" if model.description.get("named") else "list"
    if instance == "text":
        return [{"name": "text", "type": "string"}], "bare"
    if instance in ("object", "any") or (instance == "tensor" and all(one["shape"] == [] for one in inputs)):
        return inputs, "object"
    shape = inputs[0]["shape"] if instance == "tensor" and len(inputs) == 1 else None
    if shape is not None and len(shape) == 1 and shape[0] is not None:
        return [{"name": str(n), "type": inputs[0]["type"]} for n in range(shape[0])], "list"
    raise NotOffered("A row of CSV cannot say what this model takes. Send JSON or JSON lines instead.")


def _records(text: str) -> list[tuple[int, list[str]]]:
    """Each record that is not an empty line, with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records = []
    line = 1
    try:
        for cells in reader:
            if cells:
                records.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        refuse("", f"Line {line}: this is not CSV: {error}. A quote inside quotes is written twice.")
    return records


def _is_header(cells: list[str], columns: list[dict[str, Any]]) -> bool:
    names = {one["name"] for one in columns}
    if set(cells) <= names:
        return True
    if not names & set(cells):
        # Names of which none is known are as bad as values; but no value is a text where numbers are.
        texts = [
            cell for cell, one in zip(cells, columns, strict=False) if one["type"] in ("number", "integer")
        ]
        return len(cells) == len(columns) and bool(texts) and all(map(_is_word, texts))
    if len(cells) != len(columns):
        return True
    try:
        for cell, one in zip(cells, columns, strict=True):
            _value(cell, one["type"])
    except _Wrong:
        return True
    return False


def _is_word(cell: str) -> bool:
    return bool(cell) and not _NUMBER.match(cell.strip()) and any(map(str.isalpha, cell))


def _check_names(names: list[str]) -> None:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            refuse("", f"Line 1, column {place + 1}: the name '{name}' is there twice.")
        seen.add(name)


def _value(cell: str, kind: str) -> Any:
    if cell == "":
        return None
    if kind in ("string", "bytes"):
        return cell
    plain = cell.strip()
    if kind == "boolean":
        if plain.lower() in _BOOLEANS:
            return _BOOLEANS[plain.lower()]
        raise _Wrong(f"{shown(cell)} is neither true nor false.")
    if _NUMBER.match(plain):
        number = float(plain)
        if math.isfinite(number):
            return int(plain) if plain.lstrip("+-").isdigit() and len(plain) < 19 else number
        raise _Wrong(f"{shown(cell)} is too large a number.")
    if kind in ("number", "integer"):
        raise _Wrong(f"{shown(cell)} is text, but a number is needed. Leave the cell empty if it is unknown.")
    return _BOOLEANS.get(plain.lower(), cell)


PROTOCOL = CsvRows()
