"""Google's clients, today's and those of 2017, build themselves from our document and work."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from mlengine.environments import default_cache_dir
from tests.clients.whole_server import PARENT, RUNTIME, unused
from tests.clients.whole_server import origin as origin
from tests.clients.whole_server import whole as whole
from tests.stories.conftest import Server, wait_until

ADDRESSES = [
    "/$discovery/rest?version={apiVersion}",
    "/discovery/v1/apis/{api}/{apiVersion}/rest",
]
# The oldest that users have pinned, with libraries of its time, and the last before documents were shipped.
OLD_CLIENTS = {
    "1.6.2": ("google-api-python-client==1.6.2", "httplib2==0.11.3", "oauth2client==4.1.3"),
    "1.12.11": ("google-api-python-client==1.12.11",),
}


@pytest.fixture(params=ADDRESSES)
def client(request: pytest.FixtureRequest, whole: Server) -> Iterator[Any]:
    """Today's client, which has read our document at one of its addresses."""
    built = discovery.build(
        "ml",
        "v1",
        credentials=AnonymousCredentials(),
        discoveryServiceUrl=whole.endpoint + request.param,
        static_discovery=False,
    )
    yield built
    built.close()


@pytest.fixture
def key_file(whole: Server, tmp_path: Path) -> Path:
    """The file of a key, made by the server, of an account that may do everything with models."""
    accounts = f"{whole.endpoint}/v1/{PARENT}/serviceAccounts"
    account = _post(accounts, {"accountId": f"old-{uuid.uuid4().hex[:8]}"})
    key = _post(f"{accounts}/{account['email']}/keys", {})
    member = f"serviceAccount:{account['email']}"
    policy = {"bindings": [{"role": "roles/ml.admin", "members": [member]}]}
    _post(f"{whole.endpoint}/v1/{PARENT}:setIamPolicy", {"policy": policy})
    path = tmp_path / "key.json"
    path.write_bytes(base64.b64decode(key["privateKeyData"]))
    return path


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@pytest.fixture(params=OLD_CLIENTS)
def old_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment with an old client, built once per machine."""
    folder = default_cache_dir(os.environ) / "test-tools" / f"google-api-python-client-{request.param}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv, python = str(Path(sys.executable).with_name("uv")), folder / "bin" / "python"
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
            wanted = OLD_CLIENTS[request.param]
            subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *wanted], check=True)
            (folder / "complete").touch()
    return python


@pytest.mark.method(
    "ml.projects.models.create",
    "ml.projects.models.list",
    "ml.projects.models.delete",
    "ml.projects.jobs.list",
    "ml.projects.models.versions.create",
    "ml.projects.operations.get",
    "ml.projects.predict",
)
def test_todays_client_deploys_and_predicts_by_our_document(client: Any, origin: str):
    projects = client.projects()
    models = projects.models()
    name = unused("line")
    made = models.create(parent=PARENT, body={"name": name, "regions": ["us-central1"]}).execute()
    operation = (
        models.versions()
        .create(
            parent=made["name"],
            body={"name": "v1", "deploymentUri": origin, "runtimeVersion": RUNTIME},
        )
        .execute()
    )
    done: dict[str, Any] = {}

    def is_done() -> bool:
        done.update(projects.operations().get(name=operation["name"]).execute())
        return bool(done.get("done"))

    wait_until(is_done, "the version", seconds=120)
    answer = projects.predict(name=made["name"], body={"instances": [[2.0], [3.0]]}).execute()
    listed = models.list(parent=PARENT).execute()["models"]
    jobs = projects.jobs().list(parent=PARENT, pageSize=5).execute()

    assert "error" not in done
    assert answer["predictions"] == pytest.approx([5.0, 7.0])
    assert made["name"] in [model["name"] for model in listed]
    assert jobs == {}
    with pytest.raises(HttpError, match="version"):
        models.delete(name=made["name"]).execute()


def test_the_documents_addresses_are_those_that_the_client_used(whole: Server):
    port = whole.record()["port"]
    with urllib.request.urlopen(f"http://localhost:{port}/$discovery/rest?version=v1") as response:
        document = json.load(response)

    assert document["rootUrl"] == f"http://localhost:{port}/"


@pytest.mark.parametrize("path", ["/$discovery/rest", "/discovery/v1/apis/storage/v1/rest"])
def test_what_is_not_here_is_answered_with_an_error_of_google(whole: Server, path: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(whole.endpoint + path)

    with refused.value as response:
        error = json.load(response)["error"]
    assert error["code"] in (400, 404)
    assert "ml" in error["message"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_old_clients_work_by_our_document(
    whole: Server, old_python: Path, key_file: Path, address: str, tmp_path: Path
):
    model = unused("old")
    calls = Path(__file__).with_name("old_client_calls.py")
    done = subprocess.run(
        [str(old_python), str(calls), whole.endpoint + address, model, str(key_file)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)

    assert said["made"] == f"{PARENT}/models/{model}"
    assert said["made"] in said["listed"]
    assert said["jobs"] == []
    assert said["refused"]["status"] == "FAILED_PRECONDITION"
    assert "no version" in said["refused"]["message"]
    assert said["operation"].startswith(f"{PARENT}/operations/")
