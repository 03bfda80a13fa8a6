"""The third post: a client class round Google's library asks the deployed model in slices of a hundred."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery

from tests.stories.conftest import ROOT, Server, Shell


class DigitReader:
    """What a user wrote around the API: slices, gathers, and looks up what is deployed."""

    def __init__(self, endpoint: str, *, version: str | None = None) -> None:
        self.service = discovery.build(
            "ml", "v1", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
        )
        self.model = "projects/local/models/digits"
        self.version = version

    def class_ids(self, images: list[list[float]]) -> list[int]:
        name = f"{self.model}/versions/{self.version}" if self.version else self.model
        found = []
        for start in range(0, len(images), 100):
            body = {"instances": [{"image": image} for image in images[start : start + 100]]}
            answer = self.service.projects().predict(name=name, body=body).execute()
            found += [prediction["class_ids"].pop() for prediction in answer["predictions"]]
        return found

    def meta(self) -> Mapping:
        models = self.service.projects().models()
        if self.version:
            return models.versions().get(name=f"{self.model}/versions/{self.version}").execute()
        return models.get(name=self.model).execute()["defaultVersion"]


@pytest.fixture
def read_digits(server: Server):
    """Makes readers, and closes their connections in the end."""
    made = []

    def make(**options) -> DigitReader:
        made.append(DigitReader(server.endpoint, **options))
        return made[-1]

    yield make
    for found in made:
        found.service.close()


@pytest.fixture(scope="module")
def two_versions(server: Server, tmp_path_factory, mnist_data: Path) -> Shell:
    shell = Shell(ROOT / "tests" / "stories" / "packages" / "digits", dict(server.shell.environment))
    shell.run("storage", "mb", "gs://digits-story")
    shell.run("storage", "cp", *(str(path) for path in mnist_data.glob("*.gz")), "gs://digits-story/data/")
    shell.run("models", "create", "digits", "--regions", "us-central1")
    for version, steps in (("poor", "3"), ("good", "600")):
        shell.run(
            "jobs", "submit", "training", f"digits_{version}", "--module-name", "trainer.task",
            "--package-path", "trainer", "--job-dir", f"gs://digits-story/{version}",
            "--region", "us-central1",
            "--runtime-version", "2026.11-tensorflow", "--stream-logs", "--",
            "--data", "gs://digits-story/data", "--steps", steps, timeout=600,
        )  # fmt: skip
        shell.run(
            "versions",
            "create",
            version,
            "--model",
            "digits",
            "--origin",
            f"gs://digits-story/{version}/model",
        )
    return shell


@pytest.fixture(scope="module")
def digits(mnist_data: Path) -> tuple[list[list[float]], np.ndarray]:
    images = np.frombuffer(
        gzip.decompress((mnist_data / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    )
    labels = np.frombuffer(
        gzip.decompress((mnist_data / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8
    )
    return (images.reshape(-1, 784)[:250] / 255).round(4).tolist(), labels[:250]


def test_the_client_class_gathers_answers_from_the_default_version(read_digits, two_versions: Shell, digits):
    images, labels = digits

    default = read_digits()
    named = read_digits(version="good")

    assert default.meta()["name"].endswith("/versions/poor"), "the first version became the default"
    assert default.meta()["isDefault"] is True
    assert named.meta()["framework"] == "TENSORFLOW"
    assert np.mean(np.array(named.class_ids(images)) == labels) > 0.85


def test_the_default_is_moved_and_moved_back(read_digits, two_versions: Shell, digits):
    images, labels = digits
    reader = read_digits()
    poor = np.mean(np.array(reader.class_ids(images)) == labels)

    two_versions.run("versions", "set-default", "good", "--model", "digits")
    good = np.mean(np.array(reader.class_ids(images)) == labels)
    two_versions.run("versions", "set-default", "poor", "--model", "digits")
    back = np.mean(np.array(reader.class_ids(images)) == labels)

    assert good > poor
    assert back == poor


def test_the_default_version_cannot_be_deleted_while_there_is_another(two_versions: Shell):
    refused = two_versions.run("versions", "delete", "poor", "--model", "digits", "-q", code=1)
    busy = two_versions.run("models", "delete", "digits", "-q", code=1)

    assert "set-default good" in refused.stderr
    assert "good" in busy.stderr
