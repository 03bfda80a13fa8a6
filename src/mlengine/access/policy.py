"""Who may do what on one resource: a policy, its bindings and its etag. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

EVERYONE = "allUsers"
ANY_ACCOUNT = "allAuthenticatedUsers"
ACCOUNT = "serviceAccount:"
MOST_MEMBERS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The bindings of a project, a model or a job.

    Attributes:
        resource: projects/P, projects/P/models/M or projects/P/jobs/J.
        generation: Grows with every change; 0 for one that was never written.
        bindings: Role to its members, each sorted.
    """

    resource: str
    generation: int = 0
    bindings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def granting(self, role: str, member: str) -> Policy:
        """The policy with one more member of a role."""
        members = tuple(sorted({*self.bindings.get(role, ()), member}))
        return replace(self, bindings=dict(sorted({**self.bindings, role: members}.items())))

    def without(self, member: str) -> Policy:
        """The policy in which a member has no role."""
        left = {
            role: kept
            for role, members in self.bindings.items()
            if (kept := tuple(other for other in members if other != member))
        }
        return replace(self, bindings=left)


def collection_of(resource: str) -> str:
    """ "models" or "jobs" for one of these, "" for a project."""
    parts = resource.split("/")
    return parts[2] if len(parts) > 2 else ""


def project_of(resource: str) -> str:
    """The id of the project that a resource is, or belongs to."""
    return resource.split("/")[1]
