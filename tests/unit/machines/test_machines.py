from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.machines import (
    MACHINE_TYPES,
    Accelerators,
    Gpu,
    Grant,
    Machine,
    Role,
    Wish,
    grants,
    groups,
    misfit,
    mistake,
    notes,
)
from mlengine.machines.shapes import TIERS

GB = 10**9
LAPTOP = Machine(cpus=2, memory_bytes=8 * GB)
LARGE = Machine(cpus=96, memory_bytes=900 * GB, gpus=tuple(Gpu(index=n, name="NVIDIA T4") for n in range(4)))
T4 = Accelerators(type="NVIDIA_TESLA_T4", count=1)


def custom(master: str = "standard", **more: object) -> Wish:
    types = {Role.MASTER: master, **more.pop("types", {})}  # type: ignore[dict-item]
    return Wish(scale_tier="CUSTOM", types=types, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tier", "shape"),
    [
        ("BASIC", [("master", "n1-standard-4", 1)]),
        ("BASIC_GPU", [("master", "n1-standard-8", 1)]),
        (
            "STANDARD_1",
            [("master", "n1-highcpu-8", 1), ("worker", "n1-highcpu-8", 4), ("ps", "n1-standard-4", 3)],
        ),
        (
            "PREMIUM_1",
            [("master", "n1-highcpu-16", 1), ("worker", "n1-highcpu-16", 19), ("ps", "n1-highmem-8", 11)],
        ),
    ],
)
def test_a_tier_has_googles_shape(tier: str, shape: list[tuple[str, str, int]]) -> None:
    found = groups(Wish(scale_tier=tier))

    assert [(group.role.value, group.machine and group.machine.name, group.count) for group in found] == shape


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("standard", "4 CPUs, 15 GB"),
        ("large_model", "8 CPUs, 52 GB"),
        ("complex_model_m_gpu", "16 CPUs, 60 GB, 4 K80"),
        ("complex_model_l_v100", "32 CPUs, 120 GB, 8 V100"),
        ("n1-standard-4", "4 CPUs, 15 GB"),
        ("n1-highmem-96", "96 CPUs, 624 GB"),
        ("n1-highcpu-16", "16 CPUs, 14.4 GB"),
        ("a2-highgpu-1g", "12 CPUs, 85 GB, 1 A100"),
    ],
)
def test_a_machine_type_has_googles_figures(name: str, figures: str) -> None:
    assert MACHINE_TYPES[name].figures == figures


def test_basic_runs_on_every_laptop_and_takes_no_more_than_there_is() -> None:
    wish = Wish(scale_tier="BASIC")

    assert misfit(wish, LAPTOP) is None
    assert grants(wish, LAPTOP) == {Role.MASTER: Grant(cpus=2, memory_bytes=8 * GB)}
    assert grants(wish, LARGE) == {Role.MASTER: Grant(cpus=4, memory_bytes=15 * GB)}
    assert notes(wish, LAPTOP) == (
        "n1-standard-4 (4 CPUs, 15 GB) is mapped to this machine: 2 CPUs, 8 GB, no GPU.",
    )


def test_who_asks_for_nothing_may_use_everything_and_keeps_nothing() -> None:
    assert grants(Wish(), LAPTOP) == {Role.MASTER: Grant(cpus=2, memory_bytes=8 * GB, reserved=False)}
    assert notes(Wish(), LAPTOP) == ()


@given(
    tier=st.sampled_from([tier for tier in TIERS if tier not in ("BASIC_TPU", "CUSTOM")]),
    cpus=st.integers(1, 200),
    memory=st.integers(1, 2000),
    gpus=st.integers(0, 9),
)
def test_what_replicas_get_together_is_never_more_than_there_is(
    tier: str, cpus: int, memory: int, gpus: int
) -> None:
    machine = Machine(
        cpus=cpus, memory_bytes=memory * GB, gpus=tuple(Gpu(index=n, name="GPU") for n in range(gpus))
    )
    wish = Wish(scale_tier=tier)
    if misfit(wish, machine):
        return

    given_ = grants(wish, machine)
    counts = {group.role: group.count for group in groups(wish)}

    assert sum(grant.memory_bytes * counts[role] for role, grant in given_.items()) <= machine.memory_bytes
    assert sum(grant.gpus * counts[role] for role, grant in given_.items()) <= gpus
    assert sum(grant.cpus * counts[role] for role, grant in given_.items()) <= cpus + 0.01 * sum(
        counts.values()
    )


@pytest.mark.parametrize(
    ("wish", "field", "words"),
    [
        (Wish(scale_tier="BASIC_GPU"), "scaleTier", "BASIC_GPU needs a GPU, and this machine has none."),
        (Wish(scale_tier="BASIC_TPU"), "scaleTier", "BASIC_TPU needs a TPU."),
        (custom("cloud_tpu"), "masterType", "cloud_tpu needs a TPU."),
        (
            custom("n1-standard-8", accelerators={Role.MASTER: T4}),
            "masterConfig",
            "with 1 T4 needs a GPU, and this machine has none.",
        ),
        (
            Wish(scale_tier="PREMIUM_1"),
            "scaleTier",
            "PREMIUM_1 leaves each of 31 replicas less than 500 MB of this machine's 8 GB.",
        ),
    ],
)
def test_what_can_never_run_on_a_laptop_is_refused_with_the_reason(
    wish: Wish, field: str, words: str
) -> None:
    assert mistake(wish) is None
    refusal = misfit(wish, LAPTOP)

    assert refusal
    assert (refusal.field, refusal.sentence) == (field, words)
    assert refusal.hint


def test_a_machine_type_that_had_gpus_does_without_where_there_are_none() -> None:
    wish = custom("standard_p100")

    assert misfit(wish, LAPTOP) is None
    assert notes(wish, LAPTOP) == (
        "standard_p100 (8 CPUs, 30 GB, 1 P100) is mapped to this machine: 2 CPUs, 8 GB, no GPU.",
    )
    assert grants(wish, LARGE)[Role.MASTER].gpus == 1


def test_gpus_go_first_to_those_who_insist_and_nobody_gets_two_before_all_have_one() -> None:
    types = {Role.WORKER: "n1-standard-8", Role.PS: "n1-standard-4"}
    insisting = custom(
        "n1-standard-8",
        types=types,
        counts={Role.WORKER: 2, Role.PS: 1},
        accelerators={
            Role.MASTER: Accelerators(type="NVIDIA_TESLA_T4", count=2),
            Role.WORKER: Accelerators(type="NVIDIA_TESLA_T4", count=2),
        },
    )

    found = {role: grant.gpus for role, grant in grants(insisting, LARGE).items()}

    assert found == {Role.MASTER: 2, Role.WORKER: 1, Role.PS: 0}


def test_more_insisting_replicas_than_gpus_never_fit() -> None:
    wish = custom(
        "n1-standard-8",
        types={Role.WORKER: "n1-standard-8"},
        counts={Role.WORKER: 5},
        accelerators={Role.WORKER: T4},
    )
    refusal = misfit(wish, LARGE)

    assert refusal
    assert refusal.sentence == "with 1 T4 needs 5 GPUs, one for each replica, and this machine has 4."


@pytest.mark.parametrize("name", MACHINE_TYPES)
def test_every_machine_type_can_be_asked_for_and_fits_somewhere(name: str) -> None:
    assert mistake(custom(name)) is None
    assert misfit(custom(name), LAPTOP) is None
