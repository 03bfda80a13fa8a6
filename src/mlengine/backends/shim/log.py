"""From the pipes of a command to numbered records: lines, severities, progress bars, long lines."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import sys
import termios
import time
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii

from .files import stamp

LONGEST_LINE = 64 * 1024  # bytes; longer ones become several records
PORTION = 256 * 1024  # bytes read at once, hence, with the longest line, what is held in memory per stream
PROGRESS_SECONDS = 5.0  # between two records of a line that is written over and over, such as a progress bar
FULL_DISK_SECONDS = 0.08  # between two tries to write on a full disk

SEVERITIES = {"WARN": "WARNING", "FATAL": "CRITICAL"} | {
    name: name
    for name in ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
}


class Output:
    """What comes out of the pipes of a command, line by line into its log.

    We read only when the last portion is on disk, so a command that prints faster than that has to wait,
    and neither memory nor lines are at risk.

    Args:
        log: Where lines go.
        pipes: Descriptors to read, each with the severity of its lines. They are closed at their end.
        wake: A descriptor whose readability ends the waiting, and nothing else.
    """

    def __init__(self, log: Log, pipes: dict[int, str], *, wake: int | None = None) -> None:
        self._log = log
        self._severity = pipes
        self._wake = wake
        self._rest = dict.fromkeys(pipes, b"")
        # Of lines that are written over: when a version was stored last, and which.
        self._shown = dict.fromkeys(pipes, (time.monotonic(), b""))
        self._poll = select.poll()
        for pipe in (*pipes, *(() if wake is None else (wake,))):
            os.set_blocking(pipe, False)
            self._poll.register(pipe, select.POLLIN)

    @property
    def is_open(self) -> bool:
        """Whether any pipe may still bring something."""
        return bool(self._rest)

    def pump(self, seconds: float) -> None:
        """Wait up to `seconds` for output or a signal, and store a portion of what came."""
        for pipe, _ in self._poll.poll(seconds * 1000):
            if pipe == self._wake:
                os.read(pipe, 4096)
            else:
                self._read(pipe, PORTION)

    def drain(self) -> None:
        """Store what is in the pipes now, and close them.

        Not until their end: a process that is none of ours may have been handed one and keep it for ever.
        """
        for pipe in list(self._rest):
            waiting = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
            while waiting > 0 and pipe in self._rest:
                waiting -= self._read(pipe, min(waiting, PORTION))
            if pipe in self._rest:
                self._close(pipe)

    def _read(self, pipe: int, size: int) -> int:
        try:
            portion = os.read(pipe, size)
        except BlockingIOError:
            return 0
        if not portion:
            self._close(pipe)
            return 0
        self._split(pipe, self._rest[pipe] + portion)
        return len(portion)

    def _split(self, pipe: int, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        if b"\r" in data:
            lines = [last_version(line) for line in lines]
            rest = self._fold(pipe, rest, lines)
        pieces = [piece for line in lines for piece in _cut(line)]
        *long, self._rest[pipe] = _cut(rest)
        self._store(pipe, pieces + long)

    def _fold(self, pipe: int, rest: bytes, lines: list[bytes]) -> bytes:
        """Of a line that is still being written over, keep the last version; show it from time to time."""
        before, mark, after = rest.rpartition(b"\r")
        if not mark:
            return rest
        version, now = last_version(before), time.monotonic()
        when, shown = self._shown[pipe]
        if version.strip() and version != shown and now - when >= PROGRESS_SECONDS:
            lines.append(version)
            self._shown[pipe] = (now, version)
        return version + mark + after

    def _close(self, pipe: int) -> None:
        self._poll.unregister(pipe)
        os.close(pipe)
        rest = self._rest.pop(pipe)
        if rest:
            self._store(pipe, [last_version(rest)])

    def _store(self, pipe: int, lines: list[bytes]) -> None:
        severity = self._severity[pipe]
        texts = (line.decode(errors="replace") for line in lines)
        if severity == "INFO":
            self._log.write([(severity, text) for text in texts])
        else:
            self._log.write([structured(text) or (severity, text) for text in texts])


def last_version(line: bytes) -> bytes:
    """What a terminal shows at last of a line that returns to its start, as progress bars do."""
    line = line.rstrip(b"\r")
    if b"\r" not in line:
        return line
    versions = (version.rstrip(b"\b") for version in reversed(line.split(b"\r")))
    return next((version for version in versions if version.strip()), b"")


def _cut(line: bytes) -> Iterator[bytes]:
    """Pieces of a line of at most LONGEST_LINE bytes, cut between characters; at least one, the last."""
    while len(line) > LONGEST_LINE:
        end = LONGEST_LINE
        while end > LONGEST_LINE - 3 and line[end] & 0xC0 == 0x80:
            end -= 1
        yield line[:end]
        line = line[end:]
    yield line


def structured(text: str) -> tuple[str, str] | None:
    """Severity and message of a line that is a JSON object with both, as loggers for the cloud write them."""
    if not text.startswith("{"):
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    severity = SEVERITIES.get(str(entry.get("severity", entry.get("levelname"))).upper())
    message = entry.get("message")
    return (severity, message) if severity and isinstance(message, str) else None


class Log:
    """The file of numbered records that readers follow while it grows.

    Args:
        path: The file; made if need be.
        task, trial: Labels of every record; an empty trial is left out.
        give_up: Asked while the disk is full; True ends the waiting for room, and with it the log.
    """

    def __init__(self, path: str, *, task: str, trial: str, give_up: Callable[[], bool]) -> None:
        self.count = 0
        self.problem = ""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._give_up = give_up
        self._latest = 0
        trial_field = f', "trial": {encode_basestring_ascii(trial)}' if trial else ""
        self._labels = f', "task": {encode_basestring_ascii(task)}{trial_field}, "message": '

    def write(self, records: list[tuple[str, str]]) -> None:
        """Append records of (severity, message), all with the present time."""
        if self.problem or not records:
            return
        self._latest = max(self._latest, time.time_ns())  # the clock of the machine may be set back
        head, middle, when = '{"seq": ', self._labels, f', "time": "{stamp(self._latest)}", "severity": "'
        text = "".join(
            # ASCII alone, so that neither a torn read nor a reader's idea of line ends can break a record.
            f'{head}{seq}{when}{severity}"{middle}{encode_basestring_ascii(message)}}}\n'
            for seq, (severity, message) in enumerate(records, start=self.count + 1)
        )
        data = memoryview(text.encode())
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                if self._give_up():
                    self.problem = f"The disk was full: its log ends after {self.count} lines."
                    return
                time.sleep(FULL_DISK_SECONDS)
        self.count += len(records)

    def close(self) -> None:
        """Bring every record to the disk."""
        os.fsync(self._file)
        os.close(self._file)
