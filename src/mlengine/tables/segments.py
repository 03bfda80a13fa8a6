"""The folder of segments: immutable Parquet files, each there as a whole or not at all.

    ROOT/segments/ab/abcdef….parquet   what versions of tables consist of
    ROOT/landing/abcdef….parquet       on their way
    ROOT/uploads/abcdef…               contents that loads wait for
    ROOT/scratch/…                     what queries put aside when memory is short

Parquet, because it keeps every bit, is written and read faster than DuckDB's own files, and can be read by
others.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Lock


class Segments:
    """Segments by key. The folder is made if need be; what a crash left on its way is taken away."""

    def __init__(self, root: Path) -> None:
        self._sealed = root / "segments"
        self._landing = root / "landing"
        self.uploads = root / "uploads"
        self.scratch = root / "scratch"
        for folder in (self._landing, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self._sealed, self._landing, self.uploads, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._pins: dict[str, int] = {}

    def path(self, key: str) -> Path:
        """Where a sealed segment is."""
        return self._sealed / key[:2] / f"{key}.parquet"

    @contextmanager
    def landing(self) -> Iterator[tuple[str, Path]]:
        """A key, and where its file may be written; it goes away unless it is sealed. Pinned meanwhile."""
        key = uuid.uuid4().hex
        path = self._landing / f"{key}.parquet"
        with self.pinned((key,)):
            try:
                yield key, path
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """An empty folder for as long as it is needed."""
        folder = self.scratch / uuid.uuid4().hex
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def seal(self, key: str, path: Path) -> int:
        """Make what was written last: on the disk, then under its name. Returns its size in bytes."""
        with path.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        target = self.path(key)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _sync_folder(self._sealed)
        path.rename(target)
        _sync_folder(target.parent)
        return size

    @contextmanager
    def pinned(self, keys: Iterable[str]) -> Iterator[None]:
        """Keep segments from being collected while somebody reads them."""
        held = list(keys)
        with self._lock:
            for key in held:
                self._pins[key] = self._pins.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                for key in held:
                    self._pins[key] -= 1
                    if not self._pins[key]:
                        del self._pins[key]

    def collect(self, used: set[str], *, older_than: timedelta) -> int:
        """Delete segments that no version has. Young ones are left: their version may be on its way."""
        count, latest = 0, time.time() - older_than.total_seconds()
        for path in self._sealed.glob("*/*.parquet"):
            key = path.stem
            with self._lock:
                if key in used or key in self._pins or path.stat().st_mtime > latest:
                    continue
                path.unlink(missing_ok=True)
            count += 1
        return count

    def collect_uploads(self, used: set[str], *, older_than: timedelta) -> None:
        """Delete contents of uploads that nobody goes on with."""
        latest = time.time() - older_than.total_seconds()
        for path in self.uploads.iterdir():
            if path.name not in used and path.stat().st_mtime < latest:
                path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
