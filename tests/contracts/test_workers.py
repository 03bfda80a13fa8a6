"""Model workers as processes of this machine: shared, apart, on standby, found again, and gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlengine.backends.workers import ChildWorkers
from mlengine.serving.messages import TF_SERVING
from mlengine.serving.workers import Environment, WorkerSpec, WorkerState
from tests.contracts.worker_process import MODELS, PATIENCE, Caller, train

DEADLY = 13


class Machine:
    """ChildWorkers on folders of their own, tied to a pipe as they are to a gateway."""

    accelerates = False

    def __init__(self, python: Path, models: Path, root: Path, sockets: Path) -> None:
        self.models = models
        self.root = root
        self.sockets = sockets
        self.gate = root / "gate"
        self.tether, self._held = os.pipe()
        root.mkdir()
        os.mkfifo(self.gate)
        variables = (("GATE", str(self.gate)), ("PYTHONPATH", str(MODELS)))
        self.environment = Environment(python, "scikit-learn", variables)
        self._planes: list[ChildWorkers] = []
        self.workers = self.control_plane()

    def control_plane(self) -> ChildWorkers:
        made = ChildWorkers(self.root, self.sockets, tether=self.tether, environment=os.environ)
        self._planes.append(made)
        return made

    def start(self, uid: str, model: str = "mortal", *, node: int = 0, shared: bool = True) -> None:
        """Start a node, without waiting for it."""
        folder = self.root / uid
        if not folder.exists():
            folder.mkdir()
            shutil.copytree(self.models / model, folder / "model")
            (folder / "options.json").write_text(json.dumps({"accelerate": self.accelerates}))
        self.workers.start(
            WorkerSpec(
                uid=uid,
                node=node,
                name=f"p/m/{uid}",
                model_dir=folder / "model",
                environment=self.environment,
                shareable=shared,
            )
        )

    def bring(self, uid: str, model: str = "mortal", *, node: int = 0, shared: bool = True) -> None:
        """Start a node, and wait until it serves."""
        self.start(uid, model, node=node, shared=shared)
        until(lambda: self.workers.state(uid, node) is not WorkerState.STARTING)
        assert self.workers.state(uid, node) is WorkerState.SERVING, self.workers.log(uid, node)

    def predict(self, uid: str, number: float = 1, *, node: int = 0) -> list[float]:
        caller = Caller(self.workers.socket(uid, node))
        try:
            return caller.predict([number])
        finally:
            caller.close()

    def host(self, uid: str, node: int = 0) -> str:
        return str(json.loads((self.root / uid / f"node-{node}.json").read_text())["host"])

    def pids(self) -> dict[str, int]:
        """Processes by host id."""
        return {file.parent.name: int(file.read_text()) for file in (self.root / "hosts").glob("*/pid")}

    def kill(self, uid: str, node: int = 0) -> None:
        os.kill(self.pids()[self.host(uid, node)], signal.SIGKILL)
        until(lambda: self.workers.state(uid, node) is WorkerState.ENDED)

    def cut_tether(self) -> None:
        os.close(self._held)
        self._held = -1

    def close(self) -> None:
        if self._held >= 0:
            self.cut_tether()
        os.close(self.tether)
        for plane in self._planes:
            for host in plane._hosts.values():
                if host.child is not None:
                    host.child.wait(PATIENCE)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def models(sklearn_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(sklearn_python, "train_mortal.py", tmp_path_factory.mktemp("models"))


@pytest.fixture
def machine(sklearn_python: Path, models: Path, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(sklearn_python, models, tmp_path / "serving", tmp_path / "s")
    yield made
    made.close()


def test_small_models_share_a_process_and_one_that_leaves_takes_nobody_along(machine: Machine) -> None:
    machine.bring("a")
    machine.bring("b")

    assert machine.host("a") == machine.host("b")
    assert (machine.predict("a", 1), machine.predict("b", 2)) == ([1.0], [2.0])
    assert json.loads((machine.root / "a" / "description.json").read_text())["framework"] == "scikit-learn"

    machine.workers.stop("a", 0)

    assert machine.workers.state("a") is WorkerState.ENDED
    assert not machine.workers.socket("a").exists()
    assert machine.predict("b", 3) == [3.0]


def test_the_last_one_to_leave_ends_the_process(machine: Machine) -> None:
    machine.bring("a")
    machine.bring("big", shared=False)
    pids = machine.pids()
    assert len(pids) == 2

    machine.workers.stop("a", 0)
    machine.workers.stop("big", 0)

    until(lambda: not any(map(alive, pids.values())))
    assert machine.pids() == {}


def test_two_nodes_of_a_version_are_two_processes(machine: Machine) -> None:
    machine.bring("a")
    machine.bring("a", node=1)

    assert machine.host("a") != machine.host("a", 1)
    assert machine.workers.nodes("a") == [0, 1]
    machine.kill("a")
    assert machine.predict("a", 4, node=1) == [4.0]


def test_while_a_neighbour_is_being_loaded_the_others_answer(machine: Machine) -> None:
    machine.bring("a")
    machine.start("late", "slow")

    with machine.gate.open("wb"):  # opens once the model is in the middle of being loaded
        assert machine.host("late") == machine.host("a")
        assert machine.predict("a", 5) == [5.0]
        assert machine.workers.state("late") is WorkerState.STARTING

    until(lambda: machine.workers.state("late") is WorkerState.SERVING)


def test_a_model_that_cannot_be_loaded_says_why_in_its_own_log_and_harms_nobody(machine: Machine) -> None:
    machine.bring("a")
    machine.start("bad", "no_model")
    until(lambda: machine.workers.state("bad") is WorkerState.ENDED)

    lines = machine.workers.log("bad").splitlines()
    assert "Invalid model type detected" in json.loads(lines[-1])["error"]
    assert lines[0].startswith("Traceback")
    assert "Traceback" not in machine.workers.log("a")
    assert machine.predict("a") == [1.0]


def test_a_model_that_ends_its_process_thrice_gets_one_of_its_own(machine: Machine) -> None:
    machine.bring("good")
    for count in range(3):
        machine.bring("bad")
        machine.bring("good")
        assert machine.host("bad") == machine.host("good"), f"after {count} crashes they still share"
        with pytest.raises(ConnectionError):
            machine.predict("bad", DEADLY)
        until(lambda: machine.workers.state("good") is WorkerState.ENDED)
        assert "signal SIGABRT, while it was at this version" in machine.workers.log("bad")
        assert "which served this version too" in machine.workers.log("good")

    machine.bring("good")
    machine.bring("bad")

    assert machine.host("bad") != machine.host("good")


def test_the_next_control_plane_finds_every_worker_again(machine: Machine) -> None:
    machine.bring("a")
    machine.bring("b", shared=False)
    pids = machine.pids()

    machine.workers = machine.control_plane()

    assert machine.workers.nodes("a") == [0]
    for uid in ("a", "b"):
        assert machine.workers.state(uid) is WorkerState.SERVING
        machine.start(uid)
        assert machine.predict(uid, 6) == [6.0]
    assert machine.pids() == pids, "nothing was started anew"
    machine.bring("c")
    assert machine.host("c") == machine.host("a")


def test_a_worker_that_died_between_two_control_planes_is_known_to_be_gone(machine: Machine) -> None:
    machine.bring("a")
    os.kill(machine.pids()[machine.host("a")], signal.SIGKILL)
    machine.workers._hosts[machine.host("a")].wait(PATIENCE)

    machine.workers = machine.control_plane()

    assert machine.workers.state("a") is WorkerState.ENDED
    machine.bring("a")


def test_a_standby_takes_a_model_and_another_one_is_made(machine: Machine) -> None:
    machine.workers.keep_standbys({machine.environment}, 1)
    (standby,) = machine.pids()
    until(lambda: machine.workers._hosts[standby].ready)

    machine.bring("a", shared=False)

    assert machine.host("a") == standby
    machine.workers.keep_standbys({machine.environment}, 1)
    assert len(machine.pids()) == 2
    machine.workers.keep_standbys(set(), 0)
    until(lambda: len(machine.pids()) == 1)
    assert machine.predict("a", 7) == [7.0]


def test_a_standby_that_dies_is_not_started_again_and_again(machine: Machine) -> None:
    machine.workers.keep_standbys({machine.environment}, 1)
    (standby,) = machine.pids().values()
    os.kill(standby, signal.SIGKILL)
    until(lambda: all(host.pid is None for host in machine.workers._hosts.values()))

    for _ in range(3):
        machine.workers.keep_standbys({machine.environment}, 1)

    assert machine.pids() == {}


def test_all_processes_end_with_the_gateway(machine: Machine) -> None:
    machine.bring("a")
    machine.bring("b", shared=False)
    machine.workers.keep_standbys({machine.environment}, 1)
    pids = machine.pids().values()
    assert len(pids) == 3

    machine.cut_tether()

    until(lambda: not any(map(alive, pids)))


def test_other_options_are_obeyed_without_a_restart(machine: Machine) -> None:
    machine.bring("a")
    (machine.root / "a" / "options.json").write_text('{"accelerate": false, "maxLatencyMs": 400}')

    machine.workers.reload("a")

    began = time.monotonic()
    assert machine.predict("a") == [1.0]
    assert time.monotonic() - began >= 0.4


def test_callers_who_ask_again_at_once_share_their_calls(machine: Machine) -> None:
    machine.bring("a", "napping")
    caller = Caller(machine.workers.socket("a"))
    waiting = [caller.send({"instances": [[0]]}) for _ in range(8)]
    shared: list[float] = []

    for _ in range(160):
        _, answer = caller.receive(waiting.pop(0))
        shared += answer["predictions"]
        waiting.append(caller.send({"instances": [[0]]}))
    for id in waiting:
        caller.receive(id)
    caller.close()

    # Two halves that take turns would see 4 each.
    assert sum(shared) / len(shared) > 6


def test_a_request_that_waited_too_long_is_refused_and_a_cancelled_one_is_not_answered(
    machine: Machine,
) -> None:
    machine.bring("a")
    (machine.root / "a" / "options.json").write_text('{"accelerate": false, "maxLatencyMs": 300}')
    machine.workers.reload("a")
    caller = Caller(machine.workers.socket("a"))

    late = caller.send({"instances": [[1]]}, seconds=0.01)
    tf_late = caller.send({"instances": [[1]]}, kind=TF_SERVING, seconds=0.01)
    dropped = caller.send({"instances": [[1]]})
    patient = caller.send({"instances": [[2], [3]]}, seconds=60)
    caller.cancel(dropped)

    status, answer = caller.receive(late)
    assert (status, answer["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
    status, answer = caller.receive(tf_late)
    assert (status, type(answer["error"])) == (504, str)
    assert caller.receive(patient) == (200, {"predictions": [2.0, 3.0]})
    assert not caller.answered(dropped)
    waited, decode, model, encode, instances = caller.times[patient]
    assert 250_000 < waited < 10_000_000
    assert 0 < decode + model + encode < 10_000_000
    assert instances == 2
    caller.close()


def test_who_is_being_answered_when_a_worker_is_told_to_go_gets_the_answer(machine: Machine) -> None:
    machine.bring("a", shared=False)
    (machine.root / "a" / "options.json").write_text('{"accelerate": false, "maxLatencyMs": 300}')
    machine.workers.reload("a")
    caller = Caller(machine.workers.socket("a"))
    asked = caller.send({"instances": [[8]]})

    def hang_up() -> None:
        assert caller.receive(asked)[1]["predictions"] == [8.0]
        caller.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    machine.workers.stop("a", 0)
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert machine.workers.state("a") is WorkerState.ENDED
