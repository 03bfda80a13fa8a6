"""Ties the worker's life to its parent's: a pipe that ends when the parent does, however it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


def tie(fd: int, farewell: Callable[[], None]) -> None:
    """End this process as soon as `fd` reaches its end.

    Args:
        fd: The reading end of a pipe whose writing end only the parent holds.
        farewell: Called before; must not block.
    """
    os.set_inheritable(fd, False)

    def watch() -> None:
        try:
            while os.read(fd, 4096):
                pass
        except OSError:
            pass
        try:
            farewell()
        finally:
            # No orderly end: the model may be deep in a call, and nobody is left to wait for it.
            os._exit(0)

    threading.Thread(target=watch, name="tether", daemon=True).start()
