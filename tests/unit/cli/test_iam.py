"""`mlengine iam service-accounts`, against answers as the server gives them."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer

ACCOUNTS = "/v1/projects/local/serviceAccounts"
EMAIL = "trainer@local.iam.gserviceaccount.com"
KEY = {
    "name": f"projects/local/serviceAccounts/{EMAIL}/keys/0123abcd",
    "validAfterTime": "2026-11-02T09:30:00Z",
    "validBeforeTime": "9999-12-31T23:59:59Z",
}


def test_an_account_is_created_as_with_gcloud(run: Run, server: SmallServer) -> None:
    server.answers[f"POST {ACCOUNTS}"] = (200, {"email": EMAIL})

    done = run("iam", "service-accounts", "create", "trainer", "--display-name", "훈련")

    assert (done.code, done.out, done.err) == (0, "", "Created service account [trainer].\n")
    assert server.asked("POST", ACCOUNTS)[0].json == {
        "accountId": "trainer",
        "serviceAccount": {"displayName": "훈련"},
    }


def test_a_key_is_written_for_its_owner_only(run: Run, server: SmallServer, tmp_path: Path) -> None:
    content = b'{"type": "service_account"}'
    server.answers[f"POST {ACCOUNTS}/{EMAIL}/keys"] = (
        200,
        KEY | {"privateKeyData": base64.b64encode(content).decode()},
    )

    done = run("iam", "service-accounts", "keys", "create", "key.json", "--iam-account", EMAIL)

    assert done.code == 0
    assert done.err == f"created key [0123abcd] of type [json] as [key.json] for [{EMAIL}]\n"
    assert (tmp_path / "key.json").read_bytes() == content
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "key.json"]
    printed = run("iam", "service-accounts", "keys", "create", "-", "--iam-account", EMAIL)
    assert printed.out == content.decode() + "\n"


def test_no_key_is_made_that_cannot_be_written(run: Run, server: SmallServer, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    for place in ("no/such/folder/key.json", "folder"):
        done = run("iam", "service-accounts", "keys", "create", place, "--iam-account", EMAIL)
        assert done.code == 1
    assert server.seen == []


def test_accounts_and_keys_are_listed(run: Run, server: SmallServer) -> None:
    server.answers[f"GET {ACCOUNTS}"] = (200, {"accounts": [{"email": EMAIL, "displayName": "T"}]})
    server.answers[f"GET {ACCOUNTS}/{EMAIL}/keys"] = (200, {"keys": [KEY]})

    accounts = run("iam", "service-accounts", "list")
    keys = run("iam", "service-accounts", "keys", "list", "--iam-account", EMAIL)

    assert accounts.out.split() == ["DISPLAY", "NAME", "EMAIL", "T", EMAIL]
    assert keys.out.split()[3:] == ["0123abcd", "2026-11-02T09:30:00Z", "9999-12-31T23:59:59Z"]


def test_deleting_asks_first(run: Run, server: SmallServer) -> None:
    server.answers[f"DELETE {ACCOUNTS}/{EMAIL}"] = (200, {})
    server.answers[f"DELETE {ACCOUNTS}/{EMAIL}/keys/0123abcd"] = (200, {})

    assert run("iam", "service-accounts", "delete", EMAIL, stdin="n\n").code == 1
    assert server.seen == []
    assert run("iam", "service-accounts", "delete", EMAIL, "-q").code == 0
    words = ("iam", "service-accounts", "keys", "delete", "0123abcd", "--iam-account", EMAIL, "-q")
    assert run(*words).err == f"deleted key [0123abcd] for service account [{EMAIL}]\n"


def test_a_key_needs_an_account(run: Run) -> None:
    done = run("iam", "service-accounts", "keys", "create", "key.json")

    assert done.code == 2
    assert "--iam-account" in done.err
