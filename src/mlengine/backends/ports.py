"""Free TCP ports of this machine, for replicas that listen to each other."""

from __future__ import annotations

import random
import socket

from mlengine.errors import Unavailable

# Below those that Linux gives to outgoing connections, which come and go.
_FIRST, _LAST = 20000, 32000


def free_ports(count: int, taken: set[int]) -> list[int]:
    """So many ports of 127.0.0.1 on which nobody listens at this moment.

    Args:
        taken: Promised to others, who may not listen yet.

    Raises:
        Unavailable: there are not so many.
    """
    found: list[int] = []
    for port in random.sample(range(_FIRST, _LAST), _LAST - _FIRST):
        if len(found) == count:
            return found
        if port not in taken and _is_free(port):
            found.append(port)
    raise Unavailable(
        f"There are no {count} free ports between {_FIRST} and {_LAST} on this machine.",
        hint="End what listens there.",
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            # On all addresses: a trainer may listen on more than loopback.
            probe.bind(("", port))
        except OSError:
            return False
    return True
