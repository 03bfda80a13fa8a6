"""The machine types a training can name, with the figures that Google gave them. One GB is 10**9 bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

K80, P100, V100 = "NVIDIA_TESLA_K80", "NVIDIA_TESLA_P100", "NVIDIA_TESLA_V100"
P4, T4, A100 = "NVIDIA_TESLA_P4", "NVIDIA_TESLA_T4", "NVIDIA_TESLA_A100"
GPUS = (K80, P100, V100, P4, T4, A100)
TPUS = ("TPU_V2", "TPU_V3", "TPU_V2_POD", "TPU_V3_POD", "TPU_V4_POD")
ACCELERATORS = (*GPUS, *TPUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerators:
    """Accelerators of one machine.

    Attributes:
        type: As in AcceleratorConfig.type ("NVIDIA_TESLA_T4").
    """

    type: str
    count: int

    @property
    def is_tpu(self) -> bool:
        """Whether they are TPUs; all others are GPUs."""
        return self.type.startswith("TPU_")

    def __str__(self) -> str:
        return f"{self.count} {self.type.removeprefix('NVIDIA_TESLA_').replace('_', ' ')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """A machine type by its figures.

    Attributes:
        memory: In GB.
        legacy: Whether it is one of AI Platform's own and none of Compute Engine's; the two do not mix.
    """

    name: str
    cpus: int
    memory: float
    accelerators: Accelerators | None = None
    legacy: bool = False

    @property
    def memory_bytes(self) -> int:
        """Its memory."""
        return int(self.memory * 10**9)

    @property
    def figures(self) -> str:
        """All of it in words: "8 CPUs, 30 GB, 1 P100"."""
        words = [f"{self.cpus} CPUs", f"{self.memory:g} GB"]
        return ", ".join([*words, str(self.accelerators)] if self.accelerators else words)


def _legacy(name: str, cpus: int, memory: float, gpu: str = "", count: int = 0) -> MachineType:
    accelerators = Accelerators(type=gpu, count=count) if gpu else None
    return MachineType(name=name, cpus=cpus, memory=memory, accelerators=accelerators, legacy=True)


def _n1(family: str, memory_per_cpu: float, *sizes: int) -> list[MachineType]:
    return [
        MachineType(name=f"n1-{family}-{cpus}", cpus=cpus, memory=round(cpus * memory_per_cpu, 1))
        for cpus in sizes
    ]


def _a2(name: str, cpus: int, memory: float, count: int) -> MachineType:
    return MachineType(
        name=f"a2-{name}", cpus=cpus, memory=memory, accelerators=Accelerators(type=A100, count=count)
    )


_ALL = (
    # The figures of the legacy types follow from their prices.
    _legacy("standard", 4, 15),
    _legacy("large_model", 8, 52),
    _legacy("complex_model_s", 8, 7.2),
    _legacy("complex_model_m", 16, 14.4),
    _legacy("complex_model_l", 32, 28.8),
    _legacy("standard_gpu", 8, 30, K80, 1),
    _legacy("complex_model_m_gpu", 16, 60, K80, 4),
    _legacy("complex_model_l_gpu", 32, 120, K80, 8),
    _legacy("standard_p100", 8, 30, P100, 1),
    _legacy("complex_model_m_p100", 16, 60, P100, 4),
    _legacy("standard_v100", 8, 30, V100, 1),
    _legacy("large_model_v100", 8, 52, V100, 1),
    _legacy("complex_model_m_v100", 16, 60, V100, 4),
    _legacy("complex_model_l_v100", 32, 120, V100, 8),
    *_n1("standard", 3.75, 4, 8, 16, 32, 64, 96),
    *_n1("highmem", 6.5, 2, 4, 8, 16, 32, 64, 96),
    *_n1("highcpu", 0.9, 16, 32, 64, 96),
    _a2("highgpu-1g", 12, 85, 1),
    _a2("highgpu-2g", 24, 170, 2),
    _a2("highgpu-4g", 48, 340, 4),
    _a2("highgpu-8g", 96, 680, 8),
    _a2("megagpu-16g", 96, 1360, 16),
)
MACHINE_TYPES: Mapping[str, MachineType] = {machine.name: machine for machine in _ALL}

# Machines that only scale tiers name, and those that are TPUs.
HIDDEN: Mapping[str, MachineType] = {
    "n1-highcpu-8": MachineType(name="n1-highcpu-8", cpus=8, memory=7.2),
}
TPU_TYPES = ("cloud_tpu", "standard_tpu")

# How many GPUs of a type a machine may have, by its CPUs and its family. Others have none.
_SMALL = {K80: (1, 2, 4, 8), P4: (1, 2, 4), P100: (1, 2, 4), T4: (1, 2, 4), V100: (1, 2, 4, 8)}
_MIDDLE = {K80: (2, 4, 8), P4: (1, 2, 4), P100: (1, 2, 4), T4: (1, 2, 4), V100: (2, 4, 8)}
_LARGE = {K80: (4, 8), P4: (2, 4), P100: (2, 4), T4: (2, 4), V100: (4, 8)}
_LARGER = {K80: (8,), P4: (4,), P100: (4,), T4: (4,), V100: (8,)}
_LARGEST: dict[str, tuple[int, ...]] = {P4: (4,), T4: (4,), V100: (8,)}


def gpu_counts(machine: MachineType, gpu: str) -> tuple[int, ...]:
    """How many GPUs of type `gpu` can be attached to a machine of Compute Engine; none where it is empty."""
    if not machine.name.startswith("n1-"):
        own = machine.accelerators
        return (own.count,) if own and own.type == gpu else ()
    if machine.cpus <= 8:
        return _SMALL.get(gpu, ())
    if machine.cpus == 16:
        return _MIDDLE.get(gpu, ())
    if machine.cpus == 32:
        return _LARGE.get(gpu, ())
    return (_LARGER if machine.name == "n1-highcpu-64" else _LARGEST).get(gpu, ())
