"""What has to be copied and removed so that one folder becomes like another: gsutil's `rsync`.

Two files of the same size are equal when they have the same time of change, or else the same CRC32C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlengine.client.checksum import of_file
from mlengine.client.copying import Step, below, inside
from mlengine.client.http import Json
from mlengine.client.storage import Storage, folder, no_bucket
from mlengine.client.transfers import MTIME, mtime_ns
from mlengine.client.wildcards import Place, is_wild, place, shown
from mlengine.errors import InvalidArgument, NotFound
from mlengine.names import ObjectUrl

_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Mirror:
    """What is to do.

    Attributes:
        copies: What is missing in the target, or different there.
        removals: What is only in the target: steps without a copy, whose `target` goes.
        retimed: What is the same but for its time of change.
    """

    copies: list[Step] = field(default_factory=list)
    removals: list[Step] = field(default_factory=list)
    retimed: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    where: Place
    item: Json | None

    @property
    def size(self) -> int:
        if self.item is not None:
            return int(self.item["size"])
        return self.where.stat().st_size if isinstance(self.where, Path) else 0


def plan(
    storage: Storage,
    source_text: str,
    target_text: str,
    *,
    recursive: bool,
    delete: bool,
    checksum: bool,
    omit: Callable[[str], None],
) -> Mirror:
    """Compare two folders.

    Args:
        delete: Whether what is only in the target is to go.
        checksum: Whether times of change are no proof.
        omit: Told what is left out, and why.

    Raises:
        NotFound: the source is no folder, or a bucket is missing.
        InvalidArgument: two places on this machine, or one within the other.
    """
    source, target = place(source_text), place(target_text)
    _refuse(storage, source, target)
    theirs = dict(_entries(storage, target, recursive, lambda _: None))
    mirror = Mirror()
    for relative, entry in _entries(storage, source, recursive, omit):
        there = theirs.pop(relative, None)
        step = Step(entry.where, inside(target, relative), entry.item)
        if there is None or _differ(entry, there, checksum=checksum):
            mirror.copies.append(step)
        elif not _same_time(entry, there):
            mirror.retimed.append(Step(entry.where, there.where, entry.item or there.item))
    if delete:
        mirror.removals.extend(Step(there.where, there.where, there.item) for there in theirs.values())
    return mirror


def retime(storage: Storage, step: Step) -> None:
    """Give the target of an unchanged step the source's time, so that the next comparison is a quick one."""
    import os

    item = step.item or {}
    if isinstance(step.target, Path):
        os.utime(step.target, ns=(mtime_ns(item),) * 2)
    elif isinstance(step.source, Path):
        seconds = int(step.source.stat().st_mtime)
        storage.describe(step.target, {MTIME: str(seconds)}, generation=str(item.get("generation", "")))


def _refuse(storage: Storage, source: Place, target: Place) -> None:
    for where in (source, target):
        if is_wild(where) and not (isinstance(where, Path) and where.exists()):
            raise InvalidArgument(f"{shown(where)}: rsync takes two folders, without wildcards.")
        if isinstance(where, ObjectUrl) and not storage.bucket_exists(where.bucket):
            raise no_bucket(where.bucket)
    match source, target:
        case Path(), Path():
            raise InvalidArgument("Both places are on this machine.", hint="Use rsync for that.")
        case ObjectUrl() as one, ObjectUrl() as other:
            nested = one.bucket == other.bucket and (
                folder(one).object.startswith(folder(other).object)
                or folder(other).object.startswith(folder(one).object)
            )
            if nested:
                raise InvalidArgument(f"One of {one} and {other} lies in the other.")
    # An empty source would, with -d, empty the target: a misspelt name must not.
    missing = (
        not source.is_dir() if isinstance(source, Path) else source.object and not storage.is_folder(source)
    )
    if missing:
        raise NotFound(f"{shown(source)} is no folder.")
    if isinstance(target, Path) and target.exists() and not target.is_dir():
        raise InvalidArgument(f"{shown(target)} is no folder.")


def _entries(
    storage: Storage, where: Place, recursive: bool, omit: Callable[[str], None]
) -> Iterator[tuple[str, _Entry]]:
    """The files in a folder by their path in it; markers of folders are none."""
    if recursive:
        found = below(storage, where, omit)
    elif isinstance(where, Path):
        found = (
            (path, path.name, None)
            for path in (sorted(where.iterdir()) if where.is_dir() else ())
            if path.is_file()
        )
    else:
        base = folder(where)
        found = (
            (ObjectUrl(base.bucket, item["name"]), item["name"][len(base.object) :], item)
            for item in storage.list(base).objects
        )
    for path, relative, item in found:
        if relative and not relative.endswith("/"):
            yield relative, _Entry(path, item)


def _differ(one: _Entry, other: _Entry, *, checksum: bool) -> bool:
    """Whether two contents differ."""
    here = next((entry for entry in (one, other) if entry.item is None), None)
    if here and any(entry.item and entry.item.get("contentEncoding") == "gzip" for entry in (one, other)):
        return not _same_time(one, other)  # the stored content is not the file's
    if one.size != other.size:
        return True
    if here and not checksum and _same_time(one, other):
        return False
    return _crc(one) != _crc(other)


def _same_time(one: _Entry, other: _Entry) -> bool:
    """Whether the times of change prove that nothing was changed; of two objects they never have to."""
    match one, other:
        case _Entry(Path() as path, _), _Entry(ObjectUrl(), dict() as item):
            pass
        case _Entry(ObjectUrl(), dict() as item), _Entry(Path() as path, _):
            pass
        case _:
            return True
    here, there = path.stat().st_mtime_ns, mtime_ns(item)
    if here == there:
        return True
    if MTIME not in (item.get("metadata") or {}) or here // _SECOND != there // _SECOND:
        return False
    # Only whole seconds are known. A file that was that young when it was sent may have changed once more.
    made = mtime_ns({"timeCreated": item["timeCreated"]})
    return made // _SECOND >= here // _SECOND + 2


def _crc(entry: _Entry) -> str:
    if entry.item is not None:
        return str(entry.item["crc32c"])
    return of_file(Path(str(entry.where)))
