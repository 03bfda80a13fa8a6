from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.jobs.domain import Replica, State, TrainingInput
from mlengine.jobs.wire import request_from_json, to_json
from mlengine.machines import Accelerators, Role
from tests.unit.jobs.test_domain import NOW, job

TRAINING: dict[str, Any] = {
    "pythonModule": "trainer.task",
    "packageUris": ["gs://box/trainer-0.1.tar.gz"],
    "region": "us-central1",
}


CUSTOM = {"scaleTier": "CUSTOM", "masterType": "standard"}
T4 = {"type": "NVIDIA_TESLA_T4", "count": "1"}
ACCELERATOR_COUNT = "master_config.accelerator_config.count"


def training(**more: Any) -> TrainingInput:
    return request_from_json("local", {"jobId": "a", "trainingInput": TRAINING | more}).training


def test_a_job_is_read_in_camel_case_and_in_snake_case() -> None:
    camel = {
        "jobId": "a",
        "labels": {"x": "y"},
        "trainingInput": TRAINING | {"jobDir": "gs://box/out", "args": ["-v"]},
    }
    snake = {
        "job_id": "a",
        "labels": {"x": "y"},
        "training_input": {
            "python_module": "trainer.task",
            "package_uris": ["gs://box/trainer-0.1.tar.gz"],
            "region": "us-central1",
            "job_dir": "gs://box/out",
            "args": ["-v"],
        },
    }

    assert request_from_json("local", camel) == request_from_json("local", snake)
    assert request_from_json("local", camel).training.job_dir == "gs://box/out"


def test_the_configuration_file_of_the_post_is_accepted() -> None:
    config = yaml.safe_load(
        """
        trainingInput:
          scaleTier: CUSTOM
          masterType: standard_p100
          workerType: standard_p100
          parameterServerType: large_model
          workerCount: 0
          parameterServerCount: 0
        """
    )

    found = training(**config["trainingInput"])

    assert (found.scale_tier, found.master_type) == ("CUSTOM", "standard_p100")


@pytest.mark.parametrize("zero", [0, "0", None])
def test_counts_of_zero_are_accepted_as_number_and_as_string(zero: object) -> None:
    assert (
        training(workerCount=zero, parameterServerCount=zero, evaluatorCount=zero).python_module
        == "trainer.task"
    )


def test_output_only_fields_are_dropped() -> None:
    body = {
        "jobId": "a",
        "trainingInput": TRAINING,
        "state": "FAILED",
        "createTime": "x",
        "etag": "y",
        "jobPosition": "3",
    }

    assert request_from_json("local", body).name.job == "a"


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"pythonModule": None}, "python_module", "--module-name"),
        ({"pythonModule": "trainer/task.py"}, "python_module", "no module name"),
        ({"pythonModule": "trainer..task"}, "python_module", "no module name"),
        ({"packageUris": []}, "package_uris", "--package-path"),
        ({"packageUris": ["gs://box/a"] * 101}, "package_uris", "at most 100"),
        ({"packageUris": ["gs://box/a", "trainer.tar.gz"]}, "package_uris[1]", "no bucket URL"),
        ({"packageUris": "gs://box/a"}, "package_uris", "list of strings"),
        ({"region": ""}, "region", "is missing"),
        ({"jobDir": "out"}, "job_dir", "no bucket URL"),
        ({"scaleTier": "BASICS"}, "scale_tier", "Did you mean 'BASIC'"),
        ({"scaleTier": "CUSTOM"}, "master_type", "required with scale tier CUSTOM"),
        ({"masterType": "standard"}, "master_type", "needs scale tier CUSTOM"),
        ({"scaleTier": "CUSTOM", "masterType": "standart"}, "master_type", "Did you mean 'standard'"),
        ({"workerType": "big"}, "worker_type", "no machine type"),
        ({"workerCount": 2}, "worker_count", "needs scale tier CUSTOM"),
        ({"workerCount": "2"}, "worker_count", "needs scale tier CUSTOM"),
        (CUSTOM | {"workerCount": 2}, "worker_type", "is required, for workerCount is 2"),
        (CUSTOM | {"workerCount": -1}, "worker_count", "0 is the least"),
        (CUSTOM | {"workerCount": 99, "workerType": "standard"}, "worker_count", "makes 100 replicas"),
        (
            CUSTOM | {"workerCount": 1, "workerType": "n1-standard-4"},
            "worker_type",
            "the master's standard is a legacy type",
        ),
        (CUSTOM | {"masterConfig": {"imageUri": "gcr.io/x/y"}}, "master_config.image_uri", "Python packages"),
        (CUSTOM | {"workerConfig": {"imageUri": "gcr.io/x/y"}}, "worker_config.image_uri", "Python packages"),
        (
            CUSTOM | {"masterConfig": {"tpuTfVersion": "1.15"}},
            "master_config.tpu_tf_version",
            "not available",
        ),
        (
            CUSTOM | {"masterConfig": {"acceleratorConfig": T4 | {"count": "0"}}},
            ACCELERATOR_COUNT,
            "at least 1",
        ),
        (CUSTOM | {"masterConfig": {"acceleratorConfig": T4}}, "master_config", "no type of Compute Engine"),
        (
            CUSTOM
            | {"masterType": "n1-standard-4", "masterConfig": {"acceleratorConfig": T4 | {"count": 3}}},
            "master_config",
            "can have 1, 2, 4",
        ),
        ({"masterConfig": {"acceleratorConfig": T4}}, "master_config", "masterType is not set"),
        ({"hyperparameters": {"goal": "MAXIMIZE"}}, "hyperparameters", "not available"),
        ({"pythonmodule": "x"}, "pythonmodule", "Did you mean 'pythonModule'"),
        ({"scheduling": {"maxRunningTime": "2h"}}, "scheduling.max_running_time", "Write seconds"),
        ({"scheduling": {"maxRunningTime": "0s"}}, "scheduling.max_running_time", "no duration"),
        ({"scheduling": {"priority": 1001}}, "scheduling.priority", "from 0 to 1000"),
        ({"scheduling": {"priority": -1}}, "scheduling.priority", "from 0 to 1000"),
        ({"scheduling": {"maxWaitTime": "60s"}}, "scheduling.max_wait_time", "1800 s are the least"),
        ({"scheduling": {"maxWaitTime": "1h"}}, "scheduling.max_wait_time", "no duration"),
        ({"scheduling": {"maxTime": "1s"}}, "scheduling.max_time", "Unknown field"),
    ],
)
def test_what_cannot_run_is_refused_by_its_field(more: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        training(**more)

    assert refused.value.field == f"job.training_input.{field}"
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "job.job_id"),
        ({"jobId": "a-b", "trainingInput": TRAINING}, "job.job_id"),
        ({"jobId": "a"}, "job.training_input"),
        (
            {"jobId": "a", "trainingInput": TRAINING, "predictionInput": {"modelName": "m"}},
            "job.prediction_input",
        ),
        ({"jobId": "a", "trainingInputs": TRAINING}, "job.training_inputs"),
        ({"jobId": "a", "trainingInput": TRAINING, "labels": {"x": 1}}, "job.labels"),
    ],
)
def test_what_is_no_training_job_is_refused_by_its_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        request_from_json("local", body)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 604800.0), ("7200s", 7200.0), ("0.5s", 0.5), ("123456789s", 123456789.0)]
)
def test_the_longest_running_time_is_read_in_seconds(text: str, seconds: float) -> None:
    assert training(scheduling={"maxRunningTime": text}).max_running_seconds == seconds


def test_a_job_says_only_what_is_set() -> None:
    answer = to_json(job())

    assert set(answer) == {"jobId", "trainingInput", "createTime", "state", "trainingOutput", "etag"}
    assert set(answer["trainingInput"]) == {"packageUris", "pythonModule", "region", "runtimeVersion"}


def test_a_job_shows_what_its_replicas_have_and_for_what_it_waits() -> None:
    placed = Replica(
        role=Role.WORKER, index=1, machine_type="standard", cpus=2, memory_bytes=5, gpu_count=1, gpus=(3,)
    )

    output = to_json(job(replicas=(placed,), restarts=2), position=1, waits="It waits.")["trainingOutput"]

    assert output == {
        "mlengine": {
            "replicas": [
                {
                    "name": "worker-replica-1",
                    "machineType": "standard",
                    "cpus": 2,
                    "memoryBytes": "5",
                    "gpuCount": 1,
                    "gpus": [3],
                }
            ],
            "restarts": 2,
            "waitReason": "It waits.",
        }
    }


def test_times_and_messages_are_shown_when_there_are_any() -> None:
    failed = job(state=State.RUNNING, started=NOW, labels={"a": "b"}).move(
        State.FAILED, NOW, error_message="Broken."
    )

    answer = to_json(failed)

    assert (answer["startTime"], answer["endTime"]) == ("2026-11-02T09:30:00Z",) * 2
    assert (answer["errorMessage"], answer["labels"]) == ("Broken.", {"a": "b"})


def test_the_place_in_the_queue_is_an_int64_and_shown_only_in_the_queue() -> None:
    assert to_json(job(), position=3)["jobPosition"] == "3"
    assert "jobPosition" not in to_json(job(state=State.RUNNING), position=3)
    assert "jobPosition" not in to_json(job())


@given(
    st.builds(
        TrainingInput,
        python_module=st.just("trainer.task"),
        package_uris=st.just(("gs://box/a.tar.gz",)),
        region=st.just("here"),
        runtime=st.just("2026.11-sklearn"),
        runtime_version=st.just("2026.11-sklearn"),
        python_version=st.sampled_from(["", "3.11"]),
        args=st.lists(st.text(max_size=10), max_size=4).map(tuple),
        job_dir=st.sampled_from(["", "gs://box/out"]),
        scale_tier=st.sampled_from(["", "BASIC", "BASIC_GPU", "STANDARD_1"]),
        max_running_seconds=st.floats(1e-6, 999_999_999),
        max_wait_seconds=st.sampled_from([0.0, 1800.0, 7200.5]),
        priority=st.integers(0, 1000),
    )
    | st.builds(
        TrainingInput,
        python_module=st.just("trainer.task"),
        package_uris=st.just(("gs://box/a.tar.gz",)),
        region=st.just("here"),
        runtime=st.just("2026.11-sklearn"),
        runtime_version=st.just("2026.11-sklearn"),
        scale_tier=st.just("CUSTOM"),
        master_type=st.just("n1-standard-8"),
        worker_type=st.just("n1-standard-4"),
        worker_count=st.integers(0, 9),
        parameter_server_type=st.just("n1-highmem-2"),
        parameter_server_count=st.integers(0, 9),
        evaluator_type=st.just("n1-standard-4"),
        evaluator_count=st.integers(0, 9),
        accelerators=st.dictionaries(
            st.sampled_from(Role), st.just(Accelerators(type="NVIDIA_TESLA_T4", count=2))
        ),
    )
)
def test_a_job_that_was_read_can_be_sent_again(asked: TrainingInput) -> None:
    again = request_from_json("local", to_json(replace(job(), training=asked)))

    assert replace(again.training, runtime=asked.runtime, max_running_seconds=0) == replace(
        asked, max_running_seconds=0
    )
    assert again.training.max_running_seconds == pytest.approx(asked.max_running_seconds, abs=1e-8)
