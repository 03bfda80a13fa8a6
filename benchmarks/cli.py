"""How long a line takes to start, as a ratio to starting Python, in one run.

    python -m benchmarks.cli [--rounds 40]

Every round starts each program once, one after the other (A B C, A B C, ...), so that what else happens
on the machine hits all alike; the table shows medians. A server of its own answers the lists.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MLENGINE = str(Path(sys.executable).with_name("mlengine"))
BARE, USUAL = "python -I -S -c pass", "python -c pass"
PROGRAMS = {
    BARE: [sys.executable, "-I", "-S", "-c", "pass"],
    USUAL: [sys.executable, "-c", "pass"],
    "mlengine --help": [MLENGINE, "--help"],
    "mlengine models list": [MLENGINE, "models", "list"],
    "mlengine models list --filter … --format …": [
        *(MLENGINE, "models", "list", "--filter", "name:m* AND createTime>-P1D"),
        *("--format", "table[box](name.basename():sort=1, createTime.date(tz=LOCAL))"),
    ],
    "mlengine __complete zsh models describe ''": [MLENGINE, "__complete", "zsh", "models", "describe", ""],
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="How long a line of mlengine takes to start.")
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        # Without PYTHON…: compiled modules are kept, as on anybody's machine.
        foreign = ("MLENGINE_", "PYTHON")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        environment["MLENGINE_DATA_DIR"] = folder
        _run([MLENGINE, "server", "start", "--detach", "--port", "0"], environment)
        try:
            port = _run([MLENGINE, "server", "status", "--format", "value(endpoint)"], environment).strip()
            environment["MLENGINE_ENDPOINT"] = port
            for number in range(3):
                _run([MLENGINE, "models", "create", f"m{number}"], environment)
            times = _measure(rounds, environment)
        finally:
            _run([MLENGINE, "server", "stop"], environment)
    _print(times)


def _measure(rounds: int, environment: dict[str, str]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(rounds + 2):
        for name, command in PROGRAMS.items():
            began = time.perf_counter()
            _run(command, environment)
            if number >= 2:  # the first ones compile and fill the page cache
                times[name].append(time.perf_counter() - began)
    return times


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _print(times: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(found) for name, found in times.items()}
    lines = [f"| line | median ms | × `{USUAL}` | × `{BARE}` |\n| --- | --- | --- | --- |"]
    for name, median in medians.items():
        usual, bare = median / medians[USUAL], median / medians[BARE]
        lines.append(f"| `{name}` | {1000 * median:.1f} | {usual:.2f} | {bare:.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
