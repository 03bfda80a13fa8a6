"""Host processes of model workers: started, told what to do, and found again, each by a folder of its own.

A host belongs to nobody's memory: its folder says what it was started as and which process it is, so that the
next control plane finds it. It ends with the gateway, whose tether it holds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from mlengine.errors import Unavailable
from mlengine.serving.workers import Environment

_GRACE_SECONDS = 10.0
_MOST_SHOWN = 4000
_NOTE_BYTES = 64  # as in serving/worker/host.py
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


class Host:
    """One process.

    Attributes:
        id: Names its folder and its control socket.
        environment: What it was started for.
        shared: Whether several versions may be served by it.
        child: Its process, where this control plane has started it.
    """

    def __init__(
        self, id: str, folder: Path, control: Path, *, environment: Environment, shared: bool
    ) -> None:
        self.id = id
        self.environment = environment
        self.shared = shared
        self.child: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._control = control

    @property
    def pid(self) -> int | None:
        """Its process, if it lives; a number that now belongs to another process does not count."""
        if self.child is not None:
            return self.child.pid if self.child.poll() is None else None
        try:
            pid = int((self._folder / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self._control) in _command_line(pid) else None

    @property
    def ready(self) -> bool:
        """Whether it takes orders: its imports are done."""
        return self._control.exists()

    def write(self) -> None:
        """Note on disk what it is."""
        python, framework, variables = self.environment
        said = {"python": str(python), "framework": framework, "variables": variables, "shared": self.shared}
        partial = self._folder / "host.partial"
        partial.write_text(json.dumps(said))
        partial.replace(self._folder / "host.json")

    def load(self, spec: Mapping[str, Any], *, seconds: float) -> None:
        """Have it load a version: within `seconds`, or as soon as it has imported its framework.

        Raises:
            Unavailable: it will not.
        """
        if not self.ready:
            self.leave_order(spec)
            if not self.ready and self.pid is not None:
                return  # it looks for such files when it is
        self.order({"op": "load", "spec": spec}, seconds=seconds)

    def leave_order(self, spec: Mapping[str, Any]) -> None:
        """Write down a version that it is to load once it has begun."""
        partial = self._folder / "load.partial"
        partial.write_text(json.dumps(spec))
        partial.replace(self._folder / f"load-{spec['node']}.json")

    def order(self, order: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """Have it do something, within `seconds`.

        Raises:
            Unavailable: it does not, or is gone.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                return self._ask(order, until)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if self.pid is None or time.monotonic() > until:
                    raise Unavailable(f"Worker process {self.id} takes no orders: {error}.") from error
                time.sleep(0.02)
            except (OSError, ValueError) as error:
                raise Unavailable(f"Worker process {self.id} does not answer: {error}.") from error

    def _ask(self, order: Mapping[str, Any], until: float) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(max(0.1, until - time.monotonic()))
            line.connect(str(self._control))
            line.sendall(json.dumps(order).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = json.loads(answers.readline() or b"{}")
        if not answer.get("ok"):
            raise ValueError(answer.get("error", "it hung up"))
        return dict(answer)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, at most `seconds` from now."""
        until = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def end(self) -> None:
        """End it, by force if need be, and forget it."""
        if (pid := self.pid) is not None:
            _signal(pid, signal.SIGTERM)
            if not self.wait(_GRACE_SECONDS):
                _signal(pid, signal.SIGKILL)
                self.wait(_GRACE_SECONDS)
        self.forget()

    def forget(self) -> None:
        """Remove what tells of it."""
        self._control.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """The end of what it, and C libraries in it, wrote for no version in particular."""
        try:
            return (self._folder / "host.log").read_text(errors="replace")[-_MOST_SHOWN:]
        except FileNotFoundError:
            return ""

    def last_words(self) -> tuple[str, str]:
        """After its death: the node it was at, empty where it was at none; and how it ended, in words."""
        try:
            note = (self._folder / "note").read_bytes()
        except FileNotFoundError:
            note = b""
        computing, loading = note[:_NOTE_BYTES], note[_NOTE_BYTES:]
        node = (loading.strip(b"\0 ") or computing.strip(b"\0 ")).decode(errors="replace")
        code = self.child.returncode if self.child is not None else None
        if code is None:
            return node, "ended"
        if code < 0:
            return node, f"was ended by signal {signal.Signals(-code).name}"
        return node, f"ended with code {code}"


class Hosts:
    """The host processes of this machine.

    Args:
        root: Folder with one folder per host.
        sockets: Folder for sockets; its path must be short (a Unix socket's has at most 107 bytes).
        tether: File descriptor that reads end-of-file when the gateway is gone; None ties them to nothing.
        environment: The control plane's environment, of which a few variables are passed on.
    """

    def __init__(
        self, root: Path, sockets: Path, *, tether: int | None, environment: Mapping[str, str]
    ) -> None:
        self._root = root
        self._sockets = sockets
        self._tether = tether
        self._variables = {key: environment[key] for key in _KEPT_VARIABLES if key in environment} | _THREADS

    def known(self) -> Iterator[Host]:
        """Those that were started at any time and not forgotten, alive or not."""
        for folder in sorted(self._root.glob("*")):
            try:
                said = json.loads((folder / "host.json").read_text())
                variables = tuple((name, value) for name, value in said["variables"])
                environment = Environment(Path(said["python"]), said["framework"], variables)
                yield self._host(folder.name, environment, shared=said["shared"])
            except (OSError, ValueError, KeyError, TypeError):
                shutil.rmtree(folder, ignore_errors=True)

    def start(self, environment: Environment, *, shared: bool, first: Mapping[str, Any] | None) -> Host:
        """Start a process.

        Args:
            first: The version that it loads at once; None for a standby, which imports its framework.
        """
        host = self._host(uuid.uuid4().hex[:8], environment, shared=shared)
        folder = self._root / host.id
        folder.mkdir(parents=True)
        host.write()
        script = files("mlengine").joinpath("serving/worker/__main__.py")
        command = [str(environment.python), str(script), "host"]
        command += ["--control", str(self._control(host.id)), "--folder", str(folder)]
        if first is not None:
            host.leave_order(first)
        else:
            command += ["--import", environment.framework]
        if self._tether is not None:
            command += ["--tether-fd", str(self._tether)]
        with (folder / "host.log").open("wb") as log:
            host.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=self._variables | dict(environment.variables),
                pass_fds=() if self._tether is None else (self._tether,),
                start_new_session=True,
            )
        (folder / "pid").write_text(str(host.child.pid))
        return host

    def _host(self, id: str, environment: Environment, *, shared: bool) -> Host:
        return Host(id, self._root / id, self._control(id), environment=environment, shared=shared)

    def _control(self, id: str) -> Path:
        return self._sockets / f"h{id}.sock"


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
