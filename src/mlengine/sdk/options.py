"""The keyword arguments that both clients take, described once, and a client's parts made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from mlengine.errors import InvalidArgument
from mlengine.names import check_project
from mlengine.sdk.calls import Calls
from mlengine.sdk.encoding import Nan
from mlengine.sdk.identity import Credentials, bearer_of
from mlengine.sdk.lines import Bearer, Lines
from mlengine.sdk.predicting import Slicing
from mlengine.sdk.retry import Retry
from mlengine.sdk.tables import Returns


class ClientOptions(TypedDict, total=False):
    """How a client finds its server, says who it is, waits, and cuts predictions.

    Attributes:
        project: The project's id; default: MLENGINE_PROJECT, then "local".
        endpoint: The server's URL; default: MLENGINE_ENDPOINT, then http://127.0.0.1:8080.
        credentials: A service account's key: its file's path, its JSON or its content; or credentials of
            google-auth. Default: what MLENGINE_CREDENTIALS names.
        token: An access token, instead of credentials.
        timeout: Seconds that a request waits for its answer; 60.
        predict_timeout: The same for predictions; 600, for a model may have to be woken.
        retry_seconds: How long a request that may run twice is sent again while the server is away; 60.
        connections: Prediction requests at a time; 4.
        slice_bytes: Largest body of a prediction request; 1,500,000, Google's limit.
        slice_instances: Most instances in a prediction request; 1,000, found to be quickest.
    """

    project: str | None
    endpoint: str | None
    credentials: Credentials | None
    token: str | None
    timeout: float
    predict_timeout: float
    retry_seconds: float
    connections: int
    slice_bytes: int
    slice_instances: int


class JobSettings(TypedDict, total=False):
    """What to run.

    Attributes:
        package: Folder of the trainer's package; it is built and uploaded.
        packages: Further distributions, local or gs://.
        module: Module to run ("trainer.task").
        args: The trainer's own arguments.
        job_dir: gs:// folder for results; the trainer gets it as --job-dir.
        staging_bucket: For the packages; default: the job_dir, or else the project's own bucket.
        runtime_version: See `mlengine runtimes list`.
        python_version: Checked against the runtime version.
        scale_tier: "BASIC", "BASIC_GPU" or "CUSTOM".
        master_type: Machine of the custom tier.
        region: Any; everything runs on the server.
        labels: Labels of the job.
        config: A Job as the API has it, or a YAML or JSON file of one; arguments win over it.
    """

    package: str | Path | None
    packages: Sequence[str | Path]
    module: str | None
    args: Sequence[object] | None
    job_dir: str | None
    staging_bucket: str
    runtime_version: str | None
    python_version: str | None
    scale_tier: str | None
    master_type: str | None
    region: str | None
    labels: Mapping[str, str] | None
    config: Mapping[str, Any] | str | Path | None


class VersionSettings(TypedDict, total=False):
    """What to deploy.

    Attributes:
        deployment_uri: The folder of the exported model: gs://… or a local one, which is uploaded.
        staging_bucket: Where a local folder goes; default: the project's own bucket.
        framework: "tensorflow", "scikit-learn", "xgboost", "lightgbm", "keras", "pytorch" or "onnx"; default:
            told by the files.
        runtime_version: See `mlengine runtimes list`.
        python_version: Checked against the runtime version.
        description: Free text.
        labels: Labels of the version.
        config: A Version as the API has it, or a YAML or JSON file of one; arguments win over it.
    """

    deployment_uri: str | Path | None
    staging_bucket: str
    framework: str | None
    runtime_version: str | None
    python_version: str | None
    description: str | None
    labels: Mapping[str, str] | None
    config: Mapping[str, Any] | str | Path | None


class PredictOptions(TypedDict, total=False):
    """How a prediction is asked for and handed over.

    Attributes:
        signature_name: Of a TensorFlow model; default: its serving default.
        returns: "list" (default), "numpy", "pandas" or "arrow".
        nan: What becomes of NaN: "error" (default) refuses it, "null" sends null.
    """

    signature_name: str
    returns: Returns
    nan: Nan


@dataclass(frozen=True, slots=True)
class Parts:
    """A client's parts, but for the one that makes it block or not.

    Attributes:
        bearer: Where access tokens come from; None for a caller without a name.
    """

    endpoint: str
    project: str
    bearer: Bearer | None
    calls: Calls
    lines: Lines


def parts(
    *,
    project: str | None = None,
    endpoint: str | None = None,
    credentials: Credentials | None = None,
    token: str | None = None,
    timeout: float = 60.0,
    predict_timeout: float = 600.0,
    retry_seconds: float = 60.0,
    connections: int = 4,
    slice_bytes: int = 1_500_000,
    slice_instances: int = 1_000,
) -> Parts:
    """The parts of a client with these `ClientOptions`. Raises InvalidArgument, naming the one at fault."""
    for name, seconds in (("timeout", timeout), ("predict_timeout", predict_timeout)):
        if seconds <= 0:
            raise InvalidArgument(f"{name} is {seconds:g}; it must be more than 0 seconds.")
    if retry_seconds < 0:
        raise InvalidArgument(f"retry_seconds is {retry_seconds:g}; 0 is the least.")
    where = _endpoint(endpoint or os.environ.get("MLENGINE_ENDPOINT") or "http://127.0.0.1:8080")
    mine = check_project(project or os.environ.get("MLENGINE_PROJECT") or "local")
    bearer = bearer_of(credentials, token, os.environ, where)
    slicing = Slicing(
        bytes=slice_bytes, instances=slice_instances, connections=connections, seconds=predict_timeout
    )
    calls = Calls(mine, Retry(retry_seconds), seconds=timeout, slicing=slicing)
    lines = Lines(where, bearer or _nobody, patience_seconds=retry_seconds)
    return Parts(where, mine, bearer, calls, lines)


def _endpoint(text: str) -> str:
    whole = text.rstrip("/") if "://" in text else f"http://{text.rstrip('/')}"
    if not whole.startswith(("http://", "https://")):
        raise InvalidArgument(f"endpoint '{text}' is no URL of a server.", hint="Like http://127.0.0.1:8080")
    return whole


def _nobody() -> str:
    return ""
