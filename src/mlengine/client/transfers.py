"""Doing many steps: each by its kind, several at a time, and on with the others when one fails."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from mlengine.client.copying import Step
from mlengine.client.downloading import Download, file_problem
from mlengine.client.http import Json
from mlengine.client.patience import Patience, unheard
from mlengine.client.storage import Storage
from mlengine.client.trackers import Tracker, Trackers
from mlengine.client.uploading import Tell, Upload, untold
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound, Problem
from mlengine.names import ObjectUrl

Item = TypeVar("Item")
# What gsutil writes into the metadata: whole seconds since 1970.
MTIME = "goog-reserved-file-mtime"


@dataclass(frozen=True, slots=True)
class Carried:
    """A step that is done.

    Attributes:
        sent: Bytes that went over the line.
        found: Bytes that an earlier run had moved.
        skipped: Whether nothing was done, for the target exists.
    """

    sent: int = 0
    found: int = 0
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """How single things are copied.

    Args:
        trackers: Where unfinished transfers are noted; None to leave no trace of them.
        only_new: Whether what exists is left alone.
        move: Whether the source is removed once its copy is verified.
        keep_time: Whether the copy gets the source's time of change.
        taken: All targets of the run, which no unfinished file may be called.
        trouble: Told of an outage that is waited for.
    """

    trackers: Trackers | None = None
    only_new: bool = False
    move: bool = False
    keep_time: bool = False
    taken: Collection[Path] = field(default_factory=frozenset)
    trouble: Callable[[Problem], None] = unheard

    def carry(self, storage: Storage, step: Step, tell: Tell = untold) -> Carried:
        """Copy or move one thing.

        Raises:
            Problem: it was not possible; nothing is left under the target's name that is not whole.
        """
        try:
            match step.source, step.target:
                case Path() as source, ObjectUrl() as target:
                    done = self._up(storage, source, target, tell)
                case ObjectUrl() as source, Path() as target:
                    done = self._down(storage, source, target, step.item or {}, tell)
                case ObjectUrl() as source, ObjectUrl() as target:
                    done = self._across(storage, source, target, step.item or {}, tell)
                case _:
                    raise AssertionError(step)
        except OSError as error:
            raise file_problem(error, step.target) from error
        except UnicodeEncodeError:
            raise InvalidArgument(
                f"{str(step.source)!a}: an object's name must be UTF-8, and this file's name is not."
            ) from None
        if self.move and not done.skipped:
            self._remove(storage, step)
        return done

    def patience(self) -> Patience:
        """For one transfer."""
        return Patience(tell=self.trouble)

    def _up(self, storage: Storage, source: Path, target: ObjectUrl, tell: Tell) -> Carried:
        status = source.stat()
        resource: Json = {"contentType": content_type(source.name)}
        if self.keep_time:
            resource["metadata"] = {MTIME: str(int(status.st_mtime))}
        identity = (str(source.absolute()), str(status.st_size), str(status.st_mtime_ns), str(target))
        with self._tracker(storage, "up", *identity, str(self.only_new)) as tracker:
            upload = Upload(
                storage.connection,
                target,
                resource=resource,
                only_new=self.only_new,
                tracker=tracker,
                patience=self.patience(),
                tell=tell,
            )
            try:
                done = upload.file(source)
            except FailedPrecondition as problem:
                if self.only_new and problem.details and storage.stat(target):
                    return Carried(skipped=True)
                raise
        return Carried(done.sent, done.found)

    def _down(self, storage: Storage, source: ObjectUrl, target: Path, item: Json, tell: Tell) -> Carried:
        if source.object.endswith("/"):  # the marker of a folder
            target.mkdir(parents=True, exist_ok=True)
            return Carried()
        if self.only_new and os.path.lexists(target):
            return Carried(skipped=True)
        with self._tracker(storage, "down", str(source), str(target.absolute())) as tracker:
            download = Download(
                storage.connection,
                source,
                item,
                tracker=tracker,
                taken=self.taken,
                patience=self.patience(),
                tell=tell,
            )
            received, found = download.file(target)
        if self.keep_time:
            os.utime(target, ns=(mtime_ns(item),) * 2)
        return Carried(received, found)

    def _across(
        self, storage: Storage, source: ObjectUrl, target: ObjectUrl, item: Json, tell: Tell
    ) -> Carried:
        generation = str(item.get("generation", ""))
        try:
            self.patience().insist(
                lambda: storage.copy(source, target, generation=generation, only_new=self.only_new)
            )
        except FailedPrecondition:
            if self.only_new and storage.stat(target):
                return Carried(skipped=True)
            raise
        tell(int(item.get("size", 0)), 0)
        return Carried()

    def _remove(self, storage: Storage, step: Step) -> None:
        if isinstance(step.source, Path):
            step.source.unlink()
            return
        generation = str((step.item or {}).get("generation", ""))
        try:
            storage.delete(step.source, generation=generation, patience=self.patience())
        except FailedPrecondition:
            raise FailedPrecondition(
                f"{step.source} was replaced while it was being moved: its old content is copied, "
                "and the new one stays where it is."
            ) from None
        except NotFound:
            return  # somebody else removed it; its content is safe

    @contextmanager
    def _tracker(self, storage: Storage, *key: str) -> Iterator[Tracker | None]:
        tracker = self.trackers.claim(storage.connection.endpoint, *key) if self.trackers else None
        try:
            yield tracker
        finally:
            if tracker:
                tracker.close()


class Stopped(BaseException):
    """The run is over: what is in the middle of something gives up, as after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[Item]):
    """An item with what became of it."""

    item: Item
    done: Carried | None
    problem: Problem | None = None


class Crew:
    """Threads that work through a list, each with a connection of its own.

    Args:
        open_storage: Gives a thread its view of the server; its connection is closed in the end.
        threads: How many at most; with one, everything happens in the caller's thread.
    """

    def __init__(self, open_storage: Callable[[], Storage], threads: int) -> None:
        self._open_storage = open_storage
        self._threads = threads
        self._stop = threading.Event()

    def check(self) -> None:
        """To be called now and then by what is being done. Raises Stopped."""
        if self._stop.is_set():
            raise Stopped

    def work(
        self, items: Sequence[Item], act: Callable[[Storage, Item], Carried]
    ) -> Generator[Ended[Item], None, None]:
        """What became of each item, as they end. A Problem is an end; any other exception ends the run.

        Close the generator to stop early: what is in the middle of something gives up.
        """
        threads = min(self._threads, len(items))
        if threads <= 1:
            storage = self._open_storage()
            try:
                for item in items:
                    yield _ended(storage, item, act)
            finally:
                storage.connection.close()
            return
        waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        ended: queue.SimpleQueue[Ended[Item] | BaseException] = queue.SimpleQueue()
        for item in items:
            waiting.put(item)
        hands = [
            threading.Thread(target=self._hand, args=(waiting, ended, act), daemon=True)
            for _ in range(threads)
        ]
        for hand in hands:
            hand.start()
        try:
            for _ in items:
                one = ended.get()
                if isinstance(one, BaseException):
                    raise one
                yield one
        finally:
            self._stop.set()
            for hand in hands:
                hand.join(timeout=5.0)

    def _hand(
        self,
        waiting: queue.SimpleQueue[Item],
        ended: queue.SimpleQueue[Ended[Item] | BaseException],
        act: Callable[[Storage, Item], Carried],
    ) -> None:
        storage = self._open_storage()
        try:
            while not self._stop.is_set():
                ended.put(_ended(storage, waiting.get_nowait(), act))
        except (queue.Empty, Stopped):
            return
        except BaseException as error:
            ended.put(error)
        finally:
            storage.connection.close()


def content_type(name: str) -> str:
    """The media type that a file's name tells, on every machine the same."""
    from mimetypes import MimeTypes

    kind, encoding = MimeTypes().guess_type(name)
    if encoding:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"


def mtime_ns(item: Json) -> int:
    """When the file that became the object was changed, as far as is known: else when the object was made."""
    from mlengine.clock import from_text

    seconds = str((item.get("metadata") or {}).get(MTIME, ""))
    if seconds.isdecimal():
        return int(seconds) * 10**9
    made = from_text(str(item["timeCreated"]))
    return int(made.timestamp()) * 10**9 + made.microsecond * 1000


def _ended(storage: Storage, item: Item, act: Callable[[Storage, Item], Carried]) -> Ended[Item]:
    try:
        return Ended(item, act(storage, item))
    except Problem as problem:
        return Ended(item, None, problem)
