"""`models set-traffic`, `models roll-back`, and what is said in words beside models and versions."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer

MODEL = "/v1/projects/local/models/m"
SPLIT = {"mlengine": {"traffic": {"split": {"v1": 90, "v2": 10}, "shadow": {"v3": 0.5}}}}


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        ("--split v1=90,v2=10", {"split": {"v1": 90, "v2": 10}}),
        ("--split v1=90%,v2=10%", {"split": {"v1": 90, "v2": 10}}),
        ("--shadow v3=50%", {"shadow": {"v3": 0.5}}),
        ("--shadow v3=0.5", {"shadow": {"v3": 0.5}}),
        ("--split v2=100 --clear-shadow", {"split": {"v2": 100}, "shadow": {}}),
    ],
)
def test_traffic_is_sent_as_it_is_said_and_told_in_words(
    run: Run, server: SmallServer, flags: str, body: dict[str, object]
) -> None:
    server.answers[f"POST /mlengine{MODEL}:setTraffic"] = (200, SPLIT)

    done = run("models", "set-traffic", "m", *flags.split(), "--format", "json")

    assert done.code == 0, done.err
    assert server.asked("POST", f"/mlengine{MODEL}:setTraffic")[0].json == body
    assert json.loads(done.out) == SPLIT
    assert done.err.splitlines()[-2:] == ["Answered by: v1 90 %, v2 10 %.", "Copies go to: v3 50 %."]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("", "--split: Must be specified"),
        ("--split v1=0.5", "whole number of percent"),
        ("--shadow v1=150%", "write 50%, or 0.5"),
        ("--shadow v1=half", "write 50%, or 0.5"),
        ("--shadow v1=1 --clear-shadow", "not allowed with"),
    ],
)
def test_traffic_that_cannot_be_meant_is_refused_here(
    run: Run, server: SmallServer, flags: str, words: str
) -> None:
    done = run("models", "set-traffic", "m", *flags.split())

    assert done.code == 2
    assert words in done.err
    assert server.seen == []


def test_a_roll_back_tells_what_answers_now(run: Run, server: SmallServer) -> None:
    server.answers[f"POST /mlengine{MODEL}:rollBack"] = (200, SPLIT)

    done = run("models", "roll-back", "m")

    assert done.code == 0
    assert "Answered by: v1 90 %, v2 10 %." in done.err


def test_a_version_is_described_whole_and_in_words(run: Run, server: SmallServer) -> None:
    inputs = [
        {"name": "Sex", "type": "string", "shape": [], "categories": ["female", "male"], "nullable": False},
        {"name": "Age", "type": "number", "shape": [], "nullable": True},
        {"name": "image", "type": "number", "shape": [28, None], "nullable": False},
    ]
    version = {
        "mlengine": {
            "schema": {"instance": "row", "inputs": inputs},
            "acceleration": {"form": "arrays", "reason": "plain arrays: 9 times as fast for one row."},
            "nodes": {"wanted": 2, "serving": 1},
            "asleep": False,
        }
    }
    server.answers[f"GET {MODEL}/versions/v"] = (200, version)

    done = run("versions", "describe", "v", "--model", "m", "--format", "json")

    assert json.loads(done.out) == version
    assert done.err.splitlines()[-3:] == [
        "It takes rows of Sex (string; female, male), Age (number; may be null), image (number 28×?).",
        "Accelerated (arrays): plain arrays: 9 times as fast for one row.",
        "1 of 2 processes serve.",
    ]


def test_the_creation_of_a_version_tells_its_stages_and_what_came_of_its_acceleration(
    run: Run, server: SmallServer
) -> None:
    operation = {"name": "projects/local/operations/op1"}
    report = {"form": "none", "reason": "It is not faster"}
    stages = iter(["FETCHING", "FETCHING", "ACCELERATING"])
    polls = iter([operation] * 3)

    def poll(_seen: object) -> tuple[int, dict[str, object]]:
        done = {"done": True, "response": {"mlengine": {"acceleration": report}}}
        return 200, next(polls, None) or operation | done

    server.answers |= {
        f"GET {MODEL}": (200, {}),
        f"POST {MODEL}/versions": (200, operation),
        "GET /v1/projects/local/operations/op1": poll,
        f"GET {MODEL}/versions/v": lambda _seen: (200, {"mlengine": {"stage": next(stages, "")}}),
    }

    done = run("versions", "create", "v", "--model", "m", "--origin", "gs://bkt/x")

    assert done.code == 0
    assert done.err.endswith(
        "Creating version (this might take a few minutes)... fetching the model... "
        "comparing a quicker form... done.\nServed as it is. It is not faster.\n"
    )
