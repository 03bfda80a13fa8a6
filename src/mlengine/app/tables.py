"""Tables, wired: their services, what they ask of buckets and of access, and their methods."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mlengine.access.entrance import Entrance
from mlengine.access.guard import Guard
from mlengine.app.between import project_of
from mlengine.clock import system_clock
from mlengine.database import Database
from mlengine.errors import NotFound
from mlengine.names import JobName, ObjectUrl
from mlengine.projects.service import ProjectService
from mlengine.settings import Settings
from mlengine.storage.service import StorageService
from mlengine.tables import methods as table_methods
from mlengine.tables import read_methods
from mlengine.tables.arrow_rows import ArrowRows
from mlengine.tables.catalogue import May
from mlengine.tables.engine import Engine
from mlengine.tables.job_methods import JobMethods
from mlengine.tables.jobs import Files, JobService
from mlengine.tables.lineage import Lineage
from mlengine.tables.loop import KeepingLoop
from mlengine.tables.rows import Inserter, RowPages
from mlengine.tables.segments import Segments
from mlengine.tables.service import TableService
from mlengine.tables.uploads import Uploads
from mlengine.web.method import Call, Method


class Tables:
    """Everything about tables, once."""

    def __init__(self, settings: Settings, database: Database, storage: StorageService) -> None:
        self._segments = Segments(settings.data_dir / "tables")
        self._engine = Engine(
            self._segments,
            memory=settings.tables_query_memory_bytes,
            seconds=settings.tables_query_seconds,
        )
        self.service = TableService(database, system_clock)
        self.jobs = JobService(
            database, system_clock, self.service, self._segments, self._engine, _files(storage)
        )
        self._pages = RowPages(self._segments, self._engine)
        self.lineage = Lineage(database, system_clock)
        self.loop = KeepingLoop(self.service, self._segments, self._engine)
        self.inserter = Inserter(self.service, self._segments, self._engine)
        self._uploads = Uploads(database, system_clock, self._segments.uploads, find=self.jobs.get)

    def methods(self, guard: Guard, entrance: Entrance, projects: ProjectService) -> list[Method]:
        """The rows of the method table."""

        def may(call: Call) -> May:
            who = guard.identify(call)

            def check(permission: str, project: str) -> None:
                if who.kind != "owner":
                    entrance.directory.check(who, permission, f"projects/{project}")

            return check

        def visible(call: Call) -> list[tuple[str, str]]:
            return [
                (one.project_id, one.number)
                for one in projects.list()
                if guard.allows(call, "resourcemanager.projects.get", f"projects/{one.project_id}")
            ]

        def reader(call: Call) -> JobName | None:
            who = guard.identify(call)
            return JobName(who.project, who.job) if who.kind == "job" else None

        pages = self._pages
        arrow = ArrowRows(self._segments, self._engine)
        return [
            *table_methods.methods(self.service, self.inserter, self.jobs, may=may, projects=visible),
            *read_methods.methods(self.service, pages, arrow, self.lineage, reader=reader),
            *JobMethods(
                self.jobs,
                pages,
                self._uploads,
                may=may,
                user=lambda call: guard.identify(call).email or "owner",
                note=lambda call, read: self.lineage.note(reader(call), read),
            ).rows(),
        ]

    def start(self) -> None:
        """Tell jobs that a stop has ended that they have failed."""
        self.jobs.recover()

    def stop(self) -> None:
        """End what runs."""
        self.loop.stop()
        self.jobs.close()
        self._pages.close()
        self._engine.close()


def _linked(pieces: object, path: Path) -> bool:
    """Give an open blob a second name, which costs nothing; False where it is no file, or on another disk."""
    descriptor = getattr(pieces, "descriptor", None)
    if descriptor is None:
        return False
    try:
        os.link(f"/proc/self/fd/{descriptor}", path, follow_symlinks=True)
    except OSError:
        return False
    return True


def _files(storage: StorageService) -> Files:
    def find(url: str) -> list[ObjectUrl]:
        wanted = ObjectUrl.parse(url)
        if "*" not in wanted.object:
            storage.get(wanted)
            return [wanted]
        prefix, _, suffix = wanted.object.partition("*")
        found = [
            one.url
            for one in storage.list_under(ObjectUrl(wanted.bucket, ""))
            if one.name.startswith(prefix)
            and one.name.endswith(suffix)
            and len(one.name) >= len(prefix + suffix)
        ]
        if not found:
            raise NotFound(f"Not found: URI {url}")
        return found

    def fetch(url: ObjectUrl, path: Path) -> None:
        _, pieces = storage.open(url)
        with closing(pieces):
            if not _linked(pieces, path):
                with path.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)

    def put(url: ObjectUrl, pieces: Iterator[bytes]) -> object:
        return storage.put(url, pieces)

    return Files(find=find, fetch=fetch, put=put, project=lambda bucket: project_of(bucket, storage))
