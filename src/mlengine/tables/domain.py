"""Datasets, tables, versions of their contents, and jobs: what they are and the rules about them. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.tables.schema import MODES, TYPES, Field, Schema, TableReference

_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"[\w \-]{1,1024}")
_JOB = re.compile(r"[A-Za-z0-9_\-]{1,1024}")
# Letters of any alphabet; not the prefixes that BigQuery keeps for itself.
_COLUMN = re.compile(r"[^\W\d][\w\-]{0,299}")
_KEPT = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")
_DEEPEST = 15

RESULTS = "_results"  # the hidden dataset of what queries without a destination gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A named set of tables of a project.

    Attributes:
        said: What its owner says of it, in the names of the REST resource.
    """

    project: str
    dataset: str
    created: datetime
    updated: datetime
    location: str = "US"
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """An immutable file with some rows of a table.

    Attributes:
        key: Its name, which nobody can guess.
        columns: Names of the columns it has; of others of the table it holds NULL.
    """

    key: str
    rows: int
    size: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a table holds: segments, one after the other."""

    segments: tuple[Segment, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows."""
        return sum(segment.rows for segment in self.segments)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(segment.size for segment in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table or view.

    Attributes:
        uid: Stays the same for as long as the table lives; another of the same name has another.
        kind: TABLE, VIEW or SNAPSHOT.
        version: Counts the changes of its content and schema.
        view: The query of a view.
        expires: When it is deleted; None for never.
        said: What its owner says of it, in the names of the REST resource: description, labels, partitioning.
    """

    uid: str
    reference: TableReference
    created: datetime
    updated: datetime
    schema: Schema = ()
    kind: str = "TABLE"
    version: int = 1
    content: Content = Content()
    view: str = ""
    expires: datetime | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


class State(StrEnum):
    """How a job stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed, or what is odd about its outcome.

    Attributes:
        reason: BigQuery's word: notFound, invalidQuery, invalid, duplicate, stopped …
        location: What it is about: a file, a line, a column.
    """

    reason: str
    message: str
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A query, load, copy, extract or split.

    Attributes:
        kind: query, load, copy, extract or split (which is ours).
        configuration: As it was sent, and with the destination that was chosen for it.
        error: Why it failed; None if it did not, or not yet.
        warnings: What is odd, though it did not fail.
        statistics: What BigQuery's resource says of it, beside times.
        user: Who asked.
        source: Of a load, the key of the upload; empty for gs:// and other kinds.
    """

    project: str
    job_id: str
    kind: str
    configuration: Mapping[str, Any]
    created: datetime
    user: str = ""
    location: str = "US"
    state: State = State.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    error: JobError | None = None
    warnings: tuple[JobError, ...] = ()
    statistics: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def finish(
        self,
        now: datetime,
        *,
        error: JobError | None = None,
        warnings: tuple[JobError, ...] = (),
        statistics: Mapping[str, Any] | None = None,
    ) -> Job:
        """The job, done."""
        if self.state is State.DONE:
            raise FailedPrecondition(f"Job {self.job_id} is done already.")
        return replace(
            self,
            state=State.DONE,
            ended=now,
            error=error,
            warnings=warnings,
            statistics=dict(self.statistics) | dict(statistics or {}),
        )


def check_dataset(name: str) -> str:
    """`name` itself, when a dataset may be called so. Raises InvalidArgument."""
    if not _DATASET.fullmatch(name):
        raise InvalidArgument(
            f"Invalid dataset ID {name[:80]!r}. Dataset IDs must be alphanumeric (plus underscores) "
            "and at most 1024 characters long."
        )
    if name.startswith("_"):
        raise InvalidArgument(
            f"Dataset {name[:80]} begins with an underscore: such datasets are hidden ones."
        )
    return name


def check_table(name: str) -> str:
    """`name` itself, when a table may be called so. Raises InvalidArgument."""
    if not _TABLE.fullmatch(name):
        raise InvalidArgument(
            f"Invalid table ID {name[:80]!r}. Table IDs must be letters, digits, underscores, dashes and "
            "spaces, and at most 1024 characters long."
        )
    return name


def check_job(name: str) -> str:
    """`name` itself, when a job may be called so. Raises InvalidArgument."""
    if not _JOB.fullmatch(name):
        raise InvalidArgument(
            f"Invalid job ID {name[:80]!r}. Job IDs must be alphanumeric (plus underscores and dashes) "
            "and at most 1024 characters long."
        )
    return name


def check_schema(schema: Schema, *, within: str = "", depth: int = 1) -> Schema:
    """`schema` itself, when a table may have it.

    Raises:
        InvalidArgument: a bad or doubled name, an unknown type or mode, too deep.
    """
    if depth > _DEEPEST:
        raise InvalidArgument(f"Field {within[:200]} is nested more than {_DEEPEST} deep.")
    seen: set[str] = set()
    for one in schema:
        path = f"{within}.{one.name}" if within else one.name
        if not _COLUMN.fullmatch(one.name) or one.name.upper().startswith(_KEPT):
            raise InvalidArgument(
                f"Invalid field name {path[:320]!r}. Fields must contain only letters, numbers, dashes and "
                "underscores, start with a letter or underscore, and be at most 300 characters long."
            )
        if one.name.lower() in seen:
            raise InvalidArgument(f"Field {path} already exists in schema.")
        seen.add(one.name.lower())
        if one.type not in TYPES.values():
            raise InvalidArgument(f"Field {path} has the type {one.type}, which is not supported.")
        if one.mode not in MODES:
            raise InvalidArgument(f"Field {path} has mode {one.mode}; it must be one of {', '.join(MODES)}.")
        if one.type == "INTERVAL" and (within or one.repeated):
            raise InvalidArgument(f"Field {path}: an INTERVAL within an array or RECORD cannot be kept.")
        if (one.precision or one.max_length) and (within or one.repeated):
            raise InvalidArgument(f"Field {path}: a limit within an array or RECORD is not supported.")
        if one.precision is not None and not (one.scale or 0) <= one.precision <= 38:
            raise InvalidArgument(f"Field {path}: the precision must be between its scale and 38.")
        if one.type == "RECORD":
            if not one.fields:
                raise InvalidArgument(f"Field {path} is type RECORD but has no schema.")
            check_schema(one.fields, within=path, depth=depth + 1)
    return schema


def widened(old: Schema, new: Schema, *, add: bool, relax: bool, name: str) -> Schema:
    """`old` with what `new` adds to it: further columns, and columns that need no value any more.

    Args:
        add: Whether columns may be added.
        relax: Whether REQUIRED may become NULLABLE.
        name: Of the table, for the words of the error.

    Raises:
        InvalidArgument: another difference, or one that may not be.
    """
    found = {one.name.lower(): one for one in new}
    kept: list[Field] = []
    for one in old:
        other = found.pop(one.name.lower(), None)
        if other is None:
            kept.append(one)
            continue
        if other.type != one.type:
            raise InvalidArgument(
                f"Provided Schema does not match Table {name}. Field {one.name} has changed type from "
                f"{one.type} to {other.type}"
            )
        mode = one.mode
        if other.mode != one.mode:
            if {one.mode, other.mode} == {"REQUIRED", "NULLABLE"} and (relax or one.mode == "NULLABLE"):
                mode = "NULLABLE"
            else:
                raise InvalidArgument(
                    f"Provided Schema does not match Table {name}. Field {one.name} has changed mode from "
                    f"{one.mode} to {other.mode}"
                )
        fields = one.fields
        if one.type == "RECORD":
            fields = widened(one.fields, other.fields, add=add, relax=relax, name=name)
        kept.append(replace(one, mode=mode, fields=fields, description=other.description or one.description))
    for one in found.values():
        if not add:
            raise InvalidArgument(
                f"Provided Schema does not match Table {name}. Cannot add fields (field: {one.name})",
                hint="ALLOW_FIELD_ADDITION in schemaUpdateOptions adds them.",
            )
        if one.mode == "REQUIRED":
            raise InvalidArgument(
                f"Provided Schema does not match Table {name}. Cannot add required fields to an existing "
                f"schema (field: {one.name})"
            )
        kept.append(one)
    return tuple(kept)


def same_shape(old: Schema, new: Schema) -> bool:
    """Whether rows of `old` can be read as rows of `new`: alike, but for added top-level columns."""
    if len(old) > len(new):
        return False
    return all(
        one.name.lower() == other.name.lower() and _bare(one) == _bare(other)
        for one, other in zip(old, new, strict=False)
    )


def tag(thing: Table | Dataset) -> str:
    """An etag: changes with every change."""
    return f"{thing.updated.timestamp():.6f}".replace(".", "")


def _bare(one: Field) -> tuple[Any, ...]:
    return (one.type, one.repeated, tuple((part.name.lower(), _bare(part)) for part in one.fields))
