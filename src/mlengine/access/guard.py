"""The guard at every method: who asks, which project is meant, and whether they may."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from mlengine.access.directory import NOBODY, Identity
from mlengine.access.entrance import Entrance
from mlengine.access.rules import Need, On, needs
from mlengine.clock import Clock
from mlengine.errors import NotFound, Problem, Unauthenticated
from mlengine.web.envelope import envelope, http_code
from mlengine.web.method import Call, Handler, Json, Method, Reply
from mlengine.web.projects import in_project

_LONGEST_BODY = 16 << 20


class Projects(Protocol):
    """What the guard asks of projects and buckets."""

    def id_of(self, asked: str) -> str:
        """The id of the project that an id or a number means. Raises NotFound."""
        ...

    def meant(self, asked: str) -> str:
        """As `id_of`; the first project where nothing is said."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a method has done, or was kept from.

    Attributes:
        resource: On what, as policies name it.
        problem: Why it failed; None if it did not.
    """

    method: str
    verb: str
    who: Identity
    call: Call
    resource: str
    answer: Json | Reply | None = None
    problem: Problem | None = None


class Guard:
    """Stands before the handlers of all methods.

    Args:
        entrance: Knows who asks, and what they may.
        bucket_project: The project of a bucket; "" if there is no such bucket.
        done: Hears of every call that may have changed something.
    """

    def __init__(
        self,
        entrance: Entrance,
        clock: Clock,
        *,
        projects: Projects,
        bucket_project: Callable[[str], str],
        done: Callable[[Deed], None] = lambda _: None,
    ) -> None:
        self._entrance = entrance
        self._clock = clock
        self._projects = projects
        self._bucket_project = bucket_project
        self._done = done

    def wrap(self, methods: Iterable[Method]) -> list[Method]:
        """The rows, each with its handler behind the guard."""
        return [replace(method, handler=self._guarded(method)) for method in methods]

    def identify(self, call: Call) -> Identity:
        """Who asks. Raises Unauthenticated."""
        header = call.headers.get("authorization", "")
        if not header and (token := call.query.get("access_token") or call.query.get("oauth_token")):
            header = f"Bearer {token}"
        return self._entrance.identify(header, self._clock().timestamp(), base_url=call.base_url)

    def allows(self, call: Call, permission: str, resource: str) -> bool:
        """Whether the caller may."""
        return self._entrance.directory.allows(self.identify(call), permission, resource)

    def check(self, who: Identity, need: Need, call: Call) -> None:
        """Whether somebody may do what one permission is needed for.

        Raises:
            Unauthenticated, PermissionDenied: they may not.
        """
        for resource in self._resources(who, need, call):
            self._entrance.directory.check(who, need.permission, resource)

    def _guarded(self, method: Method) -> Handler:
        wanted, handler = needs(method.id), method.handler
        is_open = wanted[0].on is On.ANYONE
        has_project = "{project}" in method.path
        reads_body = any(need.on is On.NAMED_PROJECTS for need in wanted)
        tells = method.verb != "GET"

        def guarded(call: Call) -> Json | Reply:
            if is_open:
                return handler(call)
            try:
                who = self.identify(call)
                if has_project:
                    if who.kind == "nobody":
                        self._hide(call)
                    call = in_project(call, self._projects.id_of)
                if who.kind != "owner":
                    if reads_body:
                        call = replace(call, body=_Again(call.read(limit=_LONGEST_BODY)))
                    for need in wanted:
                        self.check(who, need, call)
            except Unauthenticated as problem:
                fields = {"www-authenticate": 'Bearer realm="mlengine"'}
                return Reply(content=envelope(problem), status=http_code(problem), headers=fields)
            except Problem as problem:
                if tells:
                    self._tell(method, who, call, problem=problem)
                raise
            if not tells:
                return handler(call)
            try:
                answer = handler(call)
            except Problem as problem:
                self._tell(method, who, call, problem=problem)
                raise
            self._tell(method, who, call, answer=answer)
            return answer

        return guarded

    def _hide(self, call: Call) -> None:
        """Strangers do not learn which projects there are: those that are not are refused like the others."""
        try:
            self._projects.id_of(call.path["project"])
        except NotFound:
            resource = f"projects/{call.path['project'][:80]}"
            self._entrance.directory.check(NOBODY, "resourcemanager.projects.get", resource)

    def _tell(
        self,
        method: Method,
        who: Identity,
        call: Call,
        *,
        answer: Json | Reply | None = None,
        problem: Problem | None = None,
    ) -> None:
        asked = call.query.get("project", "")
        resource = _path_resource(call.path) or (f"projects/{asked}" if asked else "")
        self._done(
            Deed(
                method=method.id,
                verb=method.verb,
                who=who,
                call=call,
                resource=resource,
                answer=answer,
                problem=problem,
            )
        )

    def _resources(self, who: Identity, need: Need, call: Call) -> Iterator[str]:
        path = call.path
        match need.on:
            case On.ANYONE | On.CALLER:
                return
            case On.PROJECT:
                yield f"projects/{path['project']}"
            case On.ASKED_PROJECT:
                yield f"projects/{self._projects.meant(call.query.get('project', ''))}"
            case On.SERVER:
                yield f"projects/{self._projects.meant('')}"
            case On.JOB if "job" in path:
                yield f"projects/{path['project']}/jobs/{path['job']}"
            case On.MODEL if "model" in path:
                yield f"projects/{path['project']}/models/{path['model']}"
            case On.JOB | On.MODEL:  # A path that says no more than the project.
                yield f"projects/{path['project']}"
            case On.NEW_UPLOAD if "upload_id" in call.query:
                return
            case On.BUCKET | On.NEW_UPLOAD:
                yield self._bucket(who, path["bucket"])
            case On.TARGET_BUCKET:
                yield self._bucket(who, path["target_bucket"])
            case On.NAMED_PROJECTS:
                for project in _named_projects(call):
                    yield f"projects/{self._projects.meant(project)}"

    def _bucket(self, who: Identity, name: str) -> str:
        # Of a bucket that is not there, those hear who could have it: in their own project.
        return f"projects/{self._bucket_project(name) or who.project or self._projects.meant('')}"


class _Again:
    """A body that was read already, and can be read from its beginning any number of times."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._left = [content]

    def __iter__(self) -> Iterator[bytes]:
        return iter([self._content])

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        return self._left.pop()


def _named_projects(call: Call) -> list[str]:
    """The projects whose logs are asked for; what is not spelled like one is the handler's business."""
    try:
        body = json.loads(call.read() or b"{}")
    except ValueError:
        return []
    if not isinstance(body, dict):
        return []
    found: list[str] = []
    for name in ("resourceNames", "resource_names", "projectIds", "project_ids"):
        values = body.get(name)
        for value in values if isinstance(values, list) else []:
            if isinstance(value, str):
                found.append(value.removeprefix("projects/").partition("/")[0])
    return found


def _path_resource(path: Mapping[str, str]) -> str:
    """What the variables of a path name, as far as policies know it."""
    if "bucket" in path:
        return "/".join(
            ("buckets", path["bucket"], *((f"objects/{path['object']}",) if "object" in path else ()))
        )
    parts = ["projects", path["project"]] if "project" in path else []
    for noun, name in (
        ("jobs", "job"),
        ("models", "model"),
        ("versions", "version"),
        ("operations", "operation"),
        ("serviceAccounts", "account"),
        ("keys", "key"),
    ):
        if name in path:
            parts += [noun, path[name]]
    return "/".join(parts)
