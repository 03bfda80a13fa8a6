"""Starts a program that ends with whoever asked for it: `python guardian.py FD -- COMMAND …`.

FD is the reading end of a pipe whose other end the asker holds; when it reads end-of-file, however the asker
died, the program and all that it started are ended. Apart, as a process of its own on nothing but the
standard library: a signal at the parent's death exists on Linux only, and there tells the death of a thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

GRACE_SECONDS = 5.0


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code, 128 and more for a signal."""
    fd, command = int(arguments[0]), list(arguments[2:])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the pipe says when
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, restore_signals=True, preexec_fn=_fresh
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror or error}.\n")
        return 127
    threading.Thread(target=_watch, args=(fd, child), daemon=True).start()
    code = child.wait()
    _end(child, signal.SIGKILL)  # what it left behind
    return code if code >= 0 else 128 - code


def _fresh() -> None:
    # Ignored signals are inherited, and the program shall hear them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _watch(fd: int, child: subprocess.Popen[bytes]) -> None:
    while os.read(fd, 1):
        pass
    _end(child, signal.SIGTERM)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _end(child, signal.SIGKILL)


def _end(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
