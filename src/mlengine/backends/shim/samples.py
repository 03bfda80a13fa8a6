"""What a task used while it ran: a file of samples, dense where it is young and thin where it is old.

Counters are those since the task began, so that thinning loses nothing of them: who takes every other sample
away still knows how much was used between those that stay.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

LARGEST_FILE = 1_000_000  # bytes
_FRESH_SECONDS = 240  # for so long every second is kept, then every other, and so on with each doubling
_THIN_AFTER = 600  # samples between two thinnings
_GAUGES = ("memory_bytes", "processes")  # of what is merged, the highest is kept


class SampleFile:
    """The samples of one task, one JSON object a line, oldest first.

    Appended without a wait for the disk, and rewritten as a whole now and then: a reader meets the old file
    or the new one, and at worst a last line that is cut short.

    Args:
        path: The file; made with the first sample.
        largest: Bytes that it does not exceed by more than the samples between two thinnings.
    """

    def __init__(self, path: str, *, largest: int = LARGEST_FILE) -> None:
        self._path = path
        self._largest = largest
        self._fresh: float = _FRESH_SECONDS
        self._added = 0

    def add(self, sample: dict[str, Any]) -> None:
        """Append a sample; on a full disk it is left out, for it is not worth the task."""
        line = json.dumps(sample, separators=(",", ":")).encode() + b"\n"
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                size = os.fstat(file).st_size
                if os.write(file, line) < len(line):
                    os.ftruncate(file, size)
            finally:
                os.close(file)
            self._added += 1
            if self._added >= _THIN_AFTER:
                self._added = 0
                self._thin(sample["time"])
        except OSError:
            return

    def _thin(self, now: float) -> None:
        samples = usage_in(self._path)
        while True:
            kept = thinned(samples, now=now, fresh=self._fresh)
            lines = [json.dumps(sample, separators=(",", ":")) for sample in kept]
            if sum(map(len, lines)) <= self._largest * 0.8 or self._fresh < 1:
                break
            self._fresh /= 2
        if len(kept) == len(samples):
            return
        draft = f"{self._path}.new"
        with open(draft, "w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in lines)
        os.replace(draft, self._path)


def usage_in(path: str, since: float = 0) -> list[dict[str, Any]]:
    """The samples of a file after `since` (seconds since 1970), and the last one before, to count from."""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    samples = []
    for line in lines:
        try:
            samples.append(json.loads(line))
        except ValueError:
            continue  # cut short by a full disk or the death of the supervisor
    older = [position for position, sample in enumerate(samples) if sample["time"] <= since]
    return samples[older[-1] :] if older else samples


def thinned(samples: list[dict[str, Any]], *, now: float, fresh: float) -> list[dict[str, Any]]:
    """One sample for each span of time; spans are longer the longer ago they were.

    Args:
        samples: Oldest first.
        now: Seconds since 1970.
        fresh: For how many seconds before `now` nothing is merged.
    """
    kept: list[dict[str, Any]] = []
    last_span: tuple[int, int] | None = None
    for sample in samples:
        age, width = now - sample["time"], 1
        while age > fresh * width * 2:
            width *= 2
        # Spans lie at the same places at every thinning, so that doing it again changes nothing.
        span = (width, int(sample["time"] // width))
        if kept and age > fresh and span == last_span and len(kept) > 1:
            kept[-1] = _merged(kept[-1], sample)
        else:
            kept.append(sample)
        last_span = span
    return kept


def _merged(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    highest = {name: max(earlier[name], later[name]) for name in _GAUGES}
    gpus = [
        [new[0], max(old[1], new[1]), max(old[2], new[2])]
        for old, new in zip(earlier.get("gpus", ()), later.get("gpus", ()), strict=False)
    ]
    return later | highest | ({"gpus": gpus} if gpus else {})


def seconds() -> float:
    """Now, as samples have it: since 1970, to the millisecond."""
    return round(time.time(), 3)
