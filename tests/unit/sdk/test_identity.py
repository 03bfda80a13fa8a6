"""Tokens from keys and from google-auth's credentials."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account

from mlengine.errors import InvalidArgument, Unauthenticated
from tests.unit.client.small_server import SmallServer
from tests.unit.sdk.conftest import Both

MODEL = "/v1/projects/local/models/m"


@pytest.fixture(scope="module")
def pem() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def key(server: SmallServer, pem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A key of this server, and nobody's home to keep tokens in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    numbers = iter(range(1, 100))
    server.answers["POST /token"] = lambda _: (
        200,
        {"access_token": f"token-{next(numbers)}", "expires_in": 3600, "token_type": "Bearer"},
    )
    server.answers[f"GET {MODEL}"] = (200, {"name": "projects/local/models/m"})
    return {
        "type": "service_account",
        "project_id": "local",
        "client_email": "robot@local.iam.gserviceaccount.com",
        "client_id": "1",
        "private_key_id": "k1",
        "private_key": pem,
        "token_uri": f"{server.endpoint}/token",
    }


def authorizations(server: SmallServer) -> list[str | None]:
    return [seen.headers.get("authorization") for seen in server.asked("GET", MODEL)]


@pytest.mark.parametrize("given", ["path", "text", "dict", "variable"])
def test_a_key_becomes_one_token_for_many_requests(
    server: SmallServer, ask: Both, key: dict, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("MLENGINE_CREDENTIALS", str(tmp_path / "key.json") if given == "variable" else "")
    forms = {"path": tmp_path / "key.json", "text": json.dumps(key), "dict": key, "variable": None}

    ask(lambda client: client.models.get("m"), lambda model: model.refresh(), credentials=forms[given])
    form = parse_qs(server.asked("POST", "/token")[0].body.decode())
    claims = form["assertion"][0].split(".")[1]

    assert len(server.asked("POST", "/token")) == 1
    assert authorizations(server) == ["Bearer token-1"] * 2
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"] == key["client_email"]


def test_credentials_of_google_auth_are_refreshed_when_they_run_out(
    server: SmallServer, ask: Both, key: dict
):
    made = service_account.Credentials.from_service_account_info(
        key, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )

    ask(lambda client: client.models.get("m"), credentials=made)
    made.expiry = made.expiry.replace(year=2020)
    ask(lambda client: client.models.get("m"), credentials=made)

    assert authorizations(server) == ["Bearer token-1", "Bearer token-2"]


def test_a_key_that_the_server_does_not_take_is_told_with_its_place(
    server: SmallServer, ask: Both, key: dict, tmp_path: Path
):
    (tmp_path / "key.json").write_text(json.dumps(key))
    server.answers["POST /token"] = (
        400,
        {"error": "invalid_grant", "error_description": "The key k1 was deleted."},
    )

    with pytest.raises(Unauthenticated, match=r"key\.json.*The key k1 was deleted"):
        ask(lambda client: client.models.get("m"), credentials=tmp_path / "key.json")

    assert authorizations(server) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("/no/such/key.json", "cannot be read"),
        ("{", "not JSON"),
        ({"type": "authorized_user"}, "no service account's key"),
        (7, "credentials is a int"),
    ],
)
def test_what_is_no_credential_is_refused(ask: Both, given: object, words: str):
    with pytest.raises(InvalidArgument, match=words):
        ask(credentials=given)
