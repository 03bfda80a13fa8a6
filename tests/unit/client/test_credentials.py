"""Which key is found, and that an access token is had once for many commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from google.auth import jwt as google_jwt

from mlengine.access.rsa import make_pair
from mlengine.client.credentials import (
    Logins,
    access_token,
    authorization,
    find_key,
    forget_tokens,
    read_key,
)
from mlengine.errors import InvalidArgument, Unauthenticated

PRIVATE, PUBLIC = make_pair()
KEY = {
    "type": "service_account",
    "client_email": "bot@local.iam.gserviceaccount.com",
    "private_key_id": "k1",
    "private_key": PRIVATE,
    "token_uri": "http://here/token",
}


class TokenServer:
    """A token endpoint which keeps what it was asked.

    Attributes:
        asked: The claims of each assertion.
        answer: What it answers, and with which status.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: tuple[int, dict[str, Any]] = (200, {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.asked.append(google_jwt.decode(form["assertion"][0], verify=False))
                status, value = outer.answer
                if status == 200:
                    value = {"access_token": f"token-{len(outer.asked)}", "expires_in": 3600} | value
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(value).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[TokenServer]:
    made = TokenServer()
    yield made
    made.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}


def test_without_credentials_nothing_is_sent(environment: dict[str, str]) -> None:
    assert authorization(environment, "http://nowhere") == ""


def test_the_key_is_had_from_content_or_path_and_our_variable_wins(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(KEY))
    other = json.dumps(KEY | {"client_email": "other@local.iam.gserviceaccount.com"})

    by_path = find_key(environment | {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}, "http://here")
    ours = find_key(
        environment | {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "MLENGINE_CREDENTIALS": other},
        "http://here",
    )

    assert by_path and by_path.email == KEY["client_email"]
    assert by_path.found == f"GOOGLE_APPLICATION_CREDENTIALS, the file '{file}'"
    assert ours and ours.email.startswith("other@")
    assert ours.found == "MLENGINE_CREDENTIALS (its content)"


@pytest.mark.parametrize(
    "said",
    [
        json.dumps(KEY | {"token_uri": "https://oauth2.googleapis.com/token"}),
        '{"type": "authorized_user"}',
        "/no/such/file",
    ],
)
def test_credentials_for_google_itself_are_not_shown_to_us(environment: dict[str, str], said: str) -> None:
    assert find_key(environment | {"GOOGLE_APPLICATION_CREDENTIALS": said}, "http://here") is None


def test_one_token_serves_many_commands_and_a_fresh_one_can_be_had(
    environment: dict[str, str], server: TokenServer
) -> None:
    environment["MLENGINE_CREDENTIALS"] = json.dumps(KEY)

    assert [authorization(environment, server.endpoint) for _ in range(3)] == ["Bearer token-1"] * 3

    key = find_key(environment, server.endpoint)
    assert key and access_token(key, environment, server.endpoint, fresh=True) == "token-2"
    assert authorization(environment, server.endpoint) == "Bearer token-2"
    forget_tokens(key, environment, server.endpoint)
    assert authorization(environment, server.endpoint) == "Bearer token-3"
    claims = server.asked[0]
    assert (claims["iss"], claims["aud"]) == (KEY["client_email"], f"{server.endpoint}/token")
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_that_ends_soon_is_not_begun_with(environment: dict[str, str], server: TokenServer) -> None:
    environment["MLENGINE_CREDENTIALS"] = json.dumps(KEY)
    server.answer = (200, {"expires_in": 60})

    assert [authorization(environment, server.endpoint) for _ in range(2)] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_refusal_says_which_credentials_and_why(environment: dict[str, str], server: TokenServer) -> None:
    environment["MLENGINE_CREDENTIALS"] = json.dumps(KEY)
    server.answer = (400, {"error": "invalid_grant", "error_description": "Invalid JWT: too old."})

    with pytest.raises(Unauthenticated, match=r"MLENGINE_CREDENTIALS \(its content\): Invalid JWT: too old"):
        authorization(environment, server.endpoint)


def test_a_login_is_for_one_server(environment: dict[str, str]) -> None:
    logins = Logins(environment)
    logins.add(KEY, "http://one")
    logins.add(KEY | {"client_email": "b@local.iam.gserviceaccount.com"}, "http://two")

    one, two = find_key(environment, "http://one"), find_key(environment, "http://two")

    assert one and two and (one.email, two.email) == (KEY["client_email"], "b@local.iam.gserviceaccount.com")
    assert find_key(environment, "http://three") is None
    assert logins.remove("b@local.iam.gserviceaccount.com") and not logins.remove("nobody@x")
    assert find_key(environment, "http://two") is None
    assert logins.list() == [(KEY["client_email"], ["http://one"])]


@pytest.mark.parametrize("private", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_private_key_that_is_none_is_named(environment: dict[str, str], private: str) -> None:
    key = read_key(json.dumps(KEY | {"private_key": private}), found="here")

    with pytest.raises(InvalidArgument, match=r"private key of here .* cannot be read"):
        access_token(key, environment, "http://127.0.0.1:1")
