"""Keeps apart what several models in one process print: each thread's words go to the log of its version.

Only what Python prints can be told apart; what a C library writes goes to the log of the process.
"""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import TextIO


class Speech(io.TextIOBase):
    """Stands in for standard output and error.

    Args:
        usual: For what no version said.
    """

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual
        self._log = threading.local()

    def about(self, log: str) -> None:
        """Send what this thread says from now on to the file `log`, or to the usual place."""
        self._log.path = log

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Append `text` where it belongs."""
        path = getattr(self._log, "path", "")
        if not path:
            return self._usual.write(text)
        try:
            # Opened anew each time: models seldom speak, and hundreds of them would use up the files.
            with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            self._usual.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what the usual place holds back."""
        self._usual.flush()

    def fileno(self) -> int:
        """Of the usual place."""
        return self._usual.fileno()


def take_over() -> Speech:
    """Let all that is printed go through one Speech."""
    speech = Speech(sys.stderr)
    sys.stdout = sys.stderr = speech
    return speech
