"""What follows from what was done: makers own what they made, the gone have no policies, and all is noted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mlengine.access.directory import Directory
from mlengine.access.guard import Deed
from mlengine.access.policies import PolicyService
from mlengine.clock import Clock, to_text
from mlengine.errors import Problem

_LOG = logging.getLogger(__name__)
# Reading by another verb, and what happens so often and changes so little that a note each would help nobody.
_UNNOTED = ("storage.objects.", "storage.batch", "logging.", "oauth2.", "ml.batch", "ml.projects.predict")
_READING = (".getIamPolicy", ".testIamPermissions")
# Where the answer alone says what was made.
_MAKING = {
    "iam.projects.serviceAccounts.create": ("name", ""),
    "iam.projects.serviceAccounts.keys.create": ("name", ""),
    "ml.projects.jobs.create": ("jobId", "projects/{project}/jobs/"),
    "ml.projects.models.create": ("name", ""),
    "storage.buckets.insert": ("name", "buckets/"),
}


class Consequences:
    """Hears of every deed.

    Args:
        note: Keeps a record of who did what.
    """

    def __init__(
        self,
        policies: PolicyService,
        clock: Clock,
        *,
        directory: Callable[[], Directory],
        note: Callable[[dict[str, Any]], None],
    ) -> None:
        self._policies = policies
        self._clock = clock
        self._directory = directory
        self._note = note

    def heard(self, deed: Deed) -> None:
        """Do what follows from a deed."""
        if not deed.method.startswith(_UNNOTED) and not deed.method.endswith(_READING):
            self._write(deed)
        if deed.problem is not None:
            return
        path, answer = deed.call.path, deed.answer if isinstance(deed.answer, dict) else {}
        match deed.method:
            case "ml.projects.models.create":
                name = str(answer.get("name", "")).rpartition("/")[2]
                self._own(deed, f"projects/{path['project']}/models/{name}", "roles/ml.modelOwner")
            case "ml.projects.jobs.create":
                self._own(deed, f"projects/{path['project']}/jobs/{answer.get('jobId')}", "roles/ml.jobOwner")
            case "cloudresourcemanager.projects.create":
                made = answer.get("response", {}).get("projectId")
                self._own(deed, f"projects/{made}", "roles/owner")
            case "ml.projects.models.delete" | "cloudresourcemanager.projects.delete":
                self._policies.forget(deed.resource)

    def _own(self, deed: Deed, resource: str, role: str) -> None:
        """Whoever makes something may do everything with it, as with Google."""
        if deed.who.kind != "account":
            return
        delete = {"roles/ml.modelOwner": "ml.models.delete", "roles/ml.jobOwner": "ml.jobs.cancel"}.get(
            role, ""
        )
        if not delete or not self._directory().allows(deed.who, delete, resource):
            self._policies.grant(resource, role, deed.who.member)

    def _write(self, deed: Deed) -> None:
        record: dict[str, Any] = {
            "time": to_text(self._clock()),
            "method": deed.method,
            "resource": _resource(deed),
            "caller": deed.who.email or deed.who.kind,
            "status": deed.problem.status if deed.problem else "OK",
        }
        if deed.who.key_id:
            record["key"] = deed.who.key_id
        if deed.who.job:
            record["job"] = deed.who.job
        if deed.problem:
            record["message"] = deed.problem.message
        try:
            self._note(record)
        except (OSError, Problem) as error:
            _LOG.error("What %s did cannot be noted: %s", record["caller"], error)


def _resource(deed: Deed) -> str:
    field, before = _MAKING.get(deed.method, ("", ""))
    made = deed.answer.get(field) if field and isinstance(deed.answer, dict) else None
    return before.format(**deed.call.path) + made if isinstance(made, str) else deed.resource
