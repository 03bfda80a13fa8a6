"""What is sent again, and what is not."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from mlengine.errors import AlreadyExists, DeadlineExceeded, ResourceExhausted, Unavailable
from mlengine.sdk.retry import retry_after
from tests.unit.client.small_server import Cut, SmallServer, error
from tests.unit.sdk.conftest import Both

MODELS = "/v1/projects/local/models"
AWAY = error(503, "UNAVAILABLE", "The control plane is starting.")
FULL = error(429, "RESOURCE_EXHAUSTED", "The queue is full.")
MODEL = (200, {"name": "projects/local/models/m"})


def cut(_seen: object) -> None:
    raise Cut


@pytest.mark.parametrize("trouble", [AWAY, FULL, cut, error(502, "UNAVAILABLE", "A proxy is at a loss.")])
def test_a_read_is_sent_again_until_it_is_answered(server: SmallServer, ask: Both, trouble: object):
    server.answers[f"GET {MODELS}/m"] = [MODEL, trouble, trouble, MODEL]

    found = ask(lambda client: client.models.get("m"), lambda model: model.refresh())

    assert found.id == "m"
    assert len(server.asked("GET", f"{MODELS}/m")) == 4


def test_a_creation_is_not_sent_again_when_it_may_have_happened(server: SmallServer, ask: Both):
    server.answers[f"POST {MODELS}"] = [AWAY, MODEL]

    with pytest.raises(Unavailable, match="control plane is starting"):
        ask(lambda client: client.models.create("m"))

    assert len(server.asked("POST", MODELS)) == 1


def test_a_creation_that_was_turned_away_before_anything_happened_is_sent_again(
    server: SmallServer, ask: Both
):
    server.answers[f"POST {MODELS}"] = [FULL, MODEL]

    assert ask(lambda client: client.models.create("m")).id == "m"


def test_a_refusal_is_final(server: SmallServer, ask: Both):
    server.answers[f"POST {MODELS}"] = error(409, "ALREADY_EXISTS", "There is a model m.")

    with pytest.raises(AlreadyExists, match="There is a model m") as caught:
        ask(lambda client: client.models.create("m"))

    assert (caught.value.code, caught.value.status) == (409, "ALREADY_EXISTS")
    assert len(server.seen) == 1


def test_the_servers_own_wish_for_a_pause_is_heeded(server: SmallServer, ask: Both):
    code, body = FULL
    server.answers[f"GET {MODELS}/m"] = [(code, (body, {"Retry-After": "1"})), MODEL]
    began = time.monotonic()

    ask(lambda client: client.models.get("m"))

    assert time.monotonic() - began >= 1.0


def test_a_pause_longer_than_the_patience_is_not_begun(server: SmallServer, ask: Both):
    code, body = FULL
    server.answers[f"GET {MODELS}/m"] = (code, (body, {"Retry-After": "600"}))

    with pytest.raises(ResourceExhausted):
        ask(lambda client: client.models.get("m"), retry_seconds=30)

    assert len(server.seen) == 1


def test_no_retries_when_none_are_wanted(server: SmallServer, ask: Both):
    server.answers[f"GET {MODELS}/m"] = [AWAY, MODEL]

    with pytest.raises(Unavailable):
        ask(lambda client: client.models.get("m"), retry_seconds=0)


def test_a_server_that_never_answered_is_not_waited_for(ask: Both):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    began = time.monotonic()

    with pytest.raises(Unavailable, match="No server answers") as caught:
        ask(lambda client: client.models.get("m"), endpoint=endpoint)

    assert time.monotonic() - began < 10
    assert caught.value.code == 0
    assert "server start" in caught.value.hint


def test_an_answer_that_does_not_come_is_an_error_in_time(ask: Both):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DeadlineExceeded, match=r"0\.2 seconds"),
    ):
        ask(
            lambda client: client.models.get("m"),
            endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}",
            timeout=0.2,
        )


def test_details_of_an_error_are_kept(server: SmallServer, ask: Both):
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []}]
    body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "No.", "details": details}}
    server.answers[f"GET {MODELS}/m"] = (400, body)

    with pytest.raises(Exception, match="No") as caught:
        ask(lambda client: client.models.get("m"))

    assert caught.value.details[0] == details[0]


def test_what_is_no_mlengine_server_is_told_as_such(server: SmallServer, ask: Both):
    server.answers[f"GET {MODELS}/m"] = (200, b"<html>a router</html>")

    with pytest.raises(Unavailable, match="no mlengine server"):
        ask(lambda client: client.models.get("m"))


def test_a_pause_may_be_given_as_a_date():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    assert 25 < retry_after(soon) <= 30
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == 0.0
    assert retry_after("7") == 7.0
    assert retry_after("soon") == 0.0
    assert retry_after("") == 0.0
