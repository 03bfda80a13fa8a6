"""What the log service promises, on real files."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from mlengine.errors import InvalidArgument
from mlengine.logs.domain import Entry
from mlengine.logs.lines import LineFile
from mlengine.logs.service import LogService
from mlengine.names import JobName
from tests.conftest import HandClock

JOB = JobName("demo-project", "train_1")
START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def logs(tmp_path: Path, clock: HandClock) -> LogService:
    return LogService(tmp_path / "logs", clock)


def line(seq: int, *, seconds: float, message: str = "", severity: str = "INFO", trial: str = "") -> str:
    """A line as a shim writes it."""
    moment = (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    record = {"seq": seq, "time": moment, "severity": severity, "task": "master-replica-0"}
    record |= {"trial": trial} if trial else {}
    return json.dumps(record | {"message": message or f"line {seq}"}) + "\n"


def messages(entries: object) -> list[str]:
    return [entry.message for entry in entries]  # type: ignore[attr-defined]


def attached(logs: LogService, tmp_path: Path, task: str = "master-replica-0", job: JobName = JOB) -> Path:
    """The log file of a task, attached and empty."""
    file = tmp_path / "tasks" / f"{job.job}-{task}" / "log.jsonl"
    file.parent.mkdir(parents=True)
    logs.attach(job, task, file)
    return file


def test_what_the_service_says_is_told_in_its_order(logs: LogService, clock: HandClock) -> None:
    logs.write(JOB, "Validating job requirements...")
    logs.write(JOB, "한글 and\na second line", "ERROR")
    clock.forward(-60)
    logs.write(JOB, "after the clock went back")

    entries = list(logs.entries(JOB))

    assert messages(entries) == [
        "Validating job requirements...",
        "한글 and\na second line",
        "after the clock went back",
    ]
    assert [(entry.task, entry.severity, entry.seq) for entry in entries] == [
        ("service", "INFO", 1),
        ("service", "ERROR", 2),
        ("service", "INFO", 3),
    ]
    assert all(entry.time == START for entry in entries)


def test_a_task_and_the_service_are_told_together_in_time(
    logs: LogService, tmp_path: Path, clock: HandClock
) -> None:
    master, worker = attached(logs, tmp_path), attached(logs, tmp_path, "worker-replica-0")
    logs.write(JOB, "queued")
    clock.forward(10)
    logs.write(JOB, "done")
    master.write_text(line(1, seconds=1, message="m1") + line(2, seconds=5, message="m2"))
    worker.write_text(line(1, seconds=1, message="w1", trial="7") + line(2, seconds=3, message="w2"))

    entries = list(logs.entries(JOB))

    assert messages(entries) == ["queued", "m1", "w1", "w2", "m2", "done"]
    assert messages(logs.entries(JOB, descending=True)) == ["done", "m2", "w2", "w1", "m1", "queued"]
    assert messages(logs.entries(JOB, task_name="worker-replica-0")) == ["w1", "w2"]
    assert entries[2].trial == "7"
    assert [entry.insert_id for entry in entries] == sorted({entry.insert_id for entry in entries})


def test_a_reader_goes_on_after_any_entry(logs: LogService, tmp_path: Path) -> None:
    file = attached(logs, tmp_path)
    file.write_text("".join(line(seq, seconds=seq // 3) for seq in range(1, 20)))
    everything = list(logs.entries(JOB))

    for position, entry in enumerate(everything):
        assert list(logs.entries(JOB, after=entry.insert_id)) == everything[position + 1 :]
        newer = list(logs.entries(JOB, after=entry.insert_id, descending=True))
        assert newer == everything[:position][::-1]


def test_times_and_severities_bound_what_is_told(logs: LogService, tmp_path: Path) -> None:
    file = attached(logs, tmp_path)
    severities = ["DEBUG", "INFO", "WARNING", "ERROR", "strange"]
    file.write_text("".join(line(seq, seconds=seq, severity=word) for seq, word in enumerate(severities)))

    within = logs.entries(JOB, since=START + timedelta(seconds=1), until=START + timedelta(seconds=3))

    assert messages(within) == ["line 1", "line 2"]
    assert messages(logs.entries(JOB, min_severity="WARNING")) == ["line 2", "line 3"]
    assert [entry.severity for entry in logs.entries(JOB)][-1] == "DEFAULT"


def test_a_line_half_written_is_left_for_later(logs: LogService, tmp_path: Path) -> None:
    file = attached(logs, tmp_path)
    second = line(2, seconds=2)
    file.write_text(line(1, seconds=1) + second[:20])
    assert messages(logs.entries(JOB)) == ["line 1"]
    assert messages(logs.entries(JOB, descending=True)) == ["line 1"]

    with file.open("a") as target:
        target.write(second[20:])

    assert messages(logs.entries(JOB)) == ["line 1", "line 2"]


def test_a_line_cut_off_by_a_crash_costs_no_other(logs: LogService, tmp_path: Path, clock: HandClock) -> None:
    logs.write(JOB, "before")
    with next((tmp_path / "logs").rglob("service.jsonl")).open("a") as target:
        target.write('{"seq": 2, "time": "2026')
    restarted = LogService(tmp_path / "logs", clock)

    restarted.write(JOB, "after")

    assert messages(restarted.entries(JOB)) == ["before", "after"]


def test_attaching_twice_is_attaching_once_and_survives_a_restart(
    logs: LogService, tmp_path: Path, clock: HandClock
) -> None:
    file = attached(logs, tmp_path)
    logs.attach(JOB, "master-replica-0", file)
    assert list(logs.entries(JOB)) == []

    file.write_text(line(1, seconds=1))

    assert messages(LogService(tmp_path / "logs", clock).entries(JOB)) == ["line 1"]


def test_a_task_that_ran_twice_has_both_logs(logs: LogService, tmp_path: Path) -> None:
    for attempt in (1, 2):
        file = tmp_path / f"attempt-{attempt}.jsonl"
        logs.attach(JOB, "master-replica-0", file)
        file.write_text(line(1, seconds=1, message=f"attempt {attempt}"))

    entries = list(logs.entries(JOB))

    assert sorted(messages(entries)) == ["attempt 1", "attempt 2"]
    assert len({entry.insert_id for entry in entries}) == 2


def test_a_data_directory_that_is_moved_keeps_its_logs(
    logs: LogService, tmp_path: Path, clock: HandClock
) -> None:
    data = tmp_path / "data"
    service = LogService(data / "logs", clock)
    file = data / "tasks" / "t" / "log.jsonl"
    file.parent.mkdir(parents=True)
    service.attach(JOB, "master-replica-0", file)
    file.write_text(line(1, seconds=1))

    shutil.move(data, tmp_path / "elsewhere")

    assert messages(LogService(tmp_path / "elsewhere" / "logs", clock).entries(JOB)) == ["line 1"]


def test_the_tail_is_the_last_messages_oldest_first(logs: LogService, tmp_path: Path) -> None:
    attached(logs, tmp_path).write_text("".join(line(seq, seconds=seq) for seq in range(100)))

    assert logs.tail(JOB, "master-replica-0", 3) == ["line 97", "line 98", "line 99"]
    assert logs.tail(JOB, "nobody", 3) == []


def test_only_jobs_with_a_log_are_named(logs: LogService) -> None:
    other = JobName("demo-project", "other_1")
    logs.write(JOB, "x")
    logs.write(other, "y")

    assert logs.jobs("demo-project") == [other, JOB]
    assert logs.jobs("nobodys-project") == []
    assert list(logs.entries(JobName("demo-project", "never_seen"))) == []


@pytest.mark.parametrize("job", ["../../etc", "a/b", "", "."])
def test_a_job_name_that_is_a_path_writes_nowhere(logs: LogService, tmp_path: Path, job: str) -> None:
    with pytest.raises(InvalidArgument):
        logs.write(JobName("demo-project", job), "x")

    assert not (tmp_path / "logs").exists()
    assert list(logs.entries(JobName("demo-project", job))) == []


@pytest.mark.parametrize("after", ["nonsense", "zz", "f" * 16])
def test_what_is_no_insert_id_is_refused(logs: LogService, after: str) -> None:
    with pytest.raises(InvalidArgument, match="no insert id"):
        list(logs.entries(JOB, after=after))


def test_any_place_in_a_file_is_found_with_lines_of_all_lengths(logs: LogService, tmp_path: Path) -> None:
    file = attached(logs, tmp_path)
    lengths = [1, 5_000, 40, 300_000, 17, 17, 70_000, 2, 900] * 8
    with file.open("w") as target:
        for seq, length in enumerate(lengths):
            if seq % 10 == 3:
                target.write("\n" + "garbage " * 3_000 + "\n")
            target.write(line(seq, seconds=seq // 2, message=f"{seq}:" + "x" * length))
    numbers = list(range(len(lengths)))

    for second in range(-1, len(lengths) // 2 + 2):
        moment = START + timedelta(seconds=second)
        newer = [seq for seq in numbers if seq // 2 >= second]
        assert [entry.seq for entry in logs.entries(JOB, since=moment)] == newer
        older = [seq for seq in numbers if seq // 2 < second]
        assert [entry.seq for entry in logs.entries(JOB, until=moment, descending=True)] == older[::-1]


def test_polling_a_large_log_reads_little_of_it(
    logs: LogService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = attached(logs, tmp_path)
    with file.open("w") as target:
        for seq in range(200_000):
            target.write(line(seq, seconds=seq / 100))
    size = file.stat().st_size
    last: Entry = next(logs.entries(JOB, descending=True))
    read = 0
    original = LineFile._read

    def counted(self: LineFile, offset: int, length: int) -> bytes:
        nonlocal read
        found = original(self, offset, length)
        read += len(found)
        return found

    monkeypatch.setattr(LineFile, "_read", counted)
    with file.open("a") as target:
        target.write(line(200_000, seconds=2_001))

    assert messages(logs.entries(JOB, after=last.insert_id)) == ["line 200000"]
    middle = logs.entries(JOB, since=START + timedelta(seconds=1_000))
    assert messages(islice(middle, 2)) == ["line 100000", "line 100001"]
    assert read < size / 10
