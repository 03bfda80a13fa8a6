"""Jobs as JSON, in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlengine.clock import to_text
from mlengine.errors import InvalidArgument
from mlengine.jobs.domain import (
    DEFAULT_RUNNING_SECONDS,
    Job,
    JobChange,
    JobRequest,
    Replica,
    State,
    TrainingInput,
)
from mlengine.machines import ACCELERATORS, Accelerators, Role, mistake
from mlengine.machines.shapes import OTHERS, TIERS
from mlengine.names import JobName, ObjectUrl
from mlengine.web.conditions import Kind
from mlengine.web.fields import Fields, etag

_OUTPUT_ONLY = (
    "createTime",
    "endTime",
    "errorMessage",
    "etag",
    "jobPosition",
    "predictionOutput",
    "startTime",
    "state",
    "trainingOutput",
)
_LATER = (
    "enableWebAccess",
    "encryptionConfig",
    "hyperparameters",
    "network",
    "serviceAccount",
)
_NO_CONTAINERS = "Trainers run as Python packages: name one in packageUris, and leave the image out."
# Google's limits of maxWaitTime and priority.
_SHORTEST_WAIT, _HIGHEST_PRIORITY = 1800, 1000
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


# What a filter of the list may ask for.
FILTERED: Mapping[str, Kind] = {
    "jobId": "text",
    "state": tuple(State),
    "createTime": "time",
    "startTime": "time",
    "endTime": "time",
    "errorMessage": "text",
    "labels": "map",
    "jobPosition": "number",
    "trainingInput.jobDir": "text",
    "trainingInput.masterType": "text",
    "trainingInput.pythonModule": "text",
    "trainingInput.pythonVersion": "text",
    "trainingInput.region": "text",
    "trainingInput.runtimeVersion": "text",
    "trainingInput.scaleTier": "text",
    "trainingInput.scheduling.priority": "number",
}
PATCHED = ("labels", "etag")
_SUBMITTED = "what was submitted does not change. Submit another job."
KEPT = dict.fromkeys(("jobId", "trainingInput", "predictionInput"), _SUBMITTED)


def request_from_json(
    project: str, body: Mapping[str, Any], *, warnings: list[str] | None = None
) -> JobRequest:
    """The Job of a create request.

    Args:
        warnings: Gets what the answer should say about fields without effect.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="job", warnings=warnings)
    fields.ignore(*_OUTPUT_ONLY)
    fields.absent("predictionInput")
    name = JobName.of(project, fields.text("jobId"))
    labels = fields.labels("labels")
    training = fields.inner("trainingInput")
    fields.done()
    if training is None:
        raise InvalidArgument("The job has no trainingInput.", field="job.training_input")
    return JobRequest(name=name, training=_training(training), labels=labels)


def change_from_json(body: Mapping[str, Any], mask: frozenset[str]) -> JobChange:
    """What a patch asks of a job; fields outside of `mask` may come along.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="job")
    fields.ignore(*(name for name in _OUTPUT_ONLY if name != "etag"))
    fields.ignore("jobId", "trainingInput", "predictionInput")
    generation = fields.etag()
    labels = fields.labels("labels")
    fields.done()
    return JobChange(labels=labels if "labels" in mask else None, generation=generation)


def _training(fields: Fields) -> TrainingInput:
    fields.absent(*_LATER)
    tier = fields.choice("scaleTier", TIERS)
    scheduling = fields.inner("scheduling")
    counts = {role: fields.number(f"{role.stem}Count") for role in OTHERS}
    types = {role: fields.text(f"{role.stem}Type") for role in Role}
    configs = {role: fields.inner(f"{role.stem}Config") for role in Role}
    training = TrainingInput(
        python_module=fields.text("pythonModule"),
        package_uris=fields.texts("packageUris"),
        region=fields.text("region"),
        runtime="",
        args=fields.texts("args"),
        job_dir=fields.text("jobDir"),
        runtime_version=fields.text("runtimeVersion"),
        python_version=fields.text("pythonVersion"),
        scale_tier=tier,
        master_type=types[Role.MASTER],
        worker_type=types[Role.WORKER],
        worker_count=counts[Role.WORKER],
        parameter_server_type=types[Role.PS],
        parameter_server_count=counts[Role.PS],
        evaluator_type=types[Role.EVALUATOR],
        evaluator_count=counts[Role.EVALUATOR],
        accelerators={
            role: found for role, config in configs.items() if config and (found := _accelerators(config))
        },
        max_running_seconds=_seconds(scheduling, "maxRunningTime") or DEFAULT_RUNNING_SECONDS,
        max_wait_seconds=_seconds(scheduling, "maxWaitTime"),
        priority=scheduling.number("priority") if scheduling else 0,
    )
    for role in OTHERS:
        if types[role] and not counts[role]:
            fields.warn(f"{role.stem}Type", "has no effect: there is no such replica")
    fields.unused("useChiefInTfConfig", "has no effect without a container")
    fields.done()
    if scheduling:
        _check_scheduling(training, scheduling)
    _check(training, fields)
    return training


def _accelerators(config: Fields) -> Accelerators | None:
    """What a ReplicaConfig attaches to each replica; None for nothing."""
    config.absent("imageUri", "containerArgs", "containerCommand", "tpuTfVersion", hint=_NO_CONTAINERS)
    config.unused("diskConfig", "has no effect: replicas share this machine's disk")
    wanted = config.inner("acceleratorConfig")
    config.done()
    if wanted is None:
        return None
    kind = wanted.choice("type", ("ACCELERATOR_TYPE_UNSPECIFIED", *ACCELERATORS))
    count = wanted.number("count")
    wanted.done()
    if kind in ("", "ACCELERATOR_TYPE_UNSPECIFIED"):
        if count:
            raise wanted.wrong("type", "is missing.", hint=f"One of {', '.join(ACCELERATORS)}.")
        return None
    if count < 1:
        raise wanted.wrong("count", f"is {count}; at least 1 is needed.")
    return Accelerators(type=kind, count=count)


def _check_scheduling(training: TrainingInput, scheduling: Fields) -> None:
    scheduling.done()
    if not 0 <= training.priority <= _HIGHEST_PRIORITY:
        raise scheduling.wrong("priority", f"is {training.priority}; it goes from 0 to {_HIGHEST_PRIORITY}.")
    if 0 < training.max_wait_seconds < _SHORTEST_WAIT:
        raise scheduling.wrong(
            "maxWaitTime",
            f"is {training.max_wait_seconds:g} s; {_SHORTEST_WAIT} s are the least.",
            hint="Leave it out to wait for as long as it takes.",
        )


def _check(training: TrainingInput, fields: Fields) -> None:
    if not training.python_module:
        raise fields.wrong(
            "pythonModule", "is missing.", hint="Name the module to run: --module-name trainer.task"
        )
    if not _MODULE.fullmatch(training.python_module):
        raise fields.wrong("pythonModule", f"'{training.python_module}' is no module name.")
    if not training.package_uris:
        raise fields.wrong("packageUris", "is empty: there is nothing to run.", hint="Name a --package-path.")
    if len(training.package_uris) > 100:
        raise fields.wrong(
            "packageUris", f"holds {len(training.package_uris)} packages; at most 100 are allowed."
        )
    if not training.region:
        raise fields.wrong("region", "is missing.", hint="Any region will do; everything runs here.")
    if refusal := mistake(training.machines):
        raise fields.wrong(refusal.field, refusal.sentence, hint=refusal.hint)
    for position, uri in enumerate(training.package_uris):
        ObjectUrl.parse(uri, field=f"{fields.spell('packageUris')}[{position}]")
    if training.job_dir:
        ObjectUrl.parse(training.job_dir, field=fields.spell("jobDir"))


def _seconds(scheduling: Fields | None, name: str) -> float:
    """A duration; 0 for none."""
    text = scheduling.text(name) if scheduling else ""
    if not scheduling or not text:
        return 0
    if not (match := _SECONDS.fullmatch(text)) or float(match[1]) <= 0:
        raise scheduling.wrong(name, f"'{text}' is no duration.", hint='Write seconds: "7200s".')
    return float(match[1])


def to_json(
    job: Job, *, position: int = 0, waits: str = "", tables: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """A Job; what is unset is left out.

    Args:
        position: Its place in the queue, while it is QUEUED.
        waits: For what it waits there, where anybody asked.
        tables: Which tables it has read, and their versions.
    """
    optional = {
        "startTime": to_text(job.started) if job.started else "",
        "endTime": to_text(job.ended) if job.ended else "",
        "errorMessage": job.error_message,
        "jobPosition": str(position) if position and job.state is State.QUEUED else "",
        "labels": job.labels,
    }
    return {
        "jobId": job.name.job,
        "trainingInput": _training_json(job.training),
        "createTime": to_text(job.created),
        "state": job.state.value,
        "trainingOutput": _output_json(job, waits=waits, tables=tables),
        "etag": etag(job.generation),
    } | {key: value for key, value in optional.items() if value}


def _output_json(job: Job, *, waits: str, tables: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """TrainingOutput. All there is to tell is ours, and stands in a field of its own."""
    own = {
        "replicas": [_replica_json(replica) for replica in job.replicas],
        "restarts": job.restarts,
        "waitReason": waits,
        "tables": list(tables),
    }
    own = {name: value for name, value in own.items() if value}
    return {"mlengine": own} if own else {}


def _replica_json(replica: Replica) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": replica.name,
        "machineType": replica.machine_type,
        "cpus": replica.cpus,
        "memoryBytes": str(replica.memory_bytes),
        "gpuCount": replica.gpu_count,
        "gpus": list(replica.gpus),
    }
    return {name: value for name, value in found.items() if value}


def _training_json(training: TrainingInput) -> dict[str, Any]:
    types = {
        "masterType": training.master_type,
        "workerType": training.worker_type,
        "parameterServerType": training.parameter_server_type,
        "evaluatorType": training.evaluator_type,
    }
    counts = {
        "workerCount": training.worker_count,
        "parameterServerCount": training.parameter_server_count,
        "evaluatorCount": training.evaluator_count,
    }
    optional = {
        "args": list(training.args),
        "jobDir": training.job_dir,
        "pythonVersion": training.python_version,
        "scaleTier": training.scale_tier,
        "scheduling": _scheduling_json(training),
        **types,
        **{name: str(count) if count else "" for name, count in counts.items()},
        **{
            f"{role.stem}Config": {"acceleratorConfig": {"type": found.type, "count": str(found.count)}}
            for role, found in training.accelerators.items()
        },
    }
    return {
        "packageUris": list(training.package_uris),
        "pythonModule": training.python_module,
        "region": training.region,
        "runtimeVersion": training.runtime_version or training.runtime,
    } | {key: value for key, value in optional.items() if value}


def _scheduling_json(training: TrainingInput) -> dict[str, Any]:
    longest = training.max_running_seconds
    found: dict[str, Any] = {
        "maxRunningTime": "" if longest == DEFAULT_RUNNING_SECONDS else _duration(longest),
        "maxWaitTime": _duration(training.max_wait_seconds) if training.max_wait_seconds else "",
        "priority": training.priority,
    }
    return {name: value for name, value in found.items() if value}


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"
