"""Whether machine, tier, accelerators, region, runtime and Python of a job go together, from tables alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlengine.errors import InvalidArgument, nearest
from mlengine.preflight.findings import Finding
from mlengine.preflight.surroundings import Surroundings
from mlengine.regions import REGIONS

if TYPE_CHECKING:
    from mlengine.machines.shapes import Group, Refusal, Wish

_T = "job.training_input."
_KINDS = ("master", "worker", "parameterServer", "evaluator")
_FIELDS = (
    *("args", "enableWebAccess", "encryptionConfig", "hyperparameters", "jobDir", "network", "packageUris"),
    *("pythonModule", "pythonVersion", "region", "runtimeVersion", "scaleTier", "scheduling"),
    *("serviceAccount", "useChiefInTfConfig"),
    *(f"{kind}{part}" for kind in _KINDS for part in ("Type", "Config")),
    *(f"{kind}Count" for kind in _KINDS[1:]),
)


def check_fields(training: Mapping[str, Any]) -> Iterator[Finding]:
    """Look for settings that no job has."""
    for name in training:
        if name not in _FIELDS:
            yield Finding(
                code="unknown-field",
                message=f"A job has no setting '{name}'.",
                where="trainingInput",
                hint=nearest(name, _FIELDS),
                field=f"{_T}{_snake(name)}",
            )
    scheduling = training.get("scheduling")
    time = scheduling.get("maxRunningTime") if isinstance(scheduling, Mapping) else None
    if time is not None and not re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", str(time)):
        yield Finding(
            code="running-time",
            message=f"maxRunningTime '{time}' is no duration.",
            where="scheduling",
            hint=f'Write seconds: "{time}s"' if str(time).isdigit() else 'Write seconds: "7200s"',
            field=f"{_T}scheduling.max_running_time",
        )


def check_runtime(training: Mapping[str, Any]) -> Iterator[Finding]:
    """See that runtime version and Python version exist and go together."""
    from mlengine.environments.catalogue import resolve

    try:
        resolve(_text(training, "runtimeVersion"), _text(training, "pythonVersion"))
    except InvalidArgument as problem:
        of_python = problem.field.endswith("python_version")
        yield Finding(
            code="runtime-python" if of_python else "unknown-runtime",
            message=problem.message,
            where="--python-version" if of_python else "--runtime-version",
            hint=problem.hint,
            field=problem.field,
        )


def check_machines(training: Mapping[str, Any], surroundings: Surroundings) -> Iterator[Finding]:
    """See that the machines exist, go together, and have what they are asked for."""
    from mlengine.machines.shapes import TIERS, groups, mistake

    tier = _text(training, "scaleTier")
    if tier and tier not in TIERS:
        yield _of(
            "unknown-tier",
            f"There is no scale tier '{tier}'.",
            "scaleTier",
            nearest(tier.upper(), TIERS) or f"There are {', '.join(TIERS)}.",
        )
        return
    wish = _wish(training, tier)
    if wrong := mistake(wish):
        code = _code(wish, wrong)
        message = f"{wrong.field} {wrong.sentence}"
        if code == "machine-missing":
            message = "--master-machine-type is required if scale-tier is set to `CUSTOM`."
        yield _of(code, message, wrong.field, wrong.hint)
    else:
        yield from _accelerators(wish, groups(wish), surroundings)
    region = _text(training, "region")
    if region and region not in REGIONS and not surroundings.server:
        yield _of(
            "unknown-region",
            f"There is no region '{region}'; everything runs on this server anyhow.",
            "region",
            nearest(region, REGIONS),
        )


def _wish(training: Mapping[str, Any], tier: str) -> Wish:
    """The machines asked for; values of the wrong type are left to those who read them."""
    from mlengine.machines.shapes import Role, Wish
    from mlengine.machines.types import Accelerators

    accelerators = {}
    for role in Role:
        config = training.get(f"{role.stem}Config")
        wanted = config.get("acceleratorConfig") if isinstance(config, Mapping) else None
        if isinstance(wanted, Mapping) and wanted.get("type") and str(wanted.get("count", "")).isdigit():
            name = str(wanted["type"]).upper().replace("-", "_")
            accelerators[role] = Accelerators(type=name, count=int(wanted["count"]))
    counts: dict[Role, int] = {
        role: int(training[f"{role.stem}Count"])
        for role in Role
        if role is not Role.MASTER and str(training.get(f"{role.stem}Count", "")).isdigit()
    }
    types = {role: name for role in Role if (name := _text(training, f"{role.stem}Type"))}
    return Wish(scale_tier=tier, types=types, counts=counts, accelerators=accelerators)


def _code(wish: Wish, wrong: Refusal) -> str:
    """Which of our rules a mistake in machines breaks."""
    from mlengine.machines.shapes import Role
    from mlengine.machines.types import MACHINE_TYPES, TPU_TYPES

    named = {f"{role.stem}Type": name for role, name in wish.types.items()}
    name = named.get(wrong.field, "")
    if name and name not in MACHINE_TYPES and name not in TPU_TYPES:
        return "unknown-machine"
    if wrong.field == f"{Role.MASTER.stem}Type":
        return "machine-without-custom" if name else "machine-missing"
    if wrong.field.endswith("Config"):
        return "accelerator-count"
    return "mixed-machines" if name else "replica-count"


def _accelerators(wish: Wish, groups: tuple[Group, ...], surroundings: Surroundings) -> Iterator[Finding]:
    for group in groups:
        if group.accelerators is None:
            continue
        name = wish.types.get(group.role, "") if wish.scale_tier == "CUSTOM" else wish.scale_tier
        by_name = wish.scale_tier != "CUSTOM" or group.role in wish.accelerators
        field = "scaleTier" if wish.scale_tier != "CUSTOM" else f"{group.role.stem}Config"
        if group.accelerators.is_tpu:
            yield _of(
                "no-tpu",
                f"{name} asks for a TPU, which nobody but Google has.",
                field,
                "Leave it out, or ask for a GPU where the server has one: --scale-tier basic-gpu",
            )
        elif surroundings.accelerators == () and by_name:
            yield _of(
                "no-accelerator",
                f"{name} asks for {group.accelerators}, and this server has no GPU.",
                field,
                "Leave out the accelerator." if field.endswith("Config") else "Write --scale-tier basic.",
            )
        elif surroundings.accelerators == () and not surroundings.server:
            # A machine type that had a GPU is a name for a size.
            yield Finding(
                code="no-accelerator",
                message=f"{name} had a GPU, and this server has none: the trainer runs without.",
                where=f"{group.role.stem}Type",
                hint="To say so: --scale-tier basic",
                lowered=True,
            )


def _of(code: str, message: str, name: str, hint: str) -> Finding:
    return Finding(code=code, message=message, where=name, hint=hint, field=f"{_T}{_snake(name)}")


def _text(training: Mapping[str, Any], name: str) -> str:
    value = training.get(name)
    return value.strip() if isinstance(value, str) else ""


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)
