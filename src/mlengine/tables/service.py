"""What can be done with datasets and tables.

The rows of a change are written to segments first; then one transaction makes them the table's next version.
So readers have the old or the new content, never half, and a crash leaves the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    nearest,
)
from mlengine.tables import store
from mlengine.tables.domain import (
    RESULTS,
    Content,
    Dataset,
    Segment,
    Table,
    check_dataset,
    check_schema,
    check_table,
    same_shape,
    tag,
    widened,
)
from mlengine.tables.schema import Schema, TableReference

KEPT_FOR = timedelta(days=7)  # how far back `FOR SYSTEM_TIME AS OF` reaches, as in BigQuery
RESULTS_FOR = timedelta(days=1)
WRITES = ("WRITE_APPEND", "WRITE_EMPTY", "WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA")
CREATES = ("CREATE_IF_NEEDED", "CREATE_NEVER")
UPDATES = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How what a job gives comes into its destination.

    Attributes:
        write: One of `WRITES`.
        create: One of `CREATES`.
        updates: Some of `UPDATES`.
        said: What is said of a table that is made.
        expires: When a table that is made is deleted.
    """

    write: str = "WRITE_APPEND"
    create: str = "CREATE_IF_NEEDED"
    updates: tuple[str, ...] = ()
    said: dict[str, Any] | None = None
    expires: datetime | None = None

    @property
    def truncates(self) -> bool:
        """Whether what is there goes."""
        return self.write.startswith("WRITE_TRUNCATE")


class TableService:
    """Datasets and tables. Every verb raises NotFound for one that is not there."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> datetime:
        """What this service takes for the present."""
        return self._clock()

    def create_dataset(
        self, project: str, dataset: str, *, location: str = "US", said: dict[str, Any] | None = None
    ) -> Dataset:
        """Make an empty dataset.

        Raises:
            AlreadyExists: the name is taken.
        """
        now = self._clock()
        new = Dataset(
            project=project,
            dataset=check_dataset(dataset),
            created=now,
            updated=now,
            location=location,
            said=said or {},
        )
        with self._database.begin() as db:
            if store.find_dataset(db, project, dataset):
                raise AlreadyExists(f"Already Exists: Dataset {project}:{dataset}")
            store.add_dataset(db, new)
        return new

    def dataset(self, project: str, dataset: str) -> Dataset:
        """One dataset."""
        with self._database.read() as db:
            return _dataset(db, project, dataset)

    def datasets(self, project: str, *, after: str = "", limit: int | None = None) -> list[Dataset]:
        """A project's, by name."""
        with self._database.read() as db:
            return store.list_datasets(db, project, after=after, limit=limit)

    def count_datasets(self, project: str) -> int:
        """How many a project has."""
        with self._database.read() as db:
            return store.holds_tables(db, project)

    def change_dataset(self, project: str, dataset: str, change: Callable[[Dataset], Dataset]) -> Dataset:
        """Change what is said of a dataset."""
        with self._database.begin() as db:
            old = store.get_dataset(db, project, dataset, lock=True)
            new = replace(change(old), updated=self._clock())
            store.save_dataset(db, new)
        return new

    def delete_dataset(self, project: str, dataset: str, *, contents: bool = False) -> None:
        """Delete a dataset.

        Args:
            contents: Its tables, too.

        Raises:
            FailedPrecondition: it has tables.
        """
        now = self._clock()
        with self._database.begin() as db:
            store.get_dataset(db, project, dataset, lock=True)
            if not contents and store.count_tables(db, project, dataset):
                raise FailedPrecondition(
                    f"Dataset {project}:{dataset} is still in use",
                    hint="Delete its tables first, or ask for that: deleteContents=true.",
                )
            for table in store.list_tables(db, project, dataset):
                store.retire_table(db, table, now)
            store.remove_dataset(db, project, dataset)

    def create_table(
        self,
        reference: TableReference,
        *,
        schema: Schema = (),
        view: str = "",
        expires: datetime | None = None,
        said: dict[str, Any] | None = None,
    ) -> Table:
        """Make an empty table, or a view.

        Raises:
            AlreadyExists: the name is taken.
        """
        check_table(reference.table)
        now = self._clock()
        new = Table(
            uid=store.new_uid(),
            reference=reference.now,
            created=now,
            updated=now,
            schema=check_schema(schema),
            kind="VIEW" if view else "TABLE",
            view=view,
            expires=expires,
            said=said or {},
        )
        with self._database.begin() as db:
            dataset = store.get_dataset(db, reference.project, reference.dataset, lock=True)
            if store.find_table(db, reference.now):
                raise AlreadyExists(f"Already Exists: Table {reference.now}")
            new = _with_default_expiration(new, dataset)
            store.add_table(db, new)
        return new

    def table(self, reference: TableReference) -> Table:
        """One table, as it is or as it was.

        Raises:
            InvalidArgument: the moment lies too far back, or ahead.
        """
        if reference.at is not None:
            now = self._clock()
            if reference.at > now or reference.at < now - KEPT_FOR:
                raise InvalidArgument(
                    f"Invalid snapshot time {reference.at.isoformat()} for table {reference}.",
                    hint="It must lie within the past 7 days.",
                )
        with self._database.read() as db:
            found = store.find_table(db, reference)
            if found is not None:
                return found
            if reference.dataset != RESULTS:
                _dataset(db, reference.project, reference.dataset)
            names = [table.reference.table for table in store.list_tables(db, *_place(reference))]
        hint = nearest(reference.table, names)
        if reference.at is not None and reference.table in names:
            hint = f"It was not there at {reference.at.isoformat()}."
        raise NotFound(f"Not found: Table {reference}", hint=hint)

    def version(self, uid: str, version: int) -> Table | None:
        """A table as a certain version had it; None if that is forgotten."""
        with self._database.read() as db:
            return store.find_version(db, uid, version)

    def find(self, reference: TableReference) -> Table | None:
        """One table, as it is; None if there is none."""
        with self._database.read() as db:
            return store.find_table(db, reference.now)

    def tables(self, project: str, dataset: str, *, after: str = "", limit: int | None = None) -> list[Table]:
        """A dataset's, by name."""
        with self._database.read() as db:
            if dataset != RESULTS:
                _dataset(db, project, dataset)
            return store.list_tables(db, project, dataset, after=after, limit=limit)

    def change_table(
        self, reference: TableReference, change: Callable[[Table], Table], *, etag: str = ""
    ) -> Table:
        """Change what is said of a table, or add columns to it.

        Args:
            etag: What it must have; empty for any.

        Raises:
            InvalidArgument: the new schema is not the old one with further columns.
            PreconditionFailed: it has another etag.
        """
        with self._database.begin() as db:
            old = _locked(db, reference)
            if etag and etag != tag(old):
                raise PreconditionFailed(f"Table {reference} changed meanwhile.", hint="Read it again.")
            new = replace(change(old), updated=self._clock())
            if new.schema != old.schema:
                check_schema(new.schema)
                if old.kind == "TABLE":
                    kept = widened(old.schema, new.schema, add=True, relax=True, name=str(reference))
                    if not same_shape(old.schema, kept) and old.content.segments:
                        raise InvalidArgument(
                            f"Table {reference} has rows: fields within a RECORD cannot be added to them.",
                            hint="Make the table anew with CREATE OR REPLACE TABLE … AS SELECT.",
                        )
                    new = replace(new, schema=kept)
                store.save_version(db, new)
                new = replace(new, version=new.version + 1)
            else:
                store.save_table(db, new)
        return new

    def delete_table(self, reference: TableReference) -> None:
        """Delete a table. For 7 days its past can still be copied from."""
        with self._database.begin() as db:
            store.retire_table(db, _locked(db, reference), self._clock())

    def rename_table(self, reference: TableReference, name: str) -> Table:
        """Give a table another name in its dataset.

        Raises:
            AlreadyExists: the name is taken.
        """
        target = replace(reference.now, table=check_table(name))
        with self._database.begin() as db:
            old = _locked(db, reference)
            if store.find_table(db, target):
                raise AlreadyExists(f"Already Exists: Table {target}")
            new = replace(old, reference=target, updated=self._clock())
            store.save_table(db, new)
        return new

    def write(
        self,
        destination: TableReference,
        *,
        schema: Schema,
        segments: Iterable[Segment],
        manner: Manner,
        base: Table | None,
        kind: str = "TABLE",
    ) -> Table:
        """Make segments that have been sealed part of a table, in one transaction.

        Args:
            schema: What the table has afterwards, as `planned` told.
            base: The table for which that was planned; None if there was none.

        Raises:
            Conflict: the table has another schema by now, or is there, or is gone: plan again.
            AlreadyExists: WRITE_EMPTY, and it has rows.
            NotFound: CREATE_NEVER, and it is not there.
        """
        now, fresh = self._clock(), tuple(segments)
        with self._database.begin() as db:
            hidden = destination.dataset == RESULTS
            dataset = None if hidden else store.get_dataset(db, *_place(destination), lock=True)
            old = store.lock_table(db, destination)
            if (old and old.uid) != (base and base.uid) or (old and base and old.schema != base.schema):
                raise Conflict(f"Table {destination} changed meanwhile.", hint="Try again.")
            if old is None:
                new = Table(
                    uid=store.new_uid(),
                    reference=destination.now,
                    created=now,
                    updated=now,
                    schema=check_schema(schema) if not hidden else schema,
                    kind=kind,
                    content=Content(segments=fresh),
                    expires=manner.expires,
                    said=manner.said or {},
                )
                new = _with_default_expiration(new, dataset) if dataset else new
                store.add_table(db, new)
                return new
            _writable(old)
            if manner.write == "WRITE_EMPTY" and old.content.rows:
                raise AlreadyExists(f"Already Exists: Table {destination}")
            kept = () if manner.truncates else old.content.segments
            said = old.said if manner.said is None else dict(old.said) | manner.said
            new = replace(
                old, schema=schema, content=Content(segments=(*kept, *fresh)), said=said, updated=now
            )
            store.save_version(db, new)
            return replace(new, version=new.version + 1)

    def rewrite(self, table: Table, *, segments: Iterable[Segment], schema: Schema | None = None) -> Table:
        """Replace the whole content of a table that nobody has changed since it was read.

        Raises:
            Conflict: somebody has.
        """
        _writable(table)
        new = replace(
            table,
            content=Content(segments=tuple(segments)),
            schema=table.schema if schema is None else check_schema(schema),
            updated=self._clock(),
        )
        with self._database.begin() as db:
            store.save_version(db, new)
        return replace(new, version=new.version + 1)

    def append(self, table: Table, segment: Segment) -> None:
        """Add rows to a table whatever else is added meanwhile.

        Raises:
            Conflict: it has another schema by now.
            NotFound: it is gone.
        """
        with self._database.begin() as db:
            now = _locked(db, table.reference)
            if now.uid != table.uid or now.schema != table.schema:
                raise Conflict(f"Table {table.reference} changed meanwhile.", hint="Try again.")
            content = Content(segments=(*now.content.segments, segment))
            store.save_version(db, replace(now, content=content, updated=self._clock()))

    def merge(self, table: Table, *, merged: Sequence[Segment], into: Segment) -> None:
        """Put one segment in the place of several neighbours that hold the same rows.

        Raises:
            Conflict: the table has changed meanwhile.
        """
        segments = table.content.segments
        start = segments.index(merged[0])
        content = Content(segments=(*segments[:start], into, *segments[start + len(merged) :]))
        with self._database.begin() as db:
            store.swap_segments(db, replace(table, content=content))

    def expire(self) -> int:
        """Delete the tables whose time is over, and forget what nobody can ask for; how many were deleted."""
        now = self._clock()
        with self._database.begin() as db:
            tables = store.expired_tables(db, now)
            for table in tables:
                # Nobody asks for the past of what a query gave.
                hidden = table.reference.dataset == RESULTS
                store.retire_table(db, table, now - 2 * KEPT_FOR if hidden else now)
            store.forget_versions(db, now - KEPT_FOR)
        return len(tables)

    def used_segments(self) -> set[str]:
        """The keys of all segments that some version has."""
        with self._database.read() as db:
            return store.used_segments(db)

    def shattered(self, *, more_than: int) -> list[Table]:
        """Tables with many segments."""
        with self._database.read() as db:
            return store.shattered(db, more_than=more_than)


def planned(base: Table | None, schema: Schema | None, manner: Manner, destination: TableReference) -> Schema:
    """The schema that a destination will have.

    Args:
        schema: Of what is to be written; None if only the table tells.

    Raises:
        NotFound: CREATE_NEVER, and there is no table.
        AlreadyExists: WRITE_EMPTY, and it has rows.
        InvalidArgument: the schemas do not fit.
    """
    if base is None:
        if manner.create == "CREATE_NEVER":
            raise NotFound(f"Not found: Table {destination}")
        if not schema:
            raise InvalidArgument(
                f"No schema specified on job or table {destination}.",
                hint="Give one, or set autodetect.",
            )
        return schema
    _writable(base)
    if manner.write == "WRITE_EMPTY" and base.content.rows:
        raise AlreadyExists(f"Already Exists: Table {destination}")
    if schema is None or not schema:
        if not base.schema:
            raise InvalidArgument(f"No schema specified on job or table {destination}.")
        return base.schema
    if not base.schema or (manner.truncates and manner.write != "WRITE_TRUNCATE_DATA"):
        return schema
    add = "ALLOW_FIELD_ADDITION" in manner.updates
    relax = "ALLOW_FIELD_RELAXATION" in manner.updates
    new = widened(base.schema, schema, add=add, relax=relax, name=str(destination))
    if not same_shape(base.schema, new) and base.content.segments and not manner.truncates:
        raise InvalidArgument(
            f"Table {destination} has rows: fields within a RECORD cannot be added to them."
        )
    return new


def _dataset(db: Connection, project: str, dataset: str) -> Dataset:
    found = store.find_dataset(db, project, dataset)
    if found is None:
        names = [one.dataset for one in store.list_datasets(db, project)]
        raise NotFound(f"Not found: Dataset {project}:{dataset}", hint=nearest(dataset, names))
    return found


def _locked(db: Connection, reference: TableReference) -> Table:
    found = store.lock_table(db, reference)
    if found is None:
        if reference.dataset != RESULTS:
            _dataset(db, reference.project, reference.dataset)
        raise NotFound(f"Not found: Table {reference.now}")
    return found


def _place(reference: TableReference) -> tuple[str, str]:
    return reference.project, reference.dataset


def _writable(table: Table) -> None:
    if table.kind != "TABLE":
        raise InvalidArgument(
            f"{table.reference} is a {table.kind.lower()}, and cannot be written to.",
            hint="Name a table.",
        )


def _with_default_expiration(table: Table, dataset: Dataset) -> Table:
    lifetime = dataset.said.get("defaultTableExpirationMs")
    if table.expires is not None or not lifetime:
        return table
    return replace(table, expires=table.created + timedelta(milliseconds=int(lifetime)))
