"""Datasets, tables and their jobs through BigQuery's REST API, and rows as Arrow through our own method."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPResponse
from typing import IO, Any
from urllib.parse import urlsplit

from mlengine.client.addresses import part
from mlengine.client.http import Connection, Json, read
from mlengine.errors import InvalidArgument, Problem, Unavailable

_SLICE = 1 << 20
_PATIENT_SECONDS = 600.0
_PAGE = 1000
_POLL = (0.05, 2.0)  # seconds between two looks at a job: the first, the longest


class TableName:
    """PROJECT.DATASET.TABLE, PROJECT:DATASET.TABLE or DATASET.TABLE, taken apart."""

    def __init__(self, text: str, project: str) -> None:
        head, colon, rest = text.strip().strip("`").partition(":")
        parts = rest.split(".") if colon else head.split(".")
        if colon:
            parts = [head, *parts]
        if len(parts) == 2:
            parts = [project, *parts]
        if len(parts) != 3 or not all(parts):
            raise InvalidArgument(f"'{text}' is no table.", hint="Write DATASET.TABLE.")
        self.project, self.dataset, self.table = parts

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @property
    def resource(self) -> Json:
        """As jobs name it."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}

    @property
    def path(self) -> str:
        """Its address."""
        return f"{dataset_path(self.project, self.dataset)}/tables/{part(self.table)}"


def dataset_path(project: str, dataset: str) -> str:
    """The address of a dataset."""
    return f"/bigquery/v2/projects/{part(project)}/datasets/{part(dataset)}"


class JobFailed(Problem):
    """A table job that did not succeed.

    Attributes:
        job: As the server tells of it.
    """

    def __init__(self, job: Json) -> None:
        status = job["status"]
        super().__init__(str(status["errorResult"].get("message", "")))
        self.job = job
        self.lines = [str(one.get("message", "")) for one in status.get("errors", ())[1:]]
        if len(self.lines) == 1 and self.lines[0] in self.message:
            self.lines = []


class Tables:
    """The tables of one server, for one thread.

    Attributes:
        connection: The line to the server.
        project: Where names without a project belong.
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self.project = project

    def name(self, text: str) -> TableName:
        """What a text names. Raises InvalidArgument."""
        return TableName(text, self.project)

    # Datasets and tables

    def datasets(self) -> Iterator[Json]:
        """The project's datasets by name."""
        return self._listed(f"/bigquery/v2/projects/{part(self.project)}/datasets", "datasets")

    def tables(self, dataset: str) -> Iterator[Json]:
        """A dataset's tables by name."""
        return self._listed(f"{dataset_path(self.project, dataset)}/tables", "tables")

    def dataset(self, dataset: str) -> Json:
        """One dataset."""
        return self.connection.call("GET", dataset_path(self.project, dataset))

    def table(self, name: TableName) -> Json:
        """One table."""
        return self.connection.call("GET", name.path)

    def make_dataset(self, dataset: str, said: Mapping[str, Any]) -> Json:
        """Make a dataset. Raises AlreadyExists."""
        body = {"datasetReference": {"projectId": self.project, "datasetId": dataset}, **said}
        return self.connection.call("POST", f"/bigquery/v2/projects/{part(self.project)}/datasets", body=body)

    def make_table(self, name: TableName, said: Mapping[str, Any]) -> Json:
        """Make an empty table, or a view. Raises AlreadyExists."""
        path = f"{dataset_path(name.project, name.dataset)}/tables"
        return self.connection.call("POST", path, body={"tableReference": name.resource, **said})

    def change_table(self, name: TableName, said: Mapping[str, Any]) -> Json:
        """Change what is said of a table, or add columns."""
        return self.connection.call("PATCH", name.path, body=dict(said))

    def delete_table(self, name: TableName) -> None:
        """Delete a table."""
        self.connection.call("DELETE", name.path)

    def delete_dataset(self, dataset: str, *, contents: bool) -> None:
        """Delete a dataset, with its tables or only if it has none."""
        query = {"deleteContents": "true"} if contents else {}
        self.connection.call("DELETE", dataset_path(self.project, dataset), query=query)

    # Rows

    def rows(self, name: TableName, *, start: int = 0, most: int | None = None) -> Iterator[Json]:
        """Rows as the API's cells, page by page; see `values`."""
        query: dict[str, str | int] = {"formatOptions.useInt64Timestamp": "true"}
        if start:
            query["startIndex"] = start
        return self._paged(f"{name.path}/data", query, most)

    def results(self, job: Json, *, most: int | None = None) -> tuple[list[Json], int, Iterator[Json]]:
        """Of a query that is done: its columns, how many rows it gave, and the first of them."""
        reference = job["jobReference"]
        path = f"/bigquery/v2/projects/{part(reference['projectId'])}/queries/{part(reference['jobId'])}"
        query: dict[str, str | int] = {"formatOptions.useInt64Timestamp": "true"}
        head = self.connection.call("GET", path, query={**query, "maxResults": 0})
        fields = (head.get("schema") or {}).get("fields", [])
        return fields, int(head.get("totalRows", 0)), self._paged(path, query, most)

    def insert(self, name: TableName, rows: Sequence[Json]) -> list[Json]:
        """Add rows one by one; what is wrong with them."""
        body: Json = {"rows": [{"insertId": uuid.uuid4().hex, "json": row} for row in rows]}
        answer = self.connection.call("POST", f"{name.path}/insertAll", body=body, timeout=_PATIENT_SECONDS)
        return list(answer.get("insertErrors", ()))

    def arrow(
        self,
        name: TableName,
        *,
        columns: Sequence[str] = (),
        start: int = 0,
        most: int | None = None,
        version: int | None = None,
        batch_rows: int = 0,
    ) -> HTTPResponse:
        """Rows as an Arrow IPC stream, which is to be read to its end; the version is in its header."""
        query: dict[str, str | int] = {}
        if columns:
            query["selectedFields"] = ",".join(columns)
        for key, value in (("startIndex", start), ("batchRows", batch_rows)):
            if value:
                query[key] = value
        for key, given in (("maxResults", most), ("version", version)):
            if given is not None:
                query[key] = given
        path = (
            f"/mlengine/v1/projects/{part(name.project)}/tables/{part(f'{name.dataset}.{name.table}')}:read"
        )
        return self.connection.send("GET", path, query=query, timeout=_PATIENT_SECONDS)

    # Jobs

    def run(
        self,
        configuration: Json,
        *,
        content: IO[bytes] | None = None,
        tell: Callable[[int, int], None] = lambda _position, _carried: None,
        tick: Callable[[], None] = lambda: None,
    ) -> Json:
        """Run a job to its end.

        Args:
            content: Of a load: what is to be loaded.
            tell: Told how far the content is sent: position, and bytes just sent.
            tick: Called while the job runs.

        Raises:
            JobFailed: it did not succeed.
        """
        path = f"/bigquery/v2/projects/{part(self.project)}/jobs"
        body: Json = {
            "jobReference": {"projectId": self.project, "jobId": f"mlengine_{uuid.uuid4().hex}"},
            "configuration": configuration,
        }
        if content is None:
            job = self.connection.call("POST", path, body=body)
        else:
            job = self._send(body, content, tell)
        wait, longest = _POLL
        while job["status"]["state"] != "DONE":
            time.sleep(wait)
            wait = min(longest, wait * 1.5)
            tick()
            job = self.connection.call("GET", f"{path}/{part(body['jobReference']['jobId'])}")
        if job["status"].get("errorResult"):
            raise JobFailed(job)
        return job

    def look(self, configuration: Json) -> Json:
        """A dry run."""
        path = f"/bigquery/v2/projects/{part(self.project)}/jobs"
        return self.connection.call("POST", path, body={"configuration": {**configuration, "dryRun": True}})

    def _send(self, body: Json, content: IO[bytes], tell: Callable[[int, int], None]) -> Json:
        path = f"/upload/bigquery/v2/projects/{part(self.project)}/jobs"
        opened = self.connection.send(
            "POST",
            path,
            query={"uploadType": "resumable"},
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
        where = urlsplit(opened.getheader("Location", ""))
        read(opened)
        size = content.seek(0, os.SEEK_END)
        content.seek(0)

        def pieces() -> Iterator[bytes]:
            position = 0
            while piece := content.read(_SLICE):
                yield piece
                position += len(piece)
                tell(position, len(piece))

        answer = self.connection.send(
            "PUT",
            f"{where.path}?{where.query}",
            headers={
                "Content-Length": str(size),
                "Content-Range": f"bytes 0-{size - 1}/{size}" if size else "bytes */0",
            },
            body=pieces(),
            timeout=_PATIENT_SECONDS,
            accepted=(308,),
        )
        said = read(answer)
        if answer.status == 308:
            raise Unavailable("The server did not take the whole content.", hint="Try again.")
        job: Json = json.loads(said)
        return job

    def _listed(self, path: str, key: str) -> Iterator[Json]:
        query: dict[str, str | int] = {"maxResults": _PAGE}
        while True:
            page = self.connection.call("GET", path, query=query)
            yield from page.get(key, ())
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def _paged(self, path: str, query: dict[str, str | int], most: int | None) -> Iterator[Json]:
        given = 0
        while most is None or given < most:
            if most is not None:
                query["maxResults"] = most - given
            page = self.connection.call("GET", path, query=query, timeout=_PATIENT_SECONDS)
            for row in page.get("rows", ()):
                yield row
                given += 1
            if not page.get("pageToken"):
                return
            query["pageToken"] = page["pageToken"]
            query.pop("startIndex", None)


def values(fields: Sequence[Json], row: Json) -> Json:
    """A row of cells as an object: whole numbers and floats as numbers, all else as text."""
    return {field["name"]: _value(field, cell["v"]) for field, cell in zip(fields, row["f"], strict=True)}


def _value(field: Json, value: Any) -> Any:
    if value is None:
        return None
    if field.get("mode") == "REPEATED":
        single = {**field, "mode": "NULLABLE"}
        return [_value(single, one["v"]) for one in value]
    match field["type"]:
        case "RECORD" | "STRUCT":
            return values(field["fields"], value)
        case "INTEGER" | "INT64":
            return int(value)
        case "FLOAT" | "FLOAT64":
            return float(value) if value not in ("NaN", "Infinity", "-Infinity") else value
        case "BOOLEAN" | "BOOL":
            return value == "true"
        case "TIMESTAMP":
            return _moment(int(value))
    return value


def _moment(micros: int) -> str:
    from datetime import UTC, datetime, timedelta

    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return when.isoformat().replace("+00:00", "Z")
