"""Monitoring, wired: where figures and samples come from, where samples go, and who fetches them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlengine.access.guard import Guard
from mlengine.app.between import project_of
from mlengine.app.tables import Tables
from mlengine.backends.gateway_link import GatewayLink
from mlengine.backends.worker_usage import WorkerUsage
from mlengine.backends.workers import ChildWorkers
from mlengine.clock import system_clock
from mlengine.database import Database
from mlengine.errors import FailedPrecondition, PermissionDenied
from mlengine.models.service import ModelService
from mlengine.monitoring.domain import Usage
from mlengine.monitoring.hourly import HourlyObjects
from mlengine.monitoring.loop import MonitoringLoop, RequestLogLoop
from mlengine.monitoring.methods import methods
from mlengine.monitoring.request_log import COLUMNS, RequestLog, wrong_columns
from mlengine.monitoring.service import MonitoringService
from mlengine.names import ObjectUrl
from mlengine.storage.service import StorageService
from mlengine.tables.schema import TableReference
from mlengine.web.method import Call, Method


class Monitoring:
    """Everything about what versions did, once."""

    def __init__(
        self,
        data: Path,
        database: Database,
        models: ModelService,
        tables: Tables,
        storage: StorageService,
        *,
        workers: ChildWorkers,
        gateway: GatewayLink,
    ) -> None:
        self._models, self._tables, self._storage = models, tables, storage
        self._used = WorkerUsage(workers.processes)
        self.service = MonitoringService(
            database, system_clock, models, figures=gateway.figures, usage=self._usage
        )
        log = RequestLog(
            self.service,
            records=gateway.records,
            wanted=lambda: {
                one.name.key: one.request_logging for one in models.to_deploy() if one.request_logging
            },
            tables=self._insert,
            objects=HourlyObjects(data / "request-logs", system_clock, put=storage.put),
        )
        self._loop, self._log_loop = MonitoringLoop(self.service), RequestLogLoop(log)
        self.threads = [
            threading.Thread(target=self._loop.run, name="monitoring", daemon=True),
            threading.Thread(target=self._log_loop.run, name="request log", daemon=True),
        ]

    def methods(self) -> list[Method]:
        """The rows of the method table."""
        return methods(self.service, system_clock)

    def may_log(self, guard: Guard, call: Call, logging: Mapping[str, Any]) -> None:
        """Whether requests can be logged there, as a patch of a version wants it.

        Raises:
            NotFound: there is no such table or bucket.
            FailedPrecondition: the table lacks a column.
            PermissionDenied: the caller may not write there.
        """
        if name := logging.get("bigqueryTableName"):
            reference = _reference(name)
            _check(guard, call, "bigquery.tables.updateData", reference.project, f"table {name}")
            table = self._tables.service.table(reference)
            columns = [(one.name, one.type, one.mode) for one in table.schema]
            why = "it is a view" if table.kind != "TABLE" else wrong_columns(columns)
            if why:
                wanted = ", ".join(f"{column} {kind}" for column, (kind, _) in COLUMNS.items())
                raise FailedPrecondition(
                    f"Requests cannot be logged in table {name}: {why}.",
                    hint=f"Make one with the columns {wanted}.",
                    field="version.request_logging_config.bigquery_table_name",
                )
        else:
            url = ObjectUrl.parse(logging["destination"])
            self._storage.buckets.get(url.bucket)
            project = project_of(url.bucket, self._storage)
            _check(guard, call, "storage.objects.create", project, f"bucket {url.bucket}")

    def stop(self) -> None:
        """End the loops."""
        self._loop.stop()
        self._log_loop.stop()

    def _usage(self) -> dict[str, Usage]:
        by_uid = self._used()
        return {one.name.key: by_uid[one.uid] for one in self._models.to_deploy() if one.uid in by_uid}

    def _insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
        sent = [{"json": row} for row in rows]
        wrong = self._tables.inserter.insert(_reference(table), sent, skip_invalid=True, ignore_unknown=False)
        why = f"{wrong[0][2]} {wrong[0][3]}".strip() if wrong else ""
        return len({number for number, *_ in wrong}), why


def _reference(name: str) -> TableReference:
    project, dataset, table = name.split(".")
    return TableReference(project=project, dataset=dataset, table=table)


def _check(guard: Guard, call: Call, permission: str, project: str, what: str) -> None:
    if not guard.allows(call, permission, f"projects/{project}"):
        raise PermissionDenied(
            f"Permission '{permission}' on project {project} is needed to log requests in {what}.",
            hint="Ask an owner of that project for it.",
        )
