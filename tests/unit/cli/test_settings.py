"""Flags that become nested parts of a Job or a Version: what is sent for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer

JOBS = "/v1/projects/local/jobs"
VERSIONS = "/v1/projects/local/models/m/versions"


@pytest.fixture
def accepting(server: SmallServer) -> SmallServer:
    """A server that takes any job and any version."""
    server.buckets["bkt"] = {}
    server.answers |= {
        f"POST {JOBS}": lambda seen: (200, {**seen.json, "state": "QUEUED"}),
        "GET /v1/projects/local/models/m": (200, {}),
        f"POST {VERSIONS}": (200, {"name": "projects/local/operations/op1", "done": True, "response": {}}),
    }
    return server


def training(run: Run, server: SmallServer, *flags: str) -> dict[str, Any]:
    """The trainingInput that a line sends."""
    done = run(
        "jobs", "submit", "training", "j1", "--module-name", "trainer.task",
        "--packages", "gs://bkt/p.tar.gz", "--skip-preflight", "all", *flags,
    )  # fmt: skip
    assert done.code == 0, done.err
    return server.asked("POST", JOBS)[-1].json["trainingInput"]


def version(run: Run, server: SmallServer, *flags: str) -> dict[str, Any]:
    """The Version that a line sends, without its name and origin."""
    done = run("versions", "create", "v", "--model", "m", "--origin", "gs://bkt/x", *flags)
    assert done.code == 0, done.err
    return {
        key: value
        for key, value in server.asked("POST", VERSIONS)[-1].json.items()
        if key not in ("name", "deploymentUri")
    }


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ("--scale-tier custom --master-machine-type n1-standard-8", {"masterType": "n1-standard-8"}),
        (
            "--worker-machine-type large --worker-count 2",
            {"workerType": "large", "workerCount": "2"},
        ),
        ("--worker-machine-type large --worker-server-count 2", {"workerCount": "2"}),
        (
            "--parameter-server-machine-type s --parameter-server-count 1",
            {"parameterServerType": "s", "parameterServerCount": "1"},
        ),
        (
            "--master-accelerator type=nvidia-tesla-k80,count=2",
            {"masterConfig": {"acceleratorConfig": {"count": "2", "type": "NVIDIA_TESLA_K80"}}},
        ),
        (
            "--worker-accelerator type=tpu-v2,count=8 --tpu-tf-version 1.15 --worker-image-uri i",
            {
                "workerConfig": {
                    "acceleratorConfig": {"count": "8", "type": "TPU_V2"},
                    "imageUri": "i",
                    "tpuTfVersion": "1.15",
                }
            },
        ),
        ("--parameter-server-image-uri i", {"parameterServerConfig": {"imageUri": "i"}}),
        ("--use-chief-in-tf-config false", {"useChiefInTfConfig": False}),
        ("--network projects/1/global/networks/n", {"network": "projects/1/global/networks/n"}),
        ("--service-account a@p.iam.gserviceaccount.com", {"serviceAccount": "a@p.iam.gserviceaccount.com"}),
        ("--enable-web-access", {"enableWebAccess": True}),
        ("--region europe-west1", {"region": "europe-west1", "enableWebAccess": False}),
        (
            "--kms-key k --kms-keyring r --kms-location l --kms-project p",
            {"encryptionConfig": {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}},
        ),
        (
            "--kms-key projects/p/locations/l/keyRings/r/cryptoKeys/k",
            {"encryptionConfig": {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}},
        ),
    ],
)
def test_each_flag_of_a_job_arrives_in_its_field(
    run: Run, accepting: SmallServer, flags: str, fields: dict[str, Any]
):
    sent = training(run, accepting, *flags.split())

    assert {name: sent.get(name) for name in fields} == fields


def test_a_job_with_an_image_needs_neither_module_nor_packages(run: Run, accepting: SmallServer):
    done = run("jobs", "submit", "training", "j1", "--master-image-uri", "gcr.io/p/i", "--", "--x", "1")

    assert done.code == 0
    assert accepting.asked("POST", JOBS)[0].json["trainingInput"] == {
        "masterConfig": {"imageUri": "gcr.io/p/i"},
        "enableWebAccess": False,
        "region": "us-central1",
        "args": ["--x", "1"],
    }


def test_a_flag_changes_one_field_within_what_the_file_says(run: Run, accepting: SmallServer, tmp_path: Path):
    (tmp_path / "c.yaml").write_text(
        "trainingInput:\n  enable_web_access: true\n"
        "  master_config: {image_uri: file, accelerator_config: {type: NVIDIA_TESLA_T4, count: 1}}\n"
    )

    sent = training(run, accepting, "--config", "c.yaml", "--master-image-uri", "flag")

    assert sent["enableWebAccess"] is True
    assert sent["masterConfig"] == {
        "imageUri": "flag",
        "acceleratorConfig": {"type": "NVIDIA_TESLA_T4", "count": 1},
    }


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ("--machine-type n1-standard-2", {"machineType": "n1-standard-2"}),
        (
            "--accelerator type=nvidia-tesla-t4",
            {"acceleratorConfig": {"count": "1", "type": "NVIDIA_TESLA_T4"}},
        ),
        (
            "--min-nodes 0 --max-nodes 3 --metric-targets cpu-usage=60,gpu-duty-cycle=70",
            {
                "autoScaling": {
                    "minNodes": 0,
                    "maxNodes": 3,
                    "metrics": [
                        {"name": "CPU_USAGE", "target": 60},
                        {"name": "GPU_DUTY_CYCLE", "target": 70},
                    ],
                }
            },
        ),
        (
            "--prediction-class m.C --package-uris gs://bkt/a.tar.gz,gs://bkt/b.tar.gz",
            {"predictionClass": "m.C", "packageUris": ["gs://bkt/a.tar.gz", "gs://bkt/b.tar.gz"]},
        ),
        (
            "--explanation-method sampled-shapley --num-paths 9",
            {"explanationConfig": {"sampledShapleyAttribution": {"numPaths": 9}}},
        ),
        (
            "--explanation-method integrated-gradients",
            {"explanationConfig": {"integratedGradientsAttribution": {"numIntegralSteps": 50}}},
        ),
        ("--service-account a@b.c", {"serviceAccount": "a@b.c"}),
        ("--nodes 2", {"manualScaling": {"nodes": 2}}),
        (
            "--max-batch-size 8 --max-latency-ms 0 --unknown-fields warn --missing-fields null "
            "--no-accelerate",
            {
                "mlengine": {
                    "maxBatchSize": 8,
                    "maxLatencyMs": 0,
                    "unknownFields": "WARN",
                    "missingFields": "NULL",
                    "accelerate": False,
                }
            },
        ),
        ("--framework onnx --non-finite text", {"framework": "ONNX", "mlengine": {"nonFinite": "TEXT"}}),
        ("--command a --ports 80", {"container": {"command": ["a"], "ports": [{"containerPort": 80}]}}),
        (
            "--image i --command a,b --args=-c,d --env-vars K=v --ports 80,81 "
            "--predict-route /p --health-route /h",
            {
                "container": {
                    "image": "i",
                    "command": ["a", "b"],
                    "args": ["-c", "d"],
                    "env": [{"name": "K", "value": "v"}],
                    "ports": [{"containerPort": 80}, {"containerPort": 81}],
                },
                "routes": {"predict": "/p", "health": "/h"},
            },
        ),
    ],
)
def test_each_flag_of_a_version_arrives_in_its_field(
    run: Run, accepting: SmallServer, flags: str, fields: dict[str, Any]
):
    assert version(run, accepting, *flags.split()) == fields


def test_a_container_needs_no_origin(run: Run, accepting: SmallServer):
    done = run("versions", "create", "v", "--model", "m", "--image", "i")

    assert done.code == 0
    assert accepting.asked("POST", VERSIONS)[0].json == {"name": "v", "container": {"image": "i"}}


def test_the_allowed_fields_of_a_versions_file_are_told_as_gcloud_does(run: Run, tmp_path: Path):
    (tmp_path / "v.yaml").write_text("bogus: 1\nname: x\n")
    line = ("versions", "create", "v", "--model", "m", "--config", "v.yaml")

    done = run(*line)

    assert done.code == 1
    assert done.err == (
        "ERROR: (mlengine.versions.create) Invalid fields [bogus, name] in configuration file [v.yaml]. "
        "Allowed fields: [autoScaling, container, deploymentUri, description, framework, labels, "
        "machineType, manualScaling, mlengine, packageUris, predictionClass, pythonVersion, routes, "
        "runtimeVersion, serviceAccount]\n"
    )


def test_a_models_switches_are_sent(run: Run, server: SmallServer):
    server.answers["POST /v1/projects/local/models"] = (200, {"name": "projects/local/models/m"})

    done = run("models", "create", "m", "--region", "europe-west1", "--enable-logging")

    assert done.code == 0
    assert server.seen[0].json == {
        "name": "m",
        "regions": ["europe-west1"],
        "onlinePredictionLogging": True,
        "onlinePredictionConsoleLogging": False,
    }
