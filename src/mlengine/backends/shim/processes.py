"""Processes: how the command of a task is started, who descends from it, and how all of them are ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Collection
from typing import NamedTuple

from .files import FOLDER_VARIABLE, PHASE, PHASE_VARIABLE, TASK_VARIABLE

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

# What a command sees of GPUs, and how it counts them: as nvidia-smi does.
GPU_VARIABLE, _GPU_ORDER = "CUDA_VISIBLE_DEVICES", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


class Process(NamedTuple):
    """One line of the kernel's table."""

    pid: int
    parent: int
    is_dead: bool  # and not yet reaped
    ticks: int  # of processor time, its own and that of the children it has waited for
    pages: int  # of memory that it holds, also those that it shares


def detach() -> None:
    """Be nobody's child, and the one who inherits every orphan of the task."""
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
        mine = marks(folder, str(task["task_id"]), phased=bool(task["phased"]), gpus=task.get("gpus"))  # type: ignore[arg-type]
        os.execvpe(argv[0], argv, env | mine)
    except OSError as error:
        text = f"The command {argv[0]} cannot be started: {error.strerror}."
        os.write(problem, text.encode(errors="replace"))
        return 127 if isinstance(error, FileNotFoundError) else 126


def accompany(argv: list[str]) -> tuple[int, int]:
    """Start a helper of our own, which is none of the task and dies with us.

    Returns:
        Its process id, and a descriptor to read what it prints, without waiting.
    """
    prctl = ctypes.CDLL(None).prctl if _LINUX else None
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if prctl is not None:
                prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDWR)
            for source, target in ((nothing, 0), (write, 1), (nothing, 2)):
                os.dup2(source, target)
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    os.close(write)
    os.set_blocking(read, False)
    return pid, read


def marks(folder: str, task_id: str, *, phased: bool, gpus: Collection[int] | None = None) -> dict[str, str]:
    """What a command finds in its environment besides: its processes' mark, where to report, its GPUs."""
    report = {PHASE_VARIABLE: os.path.join(folder, PHASE)} if phased else {}
    devices = {} if gpus is None else {GPU_VARIABLE: ",".join(map(str, gpus))} | _GPU_ORDER
    return {TASK_VARIABLE: task_id, FOLDER_VARIABLE: folder} | report | devices


def signal_tree(command: int, number: int, *, spare: Collection[int] = ()) -> bool:
    """Send a signal (0 for none) to all that descends from this process, or from `command` off Linux.

    Args:
        spare: Processes that are none of the task, and whatever they started.

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
    for pid in living_descendants(os.getpid(), spare=spare):
        try:
            os.kill(pid, number)
            found = True
        except (ProcessLookupError, PermissionError):
            pass  # Gone meanwhile; or another user's (through sudo), for whose end we could wait for ever.
    return found


def living_descendants(ancestor: int, *, spare: Collection[int] = ()) -> list[int]:
    """The process ids below `ancestor`, children before grandchildren, without zombies (Linux)."""
    return [process.pid for process in descendants(ancestor, spare=spare) if not process.is_dead]


def descendants(ancestor: int, *, spare: Collection[int] = ()) -> list[Process]:
    """Every process below `ancestor`, children before grandchildren, zombies too; [] off Linux.

    Args:
        spare: Processes to leave out with all below them.
    """
    if not _LINUX:
        return []
    children: dict[int, list[Process]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()  # the name before ")" may hold anything
        except (FileNotFoundError, ProcessLookupError):
            continue
        process = Process(
            pid=int(name),
            parent=int(fields[1]),
            # A first thread may end before the others: not dead then.
            is_dead=fields[0] in b"ZX" and int(fields[17]) <= 1,
            ticks=sum(map(int, fields[11:15])),
            pages=int(fields[21]),
        )
        if process.pid not in spare:
            children.setdefault(process.parent, []).append(process)
    family = list(children.get(ancestor, ()))
    for process in family:
        family.extend(children.get(process.pid, ()))
    return family
