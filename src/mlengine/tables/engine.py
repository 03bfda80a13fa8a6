"""DuckDB, in bounds: memory, time, threads, and no files but those it is given.

Whatever a user wrote runs in an instance of its own, locked before its first word is read. The library is
loaded when it is first needed: a server without tables never does.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlengine.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    Problem,
    ResourceExhausted,
    Unavailable,
)
from mlengine.tables.segments import Segments
from mlengine.tables.sql.problems import in_bigquery_words
from mlengine.tables.types import literal

_FILE = re.compile(r"[Ff]ile [\"']/[^\"']*[\"']")
_PATH = re.compile(r"\"?/[^\s\"']*/([0-9a-f]{32}(?:\.parquet)?)\"?")


class Stopped(Problem):
    """Somebody cancelled the job."""

    status = "CANCELLED"


@dataclass(slots=True)
class Brake:
    """Ends a piece of work early, from outside.

    Attributes:
        stopped: Whether somebody asked for the end.
    """

    stopped: bool = False
    late: bool = False
    _connections: list[Any] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stop(self) -> None:
        """Ask for the end."""
        self.stopped = True
        self._interrupt()

    def expire(self) -> None:
        """The time is over."""
        self.late = True
        self._interrupt()

    def _interrupt(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.interrupt()

    @contextmanager
    def on(self, connection: Any) -> Iterator[None]:
        """Let it end what this connection does."""
        with self._lock:
            self._connections.append(connection)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._connections.remove(connection)

    def check(self) -> None:
        """Raises Stopped or DeadlineExceeded, once that is so."""
        if self.stopped:
            raise Stopped("Job execution was cancelled: User requested cancellation")
        if self.late:
            raise DeadlineExceeded(
                "The job took longer than it may.",
                hint="Raise its jobTimeoutMs if it has one; an operator can set tables_query_seconds.",
            )


class Engine:
    """Opens instances of DuckDB.

    Args:
        memory: Bytes that one query may use; what is more goes to the disk.
        seconds: How long one may take.
    """

    def __init__(self, segments: Segments, *, memory: int = 0, seconds: float = 3600.0) -> None:
        self._segments = segments
        self._memory = memory or max(256 << 20, _machine_memory() // 8)
        self._threads = max(1, min(8, os.cpu_count() or 1))
        self._shared: Any = None
        self._lock = threading.Lock()
        self.seconds = seconds

    @contextmanager
    def sandbox(
        self, *, readable: Sequence[Path] = (), writable: Sequence[Path] = (), brake: Brake | None = None
    ) -> Iterator[Sandbox]:
        """An instance for what a user wrote.

        Args:
            readable: All the files it can open.
            writable: Files that it makes.
        """
        with self._segments.room() as room, translated(brake, words=in_bigquery_words):
            connection = _connect(memory=self._memory, threads=self._threads, folder=room)
            try:
                paths = ", ".join(literal(str(path)) for path in (*readable, *writable))
                connection.execute(f"SET allowed_paths = [{paths}]")
                connection.execute("SET enable_external_access = false")
                with (brake or Brake()).on(connection):
                    yield Sandbox(connection)
            finally:
                connection.close()

    @contextmanager
    def reader(self, brake: Brake | None = None) -> Iterator[Any]:
        """A connection for SQL of our own, to segments and uploads: one instance for all, so it is quick."""
        with self._lock:
            if self._shared is None:
                self._shared = _connect(
                    memory=self._memory, threads=self._threads, folder=self._segments.scratch
                )
            connection = self._shared.cursor()
        with translated(brake):
            try:
                connection.execute("SET TimeZone = 'UTC'")
                with (brake or Brake()).on(connection):
                    yield connection
            finally:
                connection.close()

    def brake(self) -> tuple[Brake, Callable[[], None]]:
        """A brake that is pulled when the time is over, and what ends that."""
        brake = Brake()
        timer = threading.Timer(self.seconds, brake.expire)
        timer.daemon = True
        timer.start()
        return brake, timer.cancel

    def close(self) -> None:
        """Give the shared instance back."""
        with self._lock:
            if self._shared is not None:
                self._shared.close()
                self._shared = None


class Sandbox:
    """One instance in which a user's statement runs."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def equip(self, *statements: str) -> None:
        """Make what these translated statements call."""
        from mlengine.tables.sql.session import prepare

        prepare(self._connection, *statements)

    def prepare(self, statements: Sequence[str]) -> None:
        """Run statements of ours (views, macros), and let nothing be set afterwards."""
        for statement in statements:
            self._connection.execute(statement)
        self._connection.execute("SET lock_configuration = true")

    def columns(self, query: str) -> list[tuple[str, str]]:
        """Names and DuckDB types of what a query gives, without running it."""
        return [(row[0], row[1]) for row in self._connection.execute(f"DESCRIBE {query}").fetchall()]

    def count(self, statement: str) -> int:
        """Run a statement that changes rows; how many."""
        found = self._connection.execute(statement).fetchone()
        return int(found[0]) if found else 0

    def plan(self, query: str) -> str:
        """How a query would be answered, drawn as a tree."""
        return "\n".join(str(drawn) for _, drawn in self.rows(f"EXPLAIN {query}"))

    def rows(self, query: str, *, most: int | None = None) -> list[tuple[Any, ...]]:
        """What a query gives."""
        result = self._connection.execute(query)
        found: list[tuple[Any, ...]] = result.fetchall() if most is None else result.fetchmany(most)
        return found


def write_parquet(query: str, path: Path) -> str:
    """The statement that writes what a query gives into a file."""
    return (
        f"COPY ({query}) TO {literal(str(path))} "
        "(FORMAT parquet, COMPRESSION lz4_raw, PARQUET_VERSION v2, USE_TMP_FILE false)"
    )


@contextmanager
def translated(
    brake: Brake | None = None, *, words: Callable[[BaseException], str] | None = None
) -> Iterator[None]:
    """Say in our words what DuckDB is unhappy about."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException as error:
        if brake is not None:
            brake.check()
        raise Unavailable("The query was interrupted.", hint="Try again.") from error
    except duckdb.OutOfMemoryException as error:
        raise ResourceExhausted(
            "Resources exceeded during query execution: the query needs more memory than it may use.",
            hint="Read fewer columns or rows at once; an operator can set tables_query_memory_bytes.",
        ) from error
    except (duckdb.InternalException, duckdb.FatalException) as error:
        raise Internal(f"The query engine made a mistake: {plain(error)}") from error
    except duckdb.Error as error:
        raise InvalidArgument(plain(words(error) if words else error)) from error


def plain(error: BaseException | str) -> str:
    """The first words of an error of DuckDB's, without its class, its advice and our paths."""
    text = str(error).split("\n\n")[0]
    text = re.split(r"\n(?:LINE \d|Candidate|Did you mean)", text)[0]
    text = re.sub(r"^(?:[A-Z][A-Za-z]+ )+Error: ", "", text.strip())
    text = _FILE.sub("The file", text)
    return _PATH.sub("the table's data", text).replace("\n", " ").strip()


def _connect(*, memory: int, threads: int, folder: Path) -> Any:
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory}B",
            "threads": threads,
            "temp_directory": str(folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "enable_object_cache": True,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
