"""What lies in the folder of a task: names, the lock, and files that are whole or not there.

Apart because the server reads and writes the same folder.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import time

TASK, CANCEL, PHASE, LOCK = "task.json", "cancel", "phase", "lock"
RUN, LOG, METRICS, EXIT = "run.json", "log.jsonl", "metrics.jsonl", "exit.json"
CORES = ".cores"  # beside the folders of tasks; no id of a task begins with a dot
# What the command finds in its environment. Ids may repeat on one machine (two servers); folders cannot.
TASK_VARIABLE, FOLDER_VARIABLE, PHASE_VARIABLE = (
    "MLENGINE_TASK_ID",
    "MLENGINE_TASK_FOLDER",
    "MLENGINE_PHASE_FILE",
)


def acquire(folder: str) -> int | None:
    """Take the lock of a task for as long as the returned descriptor is open.

    Returns:
        The descriptor, or None when another supervisor has the lock or the folder is gone.
    """
    path = os.path.join(folder, LOCK)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return None
    while not _flock(lock, fcntl.LOCK_EX):
        # Whoever only asks whether a shim lives holds the lock shared, for an instant: that is no rival.
        if not _flock(lock, fcntl.LOCK_SH):
            os.close(lock)
            return None
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(0.001 + (os.getpid() % 16) / 10_000)  # not in step with another shim doing the same
    try:
        same = os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        same = False
    if same:
        return lock
    os.close(lock)  # The task was forgotten meanwhile; what lies here now is another one's.
    return None


def is_held(folder: str) -> bool:
    """Whether a supervisor of `folder` lives."""
    try:
        lock = os.open(os.path.join(folder, LOCK), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _flock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _flock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def store_exit(
    folder: str,
    *,
    started: str | None = None,
    code: int | None = None,
    stopped: bool = False,
    message: str = "",
    lines: int = 0,
    used: dict[str, object] | None = None,
) -> None:
    """Write exit.json: the task is over.

    Args:
        started: When the command was started; None if it never was.
        code: The exit code of the command, or minus the signal that ended it; None if it never was started.
        stopped: Whether it was asked to end.
        message: What people should know beyond that.
        lines: The number of records in the log.
        used: What it took of the machine, and what its limits made of it.
    """
    number = -code if code is not None and code < 0 else None
    if number is not None and not message:
        name = signal.strsignal(number) or "signal"
        message = f"It was {'stopped' if stopped else 'ended'} by {name} ({number})."
    record: dict[str, object] = {
        "started": started,
        "ended": stamp(),
        "exit_code": code if number is None else None,
        "signal": number,
        "stopped": stopped,
        "message": message,
        "lines": lines,
        **(used or {}),
    }
    store(folder, EXIT, record, patient=True)


def store(folder: str, name: str, content: dict[str, object], *, patient: bool = False) -> None:
    """Put a JSON file in place as a whole, and for good even if the power fails now.

    Args:
        patient: Whether to wait for room on a full disk rather than raise OSError.
    """
    while True:
        try:
            path = os.path.join(folder, name)
            draft = f"{path}.{os.getpid()}"
            with open(draft, "w", encoding="ascii") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            place = os.open(folder, os.O_RDONLY)
            try:
                os.rename(draft, path)
                os.fsync(place)  # by descriptor: whoever waited for this name may remove the folder already
            finally:
                os.close(place)
            return
        except OSError as error:
            if not patient or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            time.sleep(1)


def stamp(nanoseconds: int | None = None) -> str:
    """A time since 1970, by default now, as RFC 3339 in UTC with microseconds."""
    seconds, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"


def exists(folder: str, name: str) -> bool:
    """Whether `folder` has a file `name`."""
    return os.path.exists(os.path.join(folder, name))
