"""The verbs of the SDK, each written once for both clients. What goes in and out is the API's own JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlengine.client.addresses import part
from mlengine.client.http import Json
from mlengine.client.updates import version_mask
from mlengine.errors import InvalidArgument
from mlengine.sdk import predicting, sending, waiting
from mlengine.sdk.caller import Caller
from mlengine.sdk.effects import Steps
from mlengine.sdk.encoding import Nan
from mlengine.sdk.predicting import Slicing
from mlengine.sdk.retry import Retry
from mlengine.sdk.sending import Config
from mlengine.sdk.tables import Returns
from mlengine.sdk.waiting import OnLog


class Calls:
    """The verbs of one project.

    Args:
        seconds: How long a request waits for its answer.
        slicing: How large predictions are cut.
    """

    def __init__(self, project: str, retry: Retry, *, seconds: float, slicing: Slicing) -> None:
        self._caller = Caller(project, retry, seconds=seconds)
        self._slicing = slicing
        # Where methods are that Google does not have.
        self._own = f"/mlengine{self._caller.parent}"

    # Jobs

    def submit(
        self,
        job_id: str,
        *,
        package: str | Path | None = None,
        packages: Sequence[str | Path] = (),
        module: str | None = None,
        args: Sequence[object] | None = None,
        job_dir: str | None = None,
        staging_bucket: str = "",
        runtime_version: str | None = None,
        python_version: str | None = None,
        scale_tier: str | None = None,
        master_type: str | None = None,
        region: str | None = None,
        labels: Mapping[str, str] | None = None,
        config: Config = None,
    ) -> Steps[Json]:
        """Pack, upload and queue a trainer."""
        if isinstance(args, str):
            raise InvalidArgument("args is one text; a list is needed.", hint="args=['--epochs', 3]")
        settings = {
            "pythonModule": module,
            "jobDir": job_dir,
            "runtimeVersion": runtime_version,
            "pythonVersion": python_version,
            "scaleTier": _constant(scale_tier),
            "masterType": master_type,
            "region": region,
        }
        return sending.submit(
            job_id,
            settings=settings,
            package=package,
            packages=packages,
            staging_bucket=staging_bucket,
            args=args,
            labels=labels,
            config=config,
        )

    def job(self, job_id: str) -> Steps[Json]:
        """One job."""
        return self._caller.call("GET", _job(job_id))

    def jobs(self, limit: int | None) -> Steps[None]:
        """Give the jobs."""
        return self._caller.pages("jobs", "jobs", limit)

    def wait_job(
        self, job_id: str, *, timeout: float | None, on_log: OnLog | None, check: bool
    ) -> Steps[Json]:
        """The job once it has ended."""
        return waiting.wait_job(self._caller, job_id, timeout=timeout, on_log=on_log, check=check)

    def lines(self, job_id: str, *, follow: bool, task: str) -> Steps[None]:
        """Give the lines of a job's log."""
        return waiting.lines(self._caller, job_id, follow=follow, task=task)

    def cancel_job(self, job_id: str) -> Steps[Json]:
        """Ask for the end of a job."""
        return self._caller.call("POST", f"{_job(job_id)}:cancel", body={}, repeatable=True)

    def update_job(self, job_id: str, *, labels: Mapping[str, str], etag: str) -> Steps[Json]:
        """The job with these labels."""
        return self._patch(_job(job_id), {"labels": labels}, etag)

    # Models and versions

    def create_model(
        self,
        model: str,
        *,
        description: str | None,
        regions: Sequence[str] | None,
        labels: Mapping[str, str] | None,
    ) -> Steps[Json]:
        """The model."""
        fields = {
            "name": model,
            "description": description,
            "regions": None if regions is None else list(regions),
            "labels": None if labels is None else dict(labels),
        }
        return self._caller.call("POST", "models", body=sending.without_none(fields))

    def model(self, model: str) -> Steps[Json]:
        """One model."""
        return self._caller.call("GET", _model(model))

    def models(self, limit: int | None) -> Steps[None]:
        """Give the models."""
        return self._caller.pages("models", "models", limit)

    def update_model(
        self, model: str, *, description: str | None, labels: Mapping[str, str] | None, etag: str
    ) -> Steps[Json]:
        """The operation that changes a model."""
        return self._patch(_model(model), {"description": description, "labels": labels}, etag)

    def set_traffic(
        self, model: str, *, split: Mapping[str, int] | None, shadow: Mapping[str, float] | None
    ) -> Steps[Json]:
        """The model, with its requests divided."""
        body = sending.without_none(
            {
                "split": None if split is None else dict(split),
                "shadow": None if shadow is None else dict(shadow),
            }
        )
        return self._caller.call(
            "POST", f"{self._own}/{_model(model)}:setTraffic", body=body, repeatable=True
        )

    def roll_back(self, model: str) -> Steps[Json]:
        """The model, as it answered before."""
        return self._caller.call("POST", f"{self._own}/{_model(model)}:rollBack", body={})

    def delete_model(self, model: str) -> Steps[Json]:
        """The operation that deletes a model."""
        return self._caller.call("DELETE", _model(model))

    def create_version(
        self,
        model: str,
        version: str,
        *,
        deployment_uri: str | Path | None = None,
        staging_bucket: str = "",
        framework: str | None = None,
        runtime_version: str | None = None,
        python_version: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        config: Config = None,
    ) -> Steps[Json]:
        """The operation that creates a version."""
        body = {
            "name": version,
            "deploymentUri": None if deployment_uri is None else str(deployment_uri),
            "framework": _constant(framework),
            "runtimeVersion": runtime_version,
            "pythonVersion": python_version,
            "description": description,
            "labels": None if labels is None else dict(labels),
        }
        return sending.create_version(model, body, staging_bucket=staging_bucket, config=config)

    def version(self, model: str, version: str) -> Steps[Json]:
        """One version."""
        return self._caller.call("GET", _version(model, version))

    def versions(self, model: str, limit: int | None) -> Steps[None]:
        """Give the versions of a model."""
        return self._caller.pages(f"{_model(model)}/versions", "versions", limit)

    def update_version(
        self,
        model: str,
        version: str,
        *,
        description: str | None,
        labels: Mapping[str, str] | None,
        config: Mapping[str, Any] | None,
        etag: str,
    ) -> Steps[Json]:
        """The operation that changes a version."""
        fields = {**(config or {}), **sending.without_none({"description": description, "labels": labels})}
        if not fields:
            raise InvalidArgument("Nothing to change: name description, labels or config.")
        query = {"updateMask": version_mask(fields)}
        # With the etag it happens at most once, however often it is sent.
        return self._caller.call(
            "PATCH", _version(model, version), query=query, body=fields | {"etag": etag}, repeatable=True
        )

    def set_default(self, model: str, version: str) -> Steps[Json]:
        """The version, now its model's default."""
        return self._caller.call("POST", f"{_version(model, version)}:setDefault", body={}, repeatable=True)

    def delete_version(self, model: str, version: str) -> Steps[Json]:
        """The operation that deletes a version."""
        return self._caller.call("DELETE", _version(model, version))

    # Predictions

    def predict(
        self,
        model: str,
        version: str,
        instances: Any,
        *,
        signature_name: str = "",
        returns: Returns = "list",
        nan: Nan = "error",
    ) -> Steps[Any]:
        """Predictions for all instances; `version` may be empty for the default one."""
        return predicting.predict(
            self._caller.retry,
            f"{self._caller.parent}/{_version(model, version) if version else _model(model)}",
            instances,
            slicing=self._slicing,
            signature_name=signature_name,
            returns=returns,
            nan=nan,
        )

    # Operations

    def operation(self, operation: str) -> Steps[Json]:
        """One operation, by its id or its whole name."""
        return self._caller.call("GET", _operation(operation))

    def operations(self, limit: int | None) -> Steps[None]:
        """Give the operations."""
        return self._caller.pages("operations", "operations", limit)

    def wait_operation(self, name: str, known: Json, *, timeout: float | None) -> Steps[Json]:
        """The operation once it is done."""
        return waiting.wait_operation(self._caller, name, known, timeout=timeout)

    def cancel_operation(self, operation: str) -> Steps[Json]:
        """Ask for the end of an operation."""
        return self._caller.call("POST", f"{_operation(operation)}:cancel", body={}, repeatable=True)

    # Contents

    def upload(self, path: str | Path, url: str) -> Steps[None]:
        """Store a file as an object."""
        return sending.upload(path, url)

    def download(self, url: str, path: str | Path) -> Steps[None]:
        """Write an object to a file."""
        return sending.download(url, path)

    def _patch(self, path: str, fields: Mapping[str, object], etag: str) -> Steps[Json]:
        given = sending.without_none(fields)
        if not given:
            raise InvalidArgument(f"Nothing to change: name {' or '.join(fields)}.")
        # With the etag it happens at most once, however often it is sent.
        query = {"updateMask": ",".join(given)}
        return self._caller.call("PATCH", path, query=query, body=given | {"etag": etag}, repeatable=True)


def _job(job_id: str) -> str:
    return f"jobs/{part(job_id)}"


def _model(model: str) -> str:
    return f"models/{part(model)}"


def _version(model: str, version: str) -> str:
    return f"{_model(model)}/versions/{part(version)}"


def _operation(operation: str) -> str:
    return f"operations/{part(operation.rpartition('/')[2])}"


def _constant(word: str | None) -> str | None:
    """A word as the API spells it: "scikit-learn" is SCIKIT_LEARN."""
    return word and word.upper().replace("-", "_")
