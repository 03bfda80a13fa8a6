"""The servers that `serving.py` compares, each in an environment of its own: how it is started and asked.

Apart from the measuring, because starting somebody else's server says nothing about how fast it is. Peers run
with their own batching where they have it; those that have none run two processes, one a core.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import Question, free_port

APPS = Path(__file__).with_name("serving_apps")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mlengine-benchmarks" / "serving"
# The releases of runtime 2026.11-sklearn, so that all hold the very same model.
COMMON = (
    "scikit-learn==1.9.1",
    "numpy==2.4.6",
    "pandas==2.3.3",
    "joblib",
    "onnxruntime==1.31.1",
    "orjson==3.13.0",
)
Rows = Sequence[Any]


def _v1(key: str) -> Callable[[str, Rows], bytes]:
    return lambda _kind, rows: json.dumps({key: rows}).encode()


def _open_inference(kind: str, rows: Rows) -> bytes:
    if kind == "mnist":
        flat = [value for row in rows for value in row]
        inputs = [{"name": "image", "shape": [len(rows), 784], "datatype": "FP32", "data": flat}]
        return json.dumps({"inputs": inputs}).encode()
    inputs = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": "BYTES" if isinstance(rows[0][name], str) else "FP64",
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]
    return json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs}).encode()


def _mlflow_body(kind: str, rows: Rows) -> bytes:
    return json.dumps({"dataframe_records" if kind == "titanic" else "instances": rows}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Somebody else's server.

    Attributes:
        requirements: What its environment has beside COMMON.
        command: Its command line, given the environment's folder of programs, the kind and the port.
        prepare: Written before it starts, given the folder of programs, its working folder and the kind.
        anchor: What stands before the predictions in its answer.
        environment: Variables that it wants.
        environment_name: Of the folder of its packages, where that is another's.
    """

    name: str
    requirements: tuple[str, ...]
    command: Callable[[Path, str, int], list[str]]
    path: str = "/predict"
    body: Callable[[str, Rows], bytes] = field(default_factory=lambda: _v1("instances"))
    anchor: str = '"predictions":'
    prepare: Callable[[Path, Path, str, int], None] = lambda _programs, _folder, _kind, _port: None
    environment: tuple[tuple[str, str], ...] = ()
    environment_name: str = ""

    def programs(self) -> Path:
        """The folder of programs of its environment; builds that if need be."""
        folder = CACHE / (self.environment_name or self.name)
        if not (folder / "complete").exists():
            subprocess.run(["uv", "venv", "-q", "--clear", "--python", "3.11", folder], check=True)
            install = ["uv", "pip", "install", "-q", "--python", folder / "bin" / "python"]
            subprocess.run([*install, *COMMON, *self.requirements], check=True)
            (folder / "complete").touch()
        return folder / "bin"


@dataclass(slots=True)
class Server:
    """A server that runs, and how to ask it.

    Attributes:
        pid: The process that is the parent of all of its others, and the leader of their group.
    """

    name: str
    port: int
    pid: int
    path: str
    body: Callable[[str, Rows], bytes]
    anchor: str
    kind: str

    def question(self, rows: Rows, answers: Rows) -> Question:
        """Ask for `rows`, whose answers are known."""
        numbers = [
            number for answer in answers for number in (answer if isinstance(answer, list) else [answer])
        ]
        return Question(path=self.path, body=self.body(self.kind, rows), numbers=numbers)


@contextmanager
def running(peer: Peer, kind: str, models: Path, folder: Path) -> Iterator[Server]:
    """`peer` serving the model of that kind; it may not answer yet."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    programs = peer.programs()
    environment = (
        os.environ
        | dict(peer.environment)
        | {
            "BENCHMARK_KIND": kind,
            "BENCHMARK_MODELS": str(models),
            "BENCHMARK_APPS": str(APPS),
            "PYTHONPATH": str(APPS),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
    )
    os.environ.update(
        {key: environment[key] for key in ("BENCHMARK_KIND", "BENCHMARK_MODELS", "BENCHMARK_APPS")}
    )
    peer.prepare(programs, folder, kind, port)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            peer.command(programs, kind, port),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Server(peer.name, port, process.pid, peer.path, peer.body, peer.anchor, kind)
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            time.sleep(2.0)
        process.wait()
        if peer.name == "ray":
            # Its processes are sessions of their own.
            subprocess.run([programs / "ray", "stop", "--force"], capture_output=True, check=False)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def pss(pid: int) -> int:
    """Memory of a process and all below it, shared pages divided among their users, in bytes."""
    total = 0
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _mlserver_settings(_programs: Path, folder: Path, _kind: str, port: int) -> None:
    settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "debug": False}
    settings |= {"host": "127.0.0.1", "parallel_workers": 1}
    model = {
        "name": "model",
        "implementation": "mlserver_app.Model",
        "max_batch_size": 64,
        "max_batch_time": 0.001,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))


def _mlflow_model(programs: Path, folder: Path, _kind: str, _port: int) -> None:
    command = [programs / "python", APPS / "mlflow_app.py", folder / "model"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


PEERS = (
    Peer(
        name="fastapi",
        requirements=("fastapi", "uvicorn[standard]", "onnx"),
        command=lambda programs, _kind, port: [
            *(str(programs / "uvicorn"), "fastapi_app:app", "--port", str(port)),
            *("--workers", "2", "--log-level", "error", "--no-access-log"),
        ],
    ),
    Peer(
        name="fastapi, 1 process",
        requirements=("fastapi", "uvicorn[standard]", "onnx"),
        command=lambda programs, _kind, port: [
            *(str(programs / "uvicorn"), "fastapi_app:app", "--port", str(port)),
            *("--log-level", "error", "--no-access-log"),
        ],
        environment_name="fastapi",
    ),
    Peer(
        name="ray",
        requirements=("ray[serve]==2.60.0",),
        command=lambda programs, _kind, port: [str(programs / "python"), str(APPS / "ray_app.py"), str(port)],
        environment=(
            ("RAY_SERVE_ENABLE_HA_PROXY", "1"),
            ("RAY_DEDUP_LOGS", "0"),
            ("RAY_USAGE_STATS_ENABLED", "0"),
        ),
        path="/",
    ),
    Peer(
        name="mlserver",
        requirements=("mlserver==1.7.1", "uvloop<0.22"),
        command=lambda programs, _kind, _port: [str(programs / "mlserver"), "start", "."],
        path="/v2/models/model/infer",
        body=_open_inference,
        anchor='"data":',
        prepare=_mlserver_settings,
    ),
    Peer(
        name="litserve",
        requirements=("litserve==0.2.19",),
        command=lambda programs, _kind, port: [
            str(programs / "python"),
            str(APPS / "litserve_app.py"),
            str(port),
        ],
    ),
    Peer(
        name="bentoml",
        requirements=("bentoml==1.4.39",),
        command=lambda programs, _kind, port: [
            *(str(programs / "bentoml"), "serve", "bentoml_app:Service", "--working-dir", str(APPS)),
            *("--port", str(port)),
        ],
        environment=(("BENTOML_DO_NOT_TRACK", "true"),),
        anchor="",
    ),
    Peer(
        name="kserve",
        requirements=("kserve==0.21.0",),
        command=lambda programs, _kind, port: [
            str(programs / "python"),
            str(APPS / "kserve_app.py"),
            str(port),
        ],
        path="/v1/models/model:predict",
    ),
    Peer(
        name="mlflow",
        requirements=("mlflow==3.17.2",),
        command=lambda programs, _kind, port: [
            *(str(programs / "mlflow"), "models", "serve", "-m", "model", "--env-manager", "local"),
            *("--port", str(port), "--workers", "2"),
        ],
        path="/invocations",
        body=_mlflow_body,
        prepare=_mlflow_model,
    ),
)
