"""A trainer's package for tests whose subject is something else: a source archive that the server takes."""

from __future__ import annotations

import io
import tarfile


def trainer_package(task: str = "raise SystemExit(1)\n") -> bytes:
    """A source archive of `trainer.task`, which fails at once unless told otherwise."""
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='t', version='1', packages=['trainer'])\n",
        "trainer/__init__.py": "",
        "trainer/task.py": task,
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"t-1/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
