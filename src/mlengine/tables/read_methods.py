"""The URLs by which rows leave tables: JSON a page at a time, and Arrow in one stream."""

from __future__ import annotations

import json
from collections.abc import Callable

from mlengine.errors import InvalidArgument, NotFound
from mlengine.names import JobName
from mlengine.tables import wire
from mlengine.tables.arrow_rows import ArrowRows, Wanted, picked
from mlengine.tables.cells import selected
from mlengine.tables.domain import Table, tag
from mlengine.tables.lineage import Lineage
from mlengine.tables.methods import TABLE, reference_of
from mlengine.tables.rows import RowPages
from mlengine.tables.schema import TableReference
from mlengine.tables.service import TableService
from mlengine.tables.wire import Json
from mlengine.web.method import Call, Method, Parameter, Reply

_READ = "/mlengine/v1/projects/{project}/tables/{name}:read"
ARROW = "application/vnd.apache.arrow.stream"
_PARAMETERS = (
    Parameter(name="selectedFields", summary="Columns, comma between them; all without."),
    Parameter(name="startIndex", summary="The first row, from 0."),
    Parameter(name="maxResults", summary="At most so many rows."),
    Parameter(name="version", summary="The version of the table; the latest without."),
    Parameter(name="batchRows", summary="Rows of one record batch; a few MiB of them without."),
)


def methods(
    service: TableService,
    pages: RowPages,
    arrow: ArrowRows,
    lineage: Lineage,
    *,
    reader: Callable[[Call], JobName | None],
) -> list[Method]:
    """The rows.

    Args:
        reader: The training job that asks; None for anybody else.
    """

    def list_(call: Call) -> Reply:
        token = call.query.get("pageToken", "")
        if token:
            table, start = _at(service, token)
        else:
            table = service.table(reference_of(call))
            start = wire.numeral(call.query, "startIndex") or 0
        columns = selected(table.schema, call.query.get("selectedFields", ""))
        page = pages.page(
            table,
            columns,
            start=start,
            most=wire.numeral(call.query, "maxResults"),
            micros=wire.truth(call.query, "formatOptions.useInt64Timestamp"),
        )
        if not token:
            lineage.note(reader(call), {table.reference: table.version})
        answer: Json = {
            "kind": "bigquery#tableDataList",
            "etag": tag(table),
            "totalRows": str(table.content.rows),
        }
        if page.next is not None:
            answer["pageToken"] = f"{table.uid}.{table.version}.{page.next}"
        rows = ",".join(page.rows)
        text = json.dumps(answer)[:-1] + (f',"rows":[{rows}]}}' if rows else "}")
        return Reply(content=text.encode())

    def read(call: Call) -> Reply:
        table = _versioned(service, call)
        names = [name for name in call.query.get("selectedFields", "").split(",") if name]
        start = wire.numeral(call.query, "startIndex") or 0
        most = wire.numeral(call.query, "maxResults")
        stop = table.content.rows if most is None else min(table.content.rows, start + most)
        wanted = Wanted(
            columns=picked(table.schema, names),
            start=start,
            stop=max(start, stop),
            rows=wire.numeral(call.query, "batchRows") or 0,
        )
        stream = arrow.stream(table, wanted)
        lineage.note(reader(call), {table.reference: table.version})
        told = {"x-mlengine-version": str(table.version), "x-mlengine-rows": str(table.content.rows)}
        return Reply(content=stream, headers={"content-type": ARROW, **told})

    return [
        Method(
            id="bigquery.tabledata.list",
            verb="GET",
            path=TABLE + "/data",
            handler=list_,
            summary="A table's rows, a page at a time.",
        ),
        Method(
            id="bigquery.tabledata.read",
            verb="GET",
            path=_READ,
            handler=read,
            summary="A table's rows as one Arrow stream. The name is DATASET.TABLE.",
            parameters=_PARAMETERS,
        ),
    ]


def _versioned(service: TableService, call: Call) -> Table:
    dataset, dot, name = call.path["name"].partition(".")
    if not dot:
        raise InvalidArgument(f"'{dataset[:80]}' names no table.", hint="Write DATASET.TABLE.")
    reference: TableReference = wire.named_table(call.path["project"], dataset, name)
    version = wire.numeral(call.query, "version")
    table = service.table(reference)
    if version is None or version == table.version:
        return table
    found = service.version(table.uid, version)
    if found is None:
        raise NotFound(
            f"Table {reference} has no version {version} (any more).", hint="Versions are kept for 7 days."
        )
    return found


def _at(service: TableService, token: str) -> tuple[Table, int]:
    """The version of a table that the first page was of, so that all are of the same."""
    uid, _, rest = token.partition(".")
    version, _, start = rest.partition(".")
    if not (version.isdigit() and start.isdigit()):
        raise InvalidArgument("This pageToken is none of ours.", hint="Begin again without it.")
    table = service.version(uid, int(version))
    if table is None:
        raise InvalidArgument("This pageToken has expired.", hint="Begin again without it.")
    return table, int(start)
