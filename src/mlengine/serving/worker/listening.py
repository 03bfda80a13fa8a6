"""Unix sockets that appear under their name only when they can be connected to."""

from __future__ import annotations

import itertools
import os
import socket
import stat
from pathlib import Path

# sockaddr_un holds 108 bytes on Linux, 104 elsewhere, one of them for the end.
_LONGEST_PATH = 103
_NUMBERS = itertools.count()


class Listener:
    """One socket's name, from its appearance to its end.

    Args:
        path: Where it appears; another socket there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._early = path.with_name(f"~{os.getpid()}.{next(_NUMBERS)}")
        self._inode: int | None = None
        if max(len(os.fsencode(path)), len(os.fsencode(self._early))) > _LONGEST_PATH:
            raise ValueError(f"The socket's path is too long for a Unix socket: {path}")

    def open(self) -> socket.socket:
        """Bind, listen, then take the name. Only the owner may connect."""
        self._early.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._early))
        self._early.chmod(stat.S_IRUSR | stat.S_IWUSR)
        listener.listen(128)
        listener.setblocking(False)
        self._inode = self._early.stat().st_ino
        self._early.rename(self.path)
        return listener

    def remove(self) -> None:
        """Give the name up, unless a successor has taken it."""
        try:
            if self._inode is not None and self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except OSError:
            pass
