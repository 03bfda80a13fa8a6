"""Who may predict, judged by the gateway alone: tokens, policies, and what changes while it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlengine.access import rsa
from mlengine.access.directory import Directory, Known
from mlengine.access.domain import JobTokens
from mlengine.access.tokens import AccessToken, AccessTokens

from .gateway_stand_ins import PATH, PROJECTS, Gateway, LoneGateways, Worker, error, request

SECRET = "s" * 32
EMAIL = "caller@p-one.iam.gserviceaccount.com"
AGENT = "service-123456789012@cloud-ml.google.com.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
MODEL = "projects/p-one/models/m"
NAME = "p-one/models/m"
PRIVATE, PUBLIC = rsa.make_pair()


def directory(**changes: Any) -> Directory:
    """An account that may predict with one model."""
    said: dict[str, Any] = {
        "projects": {"p-one": AGENT, "p-two": AGENT.replace("1", "2")},
        "accounts": {EMAIL: Known(project="p-one", unique_id="7", keys={"k1": PUBLIC})},
        "policies": {MODEL: {"roles/ml.modelUser": [f"serviceAccount:{EMAIL}"]}},
    }
    return Directory(**said | changes)


def token(**changes: Any) -> str:
    said: dict[str, Any] = {
        "email": EMAIL,
        "unique_id": "7",
        "key_id": "k1",
        "project": "p-one",
        "until": int(time.time()) + 3600,
        "scopes": (SCOPE,),
        "token_id": "t1",
    }
    return AccessTokens(SECRET.encode()).issue(AccessToken(**said | changes))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(tmp_path_factory.mktemp("w") / "worker.sock") as worker:
        yield worker


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneGateways]:
    with LoneGateways(tmp_path_factory.mktemp("gateways")) as make:
        yield make


def made(gateways: LoneGateways, worker: Worker, *, required: bool) -> Gateway:
    gateway = gateways(token_secret=SECRET, job_secret=SECRET, tokens_required=required)
    gateway.route({"p-one/m/v1": worker, "p-one/other/v1": worker}, {"p-one/m": "v1", "p-one/other": "v1"})
    return gateway


@pytest.fixture(scope="module")
def strict_gateway(gateways: LoneGateways, worker: Worker) -> Gateway:
    return made(gateways, worker, required=True)


@pytest.fixture
def strict(strict_gateway: Gateway) -> Gateway:
    """A gateway that wants tokens."""
    push(strict_gateway, directory())
    return strict_gateway


@pytest.fixture(scope="module")
def loose(gateways: LoneGateways, worker: Worker) -> Gateway:
    """A gateway at which whoever shows none is the owner."""
    gateway = made(gateways, worker, required=False)
    push(gateway, directory())
    return gateway


def push(gateway: Gateway, state: Directory) -> None:
    assert gateway.admin(op="access", directory=state.to_json()) == {"ok": True}


def ask(gateway: Gateway, bearer: str = "", name: str = NAME, query: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    status, _, body = gateway.ask("POST", f"{PROJECTS}/{name}:predict{query}", b"{}", headers)
    return status, json.loads(body)


def test_who_may_is_answered_by_the_model_and_by_its_versions_and_by_the_project_s_number(
    strict: Gateway,
) -> None:
    for name in (NAME, f"{NAME}/versions/v1", NAME.replace("p-one", "123456789012")):
        assert ask(strict, token(), name)[0] == 200


def test_nobody_is_asked_for_a_token(strict: Gateway) -> None:
    status, headers, body = strict.ask("POST", f"{PROJECTS}/{NAME}:predict", b"{}")

    assert status == 401
    assert headers["WWW-Authenticate"] == 'Bearer realm="mlengine"'
    assert error(body)["status"] == "UNAUTHENTICATED"
    assert f"ml.versions.predict on {MODEL}" in error(body)["message"]


def test_another_model_is_refused_with_check_identity_and_cure(strict: Gateway) -> None:
    status, answer = ask(strict, token(), "p-one/models/other")

    assert status == 403
    message = answer["error"]["message"]
    assert "'ml.versions.predict' denied on resource 'projects/p-one/models/other'" in message
    assert EMAIL in message
    assert "mlengine models add-iam-policy-binding other --project=p-one" in message


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        (token()[:-1] + ("A" if token()[-1] != "A" else "B"), "changed since"),
        (token(until=1), "expired"),
        (token(unique_id="8"), "was deleted"),
        (token(key_id="k2"), "k2"),
        (token(email="other@p-one.iam.gserviceaccount.com"), "was deleted"),
        ("ya29.of-somebody-else", "no token of this server"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(strict: Gateway, bearer: str, reason: str) -> None:
    status, answer = ask(strict, bearer)

    assert (status, answer["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert reason in answer["error"]["message"]


def test_what_changes_holds_with_the_next_request_on_the_same_connection(strict: Gateway) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    connection = strict.connect()

    def status() -> int:
        connection.request("POST", PATH.replace("/p/", "/p-one/"), b"{}", headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert [status(), status()] == [200, 200]
    push(strict, directory(revoked=frozenset({"t1"})))
    assert status() == 401
    push(strict, directory(policies={}))
    assert status() == 403
    push(strict, directory(policies={"projects/p-one": {"roles/ml.developer": ["allAuthenticatedUsers"]}}))
    assert status() == 200
    push(strict, directory(accounts={}))
    assert status() == 401
    connection.close()


def test_all_users_need_no_token_where_a_policy_says_so(strict: Gateway) -> None:
    push(strict, directory(policies={MODEL: {"roles/ml.modelUser": ["allUsers"]}}))

    assert ask(strict)[0] == 200
    assert ask(strict, name="p-one/models/other")[0] == 401


def test_a_job_predicts_in_its_own_project_only(strict: Gateway) -> None:
    tokens = JobTokens(SECRET.encode())

    assert ask(strict, tokens.issue("p-one.train_7"))[0] == 200
    assert ask(strict, tokens.issue("p-two.train_7"))[0] == 403
    assert ask(strict, tokens.issue("p-gone.train_7"))[0] == 401


def test_a_jwt_that_an_account_has_signed_itself_opens(strict: Gateway) -> None:
    from google.auth import crypt, jwt

    now = int(time.time())
    claims = {"iss": EMAIL, "sub": EMAIL, "iat": now, "exp": now + 3600}
    signer = crypt.RSASigner.from_string(PRIVATE, "k1")

    assert ask(strict, jwt.encode(signer, claims | {"scope": SCOPE}).decode())[0] == 200
    ours = f"http://127.0.0.1:{strict.port}/"
    assert ask(strict, jwt.encode(signer, claims | {"aud": ours}).decode())[0] == 200
    assert ask(strict, jwt.encode(signer, claims | {"aud": "https://example.com/"}).decode())[0] == 401


def test_a_token_may_come_in_the_query(strict: Gateway) -> None:
    assert ask(strict, query=f"?access_token={token()}")[0] == 200
    assert ask(strict, query="?access_token=x")[0] == 401


def test_without_a_token_the_owner_predicts_and_a_token_of_ours_counts_all_the_same(loose: Gateway) -> None:
    assert ask(loose)[0] == 200
    assert ask(loose, "made-up-by-a-test")[0] == 200
    assert ask(loose, token())[0] == 200
    assert ask(loose, token(), "p-one/models/other")[0] == 403
    assert ask(loose, token(until=1))[0] == 401


def test_the_connection_lives_on_after_a_refusal(strict: Gateway) -> None:
    path = f"{PROJECTS}/{NAME}:predict"
    good = f"Authorization: Bearer {token()}".encode()
    refused = request(b"Content-Length: 2", body=b"{}", path=path)
    last = request(b"Content-Length: 2", b"Connection: close", good, body=b"{}", path=path)

    answer = strict.raw(refused + last)

    assert answer.count(b"HTTP/1.1 401") == 1
    assert answer.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize("wrong", [{}, {"projects": {}}, [], "x", {"projects": 1, "accounts": {"a": 1}}])
def test_a_directory_that_cannot_be_read_is_refused_and_the_old_one_holds(
    strict: Gateway, wrong: Any
) -> None:
    answer = strict.admin(op="access", directory=wrong)

    assert answer["ok"] is False and "cannot be read" in answer["error"]["message"]
    assert ask(strict, token())[0] == 200


def test_a_gateway_that_was_told_nothing_yet_lets_nobody_in(
    gateways: LoneGateways, worker: Worker, tmp_path: Path
) -> None:
    fresh = made(gateways, worker, required=True)

    assert ask(fresh, token())[0] == 401
    assert ask(fresh)[0] == 401


def test_every_language_of_prediction_asks_the_same_right(strict: Gateway, worker: Worker) -> None:
    versions = {
        "p-one/m/v1": {"sockets": [str(worker.path)]},
        "p-one/other/v1": {"sockets": [str(worker.path)]},
    }
    models = {"p-one/m": {"split": {"v1": 100}}, "p-one/other": {"split": {"v1": 100}}}
    foreign = {"m": "p-one/m", "other": "p-one/other"}
    assert strict.admin(op="routes", versions=versions, models=models, foreign=foreign) == {"ok": True}
    headers = {"Authorization": f"Bearer {token()}"}

    for path in (f"{PROJECTS}/p-one/models/%s:explain", "/v1/models/%s:predict", "/v2/models/%s/infer"):
        assert strict.ask("POST", path % "m", b"{}", headers)[0] == 200
        assert strict.ask("POST", path % "other", b"{}", headers)[0] == 403
        status, _, body = strict.ask("POST", path % "m", b"{}")
        assert status == 401
        assert isinstance(json.loads(body)["error"], dict if "explain" in path else str)


def test_metrics_are_for_who_may_list_models_and_of_those_projects_alone(
    strict: Gateway, loose: Gateway
) -> None:
    lists = {"projects/p-one": {"roles/ml.viewer": [f"serviceAccount:{EMAIL}"]}}
    headers = {"Authorization": f"Bearer {token()}"}

    assert loose.ask("GET", "/metrics")[0] == 200
    assert strict.ask("GET", "/metrics")[0] == 401
    status, _, body = strict.ask("GET", "/metrics", headers=headers)
    assert status == 403 and "ml.models.list" in error(body)["message"]
    push(strict, directory(policies=lists))
    status, _, body = strict.ask("GET", "/metrics", headers=headers)
    assert status == 200 and b'project="p-one"' in body
    push(strict, directory(policies={"projects/p-two": lists["projects/p-one"]}))
    assert strict.ask("GET", "/metrics", headers=headers)[0] == 403
