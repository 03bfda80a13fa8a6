"""Which versions of which tables a training job has read: noted as it reads them, told with the job."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from mlengine.clock import Clock, to_text
from mlengine.database import Database
from mlengine.names import JobName
from mlengine.tables import lineage_store
from mlengine.tables.domain import RESULTS
from mlengine.tables.schema import TableReference

_MOST_REMEMBERED = 10_000


class Lineage:
    """What jobs have read."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._noted: set[tuple[str, str, str, int]] = set()
        self._lock = Lock()

    def note(self, reader: JobName | None, read: Mapping[TableReference, int]) -> None:
        """A job has read versions of tables; None for a reader that is no job."""
        if reader is None:
            return
        for reference, version in read.items():
            if reference.dataset == RESULTS:
                continue
            entry = (reader.project, reader.job, _spelled(reference), version)
            with self._lock:
                if entry in self._noted:
                    continue
            with self._database.begin() as db:
                lineage_store.add(db, *entry, read=self._clock())
            with self._lock:
                if len(self._noted) >= _MOST_REMEMBERED:
                    self._noted.clear()
                self._noted.add(entry)

    def of(self, job: JobName) -> list[dict[str, str]]:
        """What a job has read, the first first: table, version, and when it was read."""
        with self._database.read() as db:
            return [
                {"table": table, "version": str(version), "readTime": to_text(read)}
                for table, version, read in lineage_store.of(db, job.project, job.job)
            ]


def _spelled(reference: TableReference) -> str:
    return f"{reference.project}.{reference.dataset}.{reference.table}"
