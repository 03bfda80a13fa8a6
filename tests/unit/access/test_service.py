"""Service accounts and their keys, by the methods of Google's IAM API."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.oauth2 import service_account

from mlengine.access.methods import methods
from mlengine.access.service import AccessService
from mlengine.backends.database import SqlDatabase
from mlengine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from mlengine.web.method import Call
from mlengine.web.routing import Router
from tests.conftest import HandClock

ACCOUNTS = "/v1/projects/demo-project/serviceAccounts"
EMAIL = "trainer@demo-project.iam.gserviceaccount.com"


class Iam:
    """Calls the methods as the web door does."""

    def __init__(self, service: AccessService) -> None:
        self._router = Router(methods(service))

    def __call__(self, verb: str, path: str, body: Any = None, **query: str) -> Any:
        method, variables = self._router.find(verb, path)
        content = iter(() if body is None else (json.dumps(body).encode(),))
        return method.handler(Call(path=variables, query=query, base_url="http://here:8080", body=content))


@pytest.fixture
def service(database: SqlDatabase, clock: HandClock) -> AccessService:
    return AccessService(database, clock)


@pytest.fixture
def iam(service: AccessService) -> Iam:
    return Iam(service)


def test_an_account_is_made_found_and_deleted(iam: Iam) -> None:
    said = {"displayName": "훈련", "description": "trains"}

    made = iam("POST", ACCOUNTS, {"accountId": "trainer", "serviceAccount": said})

    assert made == iam("GET", f"{ACCOUNTS}/{EMAIL}")
    assert (made["email"], made["displayName"], made["description"]) == (EMAIL, "훈련", "trains")
    assert made["name"] == f"projects/demo-project/serviceAccounts/{EMAIL}"
    assert len(made["uniqueId"]) == 21
    assert iam("DELETE", f"{ACCOUNTS}/{EMAIL}") == {}
    with pytest.raises(NotFound):
        iam("GET", f"{ACCOUNTS}/{EMAIL}")
    assert iam("GET", ACCOUNTS) == {}


def test_accounts_are_listed_in_pages(iam: Iam) -> None:
    for name in ("trainer", "alpha-1", "zeta-9"):
        iam("POST", ACCOUNTS, {"accountId": name})

    first = iam("GET", ACCOUNTS, pageSize="2")
    second = iam("GET", ACCOUNTS, pageSize="2", pageToken=first["nextPageToken"])

    emails = [account["email"].partition("@")[0] for page in (first, second) for account in page["accounts"]]
    assert emails == ["alpha-1", "trainer", "zeta-9"]
    assert "nextPageToken" not in second


@pytest.mark.parametrize(
    "name", ["", "short", "1trainer", "Trainer", "trainer-", "a" * 31, "tra/iner", "훈련용계정"]
)
def test_a_bad_account_id_is_refused(iam: Iam, name: str) -> None:
    with pytest.raises(InvalidArgument, match="no service account id"):
        iam("POST", ACCOUNTS, {"accountId": name})


def test_an_account_is_made_once(iam: Iam) -> None:
    iam("POST", ACCOUNTS, {"accountId": "trainer"})

    with pytest.raises(AlreadyExists):
        iam("POST", ACCOUNTS, {"accountId": "trainer"})


def test_a_mistyped_email_hears_the_nearest(iam: Iam) -> None:
    iam("POST", ACCOUNTS, {"accountId": "trainer"})

    with pytest.raises(NotFound) as caught:
        iam("POST", f"{ACCOUNTS}/{EMAIL.replace('trainer', 'tranier')}/keys", {})
    assert EMAIL in caught.value.hint


def test_unknown_fields_are_refused_by_name(iam: Iam) -> None:
    with pytest.raises(InvalidArgument, match="acountId"):
        iam("POST", ACCOUNTS, {"acountId": "trainer"})
    with pytest.raises(InvalidArgument, match="disabled"):
        iam("POST", ACCOUNTS, {"accountId": "trainer", "serviceAccount": {"disabled": True}})


def test_a_key_file_is_what_googles_library_reads(iam: Iam) -> None:
    iam("POST", ACCOUNTS, {"accountId": "trainer"})

    made = iam("POST", f"{ACCOUNTS}/{EMAIL}/keys", {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE"})

    file = json.loads(base64.b64decode(made["privateKeyData"]))
    credentials = service_account.Credentials.from_service_account_info(file)
    assert credentials.service_account_email == EMAIL
    assert (file["type"], file["project_id"]) == ("service_account", "demo-project")
    assert file["token_uri"] == "http://here:8080/token"
    assert made["name"].endswith(f"/keys/{file['private_key_id']}")


def test_the_private_half_is_told_once_and_kept_nowhere(iam: Iam, database: SqlDatabase) -> None:
    iam("POST", ACCOUNTS, {"accountId": "trainer"})
    made = iam("POST", f"{ACCOUNTS}/{EMAIL}/keys", {})

    listed = iam("GET", f"{ACCOUNTS}/{EMAIL}/keys")["keys"]

    assert listed == [iam("GET", f"/v1/{made['name']}")]
    assert {key for key in made if key.startswith("private")} == {"privateKeyType", "privateKeyData"}
    assert not [key for key in listed[0] if key.startswith("private")]
    with database.read() as db:
        rows = str(db.exec_driver_sql("SELECT * FROM service_account_keys").all())
    assert "BEGIN PUBLIC KEY" in rows and "PRIVATE" not in rows


def test_a_deleted_key_signs_no_more(service: AccessService) -> None:
    service.create("demo-project", "trainer")
    (first, private), (second, _) = (service.create_key("demo-project", EMAIL) for _ in range(2))
    signer = service_account.Credentials.from_service_account_info(
        {"client_email": EMAIL, "private_key": private, "token_uri": "http://here/token"}
    )
    signature = signer.sign_bytes(b"text")
    assert service.signer(EMAIL, b"text", signature) == first
    assert service.signer(EMAIL, b"another text", signature) is None

    service.delete_key("demo-project", EMAIL, first.key_id)

    assert service.keys("demo-project", EMAIL) == [second]
    assert service.signer(EMAIL, b"text", signature) is None
    with pytest.raises(NotFound):
        service.delete_key("demo-project", EMAIL, first.key_id)


def test_an_account_has_ten_keys_at_most(service: AccessService, clock: HandClock) -> None:
    service.create("demo-project", "trainer")
    for _ in range(10):
        service.create_key("demo-project", EMAIL)

    with pytest.raises(FailedPrecondition, match="10 keys"):
        service.create_key("demo-project", EMAIL)


def test_another_projects_account_is_out_of_reach(service: AccessService) -> None:
    service.create("demo-project", "trainer")

    for verb in (service.get, service.delete, service.keys, service.create_key):
        with pytest.raises(NotFound):
            verb("other-project", EMAIL)
