from __future__ import annotations

import pytest

from mlengine import errors
from mlengine.errors import Problem, nearest
from mlengine.web.envelope import HTTP_CODES, RPC_CODES, envelope, http_code

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]


def make(kind: type[Problem]) -> Problem:
    return kind("Broken.", size=7) if kind is errors.RangeNotSatisfiable else kind("Broken.")


def test_the_hint_follows_the_message() -> None:
    assert str(Problem("Broken.", hint="Mend it.")) == "Broken. Mend it."
    assert str(Problem("Broken.")) == "Broken."


@pytest.mark.parametrize("kind", KINDS)
def test_every_problem_has_a_status_that_http_and_operations_know(kind: type[Problem]) -> None:
    assert kind.status in HTTP_CODES
    assert kind.status in RPC_CODES


@pytest.mark.parametrize("kind", KINDS)
def test_every_problem_can_be_told_to_a_client(kind: type[Problem]) -> None:
    error = envelope(make(kind))["error"]

    assert error["code"] == http_code(make(kind))
    assert 300 <= error["code"] < 600
    assert (error["status"], error["message"]) == (kind.status, "Broken.")
    assert error["errors"][0]["message"] == "Broken."
    assert error["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("prot", ["port", "host"], "Did you mean 'port'?"),
        ("zzz", ["port"], ""),
        ("", ["port"], ""),
        ("a", [], ""),
    ],
)
def test_only_a_name_that_is_close_is_offered(name: str, known: list[str], hint: str) -> None:
    assert nearest(name, known) == hint
