"""The model worker as a process: frames in and out, batches, neighbours, its beginning and its end."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlengine.serving.messages import HEADER, LARGEST_BODY, PREDICT

from . import worker_process
from .worker_process import PATIENCE, Worker, run_mode, serving, train

GATE, POISON, NOT_A_NUMBER = -1, 13, 7


@pytest.fixture(scope="module")
def models(sklearn_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(sklearn_python, "train_sklearn.py", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def linear(sklearn_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with serving(sklearn_python, models / "linear", tmp_path_factory.mktemp("run")) as worker:
        yield worker


@pytest.fixture
def gated(sklearn_python: Path, models: Path, tmp_path: Path) -> Iterator[tuple[Worker, Path]]:
    """A worker of the touchy model, and the pipe that holds it inside a call."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # Looking for a faster form asks the model much, and it would wait at the gate.
    (tmp_path / "options.json").write_text('{"accelerate": false}')
    with serving(sklearn_python, models / "touchy", tmp_path, env={"GATE": str(gate)}) as worker:
        yield worker, gate


# A request is a list of rows; a None among them makes it invalid.
ROW = st.one_of(st.lists(st.integers(0, 99), min_size=3, max_size=3), st.none())
REQUESTS = st.lists(st.tuples(st.integers(0, 2), st.lists(ROW, min_size=1, max_size=4)), max_size=40)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS)
def test_each_caller_gets_the_answers_to_his_own_rows(
    linear: Worker, requests: list[tuple[int, list[list[int] | None]]]
) -> None:
    callers = [linear.call() for _ in range(3)]

    sent = [(callers[caller], callers[caller].send({"instances": rows}), rows) for caller, rows in requests]
    answers = [(caller.receive(id), rows) for caller, id, rows in reversed(sent)]

    for (status, answer), rows in answers:
        if None in rows:
            assert status == 400
            assert f"Instance {rows.index(None) + 1} is null" in answer["error"]["message"]
        else:
            assert status == 200
            expected = [row[0] + 100 * row[1] + 10_000 * row[2] for row in rows if row is not None]
            assert answer["predictions"] == pytest.approx(expected)
    for caller in callers:
        caller.close()


def test_what_gathers_during_a_call_is_answered_by_one_call_of_at_most_64_requests(
    gated: tuple[Worker, Path],
) -> None:
    worker, gate = gated
    callers = [worker.call() for _ in range(2)]
    first = callers[0].send({"instances": [[GATE, 0]]})

    with gate.open("wb"):  # opens when the model has begun
        sent = [(callers[n % 2], callers[n % 2].send({"instances": [[100 + n, 0]]}), n) for n in range(70)]
    batches = []
    for caller, id, n in sent:
        status, answer = caller.receive(id)
        assert (status, answer["predictions"][0][0]) == (200, 100 + n)
        batches.append(answer["predictions"][0][1])

    assert callers[0].receive(first)[1]["predictions"] == [[-1.0, 1.0]]
    assert sorted(batches) == [6.0] * 6 + [64.0] * 64


def test_a_bad_request_harms_none_of_its_neighbours_in_the_batch(gated: tuple[Worker, Path]) -> None:
    worker, gate = gated
    caller = worker.call()
    caller.send({"instances": [[GATE, 0]]})

    with gate.open("wb"):
        good = caller.send({"instances": [[1, 0], [2, 0]]})
        no_json = caller.send(b'{"instances": [[1, 0')
        wrong = caller.send({"instances": [[1, 0], [1, 0, 0]]})
        nan = caller.send({"instances": [[3, 0], [NOT_A_NUMBER, 0]]})
        last = caller.send({"instances": [[4, 0]]})

    assert caller.receive(good) == (200, {"predictions": [[1.0, 5.0], [2.0, 5.0]]})
    assert caller.receive(no_json)[0] == 400
    assert caller.receive(wrong)[0] == 400
    assert caller.receive(nan) == (200, {"predictions": [[3.0, 5.0], [None, 5.0]]})
    assert caller.receive(last) == (200, {"predictions": [[4.0, 5.0]]})


def test_when_a_batch_fails_in_the_model_only_the_guilty_request_fails(gated: tuple[Worker, Path]) -> None:
    worker, gate = gated
    caller = worker.call()
    caller.send({"instances": [[GATE, 0]]})

    with gate.open("wb"):
        before = caller.send({"instances": [[1, 0]]})
        guilty = caller.send({"instances": [[POISON, 0]]})
        after = caller.send({"instances": [[2, 0], [3, 0]]})

    assert caller.receive(before) == (200, {"predictions": [[1.0, 1.0]]})
    status, answer = caller.receive(guilty)
    assert (status, answer["error"]["code"]) == (500, 500)
    assert answer["error"]["message"] == "Prediction failed: ValueError: thirteen is unlucky"
    assert caller.receive(after) == (200, {"predictions": [[2.0, 2.0], [3.0, 2.0]]})
    worker.process.terminate()
    worker.process.wait(timeout=PATIENCE)


def test_sigterm_lets_the_worker_finish_what_was_asked(gated: tuple[Worker, Path]) -> None:
    worker, gate = gated
    caller = worker.call()
    held = caller.send({"instances": [[GATE, 0]]})

    with gate.open("wb"):
        waiting = [caller.send({"instances": [[n, 0]]}) for n in range(100, 103)]
        worker.process.send_signal(signal.SIGTERM)

    assert caller.receive(held)[0] == 200
    assert [caller.receive(id)[1]["predictions"][0][0] for id in waiting] == [100, 101, 102]
    assert worker.process.wait(timeout=PATIENCE) == 0
    assert not worker.path.exists()


def test_an_idle_worker_ends_at_sigterm(sklearn_python: Path, models: Path, tmp_path: Path) -> None:
    with serving(sklearn_python, models / "linear", tmp_path) as worker:
        caller = worker.call()
        caller.predict([1, 2, 3])

        worker.process.terminate()

        assert worker.process.wait(timeout=PATIENCE) == 0
    assert not worker.path.exists()


def test_the_end_of_the_tether_ends_the_worker_even_inside_a_call(gated: tuple[Worker, Path]) -> None:
    worker, gate = gated
    caller = worker.call()
    caller.send({"instances": [[GATE, 0]]})

    with gate.open("wb"):
        worker.cut_tether()
        worker.process.wait(timeout=PATIENCE)

    assert not worker.path.exists()
    with pytest.raises(ConnectionError):
        caller.receive(1)


def test_the_socket_is_for_its_owner_only_and_leaves_no_second_name(linear: Worker) -> None:
    assert stat.S_IMODE(linear.path.stat().st_mode) == 0o600
    assert [path.name for path in linear.path.parent.iterdir() if path.is_socket()] == ["worker.sock"]


def test_a_successor_that_took_the_name_keeps_it(sklearn_python: Path, models: Path, tmp_path: Path) -> None:
    with (
        serving(sklearn_python, models / "linear", tmp_path) as old,
        serving(sklearn_python, models / "two_answers", tmp_path) as new,
    ):
        old.process.terminate()
        assert old.process.wait(timeout=PATIENCE) == 0

        assert new.call().predict([1, 2, 3]) == [pytest.approx([1, 4])]


def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(linear: Worker) -> None:
    caller = linear.call()
    size = LARGEST_BODY + 1

    caller.send_raw(HEADER.pack(size, 99, PREDICT, 0))
    status, answer = caller.receive(99)
    assert (status, answer["error"]["code"]) == (413, 413)
    assert str(size) in answer["error"]["message"]

    piece = b" " * (1 << 20)
    for _ in range(size // len(piece)):
        caller.send_raw(piece)
    caller.send_raw(b" " * (size % len(piece)))
    assert caller.predict([1, 0, 0]) == [pytest.approx(1)]


def test_a_message_of_unknown_kind_is_refused(linear: Worker) -> None:
    status, answer = linear.call().ask(b"", kind=99)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_caller_who_ends_sending_still_gets_his_answers(linear: Worker) -> None:
    caller = linear.call()
    ids = [caller.send({"instances": [[n, 0, 0]]}) for n in range(5)]
    caller.close_sending()

    assert [caller.receive(id)[1]["predictions"][0] for id in ids] == pytest.approx([0, 1, 2, 3, 4])
    with pytest.raises(ConnectionError):
        caller.receive(6)


def test_a_caller_who_goes_away_harms_nobody(gated: tuple[Worker, Path]) -> None:
    worker, gate = gated
    gone, here = worker.call(), worker.call()
    here.send({"instances": [[GATE, 0]]})

    with gate.open("wb"):
        gone.send({"instances": [[1, 0]]})
        gone.send_raw(HEADER.pack(100, 2, PREDICT, 0) + b"half")
        gone.close()
        waiting = here.send({"instances": [[2, 0]]})

    assert here.receive(waiting)[0] == 200


def test_answers_larger_than_the_socket_s_buffer_arrive_whole(linear: Worker) -> None:
    caller = linear.call()
    rows = [[n, 0, 0] for n in range(20_000)]

    ids = [caller.send({"instances": rows}) for _ in range(8)]

    for id in reversed(ids):
        status, answer = caller.receive(id)
        assert status == 200
        assert answer["predictions"] == pytest.approx(range(20_000))


def test_a_describe_frame_answers_what_the_describe_mode_prints(
    sklearn_python: Path, models: Path, linear: Worker
) -> None:
    printed = run_mode(sklearn_python, "describe", "--model-dir", models / "linear")

    assert printed.returncode == 0
    assert linear.call().describe() == json.loads(printed.stdout)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nowhere", ["There is no directory"]),
        ("both", ["Multiple model files are found in the model_path: model.joblib, model.pkl."]),
        ("dictionary", ["Invalid model type detected: builtins.dict.", "sklearn model"]),
        ("titanic_typo", ["unknown key 'signatur_name'", "Did you mean 'signature_name'?"]),
        ("titanic_unknown_signature", ["'predict_log'", "predict, predict_proba"]),
        ("diverged", ["Sent: {", '"instances":[[0,0,0]]', "the model answered NaN"]),
        ("unfitted", ["The model is not trained"]),
        ("dates", ["can only be guessed", 'into serving.json beside the model: {"sample": …}']),
        ("..", ["Could not find any of", "There is one in", "name that directory"]),
    ],
)
def test_a_model_that_cannot_serve_gives_its_reason_in_the_last_line(
    sklearn_python: Path, models: Path, tmp_path: Path, model: str, words: list[str]
) -> None:
    path = tmp_path / "worker.sock"
    folder = models / "linear" / ".." if model == ".." else models / model

    ended = run_mode(sklearn_python, "serve", "--model-dir", folder, "--socket", path)

    log = ended.stderr.decode()
    said = json.loads(log.splitlines()[-1])["error"]
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert said.startswith("Failed to load model: ")
    assert said.endswith("(Error code: 0)")
    assert "Traceback (most recent call last):" in log
    assert not path.exists()
    for word in words:
        assert word in said


def test_a_pickle_that_needs_the_user_s_code_says_which_module_and_shows_the_traceback(
    sklearn_python: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "MODELS", tmp_path)

    ended = run_mode(
        sklearn_python, "serve", "--model-dir", models / "touchy", "--socket", tmp_path / "worker.sock"
    )

    log = ended.stderr.decode()
    said = json.loads(log.splitlines()[-1])["error"]
    assert "No module named 'odd_models'" in said
    assert "packageUris" in said
    assert "in find_class" in log


def test_a_framework_that_does_not_fit_the_files_is_refused(sklearn_python: Path, models: Path) -> None:
    ended = run_mode(
        sklearn_python, "describe", "--model-dir", models / "booster", "--framework", "scikit-learn"
    )

    said = json.loads(ended.stdout)["error"]["message"]
    assert ended.returncode == 1
    assert "Could not find either model.joblib or model.pkl" in said
    assert "It holds: model.bst" in said


def test_once_answers_one_request_on_standard_output_alone(sklearn_python: Path, models: Path) -> None:
    ended = run_mode(
        sklearn_python, "once", "--model-dir", models / "talker", stdin=b'{"instances": [[1], [2]]}'
    )

    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {"predictions": ["row 0", "row 1"]}
    assert ended.stderr.decode().split() == ["unpickling", "predicting"]


def test_once_takes_the_signature_from_its_option_unless_the_request_names_one(
    sklearn_python: Path, models: Path
) -> None:
    row = {"Pclass": 3, "Sex": "male", "Age": 22, "SibSp": 1, "Embarked": "S"}
    arguments = ["once", "--model-dir", models / "titanic", "--signature-name", "predict_proba"]

    probabilities = run_mode(sklearn_python, *arguments, stdin=json.dumps({"instances": [row]}).encode())
    named = {"instances": [row], "signature_name": "predict"}
    label = run_mode(sklearn_python, *arguments, stdin=json.dumps(named).encode())

    assert set(json.loads(probabilities.stdout)["predictions"][0]) == {"class", "probabilities"}
    assert json.loads(label.stdout) == {"predictions": [0]}


def test_once_answers_a_bad_request_with_the_envelope_and_exit_code_1(
    sklearn_python: Path, models: Path
) -> None:
    ended = run_mode(sklearn_python, "once", "--model-dir", models / "linear", stdin=b"[[1, 2, 3]]")

    answer: Any = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert answer["error"]["code"] == 400
    assert "Wrap the list you sent" in answer["error"]["message"]


def test_once_says_why_a_model_does_not_load(sklearn_python: Path, models: Path) -> None:
    ended = run_mode(sklearn_python, "once", "--model-dir", models / "dictionary", stdin=b"{}")

    answer: Any = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert answer["error"]["status"] == "FAILED_PRECONDITION"
    assert answer["error"]["message"].startswith("Failed to load model: Invalid model type")
    assert "framework_of" in "".join(answer["error"]["details"][0]["stackEntries"])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list loaded libraries")
def test_a_worker_loads_no_framework_but_its_model_s(
    sklearn_python: Path, models: Path, linear: Worker, tmp_path: Path
) -> None:
    with serving(sklearn_python, models / "booster", tmp_path) as booster:
        of_linear = Path(f"/proc/{linear.process.pid}/maps").read_text()
        of_booster = Path(f"/proc/{booster.process.pid}/maps").read_text()

    assert "sklearn" in of_linear
    assert "xgboost" not in of_linear
    assert "xgboost" in of_booster
