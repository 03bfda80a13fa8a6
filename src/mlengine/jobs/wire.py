"""Jobs as JSON, in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlengine.clock import to_text
from mlengine.errors import InvalidArgument, nearest
from mlengine.jobs.domain import (
    DEFAULT_RUNNING_SECONDS,
    MACHINES,
    SCALE_TIERS,
    Job,
    JobChange,
    JobRequest,
    State,
    TrainingInput,
)
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
    "evaluatorConfig",
    "evaluatorCount",
    "hyperparameters",
    "masterConfig",
    "network",
    "parameterServerConfig",
    "parameterServerCount",
    "serviceAccount",
    "workerConfig",
    "workerCount",
)
_TIERS = ("BASIC", "STANDARD_1", "PREMIUM_1", "BASIC_GPU", "BASIC_TPU", "CUSTOM")
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
    tier = fields.choice("scaleTier", _TIERS)
    if tier and tier not in SCALE_TIERS:
        raise fields.wrong("scaleTier", f"{tier} needs more than one machine or a TPU.", hint="Use BASIC.")
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
        master_type=_machine(fields, "masterType"),
        max_running_seconds=_running_time(fields.inner("scheduling")),
    )
    # Types of replicas whose count is 0: it is refused otherwise.
    for name in ("workerType", "parameterServerType", "evaluatorType"):
        if _machine(fields, name):
            fields.warn(name, "has no effect: there is no such replica")
    fields.unused("useChiefInTfConfig", "has no effect without a container")
    fields.done()
    _check(training, fields)
    return training


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
    if training.scale_tier == "CUSTOM" and not training.master_type:
        raise fields.wrong("masterType", "is required with scale tier CUSTOM.")
    if training.master_type and training.scale_tier != "CUSTOM":
        raise fields.wrong("masterType", "needs scale tier CUSTOM.")
    for position, uri in enumerate(training.package_uris):
        ObjectUrl.parse(uri, field=f"{fields.spell('packageUris')}[{position}]")
    if training.job_dir:
        ObjectUrl.parse(training.job_dir, field=fields.spell("jobDir"))


def _machine(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if value and value not in MACHINES:
        raise fields.wrong(name, f"'{value}' is no machine type.", hint=nearest(value, list(MACHINES)))
    return value


def _running_time(scheduling: Fields | None) -> float:
    if scheduling is None:
        return DEFAULT_RUNNING_SECONDS
    text = scheduling.text("maxRunningTime")
    scheduling.absent("maxWaitTime", "priority")
    scheduling.done()
    if not text:
        return DEFAULT_RUNNING_SECONDS
    if not (match := _SECONDS.fullmatch(text)) or float(match[1]) <= 0:
        raise scheduling.wrong("maxRunningTime", f"'{text}' is no duration.", hint='Write seconds: "7200s".')
    return float(match[1])


def to_json(job: Job, *, position: int = 0) -> dict[str, Any]:
    """A Job; what is unset is left out.

    Args:
        position: Its place in the queue, while it is QUEUED.
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
        "trainingOutput": {},
        "etag": etag(job.generation),
    } | {key: value for key, value in optional.items() if value}


def _training_json(training: TrainingInput) -> dict[str, Any]:
    optional = {
        "args": list(training.args),
        "jobDir": training.job_dir,
        "masterType": training.master_type,
        "pythonVersion": training.python_version,
        "scaleTier": training.scale_tier,
        "scheduling": _scheduling_json(training.max_running_seconds),
    }
    return {
        "packageUris": list(training.package_uris),
        "pythonModule": training.python_module,
        "region": training.region,
        "runtimeVersion": training.runtime_version or training.runtime,
    } | {key: value for key, value in optional.items() if value}


def _scheduling_json(seconds: float) -> dict[str, str]:
    if seconds == DEFAULT_RUNNING_SECONDS:
        return {}
    return {"maxRunningTime": f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"}
