"""Which GPUs are here, by what nvidia-smi says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.backends.executors import nvidia_smi, present_gpus
from mlengine.machines import Gpu


def program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_gpus_are_told_by_index_and_name(tmp_path: Path) -> None:
    asked = program(tmp_path, 'echo "0, NVIDIA H100 80GB HBM3"; echo "1, Tesla T4"')

    assert present_gpus(asked) == [Gpu(index=0, name="NVIDIA H100 80GB HBM3"), Gpu(index=1, name="Tesla T4")]


@pytest.mark.parametrize(
    "script", ["echo 'No devices were found'", "echo 'Failed to initialize NVML'; exit 9"]
)
def test_a_program_that_finds_none_is_no_error(tmp_path: Path, script: str) -> None:
    assert present_gpus(program(tmp_path, script)) == []


def test_without_the_program_there_is_none(tmp_path: Path) -> None:
    assert nvidia_smi({"PATH": str(tmp_path)}) is None
    assert present_gpus() == []


def test_the_program_is_found_on_the_path(tmp_path: Path) -> None:
    path = program(tmp_path, "")

    assert nvidia_smi({"PATH": str(tmp_path)}) == path
