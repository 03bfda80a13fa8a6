"""Google's own clients with a key of ours, at a server that answers nobody without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import Forbidden
from google.auth import crypt
from google.auth import jwt as google_jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.cloud import storage
from google.oauth2 import service_account
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from mlengine.access.domain import JobTokens
from mlengine.access.rsa import make_pair
from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.backends.keys import job_secret
from mlengine.backends.replicas import ReplicaTasks
from mlengine.jobs.domain import Job, TrainingInput
from mlengine.names import JobName
from mlengine.storage.service import StorageService
from tests.clients.whole_server import RUNTIME, origin, unused
from tests.conftest import HandClock
from tests.stories.conftest import Server, Shell
from tests.trainer_package import trainer_package

__all__ = ["origin"]
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
PROJECT = "projects/local"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants tokens, and its first owner's shell."""
    folder = tmp_path_factory.mktemp("strict")
    shell = Shell(folder, {"MLENGINE_AUTH": "required", "XDG_CONFIG_HOME": str(folder / "config")})
    server = Server(folder / "data", shell)
    server.start()
    shell.environment["MLENGINE_CREDENTIALS"] = str(server.data_dir / "keys" / "admin.json")
    yield server
    server.stop()


class Account:
    """A service account of its own with a key, and Google's clients for it."""

    def __init__(self, server: Server, *roles: str, project: str = "local") -> None:
        self.server, self.shell = server, server.shell
        name = f"bot-{uuid.uuid4().hex[:8]}"
        self.email = f"{name}@{project}.iam.gserviceaccount.com"
        self.shell.run("iam", "service-accounts", "create", name, "--project", project)
        words = ("iam", "service-accounts", "keys", "create", "-", "--iam-account", self.email)
        self.key = json.loads(self.shell.run(*words, "--project", project).stdout)
        self.credentials = service_account.Credentials.from_service_account_info(self.key, scopes=SCOPES)
        self.project = project
        self.opened = ExitStack()
        for role in roles:
            self.grant(role)

    @property
    def member(self) -> str:
        return f"serviceAccount:{self.email}"

    def grant(self, role: str) -> None:
        self.shell.run(
            "projects", "add-iam-policy-binding", self.project, "--member", self.member, "--role", role
        )

    def ml(self, credentials: Any = None) -> Any:
        service = discovery.build(
            "ml",
            "v1",
            credentials=credentials or self.credentials,
            client_options={"api_endpoint": self.server.endpoint},
        )
        self.opened.callback(service.close)
        return service.projects()

    def token(self) -> str:
        with requests.Session() as session:
            self.credentials.refresh(Request(session))
        return str(self.credentials.token)

    def storage(self) -> storage.Client:
        return storage.Client(
            project=self.project,
            credentials=self.credentials,
            client_options={"api_endpoint": self.server.endpoint},
        )

    def ask(self, verb: str, path: str, bearer: str = "", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return requests.request(verb, self.server.endpoint + path, headers=headers, timeout=60, **more)


@pytest.fixture
def account(whole: Server) -> Iterator[Callable[..., Account]]:
    """Makes accounts; what they opened is closed in the end."""
    with ExitStack() as stack:

        def make(*roles: str, **more: str) -> Account:
            made = Account(whole, *roles, **more)
            stack.enter_context(made.opened)
            return made

        yield make


@pytest.fixture(scope="module")
def deployed(whole: Server, origin: str) -> str:
    """The full name of a model with a READY version."""
    name = unused("line")
    whole.shell.run("models", "create", name, "--regions", "us-central1")
    whole.shell.run(
        *("versions", "create", "v1", "--model", name, "--origin", origin),
        *("--runtime-version", RUNTIME, "--framework", "scikit-learn"),
    )
    return f"{PROJECT}/models/{name}"


def status(call: Any) -> int:
    """The HTTP status of a call that must fail."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    return int(caught.value.status_code)


@pytest.mark.method("ml.projects.getConfig")
def test_discovery_build_with_a_key_of_ours_asks_for_a_token_and_works(
    account: Callable[..., Account],
) -> None:
    viewer = account("roles/ml.viewer")
    number = viewer.shell.json("projects", "describe", "local")["projectNumber"]

    config = viewer.ml().getConfig(name=PROJECT).execute()

    assert config == {
        "serviceAccount": f"service-{number}@cloud-ml.google.com.iam.gserviceaccount.com",
        "serviceAccountProject": number,
    }
    assert viewer.ml().getConfig(name=f"projects/{number}").execute() == config


@pytest.mark.method(
    "ml.projects.models.getIamPolicy",
    "ml.projects.models.setIamPolicy",
    "ml.projects.models.testIamPermissions",
)
def test_a_model_s_policy_is_read_changed_and_tested(account: Callable[..., Account]) -> None:
    owner, user = account("roles/ml.admin"), account()
    name = f"{PROJECT}/models/{unused('m')}"
    models = owner.ml().models()
    models.create(parent=PROJECT, body={"name": name.rpartition("/")[2]}).execute()
    asked = {"permissions": ["ml.versions.predict", "ml.models.delete"]}
    assert user.ml().models().testIamPermissions(resource=name, body=asked).execute() == {}

    old = models.getIamPolicy(resource=name, options_requestedPolicyVersion=1).execute()
    policy = old | {"bindings": [{"role": "roles/ml.modelUser", "members": [user.member]}]}
    new = models.setIamPolicy(resource=name, body={"policy": policy}).execute()

    assert new["bindings"] == policy["bindings"] and new["etag"] != old["etag"]
    found = user.ml().models().testIamPermissions(resource=name, body=asked).execute()
    assert found == {"permissions": ["ml.versions.predict"]}
    assert status(models.setIamPolicy(resource=name, body={"policy": policy})) == 409
    assert models.getIamPolicy(resource=name).execute() == new
    assert user.ml().models().get(name=name).execute()["name"] == name
    assert status(user.ml().models().delete(name=name)) == 403
    assert models.testIamPermissions(resource=f"{name}x", body=asked).execute() == {}


@pytest.mark.method(
    "ml.projects.jobs.getIamPolicy", "ml.projects.jobs.setIamPolicy", "ml.projects.jobs.testIamPermissions"
)
def test_who_submits_a_job_owns_it_and_can_hand_it_on(account: Callable[..., Account]) -> None:
    developer, other = account("roles/ml.developer"), account()
    developer.grant("roles/storage.admin")
    bucket = f"jobs-{uuid.uuid4().hex[:8]}"
    with developer.storage() as client:
        client.create_bucket(bucket).blob("t.tar.gz").upload_from_string(trainer_package())
    job_id, jobs = unused("job"), developer.ml().jobs()
    training = {
        "scaleTier": "BASIC",
        "packageUris": [f"gs://{bucket}/t.tar.gz"],
        "pythonModule": "trainer.task",
        "region": "us-central1",
        "runtimeVersion": "2.1",
        "pythonVersion": "3.7",
    }
    jobs.create(parent=PROJECT, body={"jobId": job_id, "trainingInput": training}).execute()
    name = f"{PROJECT}/jobs/{job_id}"

    policy = jobs.getIamPolicy(resource=name).execute()

    assert policy["bindings"] == [{"role": "roles/ml.jobOwner", "members": [developer.member]}]
    assert status(other.ml().jobs().cancel(name=name, body={})) == 403
    policy["bindings"][0]["members"].append(other.member)
    jobs.setIamPolicy(resource=name, body={"policy": policy}).execute()
    asked = {"permissions": ["ml.jobs.cancel"]}
    assert other.ml().jobs().testIamPermissions(resource=name, body=asked).execute() == asked
    assert other.ml().jobs().cancel(name=name, body={}).execute() == {}


@pytest.mark.method("ml.projects.predict")
def test_a_user_of_a_model_predicts_and_nobody_else_does(
    account: Callable[..., Account], deployed: str
) -> None:
    user, stranger = account(), account()
    user.shell.run(
        *("models", "add-iam-policy-binding", deployed.rpartition("/")[2]),
        *("--member", user.member, "--role", "roles/ml.modelUser"),
    )
    body = {"instances": [[3.0]]}

    assert user.ml().predict(name=deployed, body=body).execute() == {"predictions": [pytest.approx(7.0)]}
    version = f"{deployed}/versions/v1"
    assert user.ml().predict(name=version, body=body).execute() == {"predictions": [pytest.approx(7.0)]}
    assert status(stranger.ml().predict(name=deployed, body=body)) == 403
    refused = stranger.ask("POST", f"/v1/{deployed}:predict", json=body)
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_key_deleted_meanwhile_opens_nothing_at_either_door_and_nothing_has_changed(
    account: Callable[..., Account], deployed: str
) -> None:
    user = account("roles/ml.admin")
    token, predict = user.token(), f"/v1/{deployed}:predict"
    assert user.ask("POST", predict, token, json={"instances": [[1.0]]}).status_code == 200
    before = user.shell.run("models", "list", "--format", "json").stdout

    user.shell.run(
        *("iam", "service-accounts", "keys", "delete", user.key["private_key_id"]),
        *("--iam-account", user.email, "--quiet"),
    )

    answers = [
        user.ask("POST", predict, token, json={"instances": [[1.0]]}),
        user.ask("POST", f"/v1/{PROJECT}/models", token, json={"name": "never"}),
        user.ask("DELETE", f"/v1/{deployed}", token),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    for answer in answers:
        assert user.key["private_key_id"] in answer.json()["error"]["message"]
    with pytest.raises(RefreshError, match=r"invalid_grant.*has no key"):
        user.token()
    assert user.shell.run("models", "list", "--format", "json").stdout == before


def test_tampered_expired_and_foreign_tokens_are_refused_at_both_doors_and_nothing_has_changed(
    account: Callable[..., Account], deployed: str
) -> None:
    user = account("roles/ml.admin")
    good = user.token()
    signer = crypt.RSASigner.from_string(user.key["private_key"], user.key["private_key_id"])
    now = int(time.time())

    def jwt(**claims: Any) -> str:
        said = {"iss": user.email, "sub": user.email, "iat": now, "exp": now + 600} | claims
        return str(google_jwt.encode(signer, said).decode())

    before = user.shell.run("models", "list", "--format", "json").stdout
    for bad, reason in (
        (good[:-1] + ("x" if good[-1] != "x" else "y"), "changed since"),
        (good[:10] + "AAAA" + good[14:], "changed since"),
        (jwt(aud="https://example.com/"), "claim 'aud'"),
        (jwt(iat=now - 9000, exp=now - 8000, scope=SCOPES[0]), "expired"),
        ("ya29.somebody", "no token of this server"),
    ):
        for verb, path, body in (
            ("POST", f"/v1/{deployed}:predict", {"instances": [[1.0]]}),
            ("POST", f"/v1/{PROJECT}/models", {"name": "never"}),
        ):
            answer = user.ask(verb, path, bad, json=body)
            assert answer.status_code == 401, (bad, path)
            assert reason in answer.json()["error"]["message"]
    assert user.shell.run("models", "list", "--format", "json").stdout == before
    assert user.ask("GET", f"/v1/{PROJECT}/models", good).status_code == 200


def test_the_key_of_another_project_opens_only_that_one(
    account: Callable[..., Account], deployed: str
) -> None:
    host = account()
    project = f"team-{uuid.uuid4().hex[:8]}"
    host.shell.run("projects", "create", project, "--name", f"The {project}")
    guest = account("roles/owner", project=project)

    assert guest.ml().models().create(parent=f"projects/{project}", body={"name": "m"}).execute()
    assert status(guest.ml().models().create(parent=PROJECT, body={"name": "m"})) == 403
    assert status(guest.ml().predict(name=deployed, body={"instances": [[1.0]]})) == 403
    wrong = guest.ask("GET", f"/v1/projects/The {project}/models", guest.token())
    assert wrong.status_code == 404
    assert f"is the name of project id '{project}'" in wrong.json()["error"]["message"]


def test_a_revoked_token_ends_at_both_doors(account: Callable[..., Account], deployed: str) -> None:
    user = account("roles/ml.admin")
    one, other = user.token(), user.token()

    assert user.ask("POST", f"/revoke?token={one}").status_code == 200

    for path, body in (
        (f"/v1/{deployed}:predict", {"instances": [[1.0]]}),
        ("/v1/projects/local:testIamPermissions", {}),
    ):
        assert user.ask("POST", path, one, json=body).status_code == 401
        assert user.ask("POST", path, other, json=body).status_code == 200


def test_a_jwt_of_the_account_s_own_is_taken_in_place_of_a_token(account: Callable[..., Account]) -> None:
    viewer = account("roles/ml.viewer")
    signing = viewer.credentials.with_always_use_jwt_access(True)

    assert viewer.ml(signing).getConfig(name=PROJECT).execute()["serviceAccount"]
    assert status(viewer.ml(signing).models().create(parent=PROJECT, body={"name": "m"})) == 403


def test_google_cloud_storage_works_with_the_key_and_as_far_as_its_role_goes(
    account: Callable[..., Account],
) -> None:
    admin, reader = account("roles/storage.admin"), account("roles/storage.objectViewer")
    name = f"b-{uuid.uuid4().hex[:8]}"
    with admin.storage() as client:
        client.create_bucket(name).blob("a/1.txt").upload_from_string("one")
        with client.batch():
            client.bucket(name).blob("a/1.txt").patch()

    with reader.storage() as client:
        blob = client.bucket(name).blob("a/1.txt")
        assert blob.download_as_bytes() == b"one"
        with pytest.raises(Forbidden, match=r"storage\.objects\.create"):
            client.bucket(name).blob("b").upload_from_string("two")
        with pytest.raises(Forbidden, match=r"storage\.objects\.delete"):
            blob.delete()
    for path in (f"/{name}/a/1.txt", f"/{name}?list-type=2"):
        assert admin.ask("GET", path).status_code == 401
        assert admin.ask("GET", path, reader.token()).status_code == 200
        assert admin.ask("PUT", f"/{name}/c", reader.token(), data=b"x").status_code == 403
    assert admin.ask("GET", f"/{name}/a/1.txt", account().token()).status_code == 403


def test_the_log_of_changes_says_who_did_what(account: Callable[..., Account]) -> None:
    user = account("roles/ml.viewer")
    assert status(user.ml().models().create(parent=PROJECT, body={"name": "m"})) == 403

    files = list((Path(user.server.data_dir) / "audit").glob("*.jsonl"))
    notes = [json.loads(line) for file in files for line in file.read_text().splitlines()]

    mine = [note for note in notes if note["caller"] == user.email]
    assert [(note["method"], note["status"]) for note in mine] == [
        ("ml.projects.models.create", "PERMISSION_DENIED")
    ]


IN_A_JOB = """
import gcsfs, pyarrow.fs, sys
from google.cloud import storage
bucket = sys.argv[1]
with storage.Client() as client:
    client.bucket(bucket).blob("by-storage").upload_from_string("one")
with gcsfs.GCSFileSystem().open(f"{bucket}/by-gcsfs", "wb") as file:
    file.write(b"two")
files, path = pyarrow.fs.FileSystem.from_uri(f"gs://{bucket}/by-arrow")
with files.open_output_stream(path) as stream:
    stream.write(b"three")
print(sorted(gcsfs.GCSFileSystem().ls(bucket)))
"""


def test_in_a_job_every_client_finds_its_credentials(
    whole: Server, tmp_path: Path, sqlite: SqlDatabase, clock: HandClock
) -> None:
    mine, other = f"b-{uuid.uuid4().hex[:8]}", f"b-{uuid.uuid4().hex[:8]}"
    project = f"team-{uuid.uuid4().hex[:8]}"
    whole.shell.run("projects", "create", project)
    whole.shell.run("storage", "mb", f"gs://{mine}", "--project", project)
    whole.shell.run("storage", "mb", f"gs://{other}")
    tasks = ReplicaTasks(
        tmp_path,
        StorageService(sqlite, MemoryBlobs(), clock),
        locks=tmp_path / "locks",
        cache_dir=tmp_path,
        endpoint=whole.endpoint,
        machine=os.environ,
        tokens=JobTokens(job_secret(whole.data_dir / "keys")),
        tls_port=whole.record()["tlsPort"],
        roots=whole.data_dir / "keys" / "roots.pem",
        agent=lambda _: "agent@example.com",
        private_key=lambda: make_pair()[0],
        tokens_required=True,
    )
    training = TrainingInput(python_module="m", package_uris=(), region="here", runtime="any")
    (task,) = tasks.prepare(Job(name=JobName(project, "j"), uid="u", training=training, created=clock()))
    environment = json.loads(Path(task.argv[-1]).read_text())["env"]

    def run(bucket: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", IN_A_JOB, bucket]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    done, refused = run(mine), run(other)

    assert done.stdout == f"['{mine}/by-arrow', '{mine}/by-gcsfs', '{mine}/by-storage']\n", done.stderr
    assert refused.returncode and "403" in refused.stderr


def test_a_signed_url_opens_what_its_signer_may(account: Callable[..., Account], whole: Server) -> None:
    admin, signer = account("roles/storage.admin"), account()
    name = f"b-{uuid.uuid4().hex[:8]}"
    with admin.storage() as client:
        client.create_bucket(name).blob("a").upload_from_string("one")
    with signer.storage() as client:
        url = (
            client.bucket(name)
            .blob("a")
            .generate_signed_url(version="v4", expiration=600, api_access_endpoint=whole.endpoint)
        )

    before = requests.get(url, timeout=30)
    signer.grant("roles/storage.objectViewer")
    after = requests.get(url, timeout=30)

    assert (before.status_code, after.status_code, after.content) == (403, 200, b"one")
    assert "storage.objects.get" in before.text and signer.email in before.text
