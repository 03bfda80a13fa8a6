"""What many deployed versions cost in memory, where they share processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mlengine.serving.workers import WorkerState
from tests.contracts.test_workers import Machine, until
from tests.contracts.worker_process import Caller, train

MIB = 1 << 20
PASSENGER = {"Pclass": 1, "Sex": "female", "Age": None, "Fare": 80.0, "Embarked": "C"}


@pytest.fixture
def machine(
    sklearn_python: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Iterator[Machine]:
    models = train(sklearn_python, "train_passengers.py", tmp_path_factory.mktemp("models"))
    made = Machine(sklearn_python, models, tmp_path / "serving", tmp_path / "s")
    made.accelerates = True
    yield made
    made.close()


def memory(pids: Iterable[int]) -> int:
    """The bytes that these processes use, shared pages by halves, thirds, … (PSS)."""
    found = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found += int(line.split()[1]) * 1024
    return found


def bring(machine: Machine, uids: list[str]) -> None:
    for uid in uids:
        known = machine.root / "first"
        if known.exists():
            # With what was found out about a faster form: that is not what is measured here.
            shutil.copytree(known, machine.root / uid, ignore=shutil.ignore_patterns("node-*", "*.log"))
        machine.start(uid, "passengers")
    for uid in uids:
        until(lambda uid=uid: machine.workers.state(uid) is not WorkerState.STARTING)
        assert machine.workers.state(uid) is WorkerState.SERVING, machine.workers.log(uid)


def all_answer(machine: Machine, uids: list[str]) -> None:
    for uid in uids:
        caller = Caller(machine.workers.socket(uid))
        assert len(caller.predict(PASSENGER)) == 1
        caller.close()


def test_one_version_more_costs_little(machine: Machine) -> None:
    bring(machine, ["first"])
    alone = memory(machine.pids().values())
    more = [f"v{number}" for number in range(20)]

    bring(machine, more)
    all_answer(machine, more)

    assert len(machine.pids()) == 1
    assert (memory(machine.pids().values()) - alone) / len(more) < 3 * MIB


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_versions_fit_into_a_gigabyte(machine: Machine) -> None:
    uids = [f"v{number}" for number in range(199)]

    bring(machine, ["first"])
    bring(machine, uids)
    all_answer(machine, uids)

    used = memory(machine.pids().values())
    print(f"{used / MIB:.0f} MiB in {len(machine.pids())} processes")
    assert used < 1024 * MIB
