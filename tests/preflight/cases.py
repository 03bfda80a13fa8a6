"""What a trainer's folder and a line to submit it look like, and the parts that most of them share."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

# What lies in the buckets, and the job id that was used before.
BUCKETS = {
    "bkt": {
        "data/train.csv": b"a,b\n1,2\n",
        "data/eval.csv": b"a,b\n1,2\n",
        "shards/train-00001.csv": b"1\n",
        "shards/valid-00001.csv": b"1\n",
        "packages/dep-0.1.tar.gz": b"not looked at",
    },
    "stage": {},
}
USED = "census_single_7"

TASK = """\
import argparse

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--job-dir', default='out')
    parser.add_argument('--train-files')
    parser.add_argument('--eval-files')
    parser.add_argument('--train-steps', type=int, default=10)
    parser.add_argument('--optimizer', choices=['sgd', 'adam'], default='sgd')
    args = parser.parse_args()
    print('trained for', args.train_steps)

if __name__ == '__main__':
    main()
"""
SETUP = """\
from setuptools import find_packages, setup
setup(name='mine', version='0.1', packages=find_packages())
"""
# As most lines end.
PLACE = "--module-name trainer.task --package-path trainer --job-dir gs://bkt/out"


@dataclass(frozen=True, slots=True)
class Case:
    """One trainer and one line.

    Attributes:
        name: What is wrong, or what is unusual and right.
        line: What is typed behind `jobs submit training`.
        code: Of the finding that must stop it; "" for one that must not be stopped.
        task: The text of trainer/task.py.
        files: More files; None takes one away. Folders come by themselves.
        warned: Whether the finding only warns.
    """

    name: str
    line: str = f"j1 {PLACE}"
    code: str = ""
    task: str | bytes = TASK
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    warned: bool = False

    def write(self, folder: Path) -> None:
        """Make the trainer's folder."""
        whole = {"trainer/__init__.py": "", "trainer/task.py": self.task} | self.files
        for name, text in whole.items():
            if text is None:
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())


def task(body: str, top: str = "") -> str:
    """The usual trainer with something of its own: `top` at the top, `body` in main."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return top + "\n" + TASK.replace("    print('trained for', args.train_steps)\n", indented or "    pass\n")


def setup(more: str) -> str:
    """A setup.py with something of its own."""
    return SETUP.replace("packages=find_packages()", f"packages=find_packages(), {more}")


def wheel(requires: str = "") -> bytes:
    """A wheel with one module."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bag:
        bag.writestr("dep/__init__.py", "VALUE = 1\n")
        bag.writestr(
            "dep-0.1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: dep\nVersion: 0.1\n{requires}"
        )
        bag.writestr("dep-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        bag.writestr("dep-0.1.dist-info/RECORD", "")
    return content.getvalue()
