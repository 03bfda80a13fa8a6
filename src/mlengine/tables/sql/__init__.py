"""BigQuery's SQL, translated for DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlengine.tables.schema import TableReference
from mlengine.tables.sql.plan import Catalogue, Plan, Steps


def translate(
    script: str,
    *,
    catalogue: Catalogue,
    parameters: Sequence[Mapping[str, Any]] = (),
    default_dataset: TableReference | None = None,
    project: str,
) -> Plan:
    """Read a script; `mlengine.tables.sql.plan.Translate` says all of it."""
    # Here, because SQLGlot takes a while to import and a server that is asked for no SQL needs none of it.
    from mlengine.tables.sql import functions  # noqa: F401
    from mlengine.tables.sql import parameters as reading
    from mlengine.tables.sql.blocks import Reader
    from mlengine.tables.sql.compiler import Surroundings
    from mlengine.tables.sql.problems import InvalidQuery
    from mlengine.tables.sql.script import Interpreter
    from mlengine.tables.sql.values import string

    reader = Reader(script)
    nodes = reader.all()
    if not nodes:
        raise InvalidQuery("Syntax error: Unexpected end of script", place=(1, 1))
    for node in nodes:
        if node.word == "SQL":
            from mlengine.tables.sql import parse

            parse.statement(script, node.first, node.last)
    named, positional = reading.read(parameters)

    def steps() -> Steps:
        system = {"project_id": string(project), "time_zone": string("UTC")}
        if default_dataset is not None:
            system["dataset_id"] = string(default_dataset.dataset)
        around = Surroundings(
            catalogue=catalogue,
            project=project,
            default=default_dataset,
            named=named,
            positional=positional,
            variables={},
            functions={},
            temporary={},
            system=system,
            now=datetime.now(UTC),
        )
        return Interpreter(script, around, Reader(script)).run(nodes)

    helpers = sum(_makes_function(reader, node) for node in nodes)
    plain = nodes[-1].word == "SQL" and len(nodes) - helpers <= 1
    return Plan(steps=steps, script=not plain)


def _makes_function(reader: Any, node: Any) -> bool:
    words = [word.text.upper() for word in reader.words[node.first : node.first + 5]]
    return words[:1] == ["CREATE"] and "FUNCTION" in words
