from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.backends.accelerators import accelerators


@pytest.mark.parametrize(
    ("models", "types"),
    [
        ([], ()),
        (["Tesla T4"], ("NVIDIA_TESLA_T4",)),
        (["NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB"], ("NVIDIA_TESLA_A100",)),
        (["Tesla V100-SXM2-16GB", "Tesla P4"], ("NVIDIA_TESLA_V100", "NVIDIA_TESLA_P4")),
        (["NVIDIA H200"], ()),
        (["Tesla P40"], ()),
    ],
)
def test_the_driver_tells_which_types_are_here(
    tmp_path: Path, models: list[str], types: tuple[str, ...]
) -> None:
    for number, model in enumerate(models):
        folder = tmp_path / f"0000:0{number}:00.0"
        folder.mkdir()
        (folder / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 12\n")

    assert accelerators(tmp_path) == types


def test_a_machine_without_the_driver_has_none(tmp_path: Path) -> None:
    assert accelerators(tmp_path / "gpus") == ()
