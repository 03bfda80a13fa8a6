"""Building the environments of runtimes, and what they do with `gs://`: real uv, real packages."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from mlengine.environments import (
    Builder,
    Runtime,
    default_cache_dir,
    resolve,
    runtimes,
    trainer_environment,
)
from mlengine.errors import FailedPrecondition

SKLEARN = resolve("2026.11-sklearn").runtime
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

BUILD = """
import sys
from pathlib import Path
from mlengine.environments import Builder, Runtime
runtime = Runtime(name="tiny", python=sys.argv[3], summary="", lock_file=Path(sys.argv[2]), packages={})
print(Builder(Path(sys.argv[1])).build(runtime, lambda line: print(line, flush=True)), flush=True)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Runtime:
    """A runtime that is built in a second."""
    lock = tmp_path / "tiny.txt"
    lock.write_text("six==1.17.0\n")
    return Runtime(name="tiny", python=PYTHON, summary="", lock_file=lock, packages={"six": "1.17.0"})


@pytest.fixture(scope="module")
def cache() -> Path:
    """The cache that all runs on this machine share: runtimes are built once, by lock."""
    return default_cache_dir(os.environ)


@pytest.fixture(scope="module")
def sklearn(cache: Path) -> Path:
    return Builder(cache).build(SKLEARN)


# --- building ---------------------------------------------------------------------------------------------


# TensorFlow and scikit-learn are built in every run anyway: the stories train with them.
QUICK = (SKLEARN.name, "2026.11-tensorflow", "2026.11-estimator")
EACH_RUNTIME = [
    pytest.param(runtime, id=runtime.name, marks=() if runtime.name in QUICK else pytest.mark.slow)
    for runtime in runtimes()
]


@pytest.mark.parametrize("runtime", EACH_RUNTIME)
def test_a_runtime_brings_the_versions_it_announces_compiled(runtime: Runtime, cache: Path) -> None:
    builder = Builder(cache)
    modules = {"scikit-learn": "sklearn"}
    packages = {name: version for name, version in runtime.packages.items() if name != "tensorflow-estimator"}
    names = [modules.get(name, name) for name in packages]
    ask = f"import json; print(json.dumps([__import__(n).__version__ for n in {names!r}]))"

    python = builder.build(runtime)
    said = subprocess.run([python, "-W", "ignore", "-c", ask], capture_output=True, text=True, check=True)

    assert json.loads(said.stdout) == list(packages.values())
    assert builder.is_built(runtime)
    assert builder.interpreter(runtime) == python
    assert list(
        (builder.directory(runtime) / "lib").glob("python3.*/site-packages/sklearn/__pycache__/*.pyc")
    )


def test_what_is_built_is_found_again_without_a_word(tiny: Runtime, tmp_path: Path) -> None:
    builder, lines = Builder(tmp_path / "cache"), list[str]()

    python = builder.build(tiny, lines.append)
    first, again = len(lines), builder.build(tiny, lines.append)

    assert again == python
    assert lines[0] == "Building the runtime tiny (once per machine): installing 1 packages."
    assert re.fullmatch(r"Installed 1 packages in [\d.]+ s\. Compiling them to bytecode\.", lines[1])
    assert re.match(r"Compiled in [\d.]+ s\. The runtime tiny is ready after [\d.]+ s, \d+ kB: ", lines[2])
    assert first == len(lines) == 3


def test_who_watches_live_is_told_each_step_apart_from_the_lines_that_stay(
    tiny: Runtime, tmp_path: Path
) -> None:
    lines, ticks = list[str](), list[str]()

    Builder(tmp_path / "cache").build(tiny, lines.append, on_tick=ticks.append)

    assert len(lines) == 3
    assert any("installing 1 packages" in tick for tick in ticks)
    assert any("compiling 1 packages" in tick for tick in ticks)


def test_a_built_runtime_knows_its_size_and_each_module_its_bytecode(tiny: Runtime, tmp_path: Path) -> None:
    builder = Builder(tmp_path / "cache")
    assert builder.facts(tiny) == {}

    python = builder.build(tiny)

    files = [path for path in builder.directory(tiny).rglob("*") if path.is_file() and not path.is_symlink()]
    facts = builder.facts(tiny)
    assert facts["packages"] == 1
    assert facts["bytes"] == pytest.approx(sum(path.stat().st_size for path in files), rel=0.02)
    assert list(python.parent.parent.glob("lib/python3.*/site-packages/__pycache__/six.*.pyc"))


def test_a_removed_runtime_is_gone_with_those_of_its_earlier_locks(tiny: Runtime, tmp_path: Path) -> None:
    builder = Builder(tmp_path / "cache")
    other = Runtime(name="tiny-two", python=PYTHON, summary="", lock_file=tiny.lock_file, packages={})
    first = builder.build(tiny).parent.parent
    tiny.lock_file.write_text("six==1.16.0\n")
    second = builder.build(tiny).parent.parent
    builder.build(other)

    gone = builder.remove(tiny)

    assert sorted(gone) == sorted([first, second])
    assert not first.exists()
    assert not builder.is_built(tiny)
    assert builder.is_built(other)
    assert builder.remove(tiny) == []


def test_a_runtime_in_which_a_process_runs_is_not_removed_and_the_process_is_named(
    tiny: Runtime, tmp_path: Path
) -> None:
    builder = Builder(tmp_path / "cache")
    python = builder.build(tiny)
    with subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(FailedPrecondition, match=f"in use: process {process.pid} ") as refusal:
            builder.remove(tiny)
        process.communicate(b"\n")

    assert "Cancel the jobs" in refusal.value.hint
    assert builder.is_built(tiny)
    assert builder.remove(tiny) == [python.parent.parent]


def test_what_the_lock_s_hashes_do_not_allow_is_not_installed(tiny: Runtime, tmp_path: Path) -> None:
    tiny.lock_file.write_text(f"six==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n")

    with pytest.raises(FailedPrecondition, match="Hash mismatch"):
        Builder(tmp_path / "cache").build(tiny)

    assert not Builder(tmp_path / "cache").is_built(tiny)


@pytest.mark.parametrize("name", ["joblib", "six"])
def test_what_was_once_inside_scikit_learn_is_found_there_still(sklearn: Path, name: str) -> None:
    code = (
        f"import {name}, sklearn.externals.{name}\n"
        f"from sklearn.externals import {name} as old\n"
        f"assert old is {name} is sklearn.externals.{name}\n"
    )
    if name == "joblib":
        # Pickles of that time name these classes, and joblib asks whether they are its own.
        code += "import sklearn.externals.joblib.numpy_pickle as inner\n"
        code += "assert inner.NumpyArrayWrapper is joblib.numpy_pickle.NumpyArrayWrapper\n"

    done = subprocess.run([sklearn, "-W", "error", "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.returncode == 0


def test_another_lock_is_another_environment(tiny: Runtime, tmp_path: Path) -> None:
    builder = Builder(tmp_path / "cache")
    before = builder.directory(tiny)

    tiny.lock_file.write_text("six==1.16.0\n")

    assert builder.directory(tiny) != before
    assert not builder.is_built(tiny)
    with pytest.raises(FailedPrecondition, match="The runtime tiny is not built on this machine"):
        builder.interpreter(tiny)


def test_two_processes_that_want_the_same_runtime_build_it_once(tiny: Runtime, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(tmp_path / "cache"), str(tiny.lock_file), PYTHON]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    said = [process.communicate(timeout=120)[0] for process in running]

    assert [process.returncode for process in running] == [0, 0]
    assert "".join(said).count("Building the runtime tiny") == 1
    assert {text.splitlines()[-1] for text in said} == {str(Builder(tmp_path / "cache").interpreter(tiny))}


@pytest.mark.parametrize("step", ["Building", "Installed"])
def test_a_build_that_was_killed_is_never_taken_for_whole(tiny: Runtime, tmp_path: Path, step: str) -> None:
    builder = Builder(tmp_path / "cache")
    command = [sys.executable, "-c", BUILD, str(tmp_path / "cache"), str(tiny.lock_file), PYTHON]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(step in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert not builder.is_built(tiny)
    leftover = builder.directory(tiny) / "lib" / "leftover"
    leftover.mkdir(parents=True, exist_ok=True)

    python = builder.build(tiny)

    assert subprocess.run([python, "-c", "import six"], check=False).returncode == 0
    assert not leftover.exists()


def test_a_python_that_is_missing_is_named_and_never_downloaded(tiny: Runtime, tmp_path: Path) -> None:
    absent = Runtime(name="tiny", python="3.99", summary="", lock_file=tiny.lock_file, packages={})

    with pytest.raises(FailedPrecondition, match=r"Python 3\.99 is not installed on this machine") as failure:
        Builder(tmp_path / "cache").build(absent)

    assert "apt install python3.99" in failure.value.hint


def test_a_failed_build_ends_with_uv_s_own_words(tiny: Runtime, tmp_path: Path) -> None:
    tiny.lock_file.write_text("six==0.0.1\n")

    with pytest.raises(
        FailedPrecondition, match=r"The runtime tiny cannot be built\. uv said:[^!]*six==0\.0\.1"
    ):
        Builder(tmp_path / "cache").build(tiny)


def test_an_index_out_of_reach_is_told_as_such(
    tiny: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
    for name, value in {
        "UV_DEFAULT_INDEX": address,
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_HTTP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(FailedPrecondition) as failure:
        Builder(tmp_path / "cache").build(tiny)

    assert failure.value.hint.startswith("Is the package index reachable?")


def test_the_build_command_prints_the_interpreter_and_nothing_else(cache: Path, sklearn: Path) -> None:
    command = [sys.executable, "-m", "mlengine.environments.build"]

    built = subprocess.run([*command, SKLEARN.name], capture_output=True, text=True, check=True)
    refused = subprocess.run([*command, "1.3"], capture_output=True, text=True, check=False)

    assert built.stdout == f"{sklearn}\n"
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "There is no runtime version '1.3'." in refused.stderr


# --- storage ----------------------------------------------------------------------------------------------

USE = """
import io, json, sys
import fsspec, gcsfs, pandas
from google.cloud import storage
client = storage.Client()
listed = [blob.name for blob in client.list_blobs("bucket")]
gcsfs.GCSFileSystem().ls("bucket")
text = fsspec.open("gs://bucket/a.csv", "r").open().read()
table = pandas.read_csv("gs://bucket/a.csv")
blob = client.bucket("bucket").blob("a.csv").download_as_bytes()
print(json.dumps([listed, text, blob.decode(), table.to_dict("list"), client.project]))
"""


@pytest.fixture
def silent_metadata_server() -> Iterator[socket.socket]:
    """Stands for a network in which packets to Google's metadata server just vanish."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


class Bucket(BaseHTTPRequestHandler):
    """A server with one bucket of one object: no more than the clients of this test ask."""

    protocol_version = "HTTP/1.1"
    content = b"x\n1\n"
    entry: ClassVar = {
        "kind": "storage#object",
        "name": "a.csv",
        "bucket": "bucket",
        "size": "4",
        "generation": "1",
        "updated": "2026-11-01T00:00:00.000Z",
        "timeCreated": "2026-11-01T00:00:00.000Z",
    }

    def do_GET(self) -> None:
        if "alt=media" in self.path or "/download/" in self.path:
            body = self.content
        elif self.path.partition("?")[0].endswith("/o"):
            body = json.dumps({"kind": "storage#objects", "items": [self.entry]}).encode()
        else:
            body = json.dumps(self.entry).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def storage_stand_in() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_google_s_storage_clients_use_ours_and_look_for_no_metadata_server(
    sklearn: Path, tmp_path: Path, silent_metadata_server: socket.socket, storage_stand_in: str
) -> None:
    env = trainer_environment(
        job_id="job_1",
        training_input={},
        project="my-project",
        storage_endpoint=storage_stand_in,
        home=tmp_path,
        temporary=tmp_path,
        machine={"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"},
    )
    metadata = f"127.0.0.1:{silent_metadata_server.getsockname()[1]}"
    env |= {"GCE_METADATA_HOST": metadata, "GCE_METADATA_IP": metadata}

    done = subprocess.run(
        [sklearn, "-c", USE], env=env, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr == ""
    assert json.loads(done.stdout) == [["a.csv"], "x\n1\n", "x\n1\n", {"x": [1]}, "my-project"]
    with pytest.raises(BlockingIOError):
        silent_metadata_server.accept()
