"""The guard before every method of the whole server: what each asks, and that strangers reach nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlengine.access.consequences import Consequences
from mlengine.access.domain import JobTokens
from mlengine.access.guard import Guard
from mlengine.access.rules import Need, On, needs
from mlengine.app.application import Application
from mlengine.backends.database import SqlDatabase
from mlengine.errors import NotFound, PermissionDenied
from mlengine.settings import Settings
from mlengine.web.method import Call, Json, Method, Reply
from tests.conftest import HandClock
from tests.unit.access.ground import EMAIL, Ground

MEMBER = f"serviceAccount:{EMAIL}"
_P = "/v1/projects/{project}"


class Guarded:
    """Methods behind the guard, which note that they were reached."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.reached: list[Call] = []
        self.notes: list[dict[str, Any]] = []
        self.answer: Json = {}
        consequences = Consequences(
            ground.policies,
            ground.clock,
            directory=lambda: ground.entrance.directory,
            note=self.notes.append,
        )
        self.guard = Guard(
            ground.entrance,
            ground.clock,
            projects=ground.projects,
            bucket_project=lambda bucket: {"bucket-b": "team-b", "bucket-l": "local"}.get(bucket, ""),
            done=consequences.heard,
        )

    def __call__(
        self,
        method_id: str,
        *,
        verb: str = "GET",
        path: str = _P,
        bearer: str = "",
        body: bytes = b"",
        **names: str,
    ) -> Json | Reply:
        def handler(call: Call) -> Json:
            self.reached.append(call)
            return self.answer

        row = Method(id=method_id, verb=verb, path=path, handler=handler, summary="")
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        query = {name[1:]: names.pop(name) for name in list(names) if name.startswith("_")}
        call = Call(path=names, verb=verb, headers=headers, query=query, body=iter((body,)))
        return self.guard.wrap([row])[0].handler(call)


@pytest.fixture
def guarded(sqlite: SqlDatabase, clock: HandClock) -> Guarded:
    return Guarded(Ground(sqlite, clock))


def grant(guarded: Guarded, role: str, resource: str = "projects/local") -> None:
    guarded.ground.policies.grant(resource, role, MEMBER)


def test_who_may_is_answered_and_who_may_not_reaches_nothing(guarded: Guarded) -> None:
    token = guarded.ground.token()
    with pytest.raises(PermissionDenied, match=r"ml\.models\.list"):
        guarded("ml.projects.models.list", bearer=token, project="local")
    assert not guarded.reached

    grant(guarded, "roles/ml.viewer")

    assert guarded("ml.projects.models.list", bearer=token, project="local") == {}
    with pytest.raises(PermissionDenied, match="on resource 'projects/team-b'"):
        guarded("ml.projects.models.list", bearer=token, project="team-b")
    with pytest.raises(PermissionDenied, match=r"ml\.models\.create"):
        guarded("ml.projects.models.create", verb="POST", bearer=token, project="local")
    assert len(guarded.reached) == 1


def test_nobody_gets_401_with_a_challenge_and_learns_of_no_project(guarded: Guarded) -> None:
    for project in ("local", "no-such-project"):
        reply = guarded("ml.projects.models.list", project=project)
        assert isinstance(reply, Reply) and isinstance(reply.content, dict)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="mlengine"')
        assert "Did you mean" not in json.dumps(reply.content)
    assert not guarded.reached


def test_what_is_allowed_to_all_users_needs_no_token(guarded: Guarded) -> None:
    guarded.ground.policies.set("projects/local/models/m", {"roles/ml.modelUser": ["allUsers"]})

    assert guarded("ml.projects.models.get", project="local", model="m") == {}
    assert isinstance(guarded("ml.projects.models.get", project="local", model="other"), Reply)


def test_a_number_in_the_path_is_the_project_and_so_are_its_rights(guarded: Guarded) -> None:
    grant(guarded, "roles/ml.viewer")
    number = guarded.ground.projects.get("local").number

    guarded("ml.projects.models.list", bearer=guarded.ground.token(), project=number)

    assert guarded.reached[0].path["project"] == "local"
    with pytest.raises(NotFound):
        guarded("ml.projects.models.list", bearer=guarded.ground.token(), project="123456789012")


def test_a_bucket_is_its_project_s(guarded: Guarded) -> None:
    grant(guarded, "roles/storage.objectViewer")
    token, path = guarded.ground.token(), "/storage/v1/b/{bucket}/o/{object+}"

    assert guarded("storage.objects.get", path=path, bearer=token, bucket="bucket-l", object="a") == {}
    for bucket, method in (("bucket-b", "storage.objects.get"), ("bucket-l", "storage.objects.delete")):
        with pytest.raises(PermissionDenied):
            guarded(method, path=path, bearer=token, bucket=bucket, object="a")
    with pytest.raises(PermissionDenied, match=r"storage\.objects\.create"):
        guarded("storage.objects.copy", path=path, bearer=token, bucket="bucket-l", target_bucket="bucket-l")


def test_logs_need_every_project_that_the_body_names_and_the_handler_reads_it_again(guarded: Guarded) -> None:
    grant(guarded, "roles/logging.viewer")
    token, path = guarded.ground.token(), "/v2/entries:list"
    mine = json.dumps({"resourceNames": ["projects/local"]}).encode()
    both = json.dumps({"resourceNames": ["projects/local"], "projectIds": ["team-b"]}).encode()

    guarded("logging.entries.list", verb="POST", path=path, bearer=token, body=mine)

    assert guarded.reached[0].json() == json.loads(mine)
    with pytest.raises(PermissionDenied, match="team-b"):
        guarded("logging.entries.list", verb="POST", path=path, bearer=token, body=both)


def test_what_is_in_no_table_is_for_owners_of_the_first_project(guarded: Guarded) -> None:
    grant(guarded, "roles/editor")
    grant(guarded, "roles/owner", "projects/team-b")
    with pytest.raises(PermissionDenied, match=r"mlengine\.server\.admin"):
        guarded("mlengine.brand.new", bearer=guarded.ground.token(), path="/new")

    grant(guarded, "roles/owner")

    assert guarded("mlengine.brand.new", bearer=guarded.ground.token(), path="/new") == {}


def test_a_token_in_the_query_is_as_good_as_one_in_the_header(guarded: Guarded) -> None:
    grant(guarded, "roles/ml.viewer")

    assert guarded("ml.projects.models.list", project="local", _access_token=guarded.ground.token()) == {}


def test_who_makes_a_model_or_job_owns_it(guarded: Guarded) -> None:
    grant(guarded, "roles/ml.developer")
    token = guarded.ground.token()
    guarded.answer = {"name": "projects/local/models/m"}
    guarded("ml.projects.models.create", verb="POST", bearer=token, project="local")
    guarded.answer = {"jobId": "j"}
    guarded("ml.projects.jobs.create", verb="POST", bearer=token, project="local")

    policies = guarded.ground.policies
    assert policies.get("projects/local/models/m").bindings == {"roles/ml.modelOwner": (MEMBER,)}
    assert policies.get("projects/local/jobs/j").bindings == {"roles/ml.jobOwner": (MEMBER,)}
    guarded("ml.projects.models.delete", verb="DELETE", bearer=token, project="local", model="m")
    assert policies.get("projects/local/models/m").generation == 0


def test_changes_are_noted_with_who_and_how_they_ended(guarded: Guarded) -> None:
    token = guarded.ground.token()
    with pytest.raises(PermissionDenied):
        guarded("ml.projects.models.create", verb="POST", bearer=token, project="local")
    grant(guarded, "roles/ml.admin")
    guarded("ml.projects.models.create", verb="POST", bearer=token, project="local")
    guarded("ml.projects.models.list", bearer=token, project="local")

    assert [(note["method"], note["caller"], note["status"]) for note in guarded.notes] == [
        ("ml.projects.models.create", EMAIL, "PERMISSION_DENIED"),
        ("ml.projects.models.create", EMAIL, "OK"),
    ]
    assert guarded.notes[0]["key"] == guarded.ground.key.key_id


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    settings = Settings(data_dir=tmp_path, cache_dir=tmp_path / "cache", auth="required")
    (tmp_path / "run").mkdir()
    made = Application(settings, tether=None)
    yield made
    made.stop()


def test_every_method_of_the_server_has_a_rule_of_its_own(application: Application) -> None:
    owners = Need("mlengine.server.admin", On.SERVER)

    without = [
        method.id
        for method in application.router.apis.methods
        if needs(method.id) == (owners,) and not method.id.startswith("mlengine.")
    ]

    assert without == []
    assert needs("mlengine.storage.fsck") == (owners,)


def test_no_method_of_the_server_does_anything_for_nobody(application: Application) -> None:
    """Each row is called without credentials: only documents and the token endpoint answer."""
    answered = []
    for method in (*application.router.apis.methods, *application.router.names.methods):
        if method.id.startswith(("discovery.", "mlengine.", "oauth2.")) or method.id == "storage.batch":
            continue
        names = dict.fromkeys(re.findall(r"\{(\w+)", method.path), "some_name") | {"project": "local"}
        body = b'{"resourceNames": ["projects/local"]}' if method.id.startswith("logging.") else b"{}"
        call = Call(path=names, verb=method.verb, query={}, body=iter((body,)))
        try:
            reply = method.handler(call)
        except NotFound:
            continue  # It looks at the caller itself, and found nothing that anybody sees.
        if not (isinstance(reply, Reply) and reply.status == 401):
            answered.append(method.id)

    assert sorted(answered) == [
        "bigquery.projects.list",
        "cloudresourcemanager.projects.list",
        "cloudresourcemanager.projects.testIamPermissions",
        "ml.projects.jobs.testIamPermissions",
        "ml.projects.models.testIamPermissions",
    ]


@pytest.mark.parametrize("path", ["/batch/storage/v1", "/batch"])
def test_a_call_in_a_batch_is_its_sender_s(application: Application, tmp_path: Path, path: str) -> None:
    application.publisher.refresh()
    token = JobTokens((tmp_path / "keys" / "jobs.secret").read_bytes()).issue("local.j")
    target = "/storage/v1/b/some-bucket" if "storage" in path else "/v1/projects/local/models/none"
    body = (
        "--x\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n"
        f"GET {target} HTTP/1.1\r\n\r\n\r\n--x--\r\n"
    ).encode()
    method, _ = application.router.apis.find("POST", path)

    def status(**headers: str) -> bytes:
        headers["content-type"] = "multipart/mixed; boundary=x"
        reply = method.handler(Call(path={}, verb="POST", headers=headers, body=iter((body,))))
        assert isinstance(reply, Reply) and isinstance(reply.content, bytes)
        return reply.content.split(b"HTTP/1.1 ")[1][:3]

    assert status() == b"401"
    assert status(authorization=f"Bearer {token}") == b"404"
