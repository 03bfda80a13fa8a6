"""Notes about unfinished transfers, kept in the user's cache folder so that a later run can go on.

A note is held by one process at a time and let go by its death, however sudden.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

# A server forgets an unfinished upload after about this time; the note is worth nothing then.
_FORGET_SECONDS = 7 * 24 * 3600.0


class Tracker:
    """The note about one transfer. Use `Trackers.claim`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def read(self) -> dict[str, str]:
        """What was noted; empty when nothing was, or when it was cut off in the middle."""
        try:
            note = json.loads(os.pread(self._descriptor, 1 << 16, 0) or b"{}")
        except ValueError:
            return {}
        return note if isinstance(note, dict) else {}

    def write(self, note: dict[str, str]) -> None:
        """Replace the note."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(note).encode(), 0)

    def clear(self) -> None:
        """The transfer is over: there is nothing to go on with."""
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Let another process have it; an empty note is removed."""
        # Removed while it is still held: whoever waits for it finds out that it is not the file of that name.
        if not os.fstat(self._descriptor).st_size:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Trackers:
    """The notes in one folder, which is made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, *key: str) -> Tracker | None:
        """The note about the transfer that `key` identifies; close it in the end.

        None when another process or thread has it, or when the folder cannot be written: a transfer is
        possible without.
        """
        path = self._folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40]}.json"
        try:
            self._tidy()
            while True:
                # Who knows the address of an upload may write to it: for the user's eyes only.
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(descriptor)
                    return None
                if _same(path, descriptor):
                    return Tracker(path, descriptor)
                os.close(descriptor)  # removed by its owner between our two steps
        except OSError:
            return None

    def _tidy(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            return
        stamp = self._folder / ".tidied"
        now = time.time()
        if stamp.exists() and now - stamp.stat().st_mtime < 24 * 3600.0:
            return
        stamp.touch()
        for old in self._folder.glob("*.json"):
            if now - old.stat().st_mtime > _FORGET_SECONDS:
                old.unlink(missing_ok=True)


def _same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
