"""What a script becomes: statements for DuckDB, and what they read and write. No I/O.

Between the SQL, which makes plans, and the engine, which carries them out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from mlengine.tables.schema import Schema, TableReference


class Kind(StrEnum):
    """What a statement does; the values are BigQuery's `statementType`, but for the first."""

    EXPRESSION = "EXPRESSION"  # a script asks for values: SET, IF, WHILE
    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    MERGE = "MERGE"
    CREATE_TABLE = "CREATE_TABLE"
    CREATE_TABLE_AS_SELECT = "CREATE_TABLE_AS_SELECT"
    CREATE_VIEW = "CREATE_VIEW"
    DROP_TABLE = "DROP_TABLE"
    DROP_VIEW = "DROP_VIEW"
    TRUNCATE_TABLE = "TRUNCATE_TABLE"
    ALTER_TABLE = "ALTER_TABLE"
    CREATE_SCHEMA = "CREATE_SCHEMA"
    DROP_SCHEMA = "DROP_SCHEMA"
    CREATE_FUNCTION = "CREATE_FUNCTION"  # temporary ones: nothing for the engine to do
    ASSERT = "ASSERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a DDL statement says of the table, view or dataset it makes, changes or drops.

    Attributes:
        schema: All columns of the table as it will be; None where `Statement.sql` tells.
        partitioning: `timePartitioning` or `rangePartitioning` of the REST resource, in a dict of that key.
        clustering: Names of columns.
        options: What OPTIONS(…) says, in the names of the REST resource: description, friendlyName, labels,
            expirationTime (milliseconds since 1970, as text), location, requirePartitionFilter …
        view: The query of a view, in BigQuery's SQL, as it was written.
        replace: OR REPLACE.
        if_not_exists: CREATE … IF NOT EXISTS.
        if_exists: DROP or ALTER … IF EXISTS.
        temporary: The table is the script's own: its dataset is `TEMPORARY`, and it ends with the script.
        cascade: DROP SCHEMA … CASCADE.
        rename: ALTER TABLE … RENAME TO: the new name.
        like: CREATE TABLE … LIKE, COPY or CLONE: the table whose schema is taken.
        copy: Whether its rows are taken, too.
    """

    schema: Schema | None = None
    partitioning: Mapping[str, Any] = field(default_factory=dict)
    clustering: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    view: str = ""
    replace: bool = False
    if_not_exists: bool = False
    if_exists: bool = False
    temporary: bool = False
    cascade: bool = False
    rename: str = ""
    like: TableReference | None = None
    copy: bool = False


TEMPORARY = "_SESSION"  # the dataset of a script's own tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement for DuckDB.

    Each runs in a DuckDB of its own, in which the tables of `reads` stand as views and, for INSERT, UPDATE,
    DELETE and MERGE, the one of `writes` as a table called `target`. Nothing else is there, and no files.

    Attributes:
        sql: DuckDB's SQL. Of SELECT, EXPRESSION, CREATE_TABLE_AS_SELECT and ASSERT, one query. Of
            ALTER_TABLE, a query that gives the new content, or empty if the rows stay (new columns are NULL).
            Empty for other DDL.
        before: Statements to run first (CREATE TEMP MACRO …).
        reads: Tables by the names that `sql` uses, quoted, for them. Views have been unfolded.
        writes: The table, view or dataset (with an empty `table`) that is changed.
        target: The name of the table in `sql` that is changed. A target that is read in a subquery, too, has
            another name there, in `reads`.
        schema: The columns of the result; None to take them from DuckDB's types. INSERT, UPDATE, … have none.
        definition: Of DDL.
        line, column: Where it begins in the script, from 1 on.
        text: The statement as it was written.
    """

    kind: Kind
    sql: str = ""
    before: tuple[str, ...] = ()
    reads: Mapping[str, TableReference] = field(default_factory=dict)
    writes: TableReference | None = None
    target: str = ""
    schema: Schema | None = None
    definition: Definition = Definition()
    line: int = 1
    column: int = 1
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a statement gave, told to the script that goes on.

    Attributes:
        rows: Of an EXPRESSION: each value as a literal of DuckDB's SQL with its type, which gives the very
            same value again ("CAST('…' AS DECIMAL(38,9))", "NULL").
        truths: Of an EXPRESSION: the same for those who only ask whether; None where a value is no BOOLEAN.
        affected: Rows that were inserted, changed or deleted.
        problem: What went wrong, for BEGIN … EXCEPTION; empty if nothing did.
    """

    rows: tuple[tuple[str, ...], ...] = ()
    truths: tuple[tuple[bool | None, ...], ...] = ()
    affected: int = 0
    problem: str = ""


Steps = Generator[Statement, Outcome, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A script, ready to be run.

    Attributes:
        steps: Begins the script. Each statement is translated when its turn comes, because earlier ones may
            make the tables it reads; the engine sends the outcome of each. One that failed is sent, too, as
            `Outcome.problem`: if the script does not handle it, it ends at once, and the engine raises it.
        script: Whether it is more than one statement: the job's statementType is SCRIPT then.
    """

    steps: Callable[[], Steps]
    script: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the SQL wants to know about a table.

    Attributes:
        kind: "TABLE", "VIEW", or "SNAPSHOT".
        view: The query of a view, in BigQuery's SQL.
        partitioning: As in `Definition`.
        resource: The REST resource, for INFORMATION_SCHEMA.
    """

    reference: TableReference
    schema: Schema
    kind: str = "TABLE"
    view: str = ""
    partitioning: Mapping[str, Any] = field(default_factory=dict)
    clustering: tuple[str, ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict)


class Catalogue(Protocol):
    """The tables there are, as the caller may see them."""

    def find(self, table: TableReference) -> Described:
        """A table, or what it was at `table.at`.

        Raises:
            NotFound: there is no such table or dataset (the message says which).
        """
        ...

    def tables(self, project: str, dataset: str) -> Sequence[Described]:
        """All of a dataset, by name; for wildcards and INFORMATION_SCHEMA.

        Raises:
            NotFound: there is no such dataset.
        """
        ...

    def datasets(self, project: str) -> Sequence[Mapping[str, Any]]:
        """The REST resources of a project's datasets, by name."""
        ...


class Translate(Protocol):
    """`mlengine.tables.sql.translate`."""

    def __call__(
        self,
        script: str,
        *,
        catalogue: Catalogue,
        parameters: Sequence[Mapping[str, Any]] = (),
        default_dataset: TableReference | None = None,
        project: str,
    ) -> Plan:
        """Read a script.

        Args:
            parameters: `queryParameters` as the REST body has them; positional ones have no name.
            default_dataset: Where tables without a dataset are; its `table` is empty.

        Raises:
            InvalidArgument: it cannot be read, or says what is not supported; the message ends in
                "at [line:column]".
        """
        ...
