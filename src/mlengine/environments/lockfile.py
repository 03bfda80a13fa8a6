"""Lock files: reading those of the runtimes, and writing what a job really ran on. Apart, for both share it.

A lock has a requirement a line, `name==version ; marker`, and below it the hashes of the archives that count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

# The only markers about systems in our locks are `sys_platform == '…'`.
_PIN = re.compile(r"^([\w.-]+)==([\w.!+-]+)(?: ; (.*?))?(?: \\)?$((?:\n +--hash=.*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One distribution in one version.

    Args:
        name: As the lock writes it.
        version: The version.
        hashes: Of the archives it may come from, as "sha256:…"; empty where they are not known.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()


def read_lock(text: str, *, system: str) -> tuple[Pin, ...]:
    """What a lock pins on one system.

    Args:
        text: The lock, as `scripts/lock-runtimes` or uv writes it.
        system: As `sys.platform` names it.
    """
    return tuple(
        Pin(name=name, version=version, hashes=tuple(re.findall(r"--hash=(\S+)", hashes)))
        for name, version, marker, hashes in _PIN.findall(text)
        if "sys_platform" not in marker or f"sys_platform == '{system}'" in marker
    )


def write_lock(pins: Iterable[Pin], *, heading: Iterable[str] = ()) -> str:
    """The text of a lock, sorted by name; `pip install -r` and uv read it.

    Args:
        pins: What to write.
        heading: Lines of comment to begin with.
    """
    lines = [f"# {line}" for line in heading]
    for pin in sorted(pins, key=lambda pin: pin.name):
        lines.append(
            " \\\n    ".join([f"{pin.name}=={pin.version}", *(f"--hash={one}" for one in pin.hashes)])
        )
    return "".join(f"{line}\n" for line in lines)


def lock_hash(text: str) -> str:
    """By what a lock is told from others: the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """The hash of an archive, as locks write it."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def merged(below: Iterable[Pin], above: Mapping[str, Pin]) -> list[Pin]:
    """The pins of `below`, with those of `above` in place of the ones of the same name.

    Args:
        below: What a runtime holds.
        above: What was laid over it, by name in normal form.
    """
    return [*(pin for pin in below if pin.name not in above), *above.values()]
