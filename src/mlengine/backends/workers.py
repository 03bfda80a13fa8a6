"""Model workers as child processes of this machine.

A worker belongs to nobody's memory: its folder says which process it is, so that the next control
plane finds it again. It ends with the gateway, whose tether it holds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from mlengine.serving.workers import WorkerSpec, WorkerState

_GRACE_SECONDS = 10.0
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
# One worker per version on few cores: frameworks must not fight for them, nor spin while they wait.
_THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
    "PYTHONUNBUFFERED": "1",
}


class ChildWorkers:
    """Implements `mlengine.serving.workers.Workers`.

    Args:
        root: Folder that keeps one folder per worker, the same as the served models'.
        sockets: Folder for sockets; its path must be short (a Unix socket's has at most 107 bytes).
        tether: File descriptor that reads end-of-file when the gateway is gone; None ties workers to nothing.
        environment: The control plane's environment, of which a few variables are passed on.
    """

    def __init__(
        self, root: Path, sockets: Path, *, tether: int | None, environment: Mapping[str, str]
    ) -> None:
        self._root = root
        self._sockets = sockets
        self._tether = tether
        self._environment = {
            key: environment[key] for key in _KEPT_VARIABLES if key in environment
        } | _THREADS
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        sockets.mkdir(parents=True, exist_ok=True, mode=0o700)

    def start(self, spec: WorkerSpec) -> None:
        if self.state(spec.uid) is not WorkerState.ENDED:
            return
        folder = self._root / spec.uid
        folder.mkdir(parents=True, exist_ok=True)
        self.socket(spec.uid).unlink(missing_ok=True)
        script = files("mlengine").joinpath("serving/worker/__main__.py")
        command = [str(spec.python), str(script), "serve", "--model-dir", str(spec.model_dir)]
        command += ["--socket", str(self.socket(spec.uid)), "--name", spec.name]
        if spec.framework:
            command += ["--framework", spec.framework]
        if self._tether is not None:
            command += ["--tether-fd", str(self._tether)]
        with (folder / "worker.log").open("wb") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=self._environment,
                pass_fds=() if self._tether is None else (self._tether,),
                start_new_session=True,
            )
        self._children[spec.uid] = child
        (folder / "worker.json").write_text(
            json.dumps({"pid": child.pid, "socket": str(self.socket(spec.uid))})
        )

    def state(self, uid: str) -> WorkerState:
        if not self._alive(uid):
            return WorkerState.ENDED
        # The socket appears, by a rename, only once the golden prediction was answered.
        return WorkerState.SERVING if self.socket(uid).exists() else WorkerState.STARTING

    def log(self, uid: str) -> str:
        try:
            return (self._root / uid / "worker.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self, uid: str) -> None:
        pid = self._pid(uid)
        if pid is not None:
            deadline = time.monotonic() + _GRACE_SECONDS
            _signal(pid, signal.SIGTERM)
            while self._alive(uid):
                if time.monotonic() > deadline:
                    _signal(pid, signal.SIGKILL)
                time.sleep(0.02)
        self._children.pop(uid, None)
        self.socket(uid).unlink(missing_ok=True)
        (self._root / uid / "worker.json").unlink(missing_ok=True)

    def socket(self, uid: str) -> Path:
        return self._sockets / f"{uid}.sock"

    def _alive(self, uid: str) -> bool:
        child = self._children.get(uid)
        if child is not None:
            return child.poll() is None
        return self._pid(uid) is not None

    def _pid(self, uid: str) -> int | None:
        """The worker's process, if it lives; a number that now belongs to another process does not count."""
        child = self._children.get(uid)
        if child is not None:
            return child.pid if child.poll() is None else None
        try:
            pid = int(json.loads((self._root / uid / "worker.json").read_text())["pid"])
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return pid if str(self.socket(uid)) in _command_line(pid) else None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    ps = shutil.which("ps") or "ps"
    return subprocess.run(
        [ps, "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True
    ).stdout
