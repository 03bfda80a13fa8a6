"""Several teams on one server that all may reach: projects, accounts, roles, and being logged in."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.conftest import Server, Shell

BOT = "team-bot@team-a.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on all addresses of the machine, so that it wants tokens."""
    folder = tmp_path_factory.mktemp("open")
    running = Server(
        folder / "data", Shell(folder, {"MLENGINE_HOST": "0.0.0.0", "XDG_CONFIG_HOME": str(folder / "owner")})
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def owner(server: Server) -> Shell:
    """Whoever has the first owner's key."""
    key = str(server.data_dir / "keys" / "admin.json")
    return Shell(server.shell.cwd, server.shell.environment | {"MLENGINE_CREDENTIALS": key})


@pytest.fixture
def member(server: Server, tmp_path: Path) -> Shell:
    """Somebody else, with nothing yet."""
    return Shell(tmp_path, server.shell.environment | {"XDG_CONFIG_HOME": str(tmp_path / "config")})


@pytest.fixture(scope="module")
def key(owner: Shell) -> Path:
    """The key of an account of project team-a, which may do everything there."""
    owner.run("projects", "create", "team-a", "--name", "Research Team", "--labels", "floor=3")
    owner.run("iam", "service-accounts", "create", "team-bot", "--project", "team-a")
    owner.run(
        "iam", "service-accounts", "keys", "create", "bot.json", f"--iam-account={BOT}", "--project=team-a"
    )
    owner.run(
        "projects",
        "add-iam-policy-binding",
        "team-a",
        f"--member=serviceAccount:{BOT}",
        "--role=roles/editor",
    )
    return owner.cwd / "bot.json"


def test_the_first_owners_key_is_told_of_and_only_its_owner_can_read_it(server: Server) -> None:
    key = server.data_dir / "keys" / "admin.json"
    log = (server.data_dir / "run" / "server.log").read_text()

    assert f"export MLENGINE_CREDENTIALS={key}" in log
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert json.loads(key.read_text())["token_uri"] == f"{server.endpoint}/token"


def test_without_credentials_nothing_is_answered_and_the_cure_is_named(member: Shell) -> None:
    done = member.run("models", "list", code=1)

    assert "UNAUTHENTICATED" in done.stderr and "MLENGINE_CREDENTIALS" in done.stderr


def test_a_login_lasts_and_opens_its_own_project(member: Shell, key: Path) -> None:
    member.run("auth", "login", "--key-file", str(key))
    member.environment["MLENGINE_PROJECT"] = "team-a"

    member.run("models", "create", "m", "--regions", "us-central1")
    member.run("storage", "mb", "gs://team-a-files")
    (member.cwd / "a.txt").write_text("hello\n")
    member.run("storage", "cp", "a.txt", "gs://team-a-files/a.txt")

    assert member.run("storage", "cat", "gs://team-a-files/a.txt").stdout == "hello\n"
    assert BOT in member.run("auth", "list").stdout
    assert [each["projectId"] for each in member.json("projects", "list")] == ["team-a"]
    refused = member.run("models", "list", "--project", "local", code=1)
    assert "PERMISSION_DENIED" in refused.stderr and "ml.models.list" in refused.stderr
    assert "mlengine projects add-iam-policy-binding local" in refused.stderr
    for file in (member.cwd / "config" / "mlengine").rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


def test_logging_out_ends_the_token_too(member: Shell, key: Path) -> None:
    member.run("auth", "login", "--key-file", str(key))
    token = member.run("auth", "print-access-token").stdout.strip()
    (member.cwd / "token").write_text(token)

    done = member.run("auth", "revoke")

    assert f"Revoked credentials: [{BOT}]" in done.stderr
    assert member.run("auth", "list").stdout == ""
    refused = member.run("models", "list", "--access-token-file", "token", "--project", "team-a", code=1)
    assert "was revoked" in refused.stderr


def test_a_projects_name_is_answered_with_its_id(owner: Shell, key: Path) -> None:
    described = owner.json("projects", "describe", "team-a")
    by_number = owner.json("projects", "describe", described["projectNumber"])
    owner.run("models", "list", "--project", described["projectNumber"])
    refused = owner.run("projects", "describe", "Research Team", code=1)
    in_passing = owner.run("models", "list", "--project", "Research Team", code=1)

    assert described == by_number
    assert described["name"] == "Research Team" and described["labels"] == {"floor": "3"}
    for answer in (refused, in_passing):
        assert "'Research Team' is the name of project id 'team-a'" in answer.stderr


def test_a_policy_is_read_edited_as_a_file_and_set(owner: Shell, key: Path) -> None:
    owner.run("models", "create", "shared", "--regions", "us-central1")
    policy = owner.json("models", "get-iam-policy", "shared")
    policy["bindings"] = [{"role": "roles/ml.modelUser", "members": [f"serviceAccount:{BOT}"]}]
    (owner.cwd / "policy.json").write_text(json.dumps(policy))

    owner.run("models", "set-iam-policy", "shared", "policy.json")

    stale = owner.run("models", "set-iam-policy", "shared", "policy.json", code=1)
    assert "ABORTED" in stale.stderr and "concurrent policy changes" in stale.stderr
    assert owner.json("models", "get-iam-policy", "shared")["bindings"] == policy["bindings"]
    binding = (f"--member=serviceAccount:{BOT}", "--role=roles/ml.modelUser")
    owner.run("models", "remove-iam-policy-binding", "shared", *binding)
    again = owner.run("models", "remove-iam-policy-binding", "shared", *binding, code=1)
    assert "not found" in again.stderr
    wrong = owner.run(
        "models", "add-iam-policy-binding", "shared", binding[0], "--role=roles/ml.modelUsr", code=1
    )
    assert "Did you mean 'roles/ml.modelUser'?" in wrong.stderr


def test_only_an_empty_project_can_be_deleted(owner: Shell) -> None:
    owner.run("projects", "create", "team-b")
    owner.run("models", "create", "m", "--project", "team-b", "--regions", "us-central1")

    full = owner.run("projects", "delete", "team-b", "--quiet", code=1)
    owner.run("models", "delete", "m", "--project", "team-b", "--quiet")
    owner.run("projects", "delete", "team-b", "--quiet")

    assert "it has 1 model" in full.stderr
    assert "team-b" not in owner.run("projects", "list").stdout
    gone = owner.run("models", "list", "--project", "team-b", code=1)
    assert "There is no project 'team-b'" in gone.stderr


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("/no/such/file.json", "MLENGINE_CREDENTIALS, the file '/no/such/file.json' cannot be read"),
        ("{", "are not JSON"),
        ('{"type": "authorized_user"}', "no service account's key (their type is 'authorized_user')"),
        ('{"type": "service_account", "client_email": "a@b"}', "has no private_key_id"),
    ],
)
def test_credentials_that_are_none_are_named_with_where_they_were_found(
    member: Shell, said: str, complaint: str
) -> None:
    member.environment["MLENGINE_CREDENTIALS"] = said

    assert complaint in member.run("models", "list", code=1).stderr


def test_after_a_restart_keys_tokens_and_policies_hold_on(server: Server, owner: Shell, key: Path) -> None:
    token = owner.run("auth", "print-access-token").stdout.strip()
    (owner.cwd / "token").write_text(token)

    server.kill()
    server.start()
    owner.environment |= {"MLENGINE_ENDPOINT": server.endpoint}

    bare = Shell(owner.cwd, {k: v for k, v in owner.environment.items() if k != "MLENGINE_CREDENTIALS"})
    assert "team-a" in bare.run("projects", "list", "--access-token-file", "token").stdout
    policy = owner.json("projects", "get-iam-policy", "team-a")
    assert {"role": "roles/editor", "members": [f"serviceAccount:{BOT}"]} in policy["bindings"]
