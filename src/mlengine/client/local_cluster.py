"""A distributed training on this machine: each task a process of its own, told of the others by variables."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mlengine.environments.contract import torch_variables
from mlengine.errors import FailedPrecondition, InvalidArgument

_LAST_PORT = 65535
_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 5.0
# Run by the trainer's Python: which TensorFlow it has, found without loading it.
_PROBE = """\
from importlib.metadata import distributions
names = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly", "tensorflow-macos")
found = {(d.metadata["Name"] or "").lower(): d.version for d in distributions()}
print(next((found[name] for name in names if name in found), ""))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How many tasks of each kind, besides the primary one.

    Attributes:
        primary: What the first task is called: "chief", or "master" as TensorFlow 1 has it.
        start_port: Port of the first task; the others follow.
    """

    primary: str = "chief"
    parameter_servers: int = 2
    workers: int = 2
    evaluators: int = 0
    start_port: int = 27182

    @property
    def addresses(self) -> dict[str, list[str]]:
        """Where each task of each kind listens. Evaluators stand outside and have no address."""
        found: dict[str, list[str]] = {}
        port = self.start_port
        for kind, count in ((self.primary, 1), ("ps", self.parameter_servers), ("worker", self.workers)):
            if count:
                found[kind] = [f"localhost:{port + index}" for index in range(count)]
            port += count
        return found

    @property
    def others(self) -> list[tuple[str, int]]:
        """Kind and index of every task but the primary one, in the order they are started."""
        counts = {"ps": self.parameter_servers, "worker": self.workers, "evaluator": self.evaluators}
        return [(kind, index) for kind, count in counts.items() for index in range(count)]


def config(module: str, args: Sequence[str], cluster: Cluster | None, kind: str, index: int) -> str:
    """The text of TF_CONFIG for one task; of a task without a cluster, task and cluster are empty."""
    return json.dumps(
        {
            "job": {"job_name": module, "args": list(args)},
            "task": {"type": kind, "index": index} if cluster else {},
            "cluster": cluster.addresses if cluster else {},
            "environment": "cloud",
        }
    )


def tensorflow_version(python: str, environment: Mapping[str, str]) -> str:
    """The version of TensorFlow that a Python has, "" for none."""
    try:
        child = subprocess.run(
            [python, "-c", _PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return child.stdout.strip()


def run(
    python: str,
    module: str,
    args: Sequence[str],
    cluster: Cluster,
    *,
    folder: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> int:
    """Run all tasks of `cluster` in `folder` until the primary one ends; its exit code, 128 + n for signal n.

    The others are ended with it, and with this process.

    Args:
        say: Told when another task fails while the primary one goes on.

    Raises:
        InvalidArgument: the ports do not exist.
        FailedPrecondition: a port is taken, or the Python cannot be started.
    """
    _check_ports(cluster)
    others: dict[str, subprocess.Popen[bytes]] = {}

    def start(kind: str, index: int, *, own_group: bool) -> subprocess.Popen[bytes]:
        variables = {
            **environment,
            "TF_CONFIG": config(module, args, cluster, kind, index),
            **torch_variables(cluster.addresses, kind, index, first=cluster.primary),
        }
        try:
            return subprocess.Popen(
                [python, "-m", module, *args], cwd=folder, env=variables, start_new_session=own_group
            )
        except OSError as error:
            raise FailedPrecondition(f"{python} cannot be started: {error.strerror}.") from None

    with _ending_in_order():
        try:
            for kind, index in cluster.others:
                # In groups of their own, so that what they start ends with them.
                others[f"{kind}-{index}"] = start(kind, index, own_group=True)
            primary = start(cluster.primary, 0, own_group=False)
            try:
                return _watched(primary, others, say)
            finally:
                if primary.poll() is None:
                    primary.terminate()
                    _reap(primary)
        finally:
            _end(list(others.values()))


def _check_ports(cluster: Cluster) -> None:
    last = cluster.start_port + sum(map(len, cluster.addresses.values())) - 1
    if last > _LAST_PORT:
        raise InvalidArgument(
            f"--start-port {cluster.start_port}: {last - cluster.start_port + 1} ports are needed, "
            f"and {_LAST_PORT} is the last there is."
        )
    for port in range(cluster.start_port, last + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise FailedPrecondition(
                    f"Port {port} cannot be used: {error.strerror}.",
                    hint=f"Name the first of {last - cluster.start_port + 1} free ports: --start-port N",
                ) from None


def _watched(
    primary: subprocess.Popen[bytes],
    others: Mapping[str, subprocess.Popen[bytes]],
    say: Callable[[str], None],
) -> int:
    running = dict(others)
    while (code := primary.poll()) is None:
        for name, child in list(running.items()):
            if (ended := child.poll()) is not None:
                del running[name]
                if ended:
                    say(f"Task {name} ended with status {_status(ended)}.")
        time.sleep(_LOOK_SECONDS)
    return _status(code)


def _status(code: int) -> int:
    return code if code >= 0 else 128 - code


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Ctrl-C is for the primary task to answer; being terminated ends the tasks before it ends us."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {
        # No SIG_IGN: that would be handed down to the tasks.
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, leave),
        signal.SIGHUP: signal.signal(signal.SIGHUP, leave),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes with all that they started: asked first, then made to."""
    for child in children:
        _signal(child.pid, signal.SIGTERM)
    for child in children:
        _reap(child)
        # What it started may have stayed.
        _signal(child.pid, signal.SIGKILL)


def _reap(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
