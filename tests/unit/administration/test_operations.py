"""The whole control plane, wired and not started: what the pages of operations read, and who may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlengine.app.administration import in_force
from mlengine.app.application import Application
from mlengine.settings import read_settings
from mlengine.web.method import Call
from tests.trainer_package import trainer_package

JOB = {
    "trainingInput": {
        "pythonModule": "trainer.task",
        "packageUris": ["gs://data/a.tar.gz"],
        "region": "us-central1",
    }
}


class House:
    """An application, and requests to it without a network."""

    def __init__(self, folder: Path, **settings: object) -> None:
        found = {"data_dir": folder / "data", "cache_dir": folder / "cache", **settings}
        self.application = Application(read_settings(found, {}), tether=None)

    def ask(self, verb: str, target: str, body: object = None) -> tuple[int, dict[str, Any]]:
        pairs = target.partition("?")[2].split("&")
        query = dict(pair.partition("=")[::2] for pair in pairs if pair)
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        reply = self.application.router.answer(
            Call(
                path={},
                verb=verb,
                target=target,
                query=query,
                body=iter([sent]),
                base_url="http://localhost:1",
            )
        )
        said = reply.content if isinstance(reply.content, dict) else json.loads(bytes(reply.content) or b"{}")  # type: ignore[arg-type]
        return reply.status, said

    def read(self, target: str) -> dict[str, Any]:
        code, said = self.ask("GET", target)
        assert code == 200, said
        return said


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, max_running_jobs=1)
    yield found
    found.application.stop()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, auth="required")
    yield found
    found.application.stop()


def setting(house: House, name: str) -> Mapping[str, str]:
    return next(found for found in house.read("/mlengine/v1/settings")["settings"] if found["name"] == name)


def test_the_machine_tells_what_it_has_and_which_part_is_not_well(house: House) -> None:
    found = house.read("/mlengine/v1/machine")

    machine = found["machine"]
    assert 0 < int(machine["memoryAvailableBytes"]) <= int(machine["memoryBytes"])
    assert 0 < int(machine["diskFreeBytes"]) < int(machine["diskBytes"])
    assert found["forJobs"]["freeSlots"] == 1
    parts = {part["name"]: part for part in found["parts"]}
    assert parts["database"] == {"name": "database", "healthy": True}
    assert parts["blobs"]["healthy"]
    # Nothing of it was started.
    assert not parts["gateway"]["healthy"] and "does not answer" in parts["gateway"]["problem"]
    assert not parts["loops"]["healthy"] and "jobs" in parts["loops"]["problem"]


def test_the_queue_tells_places_and_reasons_in_their_order(house: House) -> None:
    assert house.ask("POST", "/storage/v1/b?project=local", {"name": "data"})[0] == 200
    upload = "/upload/storage/v1/b/data/o?uploadType=media&name=a.tar.gz"
    assert house.ask("POST", upload, trainer_package())[0] == 200
    for name in ("one", "two", "three"):
        code, said = house.ask("POST", "/v1/projects/local/jobs", JOB | {"jobId": name})
        assert code == 200, said

    found = house.read("/mlengine/v1/machine")

    assert [(row["position"], row["jobId"]) for row in found["waiting"]] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
    ]
    # The first could start now; nobody starts it here.
    assert [row["reason"] for row in found["waiting"]][1:] == ["It waits behind those before it."] * 2
    assert found["queued"] == 3 and found["running"] == []


def test_without_a_token_nothing_of_this_is_told_where_tokens_are_required(locked: House) -> None:
    for target in (
        *("machine", "runtimes", "runtimes/2026.11-sklearn", "roles", "settings"),
        *("projects/local/auditLog", "projects/local/tensorboards"),
    ):
        assert locked.ask("GET", f"/mlengine/v1/{target}")[0] == 401, target
    assert locked.ask("POST", "/mlengine/v1/runtimes/2026.11-sklearn:build", {})[0] == 401
    assert locked.ask("DELETE", "/mlengine/v1/runtimes/2026.11-sklearn")[0] == 401
    assert locked.ask("POST", "/mlengine/v1/projects/local/tensorboards", {"logdir": "gs://a-b/c"})[0] == 401


def test_runtimes_tell_what_they_hold_and_whether_they_are_built(house: House) -> None:
    listed = house.read("/mlengine/v1/runtimes")["runtimes"]
    one = house.read("/mlengine/v1/runtimes/2026.11-tensorflow")

    assert [found["name"] for found in listed][:2] == ["2026.11-tensorflow", "2026.11-sklearn"]
    assert not any(found["built"] for found in listed)
    assert one["lock"]["tensorboard"] and one["packages"]["tensorflow"]
    assert "lock" not in listed[0]


def test_each_role_tells_its_permissions(house: House) -> None:
    roles = {role["name"]: role["permissions"] for role in house.read("/mlengine/v1/roles")["roles"]}

    assert "ml.jobs.create" in roles["roles/ml.developer"]
    assert "ml.jobs.create" not in roles["roles/viewer"]


def test_settings_tell_their_values_and_origins(house: House) -> None:
    assert setting(house, "max_running_jobs")["value"] == "1"
    assert setting(house, "port")["origin"] == "default"
    assert setting(house, "data_dir")["origin"] == "flag"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hush@h/d", "postgresql+psycopg://h/d?password=hush"]
)
def test_settings_never_tell_a_password(tmp_path: Path, url: str) -> None:
    found = in_force(read_settings({"data_dir": tmp_path, "database_url": url}, {}))

    assert [one.value for one in found if one.name == "database_url"] == ["set"]
    assert not any("hush" in one.value for one in found)


def test_what_was_made_stands_in_the_audit_log_by_its_name(house: House) -> None:
    house.ask("POST", "/storage/v1/b?project=local", {"name": "made-here"})
    house.ask("POST", "/storage/v1/b?project=local", {"name": "NO"})

    found = house.read("/mlengine/v1/projects/local/auditLog?filter=method:buckets")["entries"]

    assert [(one["resource"], one["status"]) for one in found] == [
        ("projects/local", "INVALID_ARGUMENT"),
        ("buckets/made-here", "OK"),
    ]
    assert house.ask("GET", "/mlengine/v1/projects/local/auditLog?pageSize=x")[0] == 400
    assert house.ask("GET", "/mlengine/v1/projects/local/auditLog?filter=colour=red")[0] == 400
