"""Jobs of several replicas: each is told of the others, and none outlives the first."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.stories.conftest import Server, Shell, wait_until

PEERS = Path(__file__).parent / "packages" / "peers" / "trainer"
CUSTOM = (
    *("--scale-tier", "custom", "--master-machine-type", "standard"),
    *("--worker-machine-type", "standard", "--worker-count", "2"),
    *("--parameter-server-machine-type", "standard", "--parameter-server-count", "1"),
)


def submit(
    shell: Shell, job_id: str, *flags: str, runtime: str = "2026.11-sklearn", args: tuple[str, ...]
) -> None:
    bucket = f"gs://{job_id.replace('_', '-')}"
    shell.run("storage", "mb", bucket)
    shell.run(
        *("jobs", "submit", "training", job_id, "--module-name", "trainer.task"),
        *("--package-path", str(PEERS), "--job-dir", f"{bucket}/out", "--runtime-version", runtime),
        *(*flags, "--", *args),
    )


def lines(shell: Shell, job_id: str, task: str) -> list[str]:
    printed = shell.run("jobs", "stream-logs", job_id, "--task-name", task, code=None).stdout
    return [line.split("\t")[-1] for line in printed.splitlines()]


def told(shell: Shell, job_id: str, task: str) -> dict:
    [found] = [line for line in lines(shell, job_id, task) if line.startswith("told ")]
    return json.loads(found.removeprefix("told "))


def left_of(server: Server) -> list[str]:
    """Processes of this server's tasks."""
    found = []
    for process in Path("/proc").glob("[1-9]*"):
        try:
            variables = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"MLENGINE_TASK_FOLDER=" + os.fsencode(server.data_dir) in variables:
            found.append(process.name)
    return found


def test_every_replica_knows_the_others_and_the_job_ends_with_the_first(
    own_server: Server, tmp_path: Path
) -> None:
    shell = own_server.shell
    (tmp_path / "evaluator.yaml").write_text("trainingInput: {evaluatorType: standard, evaluatorCount: 1}\n")
    submit(shell, "peers_1", *CUSTOM, "--config", "evaluator.yaml", args=("--callers", "3"))

    shell.run("jobs", "stream-logs", "peers_1")

    job = shell.json("jobs", "describe", "peers_1")
    names = [replica["name"] for replica in job["trainingOutput"]["mlengine"]["replicas"]]
    assert names == [
        *("master-replica-0", "worker-replica-0", "worker-replica-1"),
        *("ps-replica-0", "evaluator-replica-0"),
    ]
    assert job["state"] == "SUCCEEDED"
    seen = {name: told(shell, "peers_1", name) for name in names}
    clusters = [seen[name]["cluster"] for name in names]
    assert all(cluster == clusters[0] for cluster in clusters)
    assert {role: len(addresses) for role, addresses in clusters[0].items()} == {
        "chief": 1,
        "worker": 2,
        "ps": 1,
    }
    addresses = [address for found in clusters[0].values() for address in found]
    assert len(set(addresses)) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", address) for address in addresses)
    assert [(seen[name]["task"]["type"], seen[name]["task"]["index"]) for name in names] == [
        *(("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("evaluator", 0)),
    ]
    assert all(seen[name]["spec"]["cluster"] == clusters[0] for name in names)
    assert [seen[name]["torch"].get("RANK") for name in names] == ["0", "1", "2", None, None]
    assert seen["worker-replica-1"]["torch"] == {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": clusters[0]["chief"][0].rpartition(":")[2],
        "RANK": "2",
        "WORLD_SIZE": "3",
        "LOCAL_RANK": "0",
    }
    assert 'heard ["evaluator 0", "worker 0", "worker 1"]' in lines(shell, "peers_1", "master-replica-0")
    assert left_of(own_server) == []


def test_a_tier_of_eight_machines_runs_on_this_one(own_server: Server) -> None:
    shell = own_server.shell
    submit(shell, "peers_8", "--scale-tier", "standard-1", args=("--callers", "4"))

    shell.run("jobs", "stream-logs", "peers_8")

    job = shell.json("jobs", "describe", "peers_8")
    kinds = [replica["name"].partition("-")[0] for replica in job["trainingOutput"]["mlengine"]["replicas"]]
    assert kinds == ["master", *["worker"] * 4, *["ps"] * 3]
    assert job["state"] == "SUCCEEDED"
    said = lines(shell, "peers_8", "service")
    assert any(line.startswith("4 worker: n1-highcpu-8 (8 CPUs, 7.2 GB) is mapped to") for line in said)
    assert left_of(own_server) == []


def test_in_an_old_runtime_the_first_replica_is_the_master(shell: Shell) -> None:
    submit(shell, "peers_old", *CUSTOM[:4], runtime="1.14", args=("--callers", "0"))

    shell.run("jobs", "stream-logs", "peers_old")

    assert told(shell, "peers_old", "master-replica-0")["cluster"] == {"master": ["127.0.0.1:2222"]}


def test_a_worker_that_fails_fails_the_job_and_is_named(own_server: Server) -> None:
    shell = own_server.shell
    submit(shell, "peers_2", *CUSTOM, args=("--callers", "2", "--break"))

    shell.run("jobs", "stream-logs", "peers_2", code=1)

    job = shell.json("jobs", "describe", "peers_2")
    assert job["state"] == "FAILED"
    assert "worker 0 exited with a non-zero status of 1" in job["errorMessage"]
    assert "RuntimeError: this worker breaks" in job["errorMessage"]
    assert left_of(own_server) == []


def test_a_server_killed_between_finds_all_replicas_again_and_cancelling_ends_them_all(
    own_server: Server,
) -> None:
    shell = own_server.shell
    submit(shell, "peers_3", *CUSTOM, args=("--callers", "2", "--linger"))
    log = own_server.data_dir / "tasks"
    wait_until(
        lambda: any("heard" in path.read_text() for path in log.glob("*.master-replica-0/log.jsonl")),
        "all replicas",
    )

    own_server.kill()
    own_server.start()
    again = len(left_of(own_server))
    shell.run("jobs", "cancel", "peers_3")
    wait_until(lambda: "endTime" in shell.json("jobs", "describe", "peers_3"), "the job's end")

    job = shell.json("jobs", "describe", "peers_3")
    assert again >= 4
    assert (job["state"], job["trainingOutput"]["mlengine"].get("restarts")) == ("CANCELLED", None)
    assert left_of(own_server) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--scale-tier", "basic-gpu"), "BASIC_GPU"),
        (("--scale-tier", "basic-tpu"), "TPU"),
        (("--scale-tier", "custom", "--master-machine-type", "cloud_tpu"), "TPU"),
        (
            (
                *("--scale-tier", "custom", "--master-machine-type", "n1-standard-8"),
                *("--master-accelerator", "type=nvidia-tesla-t4,count=1"),
            ),
            "GPU",
        ),
    ],
)
def test_what_can_never_run_here_is_refused_before_anything_is_uploaded(
    shell: Shell, flags: tuple[str, ...], words: str
) -> None:
    if Path("/proc/driver/nvidia/gpus").exists() and "tpu" not in str(flags):
        pytest.skip("this machine has GPUs")
    bucket = f"gs://never-{len(flags)}-{flags[1]}"
    shell.run("storage", "mb", bucket)

    refused = shell.run(
        *("jobs", "submit", "training", "never_1", "--module-name", "trainer.task"),
        *("--package-path", str(PEERS), "--job-dir", f"{bucket}/out", *flags),
        code=1,
    )

    assert words in refused.stderr
    assert shell.run("storage", "ls", bucket, code=None).stdout == ""
