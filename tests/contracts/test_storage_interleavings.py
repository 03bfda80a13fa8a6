"""Storage under any interleaving: whatever is done in the middle of whatever else, and wherever it dies.

Every row has its content, no content stays without a row, and the counters are right.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import Problem
from mlengine.names import ObjectUrl
from mlengine.storage import store
from mlengine.storage.blobs import BlobInfo
from mlengine.storage.domain import ANY, UNCLAIMED, Attributes, Kind, ListQuery, Span
from mlengine.storage.quotas import Quota
from mlengine.storage.service import Source, StorageService
from tests.conftest import HandClock

WEEK = timedelta(days=7)
TABLES = (
    store.NONCURRENT,
    store.OBJECTS,
    store.PARTS,
    store.UPLOADS,
    store.GARBAGE,
    store.SMALL,
    store.USAGE,
    store.BUCKETS,
)


class Death(BaseException):
    """The process is no more. Nothing can catch it that catches errors."""


@dataclass(frozen=True)
class Step:
    """Something that is asked of storage, and what happens in its middle.

    Attributes:
        verb: A method of `Play`.
        which, other: Which names, or which of what is there.
        meanwhile: At each moment between two transactions or touches of blobs, the next of these: a step that
            comes in between, the end of the process, or nothing.
    """

    verb: str
    which: int
    other: int
    meanwhile: tuple[Step | str | None, ...] = ()


class StagedBlobs(MemoryBlobs):
    """Blobs that let something happen before and after each touch."""

    def __init__(self) -> None:
        super().__init__()
        self.moment: Callable[[], None] = lambda: None

    def write(self, key: str, chunks: Any) -> int:
        # As a folder does it: what has come is there before the whole is.
        self.append(key, 0, self._through(chunks))
        self.seal(key)
        return self.size(key)

    def seal(self, key: str) -> None:
        self.moment()
        super().seal(key)
        self.moment()

    def delete(self, key: str) -> None:
        self.moment()
        super().delete(key)
        self.moment()

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        for blob in super().list(prefix):
            self.moment()
            yield blob

    def _through(self, chunks: Any) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self.moment()


class StagedDatabase:
    """A database that lets something happen after each transaction."""

    def __init__(self, database: SqlDatabase, blobs: StagedBlobs) -> None:
        self._database = database
        self._blobs = blobs

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with self._database.begin() as db:
            yield db
        self._blobs.moment()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._database.read() as db:
            yield db
        self._blobs.moment()

    @contextmanager
    def look(self) -> Iterator[Connection]:
        with self._database.look() as db:
            yield db
        self._blobs.moment()


@dataclass
class Play:
    """A server that is asked for one step after the other, and started again when it dies."""

    database: SqlDatabase
    clock: HandClock
    small: int = -1
    blobs: StagedBlobs = field(default_factory=StagedBlobs)
    uploads: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        with self.database.begin() as db:
            for table in TABLES:
                db.execute(delete(table))
        # Everything is old enough to be taken for abandoned the moment it is written.
        self.clock.now = datetime.now(UTC) + timedelta(days=10)
        self.start()
        self.service.buckets.create("plain", "demo-project")
        self.service.buckets.create("versioned", "demo-project", versioning=True)

    def start(self) -> None:
        self.blobs.moment = lambda: None
        database = StagedDatabase(self.database, self.blobs)
        self.service = StorageService(
            database, self.blobs, self.clock, quota=Quota(objects=8), small=self.small
        )

    def run(self, step: Step) -> None:
        """One step of the outermost level; its death is survived by a new process."""
        try:
            self._act(step)
        except Death:
            self.start()

    def _act(self, step: Step) -> None:
        before, left = self.blobs.moment, list(step.meanwhile)

        def moment() -> None:
            happening = left.pop(0) if left else None
            if happening == "death":
                raise Death
            if isinstance(happening, Step):
                self._act(happening)

        self.blobs.moment = moment
        try:
            getattr(self, step.verb)(step.which, step.other)
        except Problem:
            pass  # not there, no room, a session that is over: fine, as long as all stays right
        self.blobs.moment = before

    def put(self, which: int, _other: int) -> None:
        number = next(self.numbers)
        self.service.write(_url(which), [b"begin %d " % number, b"end %d" % number])

    def copy(self, which: int, other: int) -> None:
        self.service.copy(Source(url=_url(which)), _url(other))

    def restore(self, which: int, other: int) -> None:
        versions = self.service.list("versioned", ListQuery(versions=True)).items
        if versions:
            old = versions[which % len(versions)]
            self.service.copy(Source(url=old.url, generation=old.generation), _url(other))

    def move(self, which: int, other: int) -> None:
        self.service.copy(Source(url=_url(which)), _url(other), move=True)

    def compose(self, which: int, other: int) -> None:
        self.service.compose(_url(other), [Source(url=_url(which)), Source(url=_url(other))])

    def delete(self, which: int, _other: int) -> None:
        self.service.delete(_url(which))

    def erase(self, which: int, _other: int) -> None:
        versions = self.service.list("versioned", ListQuery(versions=True)).items
        if versions:
            old = versions[which % len(versions)]
            self.service.delete(old.url, generation=old.generation)

    def begin(self, which: int, _other: int) -> None:
        upload = self.service.uploads.start(
            _url(which), attributes=Attributes(), conditions=ANY, claimed=UNCLAIMED, total=None
        )
        self.uploads.append(upload)

    def send(self, which: int, other: int) -> None:
        if self.uploads:
            bucket, upload = ("plain", "versioned")[other % 2], self.uploads[which % len(self.uploads)]
            last = Span(start=0, last=True) if other > 2 else Span(start=0, end=4)
            self.service.uploads.send(bucket, upload, last, [b"part"], claimed=UNCLAIMED)

    def collect(self, _which: int, other: int) -> None:
        self.service.collect(WEEK if other % 2 else timedelta(0))

    def repair(self, _which: int, _other: int) -> None:
        self.check(repair=True)

    def check(self, *, repair: bool = False) -> None:
        """No object without its content, and no wrong count, ever."""
        token = ""
        while True:
            report = self.service.checks.page(token, checksums=True, repair=repair)
            assert {found.kind for found in report.findings} <= {Kind.UNREFERENCED}, report.findings
            token = report.token
            if not token:
                return

    def end(self) -> None:
        """A last start and collection; then nothing is left but what belongs to something."""
        self.start()
        self.check()
        self.service.collect(WEEK)
        with self.database.read() as db:
            stored = {blob.key for blob in self.blobs.list()}
            assert stored == store.in_use(db, stored)
            assert store.garbage(db) == []
            assert store.unowned_small(db) == []
        self.check()


def _url(which: int) -> ObjectUrl:
    return ObjectUrl(("plain", "versioned")[which % 2], "ab"[which // 2 % 2])


_VERBS = (
    *("put", "put", "copy", "restore", "move", "compose", "delete", "erase"),
    *("begin", "send", "send", "collect", "collect", "repair"),
)


def _random_step(luck: Random, *, inner: bool = False) -> Step:
    verb = luck.choice(_VERBS)
    meanwhile: list[Step | str | None] = []
    for _ in range(0 if inner else luck.randrange(6)):
        kind = luck.random()
        meanwhile.append("death" if kind < 0.1 else None if kind < 0.4 else _random_step(luck, inner=True))
    return Step(verb, luck.randrange(4), luck.randrange(4), tuple(meanwhile))


def _perform(play: Play, steps: list[Step]) -> None:
    for step in steps:
        play.run(step)
        play.check()
    play.end()


KNOWN_TIGHT_SPOTS = {
    "a copy is made while the only other owner goes, and the collection looks on": [
        Step("put", 0, 0),
        Step("copy", 0, 1),
        Step("delete", 0, 0, (Step("copy", 1, 2), Step("collect", 0, 1), "death")),
        Step("collect", 0, 1, (Step("delete", 1, 0), Step("erase", 0, 0))),
    ],
    "a content arrives while everything that nobody refers to is deleted": [
        Step("put", 0, 0, (Step("collect", 0, 1), Step("repair", 0, 0), Step("collect", 0, 1))),
        Step("collect", 0, 1, (Step("put", 1, 0), Step("put", 2, 0, (None, "death")))),
    ],
    "an upload is sealed, dies before it has a name, and is sent again": [
        Step("begin", 1, 0),
        Step("send", 0, 3, (None, None, None, "death")),
        Step("collect", 0, 1),
        Step("send", 0, 3),
    ],
    "the collection looks on while an upload gets its name": [
        Step("begin", 1, 0),
        Step("send", 0, 3, (Step("collect", 0, 1),) * 6),
    ],
}


# Every content here is a dozen bytes: a blob, or a row in the database.
@pytest.mark.parametrize("small", [-1, 100])
@pytest.mark.parametrize("spot", KNOWN_TIGHT_SPOTS)
def test_known_tight_spots_are_passed(database: SqlDatabase, clock: HandClock, spot: str, small: int) -> None:
    _perform(Play(database, clock, small), KNOWN_TIGHT_SPOTS[spot])


@pytest.mark.parametrize(
    ("seeds", "small"),
    [(range(6), -1), (range(6), 100), pytest.param(range(6, 60), -1, marks=pytest.mark.slow)],
)
def test_whatever_comes_in_between_no_object_loses_its_content_and_no_content_is_left_over(
    database: SqlDatabase, clock: HandClock, seeds: range, small: int
) -> None:
    for seed in seeds:
        luck = Random(seed)
        steps = [Step("put", place, 0) for place in range(4)] + [_random_step(luck) for _ in range(20)]
        try:
            _perform(Play(database, clock, small), steps)
        except BaseException as error:
            error.add_note(f"seed {seed}: {steps}")
            raise
