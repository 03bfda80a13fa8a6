"""The variables a trainer finds."""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlengine.environments import launcher_environment, trainer_environment
from mlengine.environments.contract import Access, gsutil_settings, storage_variables

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


@pytest.mark.parametrize(
    ("runtime_version", "keras"),
    [("2.1", "1"), ("2.11", "1"), ("1.15", None), ("2026.11-tensorflow", None), ("", None)],
)
def test_keras_2_is_for_trainers_of_its_time(runtime_version: str, keras: str | None) -> None:
    assert environment(runtime_version=runtime_version).get("TF_USE_LEGACY_KERAS") == keras


def test_idle_threads_of_openmp_sleep_and_bytecode_is_kept() -> None:
    env = environment(machine={"PYTHONDONTWRITEBYTECODE": "1"})

    assert env["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "PYTHONDONTWRITEBYTECODE" not in env


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

    assert env["no_proxy"] == env["NO_PROXY"] == "intranet,10.0.0.5,127.0.0.1,localhost,::1"
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


ACCESS = Access(token="titanic_1.code", roots=Path("/data/roots.pem"), boto_config=Path("/tasks/1/boto.cfg"))


def test_clients_that_insist_on_https_get_a_proxy_a_token_and_whom_to_trust() -> None:
    machine = {"HTTPS_PROXY": "http://outer:3128", "SSL_CERT_FILE": "/etc/own.pem", "NO_PROXY": "*"}

    env = environment(machine=machine, access=ACCESS)

    assert env["https_proxy"] == env["HTTPS_PROXY"] == "http://job:titanic_1.code@127.0.0.1:8080"
    assert env["no_proxy"] == env["NO_PROXY"] == "127.0.0.1,localhost,::1"
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS"):
        assert env[name] == "/data/roots.pem"
    assert env["GOOGLE_AUTH_TOKEN_FOR_TESTING"] == "titanic_1.code"
    assert env["BOTO_CONFIG"] == "/tasks/1/boto.cfg"
    assert env["STORAGE_EMULATOR_HOST"] == ENDPOINT


def test_the_replicas_of_a_job_talk_to_each_other_without_a_proxy() -> None:
    cluster = {"chief": ["10.0.0.1:2222"], "worker": ["10.0.0.2:2222", "[fd00::3]:2222"]}

    env = environment(cluster=cluster, access=ACCESS)

    assert env["no_proxy"] == "127.0.0.1,localhost,::1,10.0.0.1,10.0.0.2,fd00::3"


def test_gsutil_finds_our_https_port_and_whom_to_trust() -> None:
    text = gsutil_settings(
        host="127.0.0.1", tls_port=8443, roots=Path("/data/roots.pem"), project="p", state=Path("/tasks/1/s")
    )
    settings = configparser.ConfigParser()
    settings.read_string(text)

    assert settings["Credentials"]["gs_json_host"] == settings["Credentials"]["gs_host"] == "127.0.0.1"
    assert settings["Credentials"]["gs_json_port"] == settings["Credentials"]["gs_port"] == "8443"
    assert settings["Boto"]["ca_certificates_file"] == "/data/roots.pem"
    assert settings["GSUtil"]["default_project_id"] == "p"


def test_a_server_that_wants_tokens_is_reached_with_the_job_s() -> None:
    env = storage_variables(ENDPOINT, project="demo", token="demo.train_7.CODE")

    assert env["STORAGE_EMULATOR_HOST"] == ENDPOINT.replace("://", "://job:demo.train_7.CODE@")
    assert env["CLOUD_STORAGE_EMULATOR_ENDPOINT"] == ENDPOINT
    # Else gcsfs would find the job's key file, too, and refuse to send both.
    assert env["FSSPEC_GCS_TOKEN"] == env["FSSPEC_GS_TOKEN"] == "anon"
    assert "FSSPEC_GCS_TOKEN" not in storage_variables(ENDPOINT, project="demo")
