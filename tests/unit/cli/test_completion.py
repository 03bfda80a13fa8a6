"""What `__complete` offers at each place of a line."""

from __future__ import annotations

import time

import pytest

from mlengine.cli import completion
from mlengine.cli.main import GROUPS
from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer, error

PROJECT = "/v1/projects/local"


@pytest.fixture(autouse=True)
def resources(server: SmallServer) -> None:
    server.answers |= {
        f"GET {PROJECT}/jobs": (200, {"jobs": [{"jobId": "j1", "state": "RUNNING"}, {"jobId": "j2"}]}),
        f"GET {PROJECT}/models": (200, {"models": [{"name": "p/models/m1", "description": "first"}]}),
        "GET /v1/projects/other/models": (200, {"models": [{"name": "p/models/elsewhere"}]}),
        f"GET {PROJECT}/models/m1/versions": (200, {"versions": [{"name": "x/versions/v1"}]}),
        f"GET {PROJECT}/operations": (200, {"operations": [{"name": "p/operations/op1"}]}),
        "GET /storage/v1/b": (200, {"items": [{"name": "flowers"}, {"name": "trees"}]}),
    }


def offered(run: Run, line: str) -> list[str]:
    """The names offered for the end of `line`."""
    done = run("__complete", "zsh", *line.split(" "))
    assert (done.code, done.err) == (0, "")
    return [row.partition("\t")[0] for row in done.out.splitlines()]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("", list(GROUPS)),
        ("ml-engine mod", ["models"]),
        ("beta ai-platform mod", ["models"]),
        ("jobs desc", ["describe"]),
        ("jobs submit tr", ["training"]),
        ("nothing here ", []),
        ("jobs describe ", ["j1", "j2"]),
        ("jobs describe j2", ["j2"]),
        ("jobs describe j1 ", []),
        ("jobs submit training ", []),
        ("models describe ", ["m1"]),
        ("models create ", []),
        ("--project other models describe ", ["elsewhere"]),
        ("models describe --project=other ", ["elsewhere"]),
        ("versions describe --model ", ["m1"]),
        ("versions describe --model m1 ", ["v1"]),
        ("versions describe --model=m1 ", ["v1"]),
        ("versions describe ", []),
        ("versions describe --model=", ["--model=m1"]),
        ("operations describe ", ["op1"]),
        ("versions create --framework sc", ["scikit-learn"]),
        ("versions create --framework=sc", ["--framework=scikit-learn"]),
        ("versions create --staging-bucket gs", ["gs://flowers/", "gs://trees/"]),
        ("storage ls gs://t", ["gs://trees/"]),
        ("storage cp da", [":files"]),
        ("jobs list --lim", ["--limit"]),
        ("jobs list --verb", ["--verbosity"]),
        ("jobs list --verbosity d", ["debug"]),
        ("jobs list --format fl", ["flattened"]),
        ("jobs list --format=fl", ["--format=flattened"]),
        ("predict --model m1 --json-instances ", [":files"]),
        ("jobs submit training j -- --da", [":files"]),
        ("completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_what_is_offered(run: Run, line: str, names: list[str]):
    assert offered(run, line) == names


def test_names_come_with_what_they_are(run: Run):
    assert run("__complete", "fish", "jobs", "describe", "").out == "j1\tRUNNING\nj2\n"
    assert run("__complete", "fish", "models", "describe", "").out == "m1\tfirst\n"


def test_runtimes_are_offered_without_a_server(run: Run, server: SmallServer):
    names = offered(run, "versions create --runtime-version ")

    assert names == offered(run, "runtimes describe ")
    assert any("sklearn" in name for name in names)
    assert server.seen == []


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("mlengine versions list --model=m", ["m1"]),
        ("mlengine storage ls gs://t", ["//trees/"]),
        ("mlengine models describe 'm", ["m1"]),
        ("mlengine models describe m\\1", ["m1"]),
        ("mlengine mod", ["models"]),
    ],
)
def test_bash_hears_only_what_stands_behind_its_word_breaks(run: Run, line: str, replies: list[str]):
    assert run("__complete", "bash", " \t\n\"'><=;|&(:", line).out.splitlines() == replies


def test_a_server_that_refuses_leaves_the_line_alone(run: Run, server: SmallServer):
    server.answers[f"GET {PROJECT}/jobs"] = error(500, "INTERNAL", "Broken.")

    done = run("__complete", "zsh", "jobs", "describe", "")

    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize(
    "words", [[], ["bash"], ["zsh"], ["zsh", "--project"], ["zsh", "jobs", "list", "--x", "="]]
)
def test_any_line_is_answered_with_silence_at_worst(run: Run, words: list[str]):
    done = run("__complete", *words)

    assert (done.code, done.err) == (0, "")


def test_an_answer_that_takes_too_long_is_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch):
    ended: list[int] = []
    monkeypatch.setattr(completion, "_SECONDS", 0.05)
    monkeypatch.setattr(completion, "candidates", lambda words: time.sleep(0.5) or [("late", "")])
    monkeypatch.setattr("os._exit", ended.append)

    assert run("__complete", "zsh", "jobs", "").out == ""
    assert ended == [0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_hidden_command(run: Run, shell: str):
    done = run("completion", shell)

    assert (done.code, done.err) == (0, "")
    assert f"__complete {shell}" in done.out


def test_help_says_how_completion_is_set_up(run: Run):
    assert "source <(mlengine completion bash)" in " ".join(run("completion", "bash", "--help").out.split())
