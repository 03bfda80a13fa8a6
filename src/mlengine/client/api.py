"""The resources of `ml` v1 as the command line uses them: jobs, models, versions, operations and more.

Resources are the API's own JSON objects; nothing is renamed on the way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

from mlengine.client.http import Connection, Json
from mlengine.errors import DeadlineExceeded, Internal

_FOREVER_SECONDS = 3600.0
# A model that wakes from zero may build its environment first.
_PREDICT_SECONDS = 600.0


class Api:
    """One project on one server.

    Args:
        project: The project's id ("local").
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self.project = project
        self.parent = f"v1/projects/{_part(project)}"

    # Jobs

    def jobs(self, *, limit: int | None = None) -> Iterator[Json]:
        """The project's jobs in the server's order (newest first), at most `limit`."""
        return self._pages(f"{self.parent}/jobs", "jobs", limit)

    def job(self, job_id: str) -> Json:
        """One job. Raises NotFound."""
        return self.connection.call("GET", f"/{self.parent}/jobs/{_part(job_id)}")

    def create_job(self, job: Json) -> Json:
        """Submit `job`, which carries `jobId`; the job as accepted. Raises AlreadyExists, InvalidArgument."""
        return self.connection.call("POST", f"/{self.parent}/jobs", body=job)

    def update_job(self, job_id: str, body: Json, *, mask: str) -> Json:
        """Change the fields that `mask` names; the job. Raises NotFound, InvalidArgument."""
        path = f"/{self.parent}/jobs/{_part(job_id)}"
        return self.connection.call("PATCH", path, query={"updateMask": mask}, body=body)

    def cancel_job(self, job_id: str) -> None:
        """Ask for the end of a job; a finished one stays as it is. Raises NotFound."""
        self.connection.call("POST", f"/{self.parent}/jobs/{_part(job_id)}:cancel", body={})

    # Models and versions

    def models(self, *, limit: int | None = None) -> Iterator[Json]:
        """The project's models, each with its whole default version."""
        return self._pages(f"{self.parent}/models", "models", limit)

    def model(self, model: str) -> Json:
        """One model. Raises NotFound."""
        return self.connection.call("GET", f"/{self.parent}/models/{_part(model)}")

    def create_model(self, body: Json) -> Json:
        """Create the model that `body` names. Raises AlreadyExists, InvalidArgument."""
        return self.connection.call("POST", f"/{self.parent}/models", body=body)

    def update_model(self, model: str, body: Json, *, mask: str) -> Json:
        """The operation that changes the fields that `mask` names. Raises NotFound, InvalidArgument."""
        path = f"/{self.parent}/models/{_part(model)}"
        return self.connection.call("PATCH", path, query={"updateMask": mask}, body=body)

    def delete_model(self, model: str) -> Json:
        """The operation that deletes a model. Raises NotFound, FailedPrecondition when versions are left."""
        return self.connection.call("DELETE", f"/{self.parent}/models/{_part(model)}")

    def set_traffic(self, model: str, body: Json) -> Json:
        """Divide a model's requests as `body` says (`split`, `shadow`); the model. Raises InvalidArgument."""
        return self.connection.call(
            "POST", f"/mlengine/{self.parent}/models/{_part(model)}:setTraffic", body=body
        )

    def roll_back(self, model: str) -> Json:
        """Undo the last change of what answers for a model; the model. Raises FailedPrecondition."""
        return self.connection.call(
            "POST", f"/mlengine/{self.parent}/models/{_part(model)}:rollBack", body={}
        )

    def versions(self, model: str, *, limit: int | None = None) -> Iterator[Json]:
        """The versions of a model. Raises NotFound."""
        return self._pages(f"{self.parent}/models/{_part(model)}/versions", "versions", limit)

    def version(self, model: str, version: str) -> Json:
        """One version. Raises NotFound."""
        return self.connection.call("GET", self._version_path(model, version))

    def create_version(self, model: str, body: Json) -> Json:
        """The operation that creates the version `body` names. Raises NotFound, AlreadyExists."""
        return self.connection.call("POST", f"/{self.parent}/models/{_part(model)}/versions", body=body)

    def update_version(self, model: str, version: str, body: Json, *, mask: str) -> Json:
        """The operation that changes the fields that `mask` names. Raises NotFound, InvalidArgument."""
        path = self._version_path(model, version)
        return self.connection.call("PATCH", path, query={"updateMask": mask}, body=body)

    def delete_version(self, model: str, version: str) -> Json:
        """The operation that deletes a version. Raises NotFound, FailedPrecondition for a default one."""
        return self.connection.call("DELETE", self._version_path(model, version))

    def set_default(self, model: str, version: str) -> Json:
        """Make a version its model's default; the version. Raises NotFound."""
        return self.connection.call("POST", self._version_path(model, version) + ":setDefault", body={})

    # Operations

    def operations(self, *, limit: int | None = None) -> Iterator[Json]:
        """The project's long operations."""
        return self._pages(f"{self.parent}/operations", "operations", limit)

    def operation(self, operation: str) -> Json:
        """One operation, by its id or its whole name. Raises NotFound."""
        return self.connection.call("GET", self._operation_path(operation))

    def cancel_operation(self, operation: str) -> None:
        """Ask for the end of an operation, by its id or its whole name. Raises NotFound."""
        self.connection.call("POST", self._operation_path(operation) + ":cancel", body={})

    def wait(
        self,
        operation: Json,
        *,
        poll_seconds: float = 0.3,
        patience_seconds: float = _FOREVER_SECONDS,
        tick: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Json:
        """The operation once it is done, whether with a response or an error.

        Args:
            tick: Called after each look at an unfinished operation.

        Raises:
            DeadlineExceeded: it still runs after `patience_seconds`.
        """
        deadline = time.monotonic() + patience_seconds
        while not operation.get("done"):
            tick()
            if time.monotonic() > deadline:
                name = operation["name"].rpartition("/")[2]
                raise DeadlineExceeded(
                    f"Operation {name} still runs after {patience_seconds:g} seconds.",
                    hint=f"Wait on: mlengine operations wait {name}",
                )
            sleep(poll_seconds)
            operation = self.operation(operation["name"])
        return operation

    # Locations

    def locations(self, *, limit: int | None = None) -> Iterator[Json]:
        """The places where work is done, each with what it can do."""
        return self._pages(f"{self.parent}/locations", "locations", limit)

    def location(self, location: str) -> Json:
        """One location, by its id. Raises NotFound."""
        return self.connection.call("GET", f"/{self.parent}/locations/{_part(location)}")

    # Predictions

    def predict(self, model: str, version: str, body: Json) -> Json:
        """Send a prediction body; `version` may be empty for the default one. Raises as `explain`."""
        return self._answer(model, version, "predict", body)

    def explain(self, model: str, version: str, body: Json) -> Json:
        """Ask for predictions and what they rest on; `version` may be empty for the default one.

        Raises:
            Internal: the answer is no JSON object.
            Problem: the server's refusal. A 200 that holds `error` is an answer and is returned.
        """
        return self._answer(model, version, "explain", body)

    # Ways

    def _answer(self, model: str, version: str, verb: str, body: Json) -> Json:
        path = self._version_path(model, version) if version else f"/{self.parent}/models/{_part(model)}"
        content = self.connection.fetch(
            "POST",
            f"{path}:{verb}",
            headers={"Content-Type": "application/json"},
            body=json.dumps(body, ensure_ascii=False).encode(),
            timeout=_PREDICT_SECONDS,
        )
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            shown = content[:500].decode(errors="replace")
            raise Internal(f"No JSON object could be decoded from the HTTP response body: {shown}")
        return value

    def _operation_path(self, operation: str) -> str:
        return f"/{self.parent}/operations/{_part(operation.rpartition('/')[2])}"

    def _version_path(self, model: str, version: str) -> str:
        return f"/{self.parent}/models/{_part(model)}/versions/{_part(version)}"

    def _pages(self, path: str, key: str, limit: int | None) -> Iterator[Json]:
        return self.connection.listed(f"/{path}", key, limit=limit)


def _part(text: str) -> str:
    """One path component; a name with a slash must not become two."""
    return quote(text, safe="")
