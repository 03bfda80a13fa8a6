"""JSON calls within one project: what every verb is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlengine.client.addresses import part
from mlengine.client.http import Json
from mlengine.errors import InvalidArgument, Unavailable
from mlengine.sdk.effects import Give, Reply, Request, Steps
from mlengine.sdk.retry import Retry

_PAGE = 100


class Caller:
    """Calls below one project.

    Args:
        project: The project's id ("local").
        seconds: How long a request waits for its answer.
    """

    def __init__(self, project: str, retry: Retry, *, seconds: float) -> None:
        self.project = project
        self.retry = retry
        self.parent = f"/v1/projects/{part(project)}"
        self._seconds = seconds

    def call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        repeatable: bool = False,
    ) -> Steps[Json]:
        """Send JSON, get JSON. Raises Problem.

        Args:
            path: From the root, or below the project.
            repeatable: Whether twice is as good as once; a GET always is.
        """
        reply = yield from self.retry.answer(
            Request(
                verb=verb,
                path=path if path.startswith("/") else f"{self.parent}/{path}",
                query=query or {},
                body=None if body is None else json.dumps(body, ensure_ascii=False).encode(),
                timeout=self._seconds,
                repeatable=repeatable or verb == "GET",
            )
        )
        return _json(reply)

    def pages(self, path: str, key: str, limit: int | None) -> Steps[None]:
        """Give every resource of a list, at most `limit`."""
        if limit is not None and limit < 1:
            raise InvalidArgument(f"limit is {limit}; it must be at least 1, or None for all.")
        query: dict[str, str | int] = {"pageSize": min(_PAGE, limit or _PAGE)}
        given = 0
        while True:
            page = yield from self.call("GET", path, query=query)
            for resource in page.get(key, []):
                yield Give(resource)
                given += 1
                if given == limit:
                    return
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]


def _json(reply: Reply) -> Json:
    if not reply.content.strip():
        return {}
    try:
        value = json.loads(reply.content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unavailable(
            "What answers is no mlengine server: its answer is no JSON object.",
            hint="Check endpoint (MLENGINE_ENDPOINT).",
        )
    return value
