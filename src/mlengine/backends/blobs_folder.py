"""Blobs as files of one folder.

    ROOT/sealed/ab/abcdef…   readable contents, spread over 256 folders
    ROOT/growing/abcdef…     contents on their way

A content is fsynced while it grows and then renamed, and both folders are fsynced as well: after a crash of
the machine a blob is there as a whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from mlengine.storage.blobs import PIECE, BlobInfo, Pieces, check_key, is_key


class FolderBlobs:
    """Implements `mlengine.storage.blobs.Blobs` in a folder, which is made if need be."""

    def __init__(self, root: Path) -> None:
        self._sealed = root / "sealed"
        self._growing = root / "growing"
        for folder in (root, self._sealed, self._growing):
            _make_folder(folder)

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        path, size = self._growing_path(key), 0
        try:
            # Nobody is told of it before it is sealed, so the folder in which it grows need not be synced.
            with path.open("wb", buffering=0) as file:
                for chunk in chunks:
                    size += _write_all(file, chunk)
                os.fsync(file.fileno())
            self._seal(path, self._sealed_path(key))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return size

    def append(self, key: str, offset: int, chunks: Iterable[bytes]) -> int:
        path = self._growing_path(key)
        new = not path.exists()
        with path.open("ab") as file:
            if offset > file.tell():
                raise ValueError(f"blob {key} has {file.tell()} bytes; it cannot go on at {offset}")
            file.truncate(offset)
            try:
                for chunk in chunks:
                    file.write(chunk)
            finally:
                file.flush()
                os.fsync(file.fileno())
                if new:
                    _sync_folder(self._growing)
            return file.tell()

    def progress(self, key: str) -> int:
        for path in (self._growing_path(key), self._sealed_path(key)):
            try:
                return path.stat().st_size
            except FileNotFoundError:
                continue
        return 0

    def partial(self, key: str) -> Pieces:
        try:
            return _open(self._growing_path(key), 0, None)
        except FileNotFoundError:
            return _FilePieces(-1, 0)

    def seal(self, key: str) -> None:
        path, target = self._growing_path(key), self._sealed_path(key)
        if not path.exists():
            if target.exists():
                return
            self.append(key, 0, ())
        self._seal(path, target)
        _sync_folder(self._growing)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Pieces:
        try:
            return _open(self._sealed_path(key), start, end)
        except FileNotFoundError:
            raise KeyError(key) from None

    def size(self, key: str) -> int:
        try:
            return self._sealed_path(key).stat().st_size
        except FileNotFoundError:
            raise KeyError(key) from None

    def delete(self, key: str) -> None:
        for path in (self._growing_path(key), self._sealed_path(key)):
            path.unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        yield from _files(self._growing, prefix, sealed=False)
        for folder in sorted(self._sealed.iterdir()):
            if folder.name.startswith(prefix[:2]) or prefix.startswith(folder.name):
                yield from _files(folder, prefix, sealed=True)

    def _seal(self, path: Path, target: Path) -> None:
        _make_folder(target.parent)
        path.rename(target)
        _sync_folder(target.parent)

    def _growing_path(self, key: str) -> Path:
        return self._growing / check_key(key)

    def _sealed_path(self, key: str) -> Path:
        return self._sealed / check_key(key)[:2] / key


class _FilePieces:
    """The bytes of an open file from its position on; the descriptor is owned. Who sends them may use it.

    No generator: one that was never started would not close its file.
    """

    def __init__(self, descriptor: int, left: int) -> None:
        self.descriptor = descriptor
        self.left = left

    def __iter__(self) -> _FilePieces:
        return self

    def __next__(self) -> bytes:
        piece = os.read(self.descriptor, min(PIECE, self.left)) if self.left > 0 else b""
        if not piece:
            self.close()
            raise StopIteration
        self.left -= len(piece)
        return piece

    def close(self) -> None:
        descriptor, self.descriptor, self.left = self.descriptor, -1, 0
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _write_all(file: FileIO, chunk: bytes) -> int:
    """Write a piece; a raw file may take less than it is given."""
    written = file.write(chunk)
    while written < len(chunk):
        written += file.write(memoryview(chunk)[written:])
    return written


def _open(path: Path, start: int, end: int | None) -> _FilePieces:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, start, os.SEEK_SET)
    return _FilePieces(descriptor, max(0, (size if end is None else min(end, size)) - start))


def _files(folder: Path, prefix: str, *, sealed: bool) -> Iterator[BlobInfo]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.startswith(prefix) and is_key(entry.name)]
    for entry in found:
        try:
            about = entry.stat()
        except FileNotFoundError:
            continue  # deleted meanwhile
        changed = datetime.fromtimestamp(about.st_mtime, UTC)
        yield BlobInfo(key=entry.name, size=about.st_size, changed=changed, sealed=sealed)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
