"""The supervisor of one task, a program of its own: `python -I -S shim.py TASKDIR`.

Apart, and of the standard library alone, because it outlives the server that started it, runs in any
Python, and is copied to other machines as one file. All it knows and tells lies in TASKDIR:

    task.json   in   what to run; written by the executor
    cancel      in   whoever creates it asks for the end
    phase       in   written by a phased command when the user's code begins
    lock        out  flocked for the whole life of the shim, so that its death cannot go unnoticed
    run.json    out  the command was started; from now on nobody may start it again
    log.jsonl   out  every line the command prints, numbered
    exit.json   out  how it ended; comes last, when nothing lives and every line is stored
"""

# Each start pays for each import, so no pathlib here:
# ruff: noqa: PTH103, PTH104, PTH110, PTH116, PTH118, PTH123, PTH208
from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii

TASK, CANCEL, PHASE, LOCK = "task.json", "cancel", "phase", "lock"
RUN, LOG, EXIT = "run.json", "log.jsonl", "exit.json"
# What the command finds in its environment. Ids may repeat on one machine (two servers); folders cannot.
TASK_VARIABLE, FOLDER_VARIABLE, PHASE_VARIABLE = (
    "MLENGINE_TASK_ID",
    "MLENGINE_TASK_FOLDER",
    "MLENGINE_PHASE_FILE",
)

LONGEST_LINE = 64 * 1024  # bytes; longer ones become several records
PORTION = 256 * 1024  # bytes read at once, hence, with the longest line, what is held in memory per stream
WATCH_SECONDS = 0.08  # between two looks for the cancel file
KILL_SECONDS = 0.02  # between two rounds of signals

SEVERITIES = {"WARN": "WARNING", "FATAL": "CRITICAL"} | {
    name: name
    for name in ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
}

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(folder: str) -> None:
    """Run the task of `folder` to its end, unless it ran already, runs now, or was cancelled."""
    lock = acquire(folder)
    if lock is None or exists(folder, RUN) or exists(folder, EXIT) or not exists(folder, TASK):
        return
    if exists(folder, CANCEL):
        store_exit(folder, stopped=True, message="It was stopped before it started.")
        return
    with open(os.path.join(folder, TASK), "rb") as file:
        task = json.load(file)
    Supervisor(folder, task).run()


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


class Supervisor:
    """One command from its start to the end of the last process it left behind."""

    def __init__(self, folder: str, task: dict[str, object]) -> None:
        self._folder = folder
        self._task = task
        self._grace = float(str(task["grace_seconds"]))
        self._signalled = False
        self._stopping: float | None = None  # the monotonic time at which patience ends
        self._code: int | None = None  # of the command, once it has ended; below zero for a signal
        self._log = Log(
            os.path.join(folder, LOG),
            task=str(task["task_name"]),
            trial=str(task["trial_id"]),
            give_up=self._stop_asked,
        )

    def run(self) -> None:
        _detach()
        wake = self._listen()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        started = stamp()
        self._pid, problem = launch(
            self._folder,
            self._task,
            output=out_end,
            errors=err_end,
            before=lambda pid: store(
                self._folder, RUN, {"pid": pid, "shim": os.getpid(), "started": started}, patient=True
            ),
        )
        os.close(out_end)
        os.close(err_end)
        output = Output(self._log, {out: "INFO", err: "ERROR"}, wake=wake)
        while not self._is_over():
            calm = self._code is None and self._stopping is None
            output.pump(WATCH_SECONDS if calm else KILL_SECONDS)
            self._reap()
        output.drain()
        if problem:
            self._log.write([("ERROR", problem)])
        self._log.close()
        store_exit(
            self._folder,
            started=started,
            code=self._code,
            stopped=self._stopping is not None,
            message=" ".join(filter(None, (problem, self._log.problem))),
            lines=self._log.count,
        )

    def _listen(self) -> int:
        """Let signals end the wait of `Output.pump` through the returned descriptor."""
        wake, wake_end = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        return wake

    def _on_signal(self, *_: object) -> None:
        self._signalled = True

    def _stop_asked(self) -> bool:
        return self._signalled or exists(self._folder, CANCEL)

    def _is_over(self) -> bool:
        """Move on towards the end; True when no process of the task lives any more."""
        ended = self._code is not None
        if not ended and self._stopping is None and self._stop_asked():
            self._stopping = time.monotonic() + self._grace
            signal_tree(self._pid, signal.SIGTERM)
        if self._stopping is not None and time.monotonic() < self._stopping:
            # The command may be gone while its children still use the grace to put their things in order.
            return ended and not signal_tree(self._pid, 0)
        if not ended and self._stopping is None:
            return False
        return not signal_tree(self._pid, signal.SIGKILL) and self._code is not None

    def _reap(self) -> None:
        # As a subreaper we inherit every orphan below us, so we must wait for all, not for the command.
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._code = os.waitstatus_to_exitcode(status)


def _detach() -> None:
    try:
        os.setsid()
    except PermissionError:
        pass  # We lead a session already: whoever spawned us saw to it.
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def launch(
    folder: str, task: dict[str, object], *, output: int, errors: int, before: Callable[[int], None]
) -> tuple[int, str]:
    """Start the command of `task`, in a session of its own.

    The child waits until `before(pid)` is done, and ends unseen if we die before: hence a command runs only
    after run.json says so, and never twice.

    Returns:
        Its process id, and what was wrong when it could not be started ("" when all is well).
    """
    prctl = ctypes.CDLL(None).prctl if _LINUX else None
    go, go_end = os.pipe()
    problem, problem_end = os.pipe()  # closed by a successful exec
    shim, pid = os.getpid(), os.fork()
    if pid == 0:
        code = 126
        try:
            os.close(go_end)
            os.setsid()
            if prctl is not None:
                prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.read(go, 1) and os.getppid() == shim:
                code = _become(folder, task, output=output, errors=errors, problem=problem_end)
        finally:
            os._exit(code)
    os.close(go)
    os.close(problem_end)
    before(pid)
    os.write(go_end, b"!")
    os.close(go_end)
    with open(problem, "rb") as file:
        return pid, file.read().decode()


def _become(folder: str, task: dict[str, object], *, output: int, errors: int, problem: int) -> int:
    """In the forked child: turn into the command. Returns an exit code only if that fails."""
    argv, env, cwd = task["argv"], task["env"], task["cwd"]
    assert isinstance(argv, list) and isinstance(env, dict)
    # Handlers end with exec, but what is ignored (Python ignores the last two) would stay ignored.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    place = str(cwd or os.path.join(folder, "work"))
    try:
        if cwd is None:
            os.makedirs(place, exist_ok=True)
        os.chdir(place)
    except OSError as error:
        os.write(problem, f"The working directory {place} cannot be entered: {error.strerror}.".encode())
        return 126
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    try:
        os.execvpe(argv[0], argv, env | marks(folder, str(task["task_id"]), phased=bool(task["phased"])))
    except OSError as error:
        text = f"The command {argv[0]} cannot be started: {error.strerror}."
        os.write(problem, text.encode(errors="replace"))
        return 127 if isinstance(error, FileNotFoundError) else 126


def marks(folder: str, task_id: str, *, phased: bool) -> dict[str, str]:
    """What is added to the environment of a command: how its processes are known, and where it reports."""
    report = {PHASE_VARIABLE: os.path.join(folder, PHASE)} if phased else {}
    return {TASK_VARIABLE: task_id, FOLDER_VARIABLE: folder} | report


def signal_tree(command: int, number: int) -> bool:
    """Send a signal (0 for none) to all that descends from this process, or from `command` off Linux.

    Returns:
        Whether anything lived that we are allowed to signal.
    """
    if not _LINUX:  # No subreaper here: what left the group of the command is out of reach.
        try:
            os.killpg(command, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    found = False
    for pid in living_descendants(os.getpid()):
        try:
            os.kill(pid, number)
            found = True
        except (ProcessLookupError, PermissionError):
            pass  # Gone meanwhile; or another user's (through sudo), for whose end we could wait for ever.
    return found


def living_descendants(ancestor: int) -> list[int]:
    """The process ids below `ancestor`, children before grandchildren, without zombies (Linux)."""
    children: dict[int, list[int]] = {}
    dead = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()  # the name before ")" may hold anything
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent, threads = fields[0], int(fields[1]), int(fields[17])
        children.setdefault(parent, []).append(int(name))
        if state in b"ZX" and threads <= 1:  # a first thread may end before the others: not dead then
            dead.add(int(name))
    family = [ancestor]
    for pid in family:
        family.extend(children.get(pid, ()))
    return [pid for pid in family[1:] if pid not in dead]


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
        *lines, rest = (self._rest[pipe] + portion).split(b"\n")
        pieces = [piece for line in lines for piece in _cut(line)]
        *long, self._rest[pipe] = _cut(rest)
        self._store(pipe, pieces + long)
        return len(portion)

    def _close(self, pipe: int) -> None:
        self._poll.unregister(pipe)
        os.close(pipe)
        rest = self._rest.pop(pipe)
        if rest:
            self._store(pipe, [rest])

    def _store(self, pipe: int, lines: list[bytes]) -> None:
        severity = self._severity[pipe]
        texts = (line.removesuffix(b"\r").decode(errors="replace") for line in lines)
        if severity == "INFO":
            self._log.write([(severity, text) for text in texts])
        else:
            self._log.write([structured(text) or (severity, text) for text in texts])


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
                time.sleep(WATCH_SECONDS)
        self.count += len(records)

    def close(self) -> None:
        """Bring every record to the disk."""
        os.fsync(self._file)
        os.close(self._file)


def store_exit(
    folder: str,
    *,
    started: str | None = None,
    code: int | None = None,
    stopped: bool = False,
    message: str = "",
    lines: int = 0,
) -> None:
    """Write exit.json: the task is over.

    Args:
        started: When the command was started; None if it never was.
        code: The exit code of the command, or minus the signal that ended it; None if it never was started.
        stopped: Whether it was asked to end.
        message: What people should know beyond that.
        lines: The number of records in the log.
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


if __name__ == "__main__":
    main(sys.argv[1])
