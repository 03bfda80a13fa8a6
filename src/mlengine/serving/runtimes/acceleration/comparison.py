"""Compares a faster form with the original, answer by answer, and measures both."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlengine.serving.runtimes.acceleration.guard import Run
from mlengine.serving.runtimes.acceleration.words import Unusual
from mlengine.serving.runtimes.model import RawInstances, Refused, Rows, Signature

_CHUNK = 64


class TooLate(Exception):
    """The time for the comparison is over."""


@dataclass
class Verdict:
    """What a comparison found.

    Attributes:
        instances: Number of instances compared.
        same: How many of them got the same answer.
        largest: Largest relative difference between two numbers.
        tolerance: Largest one that counts as the same.
        first: About the first difference that counts; empty where there is none.
        left: How many answers the form leaves to the original.
    """

    tolerance: float
    instances: int = 0
    same: int = 0
    largest: float = 0.0
    first: str = ""
    left: int = 0

    @property
    def passed(self) -> bool:
        """Whether all answers are the same, and there were some."""
        return self.instances > 0 and self.same == self.instances

    def add(self, other: Verdict) -> None:
        """Take another one in."""
        self.instances += other.instances
        self.same += other.same
        self.left += other.left
        self.largest = max(self.largest, other.largest)
        self.first = self.first or other.first


class Oracle:
    """The original's answers, asked for once and kept: several forms are held against them.

    Attributes:
        noise: How far the original's answers to the same instances are apart, alone and in a batch.

    Args:
        signature: The original.
        deadline: Moment of `time.monotonic` after which TooLate is raised.
        vectors: Whether a number in a list is measured by the largest one of the list, as the numbers of a
            tensor are: each is a sum of many.
    """

    def __init__(self, signature: Signature, deadline: float, *, vectors: bool = False) -> None:
        self.signature = signature
        self._vectors = vectors
        self.noise = 0.0
        self._deadline = deadline
        self._groups: list[tuple[Sequence[Rows], Rows, list[Any] | None]] = []

    def ask(self, instances: Sequence[Any], *, together: bool = True) -> None:
        """Keep the answers to `instances`; those that are refused beforehand are nobody's business.

        Args:
            instances: As in a request.
            together: Whether they may be asked in batches.
        """
        groups: dict[Any, list[Rows]] = {}
        for instance in instances:
            try:
                rows = self.signature.decode(RawInstances([instance]))
            except Refused:
                continue
            groups.setdefault(rows.key if together else object(), []).append(rows)
        for parts in groups.values():
            for start in range(0, len(parts), _CHUNK):
                self._ask(parts[start : start + _CHUNK])

    def _ask(self, parts: Sequence[Rows]) -> None:
        if time.monotonic() > self._deadline:
            raise TooLate
        rows = self.signature.join(parts) if len(parts) > 1 else parts[0]
        try:
            answers = plain(self.signature.predictions(self.signature.run(rows), 0, rows.count))
        except Exception:
            if len(parts) > 1:
                for part in parts:
                    self._ask([part])
                return
            self._groups.append((parts, rows, None))
            return
        self._groups.append((parts, rows, answers))

    def judge(self, run: Run, tolerance: float) -> Verdict:
        """Hold a faster form against the answers."""
        verdict = Verdict(tolerance)
        for parts, rows, expected in self._groups:
            self._judge(run, verdict, parts, rows, expected)
        return verdict

    def _judge(
        self, run: Run, verdict: Verdict, parts: Sequence[Rows], rows: Rows, expected: list[Any] | None
    ) -> None:
        if time.monotonic() > self._deadline:
            raise TooLate
        got: list[Any] | None = None
        try:
            got = plain(self.signature.predictions(run(rows), 0, rows.count))
        except Unusual:
            if len(parts) > 1 and expected is not None:
                # Only some of them need be unusual.
                start = 0
                for part in parts:
                    self._judge(run, verdict, [part], part, expected[start : start + part.count])
                    start += part.count
                return
            # The original answers these, in serving as well.
            verdict.instances += rows.count
            verdict.same += rows.count
            verdict.left += rows.count if expected is not None else 0
            return
        except Exception as error:
            if expected is not None and not verdict.first:
                verdict.first = f"it fails with {type(error).__name__}: {error}"
        _count(verdict, rows, expected, got, vectors=self._vectors)

    def listen(self, budget: float) -> None:
        """Ask the instances of each batch again, one at a time, to learn the original's own noise.

        Args:
            budget: Seconds that this may take.
        """
        stop = time.monotonic() + budget
        for _, rows, answers in self._groups:
            if answers is None or rows.count == 1 or not isinstance(rows.data, dict):
                continue
            scale = _typical(answers)
            for at, expected in enumerate(answers):
                if time.monotonic() > stop:
                    return
                single = Rows(1, rows.key, {name: part[at : at + 1] for name, part in rows.data.items()})
                alone = plain(self.signature.predictions(self.signature.run(single), 0, 1))[0]
                size = max([scale, *map(abs, _numbers(expected))])
                self.noise = max(self.noise, distance(expected, alone, size))

    def largest_group(self) -> Rows | None:
        """The rows of the largest batch that was answered."""
        answered = [rows for _, rows, answers in self._groups if answers is not None]
        return max(answered, key=lambda rows: rows.count, default=None)


def _count(
    verdict: Verdict, rows: Rows, expected: list[Any] | None, got: list[Any] | None, *, vectors: bool
) -> None:
    verdict.instances += rows.count
    if expected is None or got is None:
        if expected is got:
            verdict.same += rows.count
        elif not verdict.first:
            verdict.first = "the original fails where it answers"
        return
    if len(got) != len(expected):
        verdict.first = verdict.first or f"{len(got)} answers to {len(expected)} instances"
        return
    scale = _typical(expected)
    for wanted, found in zip(expected, got, strict=True):
        size = max([scale, *map(abs, _numbers(wanted))]) if vectors else scale
        difference = distance(wanted, found, size)
        if difference <= verdict.tolerance:
            verdict.same += 1
        elif not verdict.first:
            verdict.first = f"{_short(found)} where the original answers {_short(wanted)}"
        if not math.isinf(difference):
            verdict.largest = max(verdict.largest, difference)


def distance(wanted: Any, found: Any, scale: float) -> float:
    """How far two answers are apart: relative for floats, 0 or infinite for all else.

    Args:
        wanted: The original's answer.
        found: The other one.
        scale: The size of usual answers; what is much smaller is measured by it.
    """
    if type(wanted) is not type(found):
        return math.inf
    if isinstance(wanted, float):
        if wanted == found or (wanted != wanted and found != found):
            return 0.0
        if not (math.isfinite(wanted) and math.isfinite(found)):
            return math.inf
        return float(abs(wanted - found) / max(abs(wanted), abs(found), scale))
    if isinstance(wanted, list):
        if len(wanted) != len(found):
            return math.inf
        pairs = zip(wanted, found, strict=True)
        return max((distance(one, other, scale) for one, other in pairs), default=0.0)
    if isinstance(wanted, dict):
        if wanted.keys() != found.keys():
            return math.inf
        return max((distance(wanted[key], found[key], scale) for key in wanted), default=0.0)
    return 0.0 if wanted == found else math.inf


def plain(answer: Any) -> Any:
    """An answer with its arrays as lists, at any depth."""
    if isinstance(answer, list):
        return [plain(item) for item in answer]
    if isinstance(answer, dict):
        return {key: plain(item) for key, item in answer.items()}
    return answer.tolist() if hasattr(answer, "tolist") else answer


def _typical(answers: Sequence[Any]) -> float:
    sizes = [size for size in map(abs, _numbers(answers)) if math.isfinite(size)]
    return max(statistics.median(sizes), 1e-300) if sizes else 1.0


def _numbers(answer: Any) -> list[float]:
    if isinstance(answer, float):
        return [answer]
    if isinstance(answer, (list, tuple)):
        return [number for item in answer for number in _numbers(item)]
    if isinstance(answer, dict):
        return [number for item in answer.values() for number in _numbers(item)]
    return []


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def in_turns(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float]:
    """The durations of two calls in seconds: the better one of two medians each, measured in turns."""
    pairs = [(seconds(one), seconds(other)) for _ in range(2)]
    return min(first for first, _ in pairs), min(second for _, second in pairs)


def seconds(call: Callable[[], Any], *, budget: float = 0.015) -> float:
    """The median duration of `call`, measured for about `budget` seconds and at least five times."""
    call()
    taken: list[float] = []
    stop = time.perf_counter() + budget
    while len(taken) < 5 or (time.perf_counter() < stop and len(taken) < 300):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)
