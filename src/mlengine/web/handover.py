"""Client connections handed from the gateway to the control plane, and back, with what was read of them.

Bulk data must not pass through two processes: a second pass of every byte took as long as hashing it. Both
sides use this module, so that they agree about which requests are answered where.
"""

from __future__ import annotations

import os
import re
import socket
from array import array
from pathlib import Path

from mlengine.web.fork import API_WORDS

MOST_AHEAD = 128 * 1024  # bytes that travel with a connection; a datagram holds no more everywhere
_BULKY = frozenset((b"storage", b"upload", b"download", b"resumable", b"bigquery"))
_START = re.compile(rb"(?:GET|HEAD|PUT|POST|PATCH|DELETE) /([^/ ?]+)")
_OTHERS = frozenset(word.encode() for word in API_WORDS) - _BULKY
# What the gateway knows about its own address: whether other machines reach it, too.
_LOOPBACK, _OPEN = b"L", b"O"


def is_bulk(head: bytes) -> bool:
    """Whether a request that begins like this is about buckets or tables: one to be handed over."""
    match = _START.match(head)
    if match is None:
        return False
    # The XML API: the first word is the name of a bucket.
    word: bytes = match[1]
    return word in _BULKY or word.partition(b":")[0] not in _OTHERS


class Handover:
    """One end: takes connections at its own socket, and gives them to the other's.

    Args:
        own: The path of the socket to make.
        other: The path of the other's.
    """

    def __init__(self, own: Path, other: Path) -> None:
        self._other = str(other)
        own.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(own))
        own.chmod(0o600)

    def fileno(self) -> int:
        """What to watch for connections that come."""
        return self._socket.fileno()

    def give(self, descriptor: int, ahead: bytes, *, loopback: bool, wait: bool = False) -> bool:
        """Hand a connection over; whether the other end took it. The caller's descriptor stays open.

        Args:
            wait: For an end that has enough to do at this moment; else it takes none then.
            descriptor: The connection.
            ahead: What was read of it and not answered.
            loopback: Whether only this machine reaches the address at which it came in.
        """
        if len(ahead) > MOST_AHEAD:
            return False
        message = [_LOOPBACK if loopback else _OPEN, ahead]
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))
        flags = 0 if wait else socket.MSG_DONTWAIT
        try:
            # (`socket.send_fds` has an address among its arguments, and in Python 3.11 forgets it.)
            self._socket.sendmsg(message, [rights], flags, self._other)
        except OSError:
            return False
        return True

    def take(self) -> tuple[socket.socket, bytes, bool] | None:
        """The next connection, what was read of it, and whether it came in at a loopback address.

        Waits for it unless the socket was made non-blocking; None for a message without one.

        Raises:
            OSError: the socket is closed, or (non-blocking) nothing is there.
        """
        data, descriptors, _, _ = socket.recv_fds(self._socket, MOST_AHEAD + 1, 1)
        if not descriptors:
            return None
        for more in descriptors[1:]:
            os.close(more)
        return socket.socket(fileno=descriptors[0]), data[1:], data[:1] == _LOOPBACK

    def setblocking(self, flag: bool) -> None:
        """Whether `take` waits."""
        self._socket.setblocking(flag)

    def close(self) -> None:
        """Take no more."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # or a thread that waits in `take` would wait on
        except OSError:
            pass
        self._socket.close()
