"""The supervisor alone: as a program in a folder, and its parts."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.backends import shim
from mlengine.backends.shim.log import last_version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "task"
    made.mkdir()
    return made


def describe(folder: Path, source: str, **more: Any) -> None:
    task: dict[str, Any] = {
        "task_id": "cat.1",
        "argv": [sys.executable, "-c", source],
        "env": {},
        "cwd": None,
        "task_name": "master-replica-0",
        "trial_id": "",
        "grace_seconds": 10,
        "phased": False,
    }
    (folder / shim.TASK).write_text(json.dumps(task | more))


def supervise(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", shim.PROGRAM, str(folder)], env={}, cwd="/")


def ended(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / shim.EXIT).read_bytes())
    return found


def log(path: Path) -> shim.Log:
    return shim.Log(str(path), task="master-replica-0", trial="", give_up=lambda: False)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def printed(path: Path, portions: list[bytes], severity: str = "INFO") -> list[str]:
    """The messages that come of writing `portions`, one by one, into a pipe."""
    read, write = os.pipe()
    output = shim.Output(log(path), {read: severity})
    for portion in portions:
        os.write(write, portion)
        output.pump(0)
    os.close(write)
    while output.is_open:
        output.pump(1)
    return [record["message"] for record in records(path)]


# The program


def test_it_needs_the_standard_library_alone() -> None:
    trees = [ast.parse(file.read_text()) for file in Path(shim.PROGRAM).parent.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}

    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.ImportFrom) and node.level > 1 for node in nodes)


def test_a_copy_of_its_folder_works_anywhere(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(Path(shim.PROGRAM).parent, tmp_path / "far" / "supervisor")
    describe(folder, "print('one')")

    program = tmp_path / "far" / "supervisor" / "__main__.py"
    subprocess.run([sys.executable, "-I", "-S", program, folder], env={}, cwd="/", check=True)

    assert (ended(folder)["exit_code"], ended(folder)["lines"]) == (0, 1)


def test_it_runs_the_command_and_tells_how_it_ended_last(folder: Path) -> None:
    describe(folder, "print('one'); raise SystemExit(3)")

    assert supervise(folder).wait() == 0

    assert (ended(folder)["exit_code"], ended(folder)["lines"]) == (3, 1)
    assert [record["message"] for record in records(folder / shim.LOG)] == ["one"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "exit.json",
        "lock",
        "log.jsonl",
        "metrics.jsonl",
        "run.json",
        "task.json",
        "work",
    ]


@pytest.mark.parametrize("trace", [shim.RUN, shim.EXIT, shim.CANCEL])
def test_a_command_that_ran_before_or_was_cancelled_is_not_run(folder: Path, trace: str) -> None:
    describe(folder, "open('ran', 'w')")
    (folder / trace).write_text("{}")

    assert supervise(folder).wait() == 0

    assert not (folder / "work").exists()


def test_a_second_supervisor_of_the_same_folder_leaves_at_once(folder: Path) -> None:
    describe(folder, "print('ran')")
    lock = shim.acquire(str(folder))
    assert lock is not None

    try:
        assert supervise(folder).wait() == 0
    finally:
        os.close(lock)

    assert sorted(path.name for path in folder.iterdir()) == ["lock", "task.json"]


def test_a_supervisor_of_a_folder_that_is_gone_leaves_without_a_word(folder: Path) -> None:
    folder.rmdir()

    assert supervise(folder).wait() == 0


def test_a_command_whose_supervisor_dies_before_run_json_is_written_never_runs(folder: Path) -> None:
    program = (
        "import json, os, sys\n"
        f"sys.path.append({str(Path(shim.PROGRAM).parents[1])!r})\n"
        "import shim\n"
        "def die(pid): print(pid, flush=True); os.kill(os.getpid(), 9)\n"
        f"task = json.load(open({str(folder / shim.TASK)!r}))\n"
        f"shim.launch({str(folder)!r}, task, output=1, errors=2, before=die)\n"
    )
    describe(folder, f"open({str(folder / 'ran')!r}, 'w')")

    died = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)

    assert died.returncode == -9
    # The pipe reached its end, so the child that held it is gone as well.
    assert int(died.stdout) > 0
    assert not (folder / "ran").exists()


def test_a_working_directory_that_is_missing_is_named(folder: Path) -> None:
    describe(folder, "print('ran')", cwd="/nowhere/at/all")

    supervise(folder).wait()

    assert ended(folder)["exit_code"] == 126
    assert ended(folder)["message"] == (
        "The working directory /nowhere/at/all cannot be entered: No such file or directory."
    )


@pytest.mark.parametrize("megabytes", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_burst_stays_within_memory_and_loses_nothing(folder: Path, tmp_path: Path, megabytes: int) -> None:
    go = tmp_path / "go"
    source = (
        "import os, time\n"
        "block = b''.join(b'%0999d\\n' % n for n in range(1000))\n"
        f"for _ in range({megabytes}): os.write(1, block)\n"
        "os.write(1, b'done\\n')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    )
    describe(folder, source)
    supervisor = supervise(folder)
    path = folder / shim.LOG

    while not path.exists() or b'"done"' not in tail(path):
        assert supervisor.poll() is None
        time.sleep(0.01)
    status = Path("/proc", str(supervisor.pid), "status").read_text()
    go.touch()
    supervisor.wait()

    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    assert peak < 40_000  # kB, of which Python itself is about 12,000
    assert ended(folder)["lines"] == megabytes * 1000 + 1
    with path.open("rb") as file:
        for seq, line in enumerate(file, start=1):
            assert line.startswith(b'{"seq": %d, ' % seq)
            if seq <= megabytes * 1000:
                assert line.endswith(b'%0999d"}\n' % ((seq - 1) % 1000))
    path.unlink()  # pytest keeps folders of past runs


def tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200))
        return file.read()


# The lock


def test_whoever_only_looks_never_keeps_a_supervisor_from_its_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = os.open(folder / shim.LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(looking))  # the look is over as soon as we wait

    assert not shim.is_held(str(folder))
    lock = shim.acquire(str(folder))

    assert lock is not None
    os.close(lock)


def test_the_lock_is_held_as_long_as_its_descriptor_is_open(folder: Path) -> None:
    assert not shim.is_held(str(folder))
    lock = shim.acquire(str(folder))
    assert lock is not None

    assert shim.is_held(str(folder))
    assert shim.acquire(str(folder)) is None
    os.close(lock)
    assert not shim.is_held(str(folder))


# From bytes to records


@given(st.lists(st.text("aäロ🙂\n\r{", max_size=12).map(str.encode), max_size=8))
def test_no_character_is_lost_however_output_is_portioned(
    tmp_path_factory: pytest.TempPathFactory, portions: list[bytes]
) -> None:
    whole = b"".join(portions).decode()
    expected = [last_version(line.encode()).decode() for line in whole.split("\n")]
    if whole.endswith("\n") or not whole:
        expected.pop()

    assert printed(tmp_path_factory.mktemp("log") / shim.LOG, portions) == expected


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"one", b"one"),
        (b"one\r", b"one"),
        (b"\r 10%\r 50%\r100%", b"100%"),
        (b" 10%\r       \rmessage", b"message"),  # how tqdm.write clears its bar
        (b" 99%\r       \r", b" 99%"),
        (b"1/2\b\b\b\r2/2\b\b\b\r", b"2/2"),  # how Keras goes back
        (b"\r\r", b""),
        (b"", b""),
    ],
)
def test_of_a_line_that_is_written_over_the_last_version_stays(line: bytes, shown: bytes) -> None:
    assert last_version(line) == shown


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_a_very_long_line_is_cut_between_characters(tmp_path: Path, extra: int) -> None:
    line = "x" * extra + "🙂" * 40_000

    pieces = printed(tmp_path / shim.LOG, [part.encode() for part in (line[:9_000], line[9_000:18_000])])

    assert "".join(pieces) == line[:18_000]
    assert len(pieces) == 2
    assert all(len(piece.encode()) <= shim.LONGEST_LINE for piece in pieces)


def test_a_line_as_long_as_allowed_is_one_record(tmp_path: Path) -> None:
    line = b"x" * shim.LONGEST_LINE

    assert printed(tmp_path / shim.LOG, [line[:30_000], line[30_000:60_000], line[60_000:], b"\nnext\n"]) == [
        line.decode(),
        "next",
    ]


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    assert printed(tmp_path / shim.LOG, [b"caf\xe9 \x00\n"]) == ["caf� \x00"]


@pytest.mark.parametrize(
    ("line", "severity", "message"),
    [
        ('{"severity": "WARNING", "message": "low"}', "WARNING", "low"),
        ('{"levelname": "debug", "message": "a\\nb", "name": "x"}', "DEBUG", "a\nb"),
        ('{"levelname": "FATAL", "message": "x"}', "CRITICAL", "x"),
        ('{"levelname": "Level 15", "message": "x"}', "ERROR", None),
        ('{"severity": "INFO"}', "ERROR", None),
        ('{"severity": "INFO", "message": 3}', "ERROR", None),
        ('{"severity": "INFO", "message": "x"} more', "ERROR", None),
        ('{"a": ' + "[" * 30_000, "ERROR", None),
        ('["severity", "message"]', "ERROR", None),
        ("plain", "ERROR", None),
    ],
)
def test_a_line_of_stderr_that_names_its_severity_keeps_it(
    tmp_path: Path, line: str, severity: str, message: str | None
) -> None:
    printed(tmp_path / shim.LOG, [line.encode() + b"\n"], severity="ERROR")

    (record,) = records(tmp_path / shim.LOG)

    assert (record["severity"], record["message"]) == (severity, line if message is None else message)


def test_a_line_of_stdout_is_never_taken_apart(tmp_path: Path) -> None:
    line = '{"severity": "WARNING", "message": "low"}'

    assert printed(tmp_path / shim.LOG, [line.encode()]) == [line]
    assert records(tmp_path / shim.LOG)[0]["severity"] == "INFO"


def test_times_in_a_log_never_go_back_even_if_the_clock_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([2_000_000_000_123_456_789, 1_000_000_000_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    written = log(tmp_path / shim.LOG)

    written.write([("INFO", "one")])
    written.write([("INFO", "two")])

    assert [record["time"] for record in records(tmp_path / shim.LOG)] == ["2033-05-18T03:33:20.123456Z"] * 2


def test_on_a_full_disk_a_log_waits_until_it_is_told_to_give_up() -> None:
    asked = iter([False, False, True])
    full = shim.Log("/dev/full", task="master-replica-0", trial="", give_up=lambda: next(asked))

    full.write([("INFO", "one")])
    full.write([("INFO", "two")])

    assert next(asked, "asked three times") == "asked three times"
    assert full.count == 0
    assert full.problem == "The disk was full: its log ends after 0 lines."


def test_what_a_stranger_holds_open_does_not_keep_a_log_from_ending(tmp_path: Path) -> None:
    read, write = os.pipe()
    output = shim.Output(log(tmp_path / shim.LOG), {read: "INFO"})
    os.write(write, b"one\ntwo")

    output.drain()
    os.close(write)

    assert not output.is_open
    assert [record["message"] for record in records(tmp_path / shim.LOG)] == ["one", "two"]


def test_the_living_below_a_process_are_found_however_deep() -> None:
    source = "import os, sys; os.fork(); os.write(1, b'%d\\n' % os.getpid()); sys.stdin.read()"
    parent = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None and parent.stdout is not None
    pids = {int(parent.stdout.readline()), int(parent.stdout.readline())}

    try:
        assert set(shim.living_descendants(parent.pid)) | {parent.pid} == pids
        assert pids <= set(shim.living_descendants(os.getpid()))
    finally:
        parent.communicate()
    assert parent.pid not in shim.living_descendants(os.getpid())


def test_the_dead_that_nobody_reaped_do_not_count_as_living() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert child.pid not in shim.living_descendants(os.getpid())
    child.wait()


def test_a_process_whose_first_thread_ended_before_the_others_counts_as_living() -> None:
    source = (
        "import ctypes, os, sys, threading\n"
        "threading.Thread(target=os.read, args=(0, 1)).start()\n"
        "ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)"  # exit of one thread
    )
    child = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE)
    stat = Path("/proc", str(child.pid), "stat")
    while b") Z " not in stat.read_bytes():
        time.sleep(0.01)

    assert child.pid in shim.living_descendants(os.getpid())
    child.communicate(b"!")
    child.kill()
    child.wait()
