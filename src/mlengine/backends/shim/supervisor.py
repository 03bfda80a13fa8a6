"""One task from its start to the end of the last process it left behind."""

from __future__ import annotations

import json
import os
import signal
import time

from .files import CANCEL, EXIT, LOG, METRICS, RUN, TASK, acquire, exists, stamp, store, store_exit
from .limits import CGROUP_V1, CGROUP_V2, SAMPLER, Limits, machine_kills
from .log import Log, Output
from .meter import Meter
from .processes import Process, descendants, detach, launch, signal_tree
from .samples import SampleFile, seconds

WATCH_SECONDS = 0.08  # between two looks for the cancel file
KILL_SECONDS = 0.02  # between two rounds of signals
SAMPLE_SECONDS = 1.0
LIMIT_SECONDS, CLOSE_LIMIT_SECONDS = 0.5, 0.1  # between two looks at memory, far from its limit and near it
CLOSE, HIT = 0.7, 0.95  # of its limit


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


class Supervisor:
    """One command from its start to the end of the last process it left behind."""

    def __init__(self, folder: str, task: dict[str, object]) -> None:
        self._folder = folder
        self._task = task
        self._grace = float(str(task["grace_seconds"]))
        self._signalled = False
        self._stopped = False  # whether it was asked to end
        self._stopping: float | None = None  # the monotonic time at which patience ends
        self._code: int | None = None  # of the command, once it has ended; below zero for a signal
        self._log = Log(
            os.path.join(folder, LOG),
            task=str(task["task_name"]),
            trial=str(task["trial_id"]),
            give_up=self._stop_asked,
        )
        memory, cpus, gpus = task.get("memory_bytes"), task.get("cpus"), task.get("gpus")
        enforcers = task.get("enforcers")
        self._limits = Limits(
            folder,
            memory_bytes=memory if isinstance(memory, int) else None,
            cpus=float(str(cpus)) if cpus is not None else None,
            enforcers=tuple(map(str, enforcers))
            if isinstance(enforcers, list)
            else (CGROUP_V2, CGROUP_V1, SAMPLER),
        )
        self._watch = Watch(
            self._limits,
            Meter(
                nvidia_smi=str(task.get("nvidia_smi") or ""),
                gpus=gpus if isinstance(gpus, list) else None,
            ),
            SampleFile(os.path.join(folder, METRICS)),
        )

    def run(self) -> None:
        detach()
        wake = self._listen()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        started = stamp()

        def begin(pid: int) -> None:
            self._limits.apply(pid)
            told: dict[str, object] = {"pid": pid, "shim": os.getpid(), "started": started}
            store(self._folder, RUN, told | {"limits": self._limits.told()}, patient=True)

        self._pid, problem = launch(self._folder, self._task, output=out_end, errors=err_end, before=begin)
        os.close(out_end)
        os.close(err_end)
        output = Output(self._log, {out: "INFO", err: "ERROR"}, wake=wake)
        self._watch.look()
        while not self._is_over():
            calm = self._code is None and self._stopping is None
            output.pump(WATCH_SECONDS if calm else KILL_SECONDS)
            self._reap()
            if calm:
                self._watch.look()
        output.drain()
        problem = problem or self._watch.verdict(None if self._stopped else self._code)
        if problem:
            self._log.write([("ERROR", problem)])
        self._watch.close()
        self._log.close()
        store_exit(
            self._folder,
            started=started,
            code=self._code,
            stopped=self._stopped,
            message=" ".join(filter(None, (problem, self._log.problem))),
            lines=self._log.count,
            used=self._watch.used(),
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
            self._stopped, self._stopping = True, time.monotonic() + self._grace
            self._signal(signal.SIGTERM)
        if not ended and self._watch.exceeded:
            self._stopping = (
                time.monotonic()
            )  # There is no grace: in it, the machine might run out of memory.
        if self._stopping is not None and time.monotonic() < self._stopping:
            # The command may be gone while its children still use the grace to put their things in order.
            return ended and not self._signal(0)
        if not ended and self._stopping is None:
            return False
        return not self._signal(signal.SIGKILL) and self._code is not None

    def _signal(self, number: int) -> bool:
        return signal_tree(self._pid, number, spare=self._watch.helpers)

    def _reap(self) -> None:
        # As a subreaper we inherit every orphan below us, so we must wait for all, not for the command.
        while True:
            try:
                dead = self._watch.reap()
            except ChildProcessError:
                return
            if dead is None:
                return
            if dead[0] == self._pid:
                self._code = os.waitstatus_to_exitcode(dead[1])


class Watch:
    """An eye on what a task uses: writes samples, and says when it is too much."""

    def __init__(self, limits: Limits, meter: Meter, samples: SampleFile) -> None:
        self.exceeded = ""
        """"limit" when the task had more memory than it may, "machine" when there was no more; else ""."""
        self._limits = limits
        self._meter = meter
        self._samples = samples
        self._next_look = self._next_sample = 0.0
        self._kills = machine_kills()

    @property
    def helpers(self) -> frozenset[int]:
        """Children of this process that are none of the task."""
        return self._meter.helpers

    def reap(self) -> tuple[int, int] | None:
        return self._meter.reap()

    def look(self) -> None:
        """Measure, if it is time to."""
        now = time.monotonic()
        if now < self._next_look:
            return
        limit = self._limits.memory_bytes
        family = descendants(os.getpid(), spare=self.helpers)
        memory = self._meter.memory(family, limit=limit)
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_SECONDS
            self._sample(family, memory)
        self._next_look = self._next_sample
        if limit is not None:
            pause = CLOSE_LIMIT_SECONDS if memory > CLOSE * limit else LIMIT_SECONDS
            self._next_look = min(now + pause, self._next_sample)
            by_sampler = self._limits.memory_by == SAMPLER and memory > limit
            if by_sampler or self._limits.kills():
                self.exceeded = "limit"

    def verdict(self, code: int | None) -> str:
        """What to tell about memory at the end, "" for nothing.

        Args:
            code: How the command ended, below zero for a signal; None if we wanted it so.
        """
        limit, by, peak = self._limits.memory_bytes, self._limits.memory_by, self._meter.peak_bytes
        killed = code == -signal.SIGKILL
        if limit is not None and by != SAMPLER and (self._limits.kills() or (killed and peak >= HIT * limit)):
            self.exceeded = "limit"
        elif killed and not self.exceeded and machine_kills() > self._kills:
            self.exceeded = "machine"
        if self.exceeded == "machine":
            return f"This machine ran out of memory, and the kernel killed it when it had {_size(peak)}."
        if not self.exceeded or limit is None:
            return ""
        self._meter.peak_bytes = max(peak, limit)
        if by == SAMPLER:
            return f"It used {_size(peak)} of memory, more than its limit of {_size(limit)}, and was killed."
        return f"It needed more memory than its limit of {_size(limit)}, and the kernel ({by}) killed it."

    def used(self) -> dict[str, object]:
        """For exit.json."""
        return {
            "cpu_seconds": round(self._meter.cpu_seconds, 2),
            "peak_memory_bytes": self._meter.peak_bytes,
            "out_of_memory": self.exceeded,
            "limits": self._limits.told(),
        }

    def close(self) -> None:
        """Write the last sample and put everything away; nothing of the task lives any more."""
        self._sample([], 0)
        self._meter.close()
        self._limits.close()

    def _sample(self, family: list[Process], memory: int) -> None:
        try:
            self._samples.add({"time": seconds()} | self._meter.sample(family, memory))
        except (OSError, ValueError, IndexError):
            return  # A kernel that tells its figures otherwise is no reason to lose the task.


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
