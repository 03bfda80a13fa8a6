"""Versions that bring code: a pipeline with a transformer of its own, a prediction routine, a server."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
import urllib.request
from pathlib import Path

import pytest

from tests.stories.conftest import Shell

STEPS = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class Doubler(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X) * 2
"""
ROUTINE = """
import os
from own_steps import Doubler

class Predictor:
    def __init__(self, words):
        self.words = words

    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "words.txt")) as file:
            return cls(file.read().split())

    def predict(self, instances, *, loud=False, signature_name=None):
        said = [self.words[int(value)] for value in instances]
        return [word.upper() for word in said] if loud else said
"""
TRAIN = (
    "import sys, joblib, numpy\nfrom own_steps import Doubler\nfrom sklearn.pipeline import make_pipeline\n"
    "from sklearn.linear_model import LinearRegression\n"
    "pipeline = make_pipeline(Doubler(), LinearRegression()).fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0])\n"
    "joblib.dump(pipeline, sys.argv[1])\n"
)
SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.say({})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.say({"predictions": [sys.argv[1]] * len(asked["instances"])})

    def say(self, answer):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

HTTPServer(("0.0.0.0", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
"""


def package(folder: Path, name: str, text: str) -> Path:
    """A source archive with one module."""
    setup = f"from setuptools import setup\nsetup(name={name!r}, version='1', py_modules=[{name!r}])\n"
    path = folder / f"{name}-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, content in {"setup.py": setup, f"{name}.py": text}.items():
            entry = tarfile.TarInfo(f"{name}-1/{file}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return path


def predicted(shell: Shell, model: str, body: object) -> object:
    url = f"{shell.environment['MLENGINE_ENDPOINT']}/v1/projects/local/models/{model}:predict"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["predictions"]


def test_code_of_your_own_is_served(shell: Shell):
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    steps = package(shell.cwd, "own_steps", STEPS)
    routine = package(shell.cwd, "own_routine", ROUTINE)
    (shell.cwd / "own_steps.py").write_text(STEPS)
    for folder in ("pipeline", "words", "server"):
        (shell.cwd / folder).mkdir()
    shell.program(python, "-c", TRAIN, str(shell.cwd / "pipeline" / "model.joblib"))
    (shell.cwd / "words" / "words.txt").write_text("no maybe yes")
    (shell.cwd / "server" / "server.py").write_text(textwrap.dedent(SERVER))
    shell.run("storage", "mb", "gs://own-code")
    shell.run("storage", "cp", str(steps), str(routine), "gs://own-code/")
    packages = "gs://own-code/own_steps-1.tar.gz"
    small = ("--runtime-version", "2026.11-sklearn")
    for model in ("pipeline", "words", "server"):
        shell.run("models", "create", f"own_{model}", "--regions", "us-central1")

    create = ("versions", "create", "v1", "--origin")
    shell.run(*create, "pipeline", "--model", "own_pipeline", "--package-uris", packages)
    packages += ",gs://own-code/own_routine-1.tar.gz"
    code = ("--package-uris", packages, "--prediction-class", "own_routine.Predictor")
    shell.run(*create, "words", "--model", "own_words", *small, *code)
    container = ("--command", "python,server.py", "--args", "$(AIP_MODEL_NAME)", "--ports", "8080")
    shell.run(*create, "server", "--model", "own_server", *container)

    assert predicted(shell, "own_pipeline", {"instances": [[2.0]]}) == pytest.approx([5.0])
    assert predicted(shell, "own_words", {"instances": [0, 2]}) == ["no", "yes"]
    assert predicted(shell, "own_words", {"instances": [1], "loud": True}) == ["MAYBE"]
    assert predicted(shell, "own_server", {"instances": [1, 2]}) == ["own_server", "own_server"]
    described = shell.json("versions", "describe", "v1", "--model", "own_words")
    assert described["predictionClass"] == "own_routine.Predictor"
    for model in ("pipeline", "words", "server"):
        shell.run("versions", "delete", "v1", "--model", f"own_{model}", "-q")
