"""Projects as Google's Cloud Resource Manager API v1 spells them."""

from __future__ import annotations

from typing import Any

from mlengine.clock import to_text
from mlengine.projects.domain import Project

Json = dict[str, Any]


def project_json(project: Project) -> Json:
    """A project as a `Project`."""
    answer: Json = {
        "projectNumber": project.number,
        "projectId": project.project_id,
        "lifecycleState": "ACTIVE",
        "name": project.name,
        "createTime": to_text(project.created),
    }
    if project.labels:
        answer["labels"] = dict(project.labels)
    return answer


def created_json(project: Project) -> Json:
    """What `projects.create` answers: an operation that is done already."""
    return {
        "name": f"operations/cp.{project.number}",
        "done": True,
        "response": {"@type": "type.googleapis.com/google.cloudresourcemanager.v1.Project"}
        | project_json(project),
    }
