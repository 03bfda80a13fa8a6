"""What can be done with logs: write what the service says, know where tasks write, read all of it in order.

ROOT/<project>/<job>/service.jsonl                what we say, by `write`
ROOT/<project>/<job>/<task>.<digest>.jsonl        a link to a file that a task writes, by `attach`
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Lock

from mlengine.clock import Clock, to_text
from mlengine.errors import InvalidArgument, Problem
from mlengine.logs.domain import FIRST, LAST, SERVICE, SEVERITIES, Entry, time_of
from mlengine.logs.lines import LineFile, Record
from mlengine.names import JobName, check_project

_OWN = "service.jsonl"
_TICK = timedelta(microseconds=1)


class LogService:
    """The logs of all jobs.

    Args:
        root: The folder for them; made if need be.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._lock = Lock()

    def write(self, job: JobName, message: str, severity: str = "INFO") -> None:
        """Say something about a job; it is on the disk when this returns."""
        folder = self._folder(job)
        path = folder / _OWN
        with self._lock:
            _make_folder(folder)
            new = not path.exists()
            last = next(LineFile(path).backward(LAST), None)
            moment = max(self._clock(), last[0] if last else FIRST)  # the machine's clock may be set back
            record = {
                "seq": last[1]["seq"] + 1 if last else 1,
                "time": to_text(moment),
                "severity": severity,
                "task": SERVICE,
                "message": message,
            }
            with path.open("a+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 1))
                torn = b"\n" if file.read(1) not in (b"", b"\n") else b""  # the server died within a line
                file.write(torn + json.dumps(record).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if new:
                _sync_folder(folder)

    def attach(self, job: JobName, task_name: str, file: Path) -> None:
        """Remember that `file` has the lines of a task of `job`. It need not be there yet; twice is once.

        The file holds one JSON object a line, ordered by time: seq, time, severity, message, trial if any.
        """
        folder = self._folder(job)
        if "/" in task_name or task_name in ("", SERVICE):
            raise ValueError(f"{task_name!r} is no task name")
        _make_folder(folder)
        # Relative, so that the whole data directory can be moved.
        target = os.path.relpath(file.parent.resolve() / file.name, folder.resolve())
        digest = hashlib.sha256(target.encode()).hexdigest()[:8]
        try:
            (folder / f"{task_name}.{digest}.jsonl").symlink_to(target)
        except FileExistsError:
            return
        _sync_folder(folder)

    def entries(
        self,
        job: JobName,
        *,
        after: str = "",
        since: datetime = FIRST,
        until: datetime = LAST,
        task_name: str = "",
        min_severity: str = "DEFAULT",
        descending: bool = False,
    ) -> Iterator[Entry]:
        """The entries of a job, ordered by their insert ids.

        Args:
            after: The insert id of the last entry that is known already.
            since: Only entries of this moment or later ones.
            until: Only entries before this moment.
            task_name: Only entries of this task.
            descending: Newest first; `after` then excludes newer ones.

        Raises:
            InvalidArgument: `after` is no insert id.
        """
        return self.search(
            [job],
            after=after,
            since=since,
            until=until,
            tasks={task_name} if task_name else None,
            match=lambda entry: SEVERITIES[entry.severity] >= SEVERITIES[min_severity],
            descending=descending,
        )

    def search(
        self,
        jobs: Iterable[JobName],
        *,
        after: str = "",
        since: datetime = FIRST,
        until: datetime = LAST,
        tasks: set[str] | None = None,
        match: Callable[[Entry], bool] = lambda _: True,
        severities: frozenset[str] | None = None,
        descending: bool = False,
    ) -> Iterator[Entry]:
        """As `entries`, of several jobs, with any condition.

        Args:
            tasks: Only entries of these tasks; None for all.
            severities: `match` wants only entries of these; None for all. Lines of others are not even read.
        """
        if after:
            try:
                moment = time_of(after)
            except ValueError:
                raise InvalidArgument(f"'{after[:80]}' is no insert id.") from None
            since, until = (since, min(until, moment + _TICK)) if descending else (max(since, moment), until)
        files = [
            (job, *found) for job in jobs for found in self._files(job) if tasks is None or found[0] in tasks
        ]
        marks = tuple(f'"{name}"'.encode() for name in sorted(severities or ()))
        streams = (
            _file_entries(job, task, digest, LineFile(path, marks), since, until, descending=descending)
            for job, task, digest, path in files
        )
        for entry in heapq.merge(*streams, key=lambda entry: entry.insert_id, reverse=descending):
            known = after and (entry.insert_id >= after if descending else entry.insert_id <= after)
            if not known and match(entry):
                yield entry

    def tail(self, job: JobName, task_name: str, count: int) -> list[str]:
        """The last `count` messages of a task, oldest first."""
        newest = self.entries(job, task_name=task_name, descending=True)
        return [entry.message for entry in islice(newest, count)][::-1]

    def jobs(self, project: str, *, only: set[str] | None = None) -> list[JobName]:
        """The jobs of a project that have a log.

        Args:
            only: Of these ids; None for all. A project may have very many.

        Raises:
            InvalidArgument: that is no project id.
        """
        folder = self._root / check_project(project)
        if only is not None:
            return [name for one in sorted(only) if self._files(name := JobName(project, one))]
        if not folder.is_dir():
            return []
        return [JobName(project, path.name) for path in sorted(folder.iterdir()) if path.is_dir()]

    def _folder(self, job: JobName) -> Path:
        # Checked again: these become paths.
        checked = JobName.of(job.project, job.job)
        return self._root / checked.project / checked.job

    def _files(self, job: JobName) -> list[tuple[str, str, Path]]:
        """Task, digest and path of each log file of a job."""
        try:
            names = sorted(path.name for path in self._folder(job).iterdir())
        except (FileNotFoundError, Problem):
            return []
        found: list[tuple[str, str, Path]] = []
        for name in names:
            task, _, digest = name.removesuffix(".jsonl").rpartition(".")
            found.append((task or SERVICE, digest if task else "0", self._folder(job) / name))
        return found


def _file_entries(
    job: JobName,
    task: str,
    digest: str,
    file: LineFile,
    since: datetime,
    until: datetime,
    *,
    descending: bool,
) -> Iterator[Entry]:
    for moment, record in file.backward(until) if descending else file.forward(since):
        if moment < since or moment >= until:
            return
        yield _entry(job, task, digest, (moment, record))


def _entry(job: JobName, task: str, digest: str, record: Record) -> Entry:
    moment, values = record
    severity = values.get("severity")
    return Entry(
        job=job,
        task=task,
        file=digest,
        seq=int(values.get("seq") or 0),
        time=moment,
        severity=severity if severity in SEVERITIES else "DEFAULT",
        message=str(values.get("message", "")),
        trial=str(values.get("trial") or ""),
    )


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
