from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.backends.capacity import gpus, machine
from mlengine.machines import Gpu

FACTS = "Model: \t\t NVIDIA T4\nIRQ:   \t\t 16\nGPU UUID: \t GPU-{}\nBus Type: \t PCIe\n"


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    for number in range(3):
        folder = tmp_path / f"0000:0{number}:00.0"
        folder.mkdir()
        (folder / "information").write_text(FACTS.format(f"aaaa-{number}"))
    return tmp_path


@pytest.mark.parametrize(
    ("visible", "indices"),
    [(None, [0, 1, 2]), ("", []), ("1", [1]), ("0, 2", [0, 2]), ("GPU-aaaa-2", [2]), ("9", [])],
)
def test_gpus_are_those_of_the_driver_that_may_be_seen(
    driver: Path, visible: str | None, indices: list[int]
) -> None:
    assert gpus(visible, driver) == tuple(Gpu(index=index, name="NVIDIA T4") for index in indices)


def test_this_machine_has_processors_and_keeps_some_memory_for_itself() -> None:
    found = machine({})

    assert found.cpus >= 1
    assert 0 < found.memory_bytes < 10**15
