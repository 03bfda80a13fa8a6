"""The command `python -m mlengine.environments.build NAME`: a runtime's environment, from scripts.

Prints the path of its Python on standard output, progress on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mlengine.environments.builder import Builder, default_cache_dir
from mlengine.environments.catalogue import resolve, runtimes
from mlengine.errors import Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line names.

    Args:
        arguments: Without the program's name; those of the process by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mlengine.environments.build",
        description="Build the environment of a runtime version.",
    )
    names = ", ".join(runtime.name for runtime in runtimes())
    parser.add_argument("name", metavar="NAME", help=f"a runtime version: {names}")
    parser.add_argument("--cache-dir", type=Path, help="where environments are kept [MLENGINE_CACHE_DIR]")
    chosen = parser.parse_args(arguments)
    try:
        resolution = resolve(chosen.name)
        for note in resolution.notes:
            _say(note)
        builder = Builder(chosen.cache_dir or default_cache_dir(os.environ))
        print(builder.build(resolution.runtime, _say))
    except Problem as problem:
        _say(problem.message)
        if problem.hint:
            _say(problem.hint)
        return 1
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
