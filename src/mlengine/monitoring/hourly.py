"""Samples of requests as JSON lines in a bucket: an object for each version and hour.

Objects cannot be added to. So the lines of an hour lie in a file here, and the object is written anew when
the file has grown by a quarter, or a minute after the last time; after the hour the file goes. A restart goes
on with what it finds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from mlengine.clock import Clock
from mlengine.errors import Problem, Unavailable
from mlengine.names import ObjectUrl

_GROWN = 1.25
_LONGEST = timedelta(minutes=1)
_AGAIN = timedelta(seconds=10)
_HOUR = "%Y-%m-%dT%H"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of lines of a version, which is named as PROJECT/MODEL/VERSION."""

    key: str
    written: int = 0
    lost: int = 0
    trouble: str = ""


@dataclass(slots=True)
class _Upload:
    """How much of a file is in the bucket, and when another try is due at the latest."""

    size: int
    due: datetime


class HourlyObjects:
    """The lines that are on their way into buckets.

    Args:
        root: Folder for the files of the running hour; made if need be.
        put: Writes an object.
    """

    def __init__(
        self, root: Path, clock: Clock, *, put: Callable[[ObjectUrl, Iterator[bytes]], object]
    ) -> None:
        self._root = root
        self._clock = clock
        self._put = put
        self._uploads: dict[Path, _Upload] = {}

    def add(self, key: str, destination: ObjectUrl, lines: Sequence[str]) -> None:
        """Take lines of a version that are to lie below `destination`."""
        _, model, version = key.split("/")
        folder = destination.child(f"{model}/{version}")
        room = self._root / hashlib.sha256(f"{key} {folder}".encode()).hexdigest()[:16]
        if not room.exists():
            room.mkdir(parents=True)
            (room / "about.json").write_text(json.dumps({"key": key, "folder": str(folder)}))
        hour = self._clock().strftime(_HOUR)
        # A name of its own: whatever went wrong before, no object is ever written over by fewer lines.
        file = next(room.glob(f"{hour}-*.jsonl"), room / f"{hour}-{uuid4().hex[:6]}.jsonl")
        with file.open("ab") as writing:
            writing.write("".join(f"{line}\n" for line in lines).encode())

    def tend(self) -> list[Outcome]:
        """Write what is due."""
        files = sorted(self._root.glob("*/*.jsonl"))
        self._uploads = {file: upload for file, upload in self._uploads.items() if file in files}
        return [outcome for file in files if (outcome := self._tended(file)) is not None]

    def _tended(self, file: Path) -> Outcome | None:
        now = self._clock()
        size, over = file.stat().st_size, file.stem.rpartition("-")[0] < now.strftime(_HOUR)
        upload = self._uploads.setdefault(file, _Upload(0, now))
        if size == upload.size and not over:
            return None
        if now < upload.due and not over and size < upload.size * _GROWN:
            return None
        about = json.loads((file.parent / "about.json").read_text())
        key, new = about["key"], _lines(file, upload.size)
        try:
            if new:
                self._put(ObjectUrl.parse(about["folder"]).child(file.name), _pieces(file, size))
        except Unavailable as problem:
            upload.due = now + _AGAIN
            return Outcome(key=key, trouble=problem.message)
        except Problem as problem:
            file.unlink()
            return Outcome(key=key, lost=new, trouble=problem.message)
        upload.size, upload.due = size, now + _LONGEST
        if over:
            file.unlink()
            if not any(file.parent.glob("*.jsonl")):
                (file.parent / "about.json").unlink()
                file.parent.rmdir()
        return Outcome(key=key, written=new)


def _pieces(file: Path, size: int) -> Iterator[bytes]:
    with file.open("rb") as reading:
        while size > 0 and (piece := reading.read(min(size, 1 << 20))):
            size -= len(piece)
            yield piece


def _lines(file: Path, start: int) -> int:
    with file.open("rb") as reading:
        reading.seek(start)
        return sum(piece.count(b"\n") for piece in iter(lambda: reading.read(1 << 20), b""))
