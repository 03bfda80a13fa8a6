"""The variables a trainer finds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlengine.environments import launcher_environment, trainer_environment

ENDPOINT = "http://127.0.0.1:8080"


def environment(**changes: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "job_id": "titanic_1",
        "training_input": {"scale_tier": "BASIC", "region": "us-central1"},
        "project": "my-project",
        "storage_endpoint": ENDPOINT,
        "home": Path("/tasks/1/home"),
        "temporary": Path("/tasks/1/tmp"),
    }
    return trainer_environment(**(given | changes))


def tf_config(env: Mapping[str, str]) -> dict[str, Any]:
    config = json.loads(env["TF_CONFIG"])
    assert isinstance(config, dict)
    return config


@pytest.mark.parametrize(
    ("runtime_version", "first"),
    [
        ("", "chief"),
        ("2026.11-tensorflow", "chief"),
        ("2.1", "chief"),
        ("2.11", "chief"),
        ("1.15", "master"),
        ("1.8", "master"),
        ("0.12", "master"),
    ],
)
def test_the_first_replica_is_master_up_to_1_15_and_chief_since(runtime_version: str, first: str) -> None:
    config = tf_config(environment(runtime_version=runtime_version))

    assert list(config["cluster"]) == [first]
    assert config["task"] == {"type": first, "index": 0, "cloud": "titanic_1-ml"}
    assert config["environment"] == "cloud"


def test_job_and_trial_are_told_in_all_the_places_trainers_look() -> None:
    env = environment(trial_id="7")

    assert tf_config(env)["task"]["trial"] == "7"
    assert env["CLOUD_ML_TRIAL_ID"] == "7"
    assert env["CLOUD_ML_JOB_ID"] == "titanic_1"
    assert json.loads(env["CLOUD_ML_JOB"]) == tf_config(env)["job"]
    assert "CLOUD_ML_TRIAL_ID" not in environment()


def test_a_cluster_never_contains_its_evaluator() -> None:
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "evaluator": ["d:1"]}

    config = tf_config(environment(cluster=cluster, task_type="evaluator"))

    assert config["cluster"] == {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert config["task"]["type"] == "evaluator"


def test_of_the_server_s_environment_only_the_machine_is_seen() -> None:
    machine = {
        "PATH": "/opt/bin",
        "CUDA_VISIBLE_DEVICES": "0",
        "LC_ALL": "ko_KR.UTF-8",
        "HOME": "/home/ada",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/ada/key.json",
        "MLENGINE_DATABASE_URL": "postgresql://secret",
        "PYTHONPATH": "/home/ada/src",
        "UV_INDEX": "https://name:secret@example.org",
    }

    env = environment(machine=machine)

    assert (env["PATH"], env["CUDA_VISIBLE_DEVICES"], env["LC_ALL"]) == ("/opt/bin", "0", "ko_KR.UTF-8")
    assert env["HOME"] == "/tasks/1/home"
    assert not env.keys() & {
        "GOOGLE_APPLICATION_CREDENTIALS",
        "MLENGINE_DATABASE_URL",
        "PYTHONPATH",
        "UV_INDEX",
    }


def test_a_bare_machine_gives_a_path_and_a_locale_that_can_print() -> None:
    env = environment(machine={})

    assert "/usr/bin" in env["PATH"].split(":")
    assert env["LANG"] == "C.UTF-8"


def test_requests_to_our_storage_never_go_to_a_proxy() -> None:
    machine = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "intranet"}

    env = environment(machine=machine, storage_endpoint="http://10.0.0.5:8080")

    assert env["no_proxy"] == env["NO_PROXY"] == "intranet,10.0.0.5,127.0.0.1,localhost"
    assert "no_proxy" not in environment(machine={})


def test_the_launcher_keeps_what_sets_uv_and_no_secret_of_the_server() -> None:
    machine = {
        "HOME": "/home/ada",
        "UV_INDEX": "x",
        "PIP_INDEX_URL": "y",
        "MLENGINE_DATABASE_URL": "z",
        "PATH": "/bin",
    }

    env = launcher_environment(machine)

    assert env == {
        "HOME": "/home/ada",
        "UV_INDEX": "x",
        "PIP_INDEX_URL": "y",
        "PATH": "/bin",
        "LANG": "C.UTF-8",
    }
