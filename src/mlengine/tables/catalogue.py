"""The tables there are, as the SQL asks for them and one caller may see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlengine.tables.domain import RESULTS, Table
from mlengine.tables.schema import TableReference
from mlengine.tables.service import TableService
from mlengine.tables.sql.plan import TEMPORARY, Described
from mlengine.tables.wire import dataset_json, table_json

# Whether the caller has a permission in a project; raises PermissionDenied.
May = Callable[[str, str], None]


class CallersCatalogue:
    """Implements `mlengine.tables.sql.plan.Catalogue`.

    Args:
        temporary: The tables that a script has made for itself, by name in small letters.
    """

    def __init__(self, service: TableService, may: May, temporary: Mapping[str, Table]) -> None:
        self._service = service
        self._may = may
        self._temporary = temporary

    def find(self, table: TableReference) -> Described:
        """A table."""
        return described(self.table(table))

    def table(self, reference: TableReference) -> Table:
        """A table, as the engine needs it."""
        name = reference.table.lower()
        if reference.dataset in (TEMPORARY, "") and name in self._temporary:
            return self._temporary[name]
        self._may("bigquery.tables.getData", reference.project)
        return self._service.table(replace(reference, partition=""))

    def tables(self, project: str, dataset: str) -> Sequence[Described]:
        """All of a dataset."""
        self._may("bigquery.tables.list", project)
        if dataset == RESULTS:
            return []
        return [described(table) for table in self._service.tables(project, dataset)]

    def datasets(self, project: str) -> Sequence[Mapping[str, Any]]:
        """A project's."""
        self._may("bigquery.datasets.get", project)
        return [dataset_json(one, "") for one in self._service.datasets(project)]


def described(table: Table) -> Described:
    """What the SQL wants to know about a table."""
    parts = {key: table.said[key] for key in ("timePartitioning", "rangePartitioning") if key in table.said}
    return Described(
        reference=table.reference,
        schema=table.schema,
        kind=table.kind,
        view=table.view,
        partitioning=parts,
        clustering=tuple((table.said.get("clustering") or {}).get("fields", ())),
        resource=table_json(table, ""),
    )
