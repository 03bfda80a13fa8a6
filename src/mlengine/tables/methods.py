"""The URLs of BigQuery's REST API: datasets, tables, and rows that come in.

How rows come out is in `read_methods`, jobs are in `job_methods`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.tables import wire
from mlengine.tables.catalogue import May
from mlengine.tables.domain import Dataset, Table
from mlengine.tables.jobs import JobService
from mlengine.tables.rows import Inserter
from mlengine.tables.schema import TableReference
from mlengine.tables.service import TableService
from mlengine.tables.wire import Json
from mlengine.web.method import Call, Handler, Method, Reply
from mlengine.web.partial import masked, parse_mask

PROJECT = "/bigquery/v2/projects/{project}"
_DATASETS = PROJECT + "/datasets"
_DATASET = _DATASETS + "/{dataset}"
_TABLES = _DATASET + "/tables"
TABLE = _TABLES + "/{table}"
_MOST_ROWS = 50_000  # of one streaming insert


def methods(
    service: TableService,
    inserter: Inserter,
    jobs: JobService,
    *,
    may: Callable[[Call], May],
    projects: Callable[[Call], list[tuple[str, str]]],
) -> list[Method]:
    """The rows.

    Args:
        may: What the caller may.
        projects: Ids and numbers of the projects that the caller may see.
    """
    return [
        *_dataset_rows(service),
        *_table_rows(service, jobs, may),
        *_data_rows(inserter),
        *_project_rows(projects),
    ]


def row(method_id: str, verb: str, path: str, handler: Handler, summary: str) -> Method:
    """A row whose handler knows the query parameter `fields`."""

    def finished(call: Call) -> Json | Reply:
        answer = handler(call)
        fields = call.query.get("fields", "").strip()
        return masked(answer, parse_mask(fields)) if fields and isinstance(answer, dict) else answer

    return Method(id=method_id, verb=verb, path=path, handler=finished, summary=summary)


def _project_rows(projects: Callable[[Call], list[tuple[str, str]]]) -> list[Method]:
    def list_(call: Call) -> Json:
        found = [
            {
                "kind": "bigquery#project",
                "id": name,
                "numericId": str(number),
                "projectReference": {"projectId": name},
                "friendlyName": name,
            }
            for name, number in projects(call)
        ]
        return {"kind": "bigquery#projectList", "projects": found, "totalItems": len(found)}

    def account(call: Call) -> Json:
        project = call.path["project"]
        email = f"bigquery-{project}@{project}.iam.gserviceaccount.com"
        return {"kind": "bigquery#getServiceAccountResponse", "email": email}

    return [
        row("bigquery.projects.list", "GET", "/bigquery/v2/projects", list_, "Projects you may see."),
        row(
            "bigquery.projects.getServiceAccount",
            "GET",
            PROJECT + "/serviceAccount",
            account,
            "The name of the account that works for a project.",
        ),
    ]


def _dataset_rows(service: TableService) -> list[Method]:
    def insert(call: Call) -> Json:
        resource = call.json()
        name = (resource.get("datasetReference") or {}).get("datasetId")
        if not isinstance(name, str):
            raise InvalidArgument("The dataset needs an id.", hint='{"datasetReference": {"datasetId": "…"}}')
        made = service.create_dataset(
            call.path["project"],
            name,
            location=str(resource.get("location") or "US"),
            said=wire.merged({}, wire.said_of_dataset(resource)),
        )
        return wire.dataset_json(made, call.base_url)

    def get(call: Call) -> Json:
        return wire.dataset_json(service.dataset(call.path["project"], call.path["dataset"]), call.base_url)

    def list_(call: Call) -> Json:
        limit = _limit(call)
        found = service.datasets(call.path["project"], after=call.query.get("pageToken", ""), limit=limit + 1)
        wanted = [part for part in call.query.get("filter", "").split() if part]
        entries = [_entry(one) for one in found[:limit] if _has_labels(one, wanted)]
        answer: Json = {"kind": "bigquery#datasetList", "datasets": entries}
        if len(found) > limit:
            answer["nextPageToken"] = found[limit - 1].dataset
        return answer

    def change(call: Call, *, whole: bool) -> Json:
        resource = call.json()
        said = wire.said_of_dataset(resource)

        def changed(old: Dataset) -> Dataset:
            return replace(old, said=wire.merged({} if whole else old.said, said))

        new = service.change_dataset(call.path["project"], call.path["dataset"], changed)
        return wire.dataset_json(new, call.base_url)

    def delete(call: Call) -> Reply:
        contents = wire.truth(call.query, "deleteContents")
        service.delete_dataset(call.path["project"], call.path["dataset"], contents=contents)
        return Reply(status=204)

    return [
        row("bigquery.datasets.insert", "POST", _DATASETS, insert, "Make a dataset."),
        row("bigquery.datasets.list", "GET", _DATASETS, list_, "A project's datasets, a page at a time."),
        row("bigquery.datasets.get", "GET", _DATASET, get, "One dataset."),
        row(
            "bigquery.datasets.patch",
            "PATCH",
            _DATASET,
            lambda call: change(call, whole=False),
            "Change what is said of a dataset.",
        ),
        row(
            "bigquery.datasets.update",
            "PUT",
            _DATASET,
            lambda call: change(call, whole=True),
            "Replace what is said of a dataset.",
        ),
        row("bigquery.datasets.delete", "DELETE", _DATASET, delete, "Delete a dataset."),
    ]


def _table_rows(service: TableService, jobs: JobService, may: Callable[[Call], May]) -> list[Method]:
    def insert(call: Call) -> Json:
        resource = call.json()
        reference = wire.reference_from(resource.get("tableReference"), project=call.path["project"])
        reference = replace(reference, project=call.path["project"], dataset=call.path["dataset"])
        view, schema = resource.get("view") or {}, wire.schema_from(resource.get("schema") or {})
        text = wire.word(view, "query") if isinstance(view, dict) else ""
        if view and (not text or wire.truth(view, "useLegacySql")):
            raise InvalidArgument("A view needs a query in GoogleSQL.", hint="Send useLegacySql: false.")
        if text:
            _, schema = jobs.look(call.path["project"], {"query": text}, may=may(call))
        made = service.create_table(
            reference,
            schema=schema,
            view=text,
            expires=wire.expiration(resource),
            said=wire.merged({}, wire.said_of_table(resource)),
        )
        return wire.table_json(made, call.base_url)

    def get(call: Call) -> Json:
        return wire.table_json(service.table(reference_of(call)), call.base_url)

    def list_(call: Call) -> Json:
        limit = _limit(call)
        found = service.tables(
            call.path["project"],
            call.path["dataset"],
            after=call.query.get("pageToken", ""),
            limit=limit + 1,
        )
        answer: Json = {"kind": "bigquery#tableList", "totalItems": len(found[:limit])}
        if found:
            answer["tables"] = [wire.table_entry(one) for one in found[:limit]]
        if len(found) > limit:
            answer["nextPageToken"] = found[limit - 1].reference.table
        return answer

    def change(call: Call, *, whole: bool) -> Json:
        resource = call.json()
        view = resource.get("view") or {}
        text = wire.word(view, "query") if isinstance(view, dict) else ""
        schema = jobs.look(call.path["project"], {"query": text}, may=may(call))[1] if text else None

        def changed(old: Table) -> Table:
            new = wire.changed_table(old, resource, whole=whole)
            if schema is not None and old.kind != "VIEW":
                raise InvalidArgument(f"Table {old.reference} is no view, and cannot become one.")
            return new if schema is None else replace(new, view=text, schema=schema)

        etag = call.headers.get("if-match", "").strip('"')
        return wire.table_json(service.change_table(reference_of(call), changed, etag=etag), call.base_url)

    def delete(call: Call) -> Reply:
        service.delete_table(reference_of(call))
        return Reply(status=204)

    return [
        row("bigquery.tables.insert", "POST", _TABLES, insert, "Make a table or a view."),
        row("bigquery.tables.list", "GET", _TABLES, list_, "A dataset's tables, a page at a time."),
        row("bigquery.tables.get", "GET", TABLE, get, "One table."),
        row(
            "bigquery.tables.patch",
            "PATCH",
            TABLE,
            lambda call: change(call, whole=False),
            "Change what is said of a table, or add columns.",
        ),
        row(
            "bigquery.tables.update",
            "PUT",
            TABLE,
            lambda call: change(call, whole=True),
            "Replace what is said of a table.",
        ),
        row("bigquery.tables.delete", "DELETE", TABLE, delete, "Delete a table."),
    ]


def _data_rows(inserter: Inserter) -> list[Method]:
    def insert_all(call: Call) -> Json:
        body = call.json()
        rows = body.get("rows")
        if not isinstance(rows, list) or not rows or not all(isinstance(one, dict) for one in rows):
            raise InvalidArgument(
                'rows must be a list of {"insertId": …, "json": {…}}, and have one at least.'
            )
        if len(rows) > _MOST_ROWS:
            raise InvalidArgument(
                f"{len(rows)} rows at once are too many.", hint=f"Send {_MOST_ROWS} at most."
            )
        if body.get("templateSuffix"):
            raise InvalidArgument("templateSuffix is not supported.", hint="Make the table first.")
        errors = inserter.insert(
            reference_of(call),
            rows,
            skip_invalid=wire.truth(body, "skipInvalidRows"),
            ignore_unknown=wire.truth(body, "ignoreUnknownValues"),
        )
        answer: Json = {"kind": "bigquery#tableDataInsertAllResponse"}
        if errors:
            answer["insertErrors"] = [
                {
                    "index": number,
                    "errors": [{"reason": reason, "location": field, "debugInfo": "", "message": words}],
                }
                for number, reason, field, words in errors
            ]
        return answer

    return [
        row("bigquery.tabledata.insertAll", "POST", TABLE + "/insertAll", insert_all, "Add a few rows."),
    ]


def reference_of(call: Call) -> TableReference:
    """The table that a path names."""
    return wire.named_table(call.path["project"], call.path["dataset"], call.path["table"])


def _limit(call: Call) -> int:
    return min(1000, wire.numeral(call.query, "maxResults") or 1000)


def _entry(dataset: Dataset) -> Json:
    found = wire.dataset_json(dataset, "")
    kept = ("kind", "id", "datasetReference", "labels", "friendlyName", "location", "type")
    return {key: found[key] for key in kept if key in found}


def _has_labels(dataset: Dataset, wanted: list[str]) -> bool:
    labels: dict[str, Any] = dict(dataset.said.get("labels") or {})
    for part in wanted:
        if part.upper() == "AND":
            continue
        if not part.startswith("labels."):
            raise InvalidArgument(f"The filter {part!r} cannot be read.", hint="Write labels.NAME:VALUE.")
        name, _, value = part.removeprefix("labels.").partition(":")
        if name not in labels or (value and labels[name] != value):
            return False
    return True
