"""From a job to a task: what lies in its folder, and who may read it."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlengine.access.domain import JobTokens
from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.backends.replicas import ReplicaTasks
from mlengine.jobs.admission import plan
from mlengine.jobs.domain import Job, TrainingInput
from mlengine.jobs.executor import Task
from mlengine.machines import Gpu, Machine
from mlengine.names import JobName
from mlengine.storage.service import StorageService
from tests.conftest import HandClock

TOKENS = JobTokens(b"s" * 32)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
TRAINING = TrainingInput(python_module="trainer.task", package_uris=(), region="here", runtime="any")


def staging(
    folder: Path, database: SqlDatabase, clock: HandClock, *, tls_port: int = 8443, required: bool = False
) -> ReplicaTasks:
    return ReplicaTasks(
        folder,
        StorageService(database, MemoryBlobs(), clock),
        locks=folder / "locks",
        cache_dir=folder / "cache",
        endpoint="http://127.0.0.1:8080",
        machine={"PATH": "/bin", "HTTPS_PROXY": "http://outer:3128"},
        tokens=TOKENS,
        tls_port=tls_port,
        roots=Path("/data/roots.pem"),
        agent=lambda project: f"agent@{project}",
        private_key=lambda: "PEM",
        tokens_required=required,
    )


def prepared(
    folder: Path, database: SqlDatabase, clock: HandClock, *, tls_port: int, required: bool = False
) -> tuple[Task, dict]:
    tasks = staging(folder, database, clock, tls_port=tls_port, required=required)
    job = Job(name=JobName("local", "train_1"), uid="u1", training=TRAINING, created=clock())
    [task] = tasks.prepare(job)
    return task, json.loads(Path(task.argv[-1]).read_text())["env"]


def test_only_the_trainer_gets_the_job_s_token_and_only_the_owner_can_read_it(
    tmp_path: Path, sqlite: SqlDatabase, clock: HandClock
) -> None:
    task, trainer = prepared(tmp_path, sqlite, clock, tls_port=8443)

    token = TOKENS.issue("local.train_1")
    assert trainer["https_proxy"] == f"http://job:{token}@127.0.0.1:8080"
    assert trainer["GOOGLE_AUTH_TOKEN_FOR_TESTING"] == token
    # What installs packages goes its own way, and its variables stand where they are read by others.
    assert task.env["HTTPS_PROXY"] == "http://outer:3128"
    assert token not in str(task)
    assert stat.S_IMODE(Path(task.argv[-1]).stat().st_mode) == 0o600
    assert "gs_json_port = 8443" in Path(trainer["BOTO_CONFIG"]).read_text()


def test_without_a_port_for_https_a_job_is_told_of_none(
    tmp_path: Path, sqlite: SqlDatabase, clock: HandClock
) -> None:
    _, trainer = prepared(tmp_path, sqlite, clock, tls_port=0)

    assert trainer["HTTPS_PROXY"] == "http://outer:3128"
    assert "BOTO_CONFIG" not in trainer and "CURL_CA_BUNDLE" not in trainer
    assert trainer["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:8080"


def test_a_job_has_a_key_file_whose_id_is_its_token(
    tmp_path: Path, sqlite: SqlDatabase, clock: HandClock
) -> None:
    _, open_to_all = prepared(tmp_path, sqlite, clock, tls_port=8443)
    _, strict = prepared(tmp_path, sqlite, clock, tls_port=8443, required=True)

    place = Path(open_to_all["GOOGLE_APPLICATION_CREDENTIALS"])
    key, token = json.loads(place.read_text()), TOKENS.issue("local.train_1")
    assert (key["private_key_id"], key["client_email"]) == (token, "agent@local")
    assert key["token_uri"] == "http://127.0.0.1:8080/token"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert open_to_all["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:8080"
    assert strict["STORAGE_EMULATOR_HOST"] == f"http://job:{token}@127.0.0.1:8080"


def cluster(**more: object) -> Job:
    training = TrainingInput(
        python_module="trainer.task",
        package_uris=(),
        region="here",
        runtime="any",
        scale_tier="CUSTOM",
        master_type="standard_gpu",
        worker_type="standard",
        worker_count=1,
        parameter_server_type="standard",
        parameter_server_count=1,
        evaluator_type="standard",
        evaluator_count=1,
        **more,  # type: ignore[arg-type]
    )
    machine = Machine(cpus=4, memory_bytes=40 * 10**9, gpus=(Gpu(index=0, name="NVIDIA T4"),))
    [job] = plan(
        [],
        [Job(name=JobName("local", "train_1"), uid="u1", training=training, created=NOW)],
        machine=machine,
        slots=1,
    ).starting
    placed = tuple(replace(replica, port=3001 + number) for number, replica in enumerate(job.replicas))
    return replace(job, replicas=placed)


def env_of(task: Task) -> dict[str, str]:
    return json.loads(Path(task.argv[-1]).read_text())["env"]


@pytest.mark.parametrize(
    ("version", "first"), [("1.15", "master"), ("2.1", "chief"), ("2026.11-sklearn", "chief")]
)
def test_each_replica_is_told_who_it_is_and_where_the_others_are(
    tmp_path: Path, sqlite: SqlDatabase, clock: HandClock, version: str, first: str
) -> None:
    tasks = staging(tmp_path, sqlite, clock).prepare(cluster(runtime_version=version))

    assert [task.task_name for task in tasks] == [
        *("worker-replica-0", "ps-replica-0", "evaluator-replica-0", "master-replica-0")
    ]
    configs = [json.loads(env_of(task)["TF_CONFIG"]) for task in tasks]
    members = {first: ["127.0.0.1:3001"], "worker": ["127.0.0.1:3002"], "ps": ["127.0.0.1:3003"]}
    assert all(config["cluster"] == members for config in configs)
    assert [config["task"]["type"] for config in configs] == ["worker", "ps", "evaluator", first]
    assert configs[0]["job"]["worker_count"] == "1"
    assert [json.loads(env_of(task)["CLUSTER_SPEC"])["task"]["trial"] for task in tasks] == [""] * 4
    assert [env_of(task).get("RANK") for task in tasks] == ["1", None, None, "0"]
    assert {env_of(task)["WORLD_SIZE"] for task in (tasks[0], tasks[-1])} == {"2"}


def test_each_replica_has_its_share_of_memory_and_its_gpus_and_the_job_its_processors(
    tmp_path: Path, sqlite: SqlDatabase, clock: HandClock
) -> None:
    tasks = {task.task_name: task for task in staging(tmp_path, sqlite, clock).prepare(cluster())}

    memory = [task.memory_bytes or 0 for task in tasks.values()]
    assert 39 * 10**9 < sum(memory) <= 40 * 10**9
    assert tasks["master-replica-0"].memory_bytes == 2 * (tasks["worker-replica-0"].memory_bytes or 0)
    assert {task.cpus for task in tasks.values()} == {4.0}
    assert tasks["master-replica-0"].gpus == (0,)
    assert tasks["worker-replica-0"].gpus == ()


def test_what_a_job_ran_on_is_kept_when_all_else_goes(
    tmp_path: Path, sqlite: SqlDatabase, clock: HandClock
) -> None:
    tasks, job = staging(tmp_path, sqlite, clock), cluster()
    assert tasks.requirements(job) == ""
    tasks.prepare(job)
    (tmp_path / job.task_id / "requirements.lock").write_text("numpy==2.1\n")
    assert tasks.requirements(job) == "numpy==2.1\n"

    for _ in range(2):
        tasks.discard(job)

    assert tasks.requirements(job) == "numpy==2.1\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("u1")] == []
