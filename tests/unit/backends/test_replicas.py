"""From a job to a task: what lies in its folder, and who may read it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from mlengine.access.domain import JobTokens
from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.backends.replicas import ReplicaTasks
from mlengine.jobs.domain import Job, TrainingInput
from mlengine.jobs.executor import Task
from mlengine.names import JobName
from mlengine.storage.service import StorageService
from tests.conftest import HandClock

TOKENS = JobTokens(b"s" * 32)
TRAINING = TrainingInput(python_module="trainer.task", package_uris=(), region="here", runtime="any")


def prepared(
    folder: Path, database: SqlDatabase, clock: HandClock, *, tls_port: int, required: bool = False
) -> tuple[Task, dict]:
    tasks = ReplicaTasks(
        folder,
        StorageService(database, MemoryBlobs(), clock),
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
    job = Job(name=JobName("local", "train_1"), uid="u1", training=TRAINING, created=clock())
    task = tasks.prepare(job)
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
