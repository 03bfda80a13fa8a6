"""Which accelerators this machine has, in the words of the API.

The driver's own files tell, so that nothing need be installed or run.
"""

from __future__ import annotations

import re
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/gpus")
_MODEL = re.compile(r"^Model:\s*(.+)$", re.MULTILINE)
# Of AcceleratorConfig.type, with what the driver's name of the model holds. It has no word for later ones.
_TYPES = {
    "NVIDIA_TESLA_K80": "K80",
    "NVIDIA_TESLA_P100": "P100",
    "NVIDIA_TESLA_V100": "V100",
    "NVIDIA_TESLA_P4": "P4",
    "NVIDIA_TESLA_T4": "T4",
    "NVIDIA_TESLA_A100": "A100",
}


def accelerators(driver: Path = _DRIVER) -> tuple[str, ...]:
    """The types of GPUs that are here, each once; those without a word in the API are left out.

    Args:
        driver: The folder in which the driver keeps one folder per GPU.
    """
    models = set()
    for file in driver.glob("*/information"):
        if match := _MODEL.search(file.read_text(errors="replace")):
            models.update(re.split(r"[\s-]+", match[1].upper()))
    return tuple(name for name, word in _TYPES.items() if word in models)
