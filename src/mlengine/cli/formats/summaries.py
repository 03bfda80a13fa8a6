"""`jobs describe --summarize`: the boxed tables of a job, by what kind of job it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summary(job: Mapping[str, Any]) -> str:
    """The format that sums up this job: what all jobs have, then what its kind has.

    A tuning job is a training with trials, so its input is summed up as that of any other training.
    """
    tables = ["jobId", "state", "createTime", "startTime", "endTime"]
    if "predictionInput" in job:
        tables += _prediction()
    else:
        tables += _training()
    if "hyperparameters" in (job.get("trainingInput") or {}):
        tables.append(_trials())
    return f'table[box,title="Job Overview"]({", ".join(tables)})'


def _training() -> list[str]:
    machines = (
        f"{role}{what}" for role in ("master", "worker", "parameterServer") for what in _asked_of(role)
    )
    given = _if_given("jobDir", "runtimeVersion", "scaleTier", *machines)
    done = ["completedTrialCount:label=TRIALS:optional", "consumedMLUnits:label=ML_UNITS"]
    return [
        _box("trainingInput", "Training Input Summary", ["pythonModule", "region", *given]),
        _box("trainingOutput", "Training Output Summary", done),
    ]


def _asked_of(role: str) -> tuple[str, ...]:
    return ("Type",) if role == "master" else ("Type", "Count")  # there is one master


def _trials() -> str:
    columns = [
        "trialId:label=TRIAL",
        "finalMetric.objectiveValue:label=OBJECTIVE_VALUE",
        "finalMetric.trainingStep:label=STEP",
        'hyperparameters.list(separator="\\\\n")',
    ]
    return _box("trainingOutput.trials.sort(trialId)", "Training Output Trials", columns)


def _prediction() -> list[str]:
    origin = [
        "modelName.basename():label=MODEL:optional",
        "versionName.basename():label=VERSION:optional",
        *_if_given("uri", "runtimeVersion", "batchSize"),
    ]
    done = ["predictionCount", "errorCount", "nodeHours", "outputPath"]
    return [
        _box("predictionInput", "Predict Input Summary", ["dataFormat", "region", "outputPath", *origin]),
        _box("predictionOutput", "Predict Output Summary", done),
    ]


def _if_given(*fields: str) -> list[str]:
    return [f"{field}:optional" for field in fields]


def _box(key: str, title: str, columns: list[str]) -> str:
    """A table within the overview, about what stands at `key`."""
    return f"{key}:format='table[box,title=\"{title}\"]({', '.join(columns)})'"
