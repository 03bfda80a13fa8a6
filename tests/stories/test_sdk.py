"""The whole loop from Python, blocking and on an event loop: train, deploy, predict; servers that die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from google.oauth2.service_account import Credentials as GoogleCredentials

from mlengine import AsyncClient, Client, JobFailed, LogLine
from mlengine.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Problem,
    Unauthenticated,
)
from tests.stories.conftest import Server, Shell, wait_until

RUNTIME = "2026.11-sklearn"
TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "x = numpy.random.default_rng(0).random((50, 2))\n"
    "joblib.dump(LinearRegression().fit(x, 2 * x[:, 0] + 3 * x[:, 1] + 1), sys.argv[1])\n"
)
TASK = """\
import sys
import time
from pathlib import Path

print("begun", flush=True)
options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if "=" in word)
while "until" in options and not Path(options["until"]).exists():
    time.sleep(0.05)
if "fail" in options:
    raise ValueError(options["fail"])
print("ended", flush=True)
"""


@pytest.fixture(scope="module")
def exported(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of 2a + 3b + 1."""
    python = server.shell.run("runtimes", "build", RUNTIME, timeout=600).stdout.split()[-1]
    folder = tmp_path_factory.mktemp("plane")
    server.shell.program(python, "-c", TRAIN, str(folder / "model.joblib"))
    return folder


@pytest.fixture(scope="module")
def plane(server: Server, exported: Path) -> str:
    """A model with one version, deployed by the client that blocks."""
    with Client(endpoint=server.endpoint) as client:
        model = client.models.create("sdk_plane", description="a plane")
        operation = model.versions.create("v1", deployment_uri=exported, framework="scikit-learn")
        version = operation.result(timeout=600)
    assert (version.id, version.state, version.framework) == ("v1", "READY", "SCIKIT_LEARN")
    return model.id


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(endpoint=server.endpoint, slice_instances=400) as opened:
        yield opened


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A trainer that waits for a file, or fails, as it is told."""
    folder = tmp_path / "source" / "trainer"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "task.py").write_text(TASK)
    return folder


def points(count: int) -> tuple[np.ndarray, np.ndarray]:
    given = np.random.default_rng(1).random((count, 2)).round(6)
    return given, 2 * given[:, 0] + 3 * given[:, 1] + 1


def test_thousands_of_instances_are_predicted_in_order(client: Client, plane: str):
    given, expected = points(5000)

    found = client.predict(plane, given, returns="numpy")

    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_same_on_an_event_loop_together_with_other_calls(server: Server, plane: str):
    given, expected = points(5000)

    async def both() -> tuple[np.ndarray, list[str]]:
        async with AsyncClient(endpoint=server.endpoint, slice_instances=400) as client:
            version = await (await client.models.get(plane)).versions.get("v1")
            found, names = await asyncio.gather(version.predict(given, returns="numpy"), listed(client))
            return found, names

    async def listed(client: AsyncClient) -> list[str]:
        return [model.id async for model in client.models.list()]

    found, names = asyncio.run(both())

    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert plane in names


def test_tables_go_in_and_tables_come_out(client: Client, plane: str):
    given, expected = points(1000)
    frame = pd.DataFrame(given, columns=["a", "b"], index=pd.RangeIndex(5000, 6000))
    model = client.models.get(plane)

    as_frame = model.predict(frame.to_numpy(), returns="pandas")
    as_table = model.predict(frame.to_numpy(), returns="arrow")
    # One column of pairs: a Series, and the same as Arrow.
    pairs = pd.Series(frame.to_numpy().tolist(), index=frame.index)
    indexed = model.predict(pairs, returns="pandas")
    from_arrow = model.predict(pa.array(pairs.tolist()))

    np.testing.assert_allclose(as_frame["prediction"], expected)
    np.testing.assert_allclose(as_table.column("prediction").to_numpy(), expected)
    assert indexed.index.equals(frame.index)
    np.testing.assert_allclose(from_arrow, expected)


def test_the_one_bad_instance_is_named_by_its_number_in_the_whole(server: Server, client: Client, plane: str):
    given = points(3000)[0].tolist()
    given[2345] = [0.5]  # the server counts from 1
    caught: list[Problem] = []

    async def asynchronously() -> None:
        async with AsyncClient(endpoint=server.endpoint, slice_instances=400) as waiting:
            await waiting.predict(plane, given)

    with pytest.raises(InvalidArgument) as blocking:
        client.predict(plane, given)
    with pytest.raises(InvalidArgument) as awaited:
        asyncio.run(asynchronously())
    caught += [blocking.value, awaited.value]

    for problem in caught:
        assert "Instance 2346" in problem.message
        assert (problem.code, problem.status) == (400, "INVALID_ARGUMENT")
        assert problem.details[0] == {"instances": {"start": 2000, "stop": 2400}}
    assert caught[0].message == caught[1].message


def test_errors_are_the_servers_own(client: Client, plane: str):
    with pytest.raises(AlreadyExists):
        client.models.create(plane)
    with pytest.raises(NotFound, match="sdk_plain") as caught:
        client.models.get("sdk_plain")
    with pytest.raises(NotFound):
        client.predict("sdk_plain", [[1, 2]])

    assert caught.value.code == 404


def test_a_second_version_becomes_the_default_and_the_first_goes(client: Client, exported: Path):
    model = client.models.create("sdk_two")
    for name in ("v1", "v2"):
        model.versions.create(name, deployment_uri=exported, description=name).wait(timeout=600)

    second = model.versions.get("v2").set_default()
    model.versions.get("v1").delete().wait(timeout=60)

    assert second.is_default
    assert model.refresh().default_version == "v2"
    assert [version.id for version in model.versions.list()] == ["v2"]
    assert model.predict([[0, 0]]) == pytest.approx([1.0])
    model.versions.get("v2").delete().wait(timeout=60)
    assert model.delete().result(timeout=60) is None
    with pytest.raises(NotFound):
        model.refresh()


def test_a_change_over_somebody_elses_is_refused(client: Client):
    mine = client.models.create("sdk_changed", description="first")
    theirs = client.models.get("sdk_changed")

    assert theirs.update(description="theirs").result(timeout=60).description == "theirs"
    with pytest.raises(Conflict, match="sdk_changed") as caught:
        mine.update(description="mine")
    mine.refresh().update(labels={"by": "sdk"}).wait(timeout=60)

    assert caught.value.code == 409
    assert (mine.refresh().description, mine.refresh().labels) == ("theirs", {"by": "sdk"})


def test_a_service_accounts_key_says_who_is_calling(server: Server, shell: Shell):
    shell.run("iam", "service-accounts", "create", "sdk-robot")
    email = "sdk-robot@local.iam.gserviceaccount.com"
    shell.run("iam", "service-accounts", "keys", "create", "key.json", "--iam-account", email)
    key = shell.cwd / "key.json"
    nobody = Client(endpoint=server.endpoint, credentials=key)
    with nobody, pytest.raises(PermissionDenied, match=email) as caught:
        nobody.models.create("sdk_keyed")
    assert caught.value.code == 403
    shell.run(
        "projects", "add-iam-policy-binding", "local",
        "--member", f"serviceAccount:{email}", "--role", "roles/ml.developer",
    )  # fmt: skip
    made = GoogleCredentials.from_service_account_file(
        str(key), scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    broken = json.loads(key.read_text()) | {"private_key_id": "0123456789"}

    for credentials in (key, key.read_text(), json.loads(key.read_text()), made):
        with Client(endpoint=server.endpoint, credentials=credentials) as client:
            assert client.models.create("sdk_keyed").id == "sdk_keyed"
            client.models.get("sdk_keyed").delete().wait(timeout=60)
    with pytest.raises(Unauthenticated, match="does not take the credentials"):
        Client(endpoint=server.endpoint, credentials=broken, retry_seconds=0).models.get("sdk_keyed")


def test_a_model_that_does_not_load_is_an_error_with_its_traceback(client: Client, tmp_path: Path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04cno_such_package\nModel\n.")
    operation = client.models.create("sdk_broken").versions.create("v1", deployment_uri=tmp_path)

    with pytest.raises(Problem, match="No module named 'no_such_package'"):
        operation.wait(timeout=600)


def test_a_job_is_packed_submitted_watched_and_read_again(client: Client, package: Path):
    seen: list[LogLine] = []

    job = client.jobs.submit(
        "sdk_job", package=package, module="trainer.task", runtime_version=RUNTIME, labels={"by": "sdk"}
    )
    ended = job.wait(timeout=600, on_log=seen.append)

    assert ended.succeeded
    assert ended.labels == {"by": "sdk"}
    messages = [line.message for line in seen]
    assert messages.index("begun") < messages.index("ended")
    assert [line.message for line in ended.logs()] == messages
    assert "sdk_job" in [found.id for found in client.jobs.list(limit=20)]


def test_a_failed_job_raises_with_the_trainers_own_words(server: Server, package: Path):
    async def failing() -> None:
        async with AsyncClient(endpoint=server.endpoint) as client:
            job = await client.jobs.submit(
                "sdk_failing",
                package=package,
                module="trainer.task",
                args=["--fail=no passengers"],
                config={"trainingInput": {"runtimeVersion": RUNTIME}},
            )
            lines = [line.message async for line in job.logs(follow=True)]
            assert "begun" in lines
            await job.wait()

    with pytest.raises(JobFailed, match="ValueError: no passengers") as caught:
        asyncio.run(failing())

    assert caught.value.job.state == "FAILED"


def test_a_job_that_was_cancelled_does_not_succeed(client: Client, package: Path, tmp_path: Path):
    job = client.jobs.submit(
        "sdk_cancelled",
        package=package,
        module="trainer.task",
        args=[f"--until={tmp_path / 'never'}"],
        runtime_version=RUNTIME,
    )
    with pytest.raises(DeadlineExceeded, match="still runs after 1 seconds"):
        job.wait(timeout=1)

    job.cancel()
    ended = job.wait(timeout=120, check=False)

    assert ended.state == "CANCELLED"
    job.cancel()  # once more changes nothing


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_waiting_survives_the_death_of_the_control_plane_and_of_the_whole_server(
    own_server: Server, package: Path, tmp_path: Path, kind: str
):
    until = tmp_path / "go on"
    lines: list[LogLine] = []
    with Client(endpoint=own_server.endpoint) as client:
        client.jobs.submit(
            "long",
            package=package,
            module="trainer.task",
            args=[f"--until={until}"],
            runtime_version=RUNTIME,
        )

    async def awaited() -> str:
        async with AsyncClient(endpoint=own_server.endpoint) as waiting:
            found = await waiting.jobs.get("long")
            return (await found.wait(timeout=300, on_log=lines.append)).state

    def blocked() -> str:
        with Client(endpoint=own_server.endpoint) as waiting:
            return waiting.jobs.get("long").wait(timeout=300, on_log=lines.append).state

    results: list[str] = []
    waiter = threading.Thread(
        target=lambda: results.append(blocked() if kind == "sync" else asyncio.run(awaited()))
    )
    waiter.start()
    wait_until(lambda: any(line.message == "begun" for line in lines), "the trainer's first line", 300)

    kill_control_plane(own_server)
    own_server.kill()
    port = own_server.endpoint.rpartition(":")[2]
    own_server.shell.run("server", "start", "--detach", "--port", port)
    until.touch()
    waiter.join(timeout=240)

    assert results == ["SUCCEEDED"]
    assert [line.message for line in lines].count("begun") == 1
    assert lines[-1].message == "ended" or "ended" in [line.message for line in lines]


def kill_control_plane(server: Server) -> None:
    """SIGKILL to the gateway's child, and wait until another one answers."""
    gateway = server.record()["pid"]

    def child() -> int:
        found = subprocess.run(
            ["ps", "--ppid", str(gateway), "-o", "pid=,args="], capture_output=True, text=True, check=False
        ).stdout
        return next((int(line.split()[0]) for line in found.splitlines() if "control" in line), 0)

    first = child()
    assert first, "the gateway's child runs the control plane"
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: child() not in (0, first), "another control plane")


def test_the_documentation_is_true(server: Server, exported: Path, package: Path, tmp_path: Path):
    """Every example of docs/sdk.md, one after the other, in a folder with a trainer and a model."""
    shell = Shell(package.parent, dict(server.shell.environment))
    (package.parent / "exported").symlink_to(exported)
    (package.parent / "passengers.csv").write_text("a,b\n0.5,0.25\n1.0,\n")
    text = (Path(__file__).resolve().parents[2] / "docs" / "sdk.md").read_text()
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) >= 6
    (tmp_path / "examples.py").write_text("\n\n".join(blocks))

    import sys

    shell.program(sys.executable, "-W", "error", str(tmp_path / "examples.py"), timeout=280)
