"""How far a build is, from what uv says while it works. Pure: lines and a clock in, sentences out."""

from __future__ import annotations

import re
from collections.abc import Callable

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Progress:
    """What a build has done so far. Not for several threads.

    Args:
        name: Of the runtime.
        packages: How many it installs.
        clock: Seconds, for the time that has passed.
    """

    def __init__(self, name: str, *, packages: int, clock: Callable[[], float]) -> None:
        self._name, self._packages, self._clock = name, packages, clock
        self._began = clock()
        self._step = "resolving"
        self._sizes: dict[str, int] = {}
        self._fetched: set[str] = set()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    def hear(self, line: str) -> None:
        """Take note of a line of uv's. Those it does not know change nothing."""
        if self._step == "compiling":
            return
        line = line.strip()
        if found := re.fullmatch(r"(?:Downloading|Building) (\S+?)(?: \(([\d.]+)([KMG]?i?B)\))?", line):
            self._step = "fetching"
            self._sizes[found[1]] = int(float(found[2] or 0) * _UNITS.get(found[3] or "B", 1))
        elif found := re.fullmatch(r"(?:Downloaded|Built) (\S+)", line):
            self._fetched.add(found[1])
        elif line.startswith(("Resolved ", "Prepared ")):
            self._step = "installing"  # what uv's cache has is not fetched; else the next line says so
        elif line.startswith("Installed "):
            self._step = "compiling"

    def compiling(self) -> None:
        """The packages are there; now comes their bytecode."""
        self._step = "compiling"

    def sentence(self) -> str:
        """Where the build stands, with packages, bytes and time."""
        return f"Runtime {self._name}, {self.seconds:.0f} s: {self._doing()}."

    def fetched(self) -> int:
        """The bytes that came over the network, as far as uv names them: those of the larger archives."""
        return sum(self._sizes.get(name, 0) for name in self._fetched)

    def _doing(self) -> str:
        if self._step == "fetching":
            whole = sum(self._sizes.values())
            return (
                f"{self._packages} packages, fetched {size(self.fetched())} of {size(whole)}, "
                f"{len(self._fetched)} of {len(self._sizes)} large archives"
            )
        return {
            "resolving": f"looking for {self._packages} packages",
            "installing": f"installing {self._packages} packages",
            "compiling": f"compiling {self._packages} packages to bytecode",
        }[self._step]


def size(number: float) -> str:
    """Bytes in words: "512 MB"."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
