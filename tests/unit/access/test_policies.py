"""Policies: read, replaced with care, asked; on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from mlengine.access import wire
from mlengine.access.directory import Identity
from mlengine.access.policy_methods import methods
from mlengine.access.roles import ALL, ON, ROLES, least
from mlengine.backends.database import SqlDatabase
from mlengine.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from mlengine.web.method import Call
from mlengine.web.routing import Router
from tests.conftest import HandClock
from tests.unit.access.ground import EMAIL, Ground

MEMBER = f"serviceAccount:{EMAIL}"
MODEL = "projects/local/models/m"
CALLER = Identity(kind="account", email=EMAIL, project="local")


@pytest.fixture
def ground(database: SqlDatabase, clock: HandClock) -> Ground:
    return Ground(database, clock)


class Api:
    """Calls the methods as the web door does."""

    def __init__(self, ground: Ground) -> None:
        self._router = Router(
            methods(
                ground.policies,
                identify=lambda _: CALLER,
                config=lambda project: (
                    ground.projects.get(project).agent,
                    ground.projects.get(project).number,
                ),
            )
        )

    def __call__(self, verb: str, path: str, body: Any = None, **query: str) -> Any:
        import json

        method, variables = self._router.find(verb, path)
        content = iter(() if body is None else (json.dumps(body).encode(),))
        return method.handler(Call(path=variables, verb=verb, query=query, body=content))


def test_a_policy_never_written_is_empty_and_has_an_etag(ground: Ground) -> None:
    found = Api(ground)("GET", f"/v1/{MODEL}:getIamPolicy")

    assert found == {"version": 1, "etag": "AAAAAAAAAAA="}


def test_what_is_set_is_what_is_read_and_what_holds(ground: Ground) -> None:
    api = Api(ground)
    binding = {"role": "roles/ml.modelUser", "members": [MEMBER, "allUsers"]}

    answer = api("POST", f"/v1/{MODEL}:setIamPolicy", {"policy": {"bindings": [binding]}})

    assert answer == api("GET", f"/v1/{MODEL}:getIamPolicy", **{"options.requestedPolicyVersion": "3"})
    assert answer["bindings"] == [binding | {"members": ["allUsers", MEMBER]}]
    assert ground.pushed[-1]["policies"][MODEL] == {"roles/ml.modelUser": ("allUsers", MEMBER)}
    assert ground.entrance.directory.allows(CALLER, "ml.versions.predict", MODEL)
    assert not ground.entrance.directory.allows(CALLER, "ml.models.delete", MODEL)
    assert not ground.entrance.directory.allows(CALLER, "ml.models.get", "projects/local/models/other")


def test_a_stale_etag_is_a_conflict_and_changes_nothing(ground: Ground) -> None:
    api = Api(ground)
    old = api("GET", f"/v1/{MODEL}:getIamPolicy")
    bindings = [{"role": "roles/ml.modelUser", "members": [MEMBER]}]
    new = api("POST", f"/v1/{MODEL}:setIamPolicy", {"policy": old | {"bindings": bindings}})

    with pytest.raises(Conflict, match="concurrent policy changes"):
        api("POST", f"/v1/{MODEL}:setIamPolicy", {"policy": old})

    assert api("GET", f"/v1/{MODEL}:getIamPolicy") == new
    assert "bindings" not in api("POST", f"/v1/{MODEL}:setIamPolicy", {"policy": {"etag": new["etag"]}})


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "policy is missing"),
        ({"policy": {"bindings": [{"role": "roles/ml.modelUsr", "members": []}]}}, "Did you mean"),
        ({"policy": {"bindings": [{"role": "ml.modelUser", "members": []}]}}, "'roles/ml.modelUser'"),
        ({"policy": {"bindings": [{"role": "roles/storage.admin", "members": []}]}}, "grants nothing on one"),
        (
            {"policy": {"bindings": [{"role": "roles/ml.modelUser", "members": [f"x{MEMBER}"]}]}},
            "members here are service accounts",
        ),
        (
            {"policy": {"bindings": [{"role": "roles/ml.modelUser", "members": [f"{MEMBER}x"]}]}},
            f"does not exist. Did you mean '{EMAIL}'",
        ),
        ({"policy": {"bindings": [{"role": "roles/ml.modelUser", "members": [EMAIL]}]}}, MEMBER),
        ({"policy": {"bindings": [{"role": "roles/ml.modelUser", "members": ["user:a@b.c"]}]}}, "no 'user'"),
        (
            {"policy": {"bindings": [{"role": "roles/ml.modelUser", "condition": {"title": "t"}}]}},
            "condition is not available.*no conditional bindings",
        ),
        ({"policy": {"auditConfigs": [{"service": "x"}]}}, "auditConfigs is not available"),
        ({"policy": {"version": 2}}, "must be 0, 1 or 3"),
        ({"policy": {"etag": "!"}}, "no etag of ours"),
        ({"policy": {"bindings": {"role": "r"}}}, "must be a list of objects"),
        ({"policy": {}, "updateMask": "auditConfigs"}, "'auditConfigs' cannot be set"),
        ({"policy": {"bindigns": []}}, "Unknown field 'bindigns'. Did you mean 'bindings'"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(ground: Ground, body: dict[str, Any], complaint: str) -> None:
    api = Api(ground)

    with pytest.raises(InvalidArgument, match=complaint):
        api("POST", f"/v1/{MODEL}:setIamPolicy", body)

    assert api("GET", f"/v1/{MODEL}:getIamPolicy")["etag"] == "AAAAAAAAAAA="


def test_permissions_are_tested_and_on_nothing_there_are_none(ground: Ground) -> None:
    api = Api(ground)
    ground.policies.set("projects/local", {"roles/ml.developer": [MEMBER]})
    asked = {"permissions": ["ml.jobs.create", "ml.jobs.cancel", "nothing.at.all"]}

    assert api("POST", "/v1/projects/local/jobs/j:testIamPermissions", asked) == {
        "permissions": ["ml.jobs.create"]
    }
    assert api("POST", "/v1/projects/local/jobs/none:testIamPermissions", asked) == {}
    assert api("POST", "/v1/projects/team-b:testIamPermissions", asked) == {}
    with pytest.raises(InvalidArgument, match="no wildcards"):
        api("POST", f"/v1/{MODEL}:testIamPermissions", {"permissions": ["ml.*"]})


def test_there_is_no_policy_of_what_is_not_there(ground: Ground) -> None:
    with pytest.raises(NotFound):
        Api(ground)("GET", "/v1/projects/local/models/none:getIamPolicy")


def test_what_is_made_anew_under_an_old_name_begins_without_a_policy(ground: Ground) -> None:
    ground.policies.set(MODEL, {"roles/ml.modelUser": [MEMBER]})
    ground.policies.set("projects/local", {"roles/ml.viewer": [MEMBER]})

    ground.policies.forget("projects/local/models/m")

    assert ground.policies.get(MODEL).generation == 0
    assert ground.policies.get("projects/local").bindings == {"roles/ml.viewer": (MEMBER,)}


def test_an_account_made_anew_has_none_of_the_old_one_s_roles(ground: Ground) -> None:
    ground.policies.set("projects/local", {"roles/owner": [MEMBER, "allAuthenticatedUsers"]})

    ground.accounts.delete("local", EMAIL)
    ground.accounts.create("local", "caller")

    assert ground.policies.get("projects/local").bindings == {"roles/owner": ("allAuthenticatedUsers",)}


def test_who_may_not_hears_what_who_and_the_command_that_cures_it(ground: Ground) -> None:
    directory = ground.entrance.directory

    with pytest.raises(PermissionDenied) as refused:
        directory.check(CALLER, "ml.versions.predict", MODEL)
    with pytest.raises(Unauthenticated, match=r"ml\.versions\.predict on projects/local/models/m"):
        directory.check(Identity(kind="nobody"), "ml.versions.predict", MODEL)

    assert f"'ml.versions.predict' denied on resource '{MODEL}'" in refused.value.message
    assert EMAIL in refused.value.message
    assert refused.value.hint.endswith(
        "mlengine models add-iam-policy-binding m --project=local "
        f"--member={MEMBER} --role=roles/ml.modelUser"
    )
    assert refused.value.details[0]["metadata"] == {
        "permission": "ml.versions.predict",
        "resource": MODEL,
        "identity": EMAIL,
    }


def test_a_scope_for_reading_lets_nobody_write(ground: Ground) -> None:
    ground.policies.set("projects/local", {"roles/ml.admin": [MEMBER]})
    readers = Identity(
        kind="account",
        email=EMAIL,
        project="local",
        scopes=("https://www.googleapis.com/auth/cloud-platform.read-only",),
    )
    directory = ground.entrance.directory

    assert directory.allows(readers, "ml.models.list", "projects/local")
    with pytest.raises(PermissionDenied, match="insufficient authentication scopes"):
        directory.check(readers, "ml.models.create", "projects/local")


def test_a_job_may_work_in_its_own_project_only(ground: Ground) -> None:
    job = ground.entrance.directory.of_job("local", "j")
    assert job is not None

    assert ground.entrance.directory.allows(job, "storage.objects.create", "projects/local")
    assert not ground.entrance.directory.allows(job, "storage.objects.get", "projects/team-b")
    assert not ground.entrance.directory.allows(
        job, "resourcemanager.projects.setIamPolicy", "projects/local"
    )


def test_the_config_of_a_project_is_its_agent_and_number(ground: Ground) -> None:
    project = ground.projects.get("local")

    assert Api(ground)("GET", "/v1/projects/local:getConfig") == {
        "serviceAccount": f"service-{project.number}@cloud-ml.google.com.iam.gserviceaccount.com",
        "serviceAccountProject": project.number,
    }


def test_every_permission_can_be_had_by_a_role_smaller_than_owner_but_the_server_s_own() -> None:
    alone = {permission for permission in ALL if least(permission) == "roles/owner"}

    assert alone == {
        "mlengine.server.admin",
        "resourcemanager.projects.create",
        "resourcemanager.projects.delete",
    }
    assert all(granted <= ALL for granted in ROLES.values())
    assert all(least(permission, collection=noun) for noun, found in ON.items() for permission in found)


def test_an_editor_can_make_nobody_more_powerful() -> None:
    risky = {permission for permission in ALL if "IamPolicy" in permission or "Keys.create" in permission}

    assert not ROLES["roles/editor"] & risky
    assert ROLES["roles/viewer"] <= ROLES["roles/editor"] < ROLES["roles/owner"]


def test_a_policy_of_another_version_cannot_be_asked_for() -> None:
    with pytest.raises(InvalidArgument, match="none of 7"):
        wire.check_policy_version("7")
