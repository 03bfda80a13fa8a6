"""The URL of Cloud Logging that clients of jobs read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from mlengine.logs.filter import parse_filter
from mlengine.logs.service import LogService
from mlengine.logs.wire import entry_json, list_request, page_token
from mlengine.web.method import Call, Json, Method


def methods(service: LogService, project: Callable[[str], str] = lambda asked: asked) -> list[Method]:
    """The row of `logging.entries`.

    Args:
        project: The id of the project that a request means; raises NotFound for one that is not there.
    """

    def list_(call: Call) -> Json:
        request = list_request(call.json())
        condition = parse_filter(request.filter)
        since, until = condition.span()
        named = condition.jobs()
        jobs = [job for asked in request.projects for job in service.jobs(project(asked), only=named)]
        found = service.search(
            jobs,
            after=request.after,
            since=since,
            until=until,
            match=condition.match,
            severities=condition.severities(),
            descending=request.descending,
        )
        # One more than asked for tells whether there is another page.
        entries = list(islice(found, request.size + 1))
        answer: Json = {}
        if entries:
            answer["entries"] = [entry_json(entry) for entry in entries[: request.size]]
        if len(entries) > request.size:
            answer["nextPageToken"] = page_token(entries[request.size - 1], descending=request.descending)
        return answer

    return [
        Method(
            id="logging.entries.list",
            verb="POST",
            path="/v2/entries:list",
            handler=list_,
            summary="Log entries of jobs, a page at a time.",
        )
    ]
