"""Projects and policies on the server. Apart from `api`, which is `ml` v1 in one project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

from mlengine.client.http import Connection, Json
from mlengine.errors import Conflict, NotFound

_ATTEMPTS = 5


class Projects:
    """The projects of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Iterator[Json]:
        """Those that the caller may see, at most `limit`."""
        return self._connection.listed("/v1/projects", "projects", limit=limit)

    def get(self, project: str) -> Json:
        """One project, by id or number. Raises NotFound."""
        return self._connection.call("GET", f"/v1/projects/{quote(project, safe='')}")

    def create(self, project_id: str, *, name: str, labels: dict[str, str]) -> Json:
        """Make a project. Raises AlreadyExists, InvalidArgument."""
        body: Json = {"projectId": project_id}
        body |= {"name": name} if name else {}
        body |= {"labels": labels} if labels else {}
        return dict(self._connection.call("POST", "/v1/projects", body=body)["response"])

    def delete(self, project: str) -> None:
        """Delete an empty project. Raises NotFound, FailedPrecondition."""
        self._connection.call("DELETE", f"/v1/projects/{quote(project, safe='')}")


class Policies:
    """The policy of one project, model or job.

    Args:
        resource: projects/P, projects/P/models/M or projects/P/jobs/J, percent-encoded.
    """

    def __init__(self, connection: Connection, resource: str) -> None:
        self._connection = connection
        self._path = f"/v1/{resource}"
        # Resource Manager asks by POST, `ml` by GET.
        self._verb = "POST" if resource.count("/") == 1 else "GET"

    def get(self) -> Json:
        """The policy. Raises NotFound."""
        body: Json | None = {} if self._verb == "POST" else None
        return self._connection.call(self._verb, f"{self._path}:getIamPolicy", body=body)

    def set(self, policy: Json) -> Json:
        """Replace the policy.

        Raises:
            Conflict: the policy has an etag, and has been changed since.
            InvalidArgument: an unknown role or member.
        """
        return self._connection.call("POST", f"{self._path}:setIamPolicy", body={"policy": policy})

    def add(self, member: str, role: str) -> Json:
        """Give a role to a member; the policy then."""
        return self._changed(lambda policy: _added(policy, member, role))

    def remove(self, member: str, role: str) -> Json:
        """Take a role from a member; the policy then. Raises NotFound when the member has not got it."""
        return self._changed(lambda policy: _removed(policy, member, role))

    def _changed(self, change: Callable[[Json], Json]) -> Json:
        for attempt in range(_ATTEMPTS):
            try:
                return self.set(change(self.get()))
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")


def _added(policy: Json, member: str, role: str) -> Json:
    bindings = policy.setdefault("bindings", [])
    for binding in bindings:
        if binding["role"] == role:
            binding["members"] = sorted({*binding["members"], member})
            return policy
    bindings.append({"role": role, "members": [member]})
    return policy


def _removed(policy: Json, member: str, role: str) -> Json:
    for binding in policy.get("bindings", []):
        if binding["role"] == role and member in binding["members"]:
            binding["members"].remove(member)
            policy["bindings"] = [each for each in policy["bindings"] if each["members"]]
            return policy
    raise NotFound(f"Policy bindings with the specified principal ({member}) and role ({role}) not found.")
