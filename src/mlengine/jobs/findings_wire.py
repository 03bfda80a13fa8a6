"""What a check of a job found, as JSON; apart because a form wants every finding at a field of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlengine.errors import AlreadyExists, Problem
from mlengine.preflight.findings import Report, Weight
from mlengine.web.fields import camel

_FLAGS = {
    "--job-dir": "trainingInput.jobDir",
    "--module-name": "trainingInput.pythonModule",
    "--scale-tier": "trainingInput.scaleTier",
    "--runtime-version": "trainingInput.runtimeVersion",
    "--python-version": "trainingInput.pythonVersion",
    "--region": "trainingInput.region",
    "--packages": "trainingInput.packageUris",
}


def findings_to_json(
    problems: Sequence[Problem], report: Report | None = None, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """All of it; `severity` ERROR is what `jobs.create` refuses."""
    report = report or Report()
    told = [_problem_json(problem) for problem in problems]
    known = {(each["message"], each["field"]) for each in told}
    for found in report.findings:
        each = {
            "code": found.code,
            "severity": "ERROR" if found.weight is Weight.CERTAIN else "WARNING",
            "message": found.message,
            "hint": found.hint,
            "where": found.where,
            "field": _path(found.field) or _FLAGS.get(found.where, ""),
        }
        if (each["message"], each["field"]) not in known:
            told.append(each)
    told += [
        {
            "code": "without-effect",
            "severity": "WARNING",
            "message": text,
            "hint": "",
            "where": "",
            "field": "",
        }
        for text in warnings
    ]
    return {"findings": told, "unchecked": list(report.unchecked)}


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "code": "duplicate-job" if isinstance(problem, AlreadyExists) else problem.status,
        "severity": "ERROR",
        "message": problem.message,
        "hint": problem.hint,
        "where": "",
        "field": _path(problem.field),
    }


def _path(field: str) -> str:
    """`job.training_input.job_dir` as a client writes it: `trainingInput.jobDir`."""
    path = field.removeprefix("job.")
    return ".".join(camel(part) for part in path.split(".")) if path else ""
