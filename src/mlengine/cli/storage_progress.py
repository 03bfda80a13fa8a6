"""Transfers on the screen: a line per file, and on a terminal how far all are, how fast, how long still."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from mlengine.cli.session import Session

_REDRAW_SECONDS = 0.1
_WINDOW_SECONDS = 5.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Meter:
    """How far all files of one run are together.

    Args:
        total: Bytes of all files; 0 when nobody knows.
        files: Number of files.
    """

    def __init__(self, total: int, files: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._files = files
        self._clock = clock
        self._positions: dict[int, int] = {}
        self._done = 0
        self._ended = 0
        self._began = clock()
        self._carried: deque[tuple[float, int]] = deque()

    def at(self, file: int, position: int, carried: int) -> None:
        """File number `file` stands at `position`, after `carried` more bytes have gone over the line."""
        self._done += position - self._positions.get(file, 0)
        self._positions[file] = position
        now = self._clock()
        self._carried.append((now, carried))
        while self._carried[0][0] <= now - _WINDOW_SECONDS:
            self._carried.popleft()

    def ended(self, file: int) -> None:
        """It is done, or has failed."""
        self._ended += 1
        self._positions.pop(file, None)

    @property
    def rate(self) -> float:
        """Bytes per second of late."""
        seconds = min(self._clock() - self._began, _WINDOW_SECONDS)
        return sum(count for _, count in self._carried) / max(seconds, 0.001)

    def text(self) -> str:
        """`[2/3 files] 1.5 MiB/3 MiB  50%  700 KiB/s  0:02 left`."""
        rate = self.rate
        parts = [f"[{self._ended}/{self._files} files]"] if self._files > 1 else []
        if not self._total:
            return "  ".join([*parts, human(self._done), f"{human(int(rate))}/s"])
        parts.append(f"{human(self._done)}/{human(self._total)}")
        parts.append(f"{min(100, 100 * self._done // self._total)}%")
        parts.append(f"{human(int(rate))}/s")
        if rate >= 1:
            parts.append(f"{_clock_text((self._total - self._done) / rate)} left")
        return "  ".join(parts)


class Display:
    """What a run of transfers shows on standard error. Any thread may call."""

    def __init__(self, session: Session, *, total: int = 0, files: int = 1) -> None:
        self._session = session
        self._meter = Meter(total, files)
        self._terminal = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._drawn = 0.0
        self._width = 0

    def line(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._wipe()
            self._session.say(text)

    def at(self, file: int, position: int, carried: int) -> None:
        """How a file stands; see `Meter.at`."""
        with self._lock:
            self._meter.at(file, position, carried)
            now = time.monotonic()
            if self._terminal and now - self._drawn >= _REDRAW_SECONDS:
                self._drawn = now
                self._draw()

    def ended(self, file: int) -> None:
        """A file is done, or has failed."""
        with self._lock:
            self._meter.ended(file)

    def close(self) -> None:
        """The run is over."""
        with self._lock:
            self._wipe()

    def _draw(self) -> None:
        text = self._meter.text()[: shutil.get_terminal_size().columns - 1]
        self._session.say(f"\r{text:<{self._width}}", end="")
        self._width = len(text)

    def _wipe(self) -> None:
        if self._width:
            self._session.say(f"\r{'':{self._width}}\r", end="")
            self._width = 0


def human(count: int) -> str:
    """A number of bytes as gsutil writes it: `1.5 KiB`."""
    size = float(count)
    unit = 0
    while round(size, 2) >= 1024 and unit + 1 < len(_UNITS):
        size /= 1024
        unit += 1
    return f"{size:.2f}".rstrip("0").rstrip(".") + f" {_UNITS[unit]}"


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
