"""Projects: made, found by id and number, refused by name, deleted when empty; on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from mlengine.projects.methods import methods
from mlengine.projects.service import ProjectService
from mlengine.web.method import Call
from mlengine.web.projects import in_project
from mlengine.web.routing import Router
from tests.conftest import HandClock


@pytest.fixture
def service(database: SqlDatabase, clock: HandClock) -> ProjectService:
    return ProjectService(database, clock, first="local")


class Api:
    """Calls the methods as the web door does."""

    def __init__(self, service: ProjectService, *hidden: str) -> None:
        self._router = Router(methods(service, lambda _, project: project not in hidden))

    def __call__(self, verb: str, path: str, body: Any = None, **query: str) -> Any:
        method, variables = self._router.find(verb, path)
        content = iter(() if body is None else (json.dumps(body).encode(),))
        return method.handler(Call(path=variables, query=query, body=content))


def test_the_first_project_is_there_from_the_start_and_the_same_after_a_restart(
    service: ProjectService, database: SqlDatabase, clock: HandClock
) -> None:
    clock.forward(60)

    again = ProjectService(database, clock, first="local")

    assert [project.project_id for project in again.list()] == ["local"]
    assert again.get("local") == service.get("local")
    assert len(again.get("local").number) == 12 and again.get("local").number.isdigit()


def test_a_number_stands_for_its_id(service: ProjectService) -> None:
    made = service.create("team-a", name="Team A", labels={"cost": "high"})

    assert service.get(made.number) == made == service.get("team-a")
    assert in_project(Call(path={"project": made.number, "job": "j"}), service.id_of).path == {
        "project": "team-a",
        "job": "j",
    }


def test_a_name_in_place_of_the_id_is_answered_with_the_id(service: ProjectService) -> None:
    service.create("team-a", name="Research Team")

    with pytest.raises(NotFound, match="'Research Team' is the name of project id 'team-a'"):
        service.get("Research Team")
    with pytest.raises(NotFound, match="Did you mean 'team-a'"):
        service.get("team-b")
    with pytest.raises(NotFound, match="Its project ids: local, team-a"):
        service.get("something-else")


def test_a_single_project_is_named_in_the_cure(service: ProjectService) -> None:
    with pytest.raises(NotFound, match="use --project local"):
        service.get("other")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"project_id": "No"}, "no project id"),
        ({"project_id": "a/b-c"}, "no project id"),
        ({"project_id": "team-a", "name": "x" * 201}, "at most 200"),
        ({"project_id": "team-a", "labels": {"Big": "x"}}, "is no label"),
    ],
)
def test_what_is_not_spelled_right_is_not_made(
    service: ProjectService, said: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        service.create(**said)

    assert len(service.list()) == 1


def test_an_id_is_never_given_twice(service: ProjectService) -> None:
    service.create("team-a")
    with pytest.raises(AlreadyExists, match="there is a project 'team-a'"):
        service.create("team-a")
    service.delete("team-a")

    with pytest.raises(AlreadyExists, match="there was a project 'team-a'"):
        service.create("team-a")
    with pytest.raises(NotFound):
        service.get("team-a")


def test_a_project_that_holds_something_or_is_the_first_stays(
    database: SqlDatabase, clock: HandClock
) -> None:
    held = {"team-a": ["2 models", "1 bucket"], "local": []}
    service = ProjectService(database, clock, first="local", holdings=lambda project: held[project])
    service.create("team-a")

    with pytest.raises(FailedPrecondition, match="it has 2 models, 1 bucket"):
        service.delete("team-a")
    with pytest.raises(FailedPrecondition, match="the server's first project"):
        service.delete("local")

    assert len(service.list()) == 2


def test_projects_are_spelled_as_by_resource_manager(service: ProjectService) -> None:
    api = Api(service)

    made = api("POST", "/v1/projects", {"projectId": "team-a", "name": "Team A", "labels": {"a": "b"}})

    assert made["done"] and made["response"]["projectId"] == "team-a"
    found = api("GET", "/v1/projects/team-a")
    assert found["lifecycleState"] == "ACTIVE" and found["labels"] == {"a": "b"}
    assert found["projectNumber"] == made["response"]["projectNumber"]
    assert [each["projectId"] for each in api("GET", "/v1/projects")["projects"]] == ["local", "team-a"]
    page = api("GET", "/v1/projects", pageSize="1")
    assert api("GET", "/v1/projects", pageToken=page["nextPageToken"])["projects"] == [found]
    assert api("DELETE", "/v1/projects/team-a") == {}


def test_a_list_has_only_what_the_caller_may_see(service: ProjectService) -> None:
    service.create("secret-one")

    assert [each["projectId"] for each in Api(service, "secret-one")("GET", "/v1/projects")["projects"]] == [
        "local"
    ]


def test_what_projects_here_have_not_is_refused_by_name(service: ProjectService) -> None:
    api = Api(service)

    with pytest.raises(InvalidArgument, match="parent is not available"):
        api("POST", "/v1/projects", {"projectId": "team-a", "parent": {"type": "folder", "id": "1"}})
    with pytest.raises(InvalidArgument, match="needs an id"):
        api("POST", "/v1/projects", {})
    with pytest.raises(InvalidArgument, match="cannot be filtered"):
        api("GET", "/v1/projects", filter="name:x")

    assert len(service.list()) == 1
