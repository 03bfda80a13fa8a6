"""What every method of `ml` takes in its query, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlengine.errors import InvalidArgument, NotFound
from mlengine.web.method import Call, Json, Method, Parameter, Reply
from mlengine.web.standard_parameters import with_standard_parameters

MODELS: Json = {
    "models": [
        {"name": "projects/p/models/a", "etag": "AA==", "defaultVersion": {"name": "v1", "state": "READY"}},
        {"name": "projects/p/models/b", "labels": {"team": "vision"}},
    ],
    "nextPageToken": "t",
}
PARAMETERS = (
    Parameter(name="pageSize", kind="integer"),
    Parameter(name="returnPartialSuccess", kind="boolean"),
    Parameter(name="options.requestedPolicyVersion", kind="integer"),
)


def ask(answer: Json | Reply = MODELS, message: str = "ListModelsResponse", **query: str) -> Any:
    """The answer of a method of `ml` to a query, and the query that the method saw."""
    seen: dict[str, str] = {}

    def handler(call: Call) -> Json | Reply:
        seen.update(call.query)
        return answer

    row = Method(
        id="ml.projects.models.list",
        verb="GET",
        path="/x",
        handler=handler,
        summary="",
        response=message,
        parameters=PARAMETERS,
    )
    [wrapped] = with_standard_parameters([row])
    reply = wrapped.handler(Call(path={}, query=query))
    return (reply.content if isinstance(reply, Reply) else reply), seen


@pytest.mark.parametrize(
    ("mask", "wanted"),
    [
        ("nextPageToken", {"nextPageToken": "t"}),
        ("models/name", {"models": [{"name": "projects/p/models/a"}, {"name": "projects/p/models/b"}]}),
        ("models(etag),nextPageToken", {"models": [{"etag": "AA=="}, {}], "nextPageToken": "t"}),
        ("models/defaultVersion(state)", {"models": [{"defaultVersion": {"state": "READY"}}, {}]}),
        ("models/labels/team", {"models": [{}, {"labels": {"team": "vision"}}]}),
        ("*", MODELS),
    ],
)
def test_fields_choose_what_is_answered(mask: str, wanted: Json) -> None:
    assert ask(fields=mask)[0] == wanted


def test_fields_choose_what_this_server_tells_beyond_google() -> None:
    job = {"jobId": "j", "trainingOutput": {"mlengine": {"restarts": 1}, "consumedMLUnits": 2}}

    chosen = ask(job, "Job", fields="trainingOutput/mlengine")[0]

    assert chosen == {"trainingOutput": {"mlengine": {"restarts": 1}}}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("model", "Did you mean 'models'"),
        ("models(nam)", "Did you mean 'name'"),
        ("models/defaultVersion/stat", "a Version has no 'stat'"),
        ("nextPageToken/x", "has no parts"),
        ("models(name", "cannot be read"),
    ],
)
def test_a_selection_that_no_answer_can_have_is_refused(mask: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=r"(?i)field") as refused:
        ask(fields=mask)

    assert words in str(refused.value)


def test_pretty_print_false_answers_on_one_line() -> None:
    content, _ = ask(prettyPrint="false")

    assert json.loads(content) == MODELS
    assert b"\n" not in content
    assert b": " not in content


def test_pretty_print_and_fields_keep_status_and_headers() -> None:
    seen = Reply(content=MODELS, status=202, headers={"X-A": "b"})
    [row] = with_standard_parameters(
        [Method(id="ml.x", verb="GET", path="/x", handler=lambda _: seen, summary="")]
    )

    reply = row.handler(Call(path={}, query={"fields": "nextPageToken", "prettyPrint": "false"}))

    assert isinstance(reply, Reply)
    assert (reply.content, reply.status, reply.headers) == (b'{"nextPageToken":"t"}', 202, {"X-A": "b"})


def test_the_method_sees_its_own_parameters_in_the_spelling_of_the_table() -> None:
    query = {
        "page_size": "3",
        "options.requestedPolicyVersion": "1",
        "alt": "json",
        "key": "k",
        "$.xgafv": "2",
        "$prettyPrint": "true",
    }

    assert ask(**query)[1] == {"pageSize": "3", "options.requestedPolicyVersion": "1"}


def test_who_asks_and_how_is_tolerated() -> None:
    names = ["access_token", "oauth_token", "key", "quotaUser", "uploadType", "upload_protocol"]

    answer, seen = ask(**dict.fromkeys(names, "x"))

    assert answer == MODELS
    assert seen == {"access_token": "x", "oauth_token": "x"}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"pageSiz": "3"}, "Did you mean 'pageSize'"),
        ({"zzz": "3"}, "This method takes pageSize"),
        ({"pageSize": "3", "page_size": "4"}, "both spellings"),
        ({"alt": "media"}, "alt=media is not available"),
        ({"alt": "proto"}, "alt=proto is not available"),
        ({"callback": "f"}, "JSONP"),
        ({"$.xgafv": "3"}, "1 or 2"),
        ({"prettyPrint": "maybe"}, "true or false"),
        ({"returnPartialSuccess": "perhaps"}, "true or false"),
        ({"x" * 10_000: "1"}, "Unknown query parameter"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(query: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        ask(**query)

    assert words in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_methods_of_other_apis_are_left_alone() -> None:
    row = Method(id="storage.x", verb="GET", path="/x", handler=lambda _: {}, summary="")

    assert with_standard_parameters([row]) == [row]


def test_an_error_is_told_whole_whatever_fields_say() -> None:
    def missing(call: Call) -> Json:
        raise NotFound("There is no model 'a'.")

    [row] = with_standard_parameters([Method(id="ml.x", verb="GET", path="/x", handler=missing, summary="")])

    with pytest.raises(NotFound, match="no model 'a'"):
        row.handler(Call(path={}, query={"fields": "name"}))
