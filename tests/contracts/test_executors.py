"""What every executor promises, on every executor; and what only supervised processes can promise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.backends.executors import InlineExecutor, LocalExecutor
from mlengine.errors import FailedPrecondition, InvalidArgument, Unavailable
from mlengine.jobs.executor import Executor, Phase
from tests.contracts.tasks import (
    STUBBORN_TREE,
    assert_nothing_is_left,
    kill,
    marked,
    messages,
    over,
    python,
    records,
    server,
    shim_of,
    until,
)


@pytest.fixture(params=[InlineExecutor, LocalExecutor])
def executor(request: pytest.FixtureRequest, tmp_path: Path) -> Executor:
    made: Executor = request.param(tmp_path / "tasks")
    return made


@pytest.fixture
def local(tmp_path: Path) -> LocalExecutor:
    return LocalExecutor(tmp_path / "tasks")


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """A file that commands write into, to prove what they did."""
    return tmp_path / "diary"


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test asserts, no process of its tasks may outlive it."""
    yield
    assert_nothing_is_left(tmp_path / "tasks")


# What every executor promises


def test_starting_the_same_task_twice_runs_it_once(executor: Executor, diary: Path) -> None:
    task = python(f"open({str(diary)!r}, 'a').write('ran\\n')")

    executor.start(task)
    executor.start(task)
    over(executor, task.task_id)
    executor.start(task)

    assert over(executor, task.task_id).exit_code == 0
    assert diary.read_text() == "ran\n"


def test_a_task_never_seen_is_lost(executor: Executor) -> None:
    assert executor.poll("never.1").phase is Phase.LOST


@pytest.mark.parametrize("task_id", ["", "..", ".hidden", "a/b", "a b", "a\n", "x" * 201])
def test_an_id_that_is_no_name_of_a_folder_is_refused(executor: Executor, task_id: str) -> None:
    for call in (executor.poll, executor.stop, executor.forget, executor.log_file):
        with pytest.raises(InvalidArgument):
            call(task_id)
    with pytest.raises(InvalidArgument):
        python("", task_id=task_id)


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_kept(executor: Executor, code: int) -> None:
    executor.start(python(f"raise SystemExit({code})"))

    outcome = over(executor, "cat.1.master-replica-0")

    assert (outcome.phase, outcome.exit_code, outcome.signal) == (Phase.EXITED, code, None)
    assert not outcome.stopped
    assert outcome.started is not None and outcome.ended is not None
    assert outcome.started < outcome.ended


def test_a_command_that_kills_itself_has_a_signal_and_no_exit_code(executor: Executor) -> None:
    executor.start(python("import os; os.kill(os.getpid(), 11)"))

    outcome = over(executor, "cat.1.master-replica-0")

    assert (outcome.exit_code, outcome.signal, outcome.stopped) == (None, 11, False)
    assert "Segmentation fault" in outcome.message


def test_a_command_that_does_not_exist_ends_with_127_and_says_so_in_the_log(executor: Executor) -> None:
    executor.start(python("", argv=("/nowhere/trainer",)))

    outcome = over(executor, "cat.1.master-replica-0")

    assert outcome.exit_code == 127
    assert "/nowhere/trainer" in outcome.message
    assert [(r["severity"], r["message"]) for r in records(executor, "cat.1.master-replica-0")] == [
        ("ERROR", outcome.message)
    ]


def test_the_log_has_every_line_with_time_severity_task_and_trial(executor: Executor) -> None:
    source = "import sys; print('one'); print('two', file=sys.stderr); print(); print('no newline', end='')"
    executor.start(python(source, trial_id="7"))

    over(executor, "cat.1.master-replica-0")
    log = records(executor, "cat.1.master-replica-0")

    assert [record["seq"] for record in log] == [1, 2, 3, 4]
    assert {(r["severity"], r["message"]) for r in log} == {
        ("INFO", "one"),
        ("ERROR", "two"),
        ("INFO", ""),
        ("INFO", "no newline"),
    }
    assert {(record["task"], record["trial"]) for record in log} == {("master-replica-0", "7")}
    times = [record["time"] for record in log]
    assert times == sorted(times)
    assert all(len(text) == len("2024-01-01T00:00:00.000000Z") and text.endswith("Z") for text in times)


def test_without_a_trial_the_log_names_none(executor: Executor) -> None:
    executor.start(python("print('one')"))

    over(executor, "cat.1.master-replica-0")

    assert list(records(executor, "cat.1.master-replica-0")[0]) == [
        "seq",
        "time",
        "severity",
        "task",
        "message",
    ]


def test_the_command_sees_its_environment_and_no_other(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    executor.start(python("import os, json; print(json.dumps(dict(os.environ)))", env={"CAT": "Möhre"}))

    over(executor, "cat.1.master-replica-0")
    seen = json.loads(messages(executor, "cat.1.master-replica-0")[0])

    assert {name: value for name, value in seen.items() if name != "LC_CTYPE"} == {  # Python's own addition
        "CAT": "Möhre",
        "MLENGINE_TASK_ID": "cat.1.master-replica-0",
        "MLENGINE_TASK_FOLDER": str(tmp_path / "tasks" / "cat.1.master-replica-0"),
    }


def test_the_command_reads_nothing_and_runs_where_it_was_told(executor: Executor, tmp_path: Path) -> None:
    source = "import os, sys; print(repr(sys.stdin.read())); print(os.getcwd()); print(os.listdir())"
    executor.start(python(source, task_id="told.1", cwd=tmp_path))
    executor.start(python(source, task_id="own.1"))

    over(executor, "told.1")
    over(executor, "own.1")

    assert messages(executor, "told.1")[:2] == ["''", str(tmp_path)]
    assert messages(executor, "own.1") == ["''", str(tmp_path / "tasks" / "own.1" / "work"), "[]"]


def test_stopping_twice_or_after_the_end_changes_nothing(executor: Executor) -> None:
    executor.start(python("raise SystemExit(4)"))
    before = over(executor, "cat.1.master-replica-0")

    executor.stop("cat.1.master-replica-0")
    executor.stop("cat.1.master-replica-0")

    assert executor.poll("cat.1.master-replica-0") == before


def test_a_task_stopped_before_its_start_never_runs(executor: Executor, diary: Path) -> None:
    task = python(f"open({str(diary)!r}, 'a').write('ran')")

    executor.stop(task.task_id)
    executor.stop(task.task_id)
    executor.start(task)
    outcome = over(executor, task.task_id)

    assert (outcome.phase, outcome.stopped, outcome.exit_code) == (Phase.EXITED, True, None)
    assert outcome.started is None
    assert not diary.exists()


def test_a_forgotten_task_leaves_nothing_and_is_lost(executor: Executor, tmp_path: Path) -> None:
    executor.start(python("import os; os.mkdir('locked'); os.mkdir('locked/in'); os.chmod('locked', 0)"))
    over(executor, "cat.1.master-replica-0")

    executor.forget("cat.1.master-replica-0")
    executor.forget("cat.1.master-replica-0")

    assert executor.poll("cat.1.master-replica-0").phase is Phase.LOST
    assert list((tmp_path / "tasks").iterdir()) == []


# What supervised processes promise beyond that


def test_a_line_can_be_read_while_its_task_runs(local: LocalExecutor, diary: Path) -> None:
    task = python(
        "import time, os, sys\n"
        f"print('first', end=chr(10)); open({str(diary)!r}, 'w').write(repr(time.time()))\n"
        "time.sleep(60)"
    )

    local.start(task)
    until(lambda: messages(local, task.task_id) == ["first"], "the line in the log")

    assert local.poll(task.task_id).phase is Phase.RUNNING
    assert local.poll(task.task_id).started is not None
    with pytest.raises(FailedPrecondition):
        local.forget(task.task_id)
    assert messages(local, task.task_id) == ["first"]


def test_a_phased_task_is_preparing_until_the_command_says_that_it_runs(
    local: LocalExecutor, diary: Path
) -> None:
    source = (
        "import os, time\n"
        "print('preparing')\n"
        f"while not os.path.exists({str(diary)!r}): time.sleep(0.01)\n"
        "open(os.environ['MLENGINE_PHASE_FILE'], 'w').write('RUNNING')\n"
        "time.sleep(60)"
    )
    local.start(python(source, phased=True))
    until(lambda: messages(local, "cat.1.master-replica-0"), "the command's first line")

    before = local.poll("cat.1.master-replica-0")
    diary.touch()

    assert before.phase is Phase.PREPARING
    until(lambda: local.poll("cat.1.master-replica-0").phase is Phase.RUNNING, "RUNNING")


def test_a_burst_of_100_000_lines_on_two_streams_is_complete_and_numbered(local: LocalExecutor) -> None:
    source = (
        "import os, threading\n"
        "def burst(fd, name):\n"
        "    for start in range(0, 50_000, 500):\n"
        "        data = ''.join(f'{name} {n}\\n' for n in range(start, start + 500)).encode()\n"
        "        while data: data = data[os.write(fd, data):]\n"
        "threads = [threading.Thread(target=burst, args=job) for job in ((1, 'out'), (2, 'err'))]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "os.write(1, b'the end')"
    )
    local.start(python(source))

    outcome = over(local, "cat.1.master-replica-0")
    log = records(local, "cat.1.master-replica-0")

    assert outcome.exit_code == 0
    assert [record["seq"] for record in log] == list(range(1, 100_002))
    out = [record["message"] for record in log if record["severity"] == "INFO"]
    err = [record["message"] for record in log if record["severity"] == "ERROR"]
    assert out == [*(f"out {n}" for n in range(50_000)), "the end"]
    assert err == [f"err {n}" for n in range(50_000)]


def test_a_stopped_command_may_put_its_things_in_order_within_the_grace(local: LocalExecutor) -> None:
    source = (
        "import signal, sys, time\n"
        "def tidy(*_): print('tidied'); sys.exit(5)\n"
        "signal.signal(signal.SIGTERM, tidy)\n"
        "print('ready')\n"
        "time.sleep(60)"
    )
    local.start(python(source, grace_seconds=60))
    until(lambda: messages(local, "cat.1.master-replica-0"), "ready")

    local.stop("cat.1.master-replica-0")
    local.stop("cat.1.master-replica-0")
    outcome = over(local, "cat.1.master-replica-0")

    assert (outcome.stopped, outcome.exit_code) == (True, 5)
    assert messages(local, "cat.1.master-replica-0") == ["ready", "tidied"]


def test_stopping_ends_a_tree_that_ignores_sigterm_and_hides_in_new_sessions(
    local: LocalExecutor, tmp_path: Path
) -> None:
    local.start(python(STUBBORN_TREE + "time.sleep(120)", task_id="tree.1", grace_seconds=0.3))
    until(lambda: messages(local, "tree.1") == ["up"], "the whole tree")
    assert len(marked(tmp_path / "tasks" / "tree.1")) == 5

    local.stop("tree.1")
    outcome = over(local, "tree.1")

    assert (outcome.phase, outcome.stopped, outcome.signal) == (Phase.EXITED, True, signal.SIGKILL)
    assert marked(tmp_path / "tasks" / "tree.1") == set()


def test_what_a_command_leaves_running_is_killed_and_its_exit_code_kept(
    local: LocalExecutor, tmp_path: Path
) -> None:
    local.start(python(STUBBORN_TREE + "sys.exit(3)", task_id="daemon.1", grace_seconds=100))

    outcome = over(local, "daemon.1")

    assert (outcome.exit_code, outcome.stopped) == (3, False)
    assert marked(tmp_path / "tasks" / "daemon.1") == set()


def test_sigterm_to_the_supervisor_stops_the_task(local: LocalExecutor, tmp_path: Path) -> None:
    local.start(python("print('up'); __import__('time').sleep(60)"))
    until(lambda: messages(local, "cat.1.master-replica-0"), "up")

    os.kill(shim_of(tmp_path, "cat.1.master-replica-0"), signal.SIGTERM)
    outcome = over(local, "cat.1.master-replica-0")

    assert (outcome.phase, outcome.stopped, outcome.signal) == (Phase.EXITED, True, signal.SIGTERM)


def test_a_task_whose_supervisor_is_killed_is_lost_and_its_strays_are_swept(
    local: LocalExecutor, tmp_path: Path
) -> None:
    local.start(python(STUBBORN_TREE + "time.sleep(120)", task_id="tree.2"))
    until(lambda: messages(local, "tree.2") == ["up"], "the whole tree")

    os.kill(shim_of(tmp_path, "tree.2"), signal.SIGKILL)
    command = json.loads((tmp_path / "tasks" / "tree.2" / "run.json").read_bytes())["pid"]
    until(
        lambda: command not in marked(tmp_path / "tasks" / "tree.2"),
        "the death of the command, before anybody polls",
    )
    assert len(marked(tmp_path / "tasks" / "tree.2")) == 4
    outcome = over(local, "tree.2")

    assert outcome.phase is Phase.LOST
    assert "supervisor" in outcome.message
    assert marked(tmp_path / "tasks" / "tree.2") == set()
    local.start(python("print('again')", task_id="tree.2"))
    local.stop("tree.2")
    assert local.poll("tree.2").phase is Phase.LOST


def test_a_task_survives_the_death_of_the_server_with_every_line(tmp_path: Path, diary: Path) -> None:
    source = (
        "import os, time\n"
        "for n in range(30): print(n, flush=True)\n"
        f"while not os.path.exists({str(diary)!r}): time.sleep(0.01)\n"
        "for n in range(30, 60): print(n, flush=True)"
    )
    local = LocalExecutor(tmp_path / "tasks")
    trigger = tmp_path / "now"
    trigger.touch()
    first = server(tmp_path, trigger, source)
    try:
        until(lambda: len(messages(local, "job.1")) == 30, "the first half")
    finally:
        kill(first)

    between = local.poll("job.1")
    diary.touch()
    outcome = over(local, "job.1")

    assert between.phase is Phase.RUNNING
    assert outcome.exit_code == 0
    assert [(r["seq"], r["message"]) for r in records(local, "job.1")] == [(n + 1, str(n)) for n in range(60)]


def test_two_servers_that_start_the_same_task_at_once_run_it_once(tmp_path: Path, diary: Path) -> None:
    local = LocalExecutor(tmp_path / "tasks")
    trigger = tmp_path / "now"
    servers = [server(tmp_path, trigger, f"open({str(diary)!r}, 'a').write('ran\\n')") for _ in range(2)]
    try:
        trigger.touch()
        for each in servers:
            assert each.stdout is not None
            assert each.stdout.readline() == b"started\n"
        outcome = over(local, "job.1")
    finally:
        for each in servers:
            kill(each)

    assert outcome.exit_code == 0
    assert diary.read_text() == "ran\n"


def test_many_starts_stops_and_looks_at_once_run_a_task_at_most_once(tmp_path: Path, diary: Path) -> None:
    source = f"open({str(diary)!r}, 'a').write('ran\\n'); __import__('time').sleep(60)"
    task = python(source, task_id="many.1", grace_seconds=0)
    executors = [LocalExecutor(tmp_path / "tasks") for _ in range(4)]
    gate = threading.Barrier(len(executors))

    def hurry(executor: LocalExecutor) -> None:
        gate.wait()
        for _ in range(5):
            executor.start(task)
            executor.poll(task.task_id)
        executor.stop(task.task_id)

    threads = [threading.Thread(target=hurry, args=(executor,)) for executor in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    outcome = over(executors[0], task.task_id)

    assert (outcome.phase, outcome.stopped) == (Phase.EXITED, True)
    assert not diary.exists() or diary.read_text() == "ran\n"


def test_a_task_whose_server_died_before_it_was_supervised_is_pending_and_can_be_started(
    tmp_path: Path,
) -> None:
    described = LocalExecutor(tmp_path / "tasks", python="/nowhere/python")
    with pytest.raises(Unavailable, match="/nowhere/python"):
        described.start(python("print('ran')"))

    local = LocalExecutor(tmp_path / "tasks")
    before = local.poll("cat.1.master-replica-0")
    local.start(python("print('ran')"))
    outcome = over(local, "cat.1.master-replica-0")

    assert before.phase is Phase.PENDING
    assert outcome.exit_code == 0


def test_a_supervisor_that_breaks_down_at_once_makes_its_task_lost_with_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 9\n")
    broken.chmod(0o755)
    local = LocalExecutor(tmp_path / "tasks", python=str(broken))

    local.start(python("print('ran')"))
    outcome = over(local, "cat.1.master-replica-0")

    assert outcome.phase is Phase.LOST
    assert "exit code 9. no such library" in outcome.message


def test_an_end_between_two_looks_at_the_folder_is_no_loss(
    local: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.start(python("print('over')"))
    over(local, "cat.1.master-replica-0")
    ending = local.log_file("cat.1.master-replica-0").with_name("exit.json")
    text = ending.read_text()
    ending.unlink()

    def is_held(folder: str) -> bool:
        ending.write_text(text)
        return False

    monkeypatch.setattr("mlengine.backends.shim.is_held", is_held)

    assert local.poll("cat.1.master-replica-0").phase is Phase.EXITED


def test_tasks_with_the_same_id_below_another_root_are_left_alone(
    local: LocalExecutor, tmp_path: Path
) -> None:
    other = LocalExecutor(tmp_path / "other")
    for executor in (local, other):
        executor.start(python("print('up'); __import__('time').sleep(60)", task_id="same.1"))
    until(lambda: messages(local, "same.1") and messages(other, "same.1"), "both")

    os.kill(shim_of(tmp_path, "same.1"), signal.SIGKILL)
    lost = over(local, "same.1")

    assert lost.phase is Phase.LOST
    assert other.poll("same.1").phase is Phase.RUNNING
    other.stop("same.1")
    assert over(other, "same.1").stopped


def test_ended_supervisors_become_no_zombies_even_if_nobody_polls(local: LocalExecutor) -> None:
    def children() -> set[str]:
        found = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = found.stdout.splitlines()
        return {line.split()[0] for line in lines if "shim" in line or "defunct" in line}

    def exited() -> bool:
        return (local.log_file("cat.1.master-replica-0").parent / "exit.json").exists()

    strangers = children()  # of other tests in this process
    local.start(python("print('over')"))
    until(exited, "the exit file")

    until(lambda: children() <= strangers, "no child of ours, living or dead")
