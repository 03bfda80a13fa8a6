"""Reads the list: blocks of SQL, what BigQuery documents for it, and whether we are known to miss it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "list"
TITLES = {
    "scalar": "Scalar functions",
    "casts": "Types and casts",
    "strings": "Strings and regular expressions",
    "arrays": "Arrays and structs",
    "aggregates": "Aggregates",
    "windows": "Windows",
    "dates": "Dates and times",
    "json": "JSON",
    "queries": "Queries",
    "parameters": "Parameters",
    "dml": "DML",
    "ddl": "DDL",
    "scripting": "Scripting",
    "errors": "Errors",
    "refused": "Refused by name",
}


@dataclass(frozen=True)
class Case:
    """One query.

    Attributes:
        rows: What it gives; None if it is an error.
        error: What the error has to say.
        gap: Why we miss it; empty if we do not.
        any_order: The order of the rows is not said.
    """

    category: str
    number: int
    sql: str
    rows: list[list[Any]] | None
    error: str = ""
    gap: str = ""
    parameters: list[Any] = field(default_factory=list)
    types: str = ""

    @property
    def any_order(self) -> bool:
        return "ORDER BY" not in self.sql.upper()

    def __str__(self) -> str:
        return f"{self.category}-{self.number}"


def read(category: str) -> list[Case]:
    """All cases of a category."""
    text = (FOLDER / f"{category}.txt").read_text(encoding="utf-8")
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [_case(category, number, block) for number, block in enumerate(blocks, start=1)]


def every() -> list[Case]:
    """The whole list."""
    return [case for category in TITLES for case in read(category)]


def _case(category: str, number: int, block: str) -> Case:
    sql: list[str] = []
    rows: list[list[Any]] | None = None
    error = gap = types = ""
    parameters: list[Any] = []
    for line in block.strip("\n").split("\n"):
        if line.startswith("=>"):
            rows = [] if rows is None else rows
            if line[2:].strip() != "nothing":
                rows.append(json.loads(f"[{line[2:]}]"))
        elif line.startswith("!!"):
            error = line[2:].strip()
        elif line.startswith("-- gap:"):
            gap = line[7:].strip()
        elif line.startswith("-- types:"):
            types = line[9:].strip()
        elif line.startswith("-- parameters:"):
            parameters = json.loads(line[14:])
        else:
            sql.append(line)
    assert (rows is None) == bool(error), f"{category}-{number}: rows or an error\n{block}"
    return Case(category, number, "\n".join(sql), rows, error, gap, parameters, types)
