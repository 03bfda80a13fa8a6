"""Versions that bring code of their own: a class that predicts, here and on the server; a serving program."""

from __future__ import annotations

import json
from pathlib import Path

from tests.stories.conftest import Shell

PREDICTOR = """
class Predictor:
    def __init__(self, factor):
        self.factor = factor

    @classmethod
    def from_path(cls, model_dir):
        with open(f"{model_dir}/factor.txt") as file:
            return cls(float(file.read()))

    def predict(self, instances, **kwargs):
        return [value * self.factor for value in instances]
"""


def test_a_custom_prediction_routine_predicts_here_and_on_the_server(shell: Shell) -> None:
    code = shell.cwd / "code"
    (code / "own").mkdir(parents=True)
    (code / "own" / "__init__.py").write_text(PREDICTOR)
    (code / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='own', version='1.0', packages=['own'])\n"
    )
    shell.run("runtimes", "build", "2026.11-sklearn", timeout=600)
    shell.program("tar", "czf", "own-1.0.tar.gz", "-C", str(code.parent), "code")
    (shell.cwd / "export").mkdir()
    (shell.cwd / "export" / "factor.txt").write_text("3")
    settings = ("--prediction-class", "own.Predictor", "--runtime-version", "2026.11-sklearn")
    asked = ("--json-instances", "-")

    here = shell.run(
        "local",
        "predict",
        "--model-dir",
        "export",
        "--packages",
        "own-1.0.tar.gz",
        *settings,
        *asked,
        stdin="2\n",
    )
    assert json.loads(here.stdout) == [6.0]

    shell.run("models", "create", "own", "--regions", "us-central1")
    shell.run(
        "versions",
        "create",
        "v1",
        "--model",
        "own",
        "--origin",
        "export",
        "--package-uris",
        "own-1.0.tar.gz",
        *settings,
    )
    there = shell.run("predict", "--model", "own", *asked, stdin="2\n")
    assert json.loads(there.stdout) == [6.0]
    version = shell.json("versions", "describe", "v1", "--model", "own")
    assert version["predictionClass"] == "own.Predictor"
    assert version["packageUris"][0].endswith("/own-1.0.tar.gz")
    assert Path(version["packageUris"][0]).name == "own-1.0.tar.gz"


PROGRAM = """
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(b"{}")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = os.environ["GREETING"] + " from " + os.environ["AIP_VERSION_NAME"]
        self.answer(json.dumps({"predictions": [told for _ in asked["instances"]]}).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
"""


def test_the_program_of_a_container_serves_with_its_variables(shell: Shell) -> None:
    program = shell.cwd / "program.py"
    program.write_text(PROGRAM)
    shell.run("models", "create", "program", "--regions", "us-central1")
    line = ("versions", "create", "v1", "--model", "program", "--image", "gcr.io/local/program")

    refused = shell.run(*line, code=1)
    assert "no container engine" in refused.stderr

    shell.run(*line, "--command", f"python3,{program}", "--env-vars", "GREETING=hello")
    predicted = shell.run("predict", "--model", "program", "--json-instances", "-", stdin="1\n2\n")
    assert json.loads(predicted.stdout.replace("'", '"')) == ["hello from v1"] * 2
    version = shell.json("versions", "describe", "v1", "--model", "program")
    assert version["container"]["image"] == "gcr.io/local/program"
    assert version["mlengine"]["framework"] == "CONTAINER"
