"""A story: looking at jobs, models and versions in every way, and completing their names in real shells."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.conftest import MLENGINE, Server, Shell


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A server with nothing but two models, one of them Korean by description, and a bucket."""
    shell = Shell(tmp_path_factory.mktemp("typed"))
    server = Server(tmp_path_factory.mktemp("data"), shell)
    server.start()
    shell.run("models", "create", "flowers", "--description", "꽃 모델", "--labels", "team=a")
    shell.run("models", "create", "prices", "--labels", "team=b")
    shell.run("storage", "mb", "gs://output-story-bucket")
    yield shell
    server.stop()


def test_one_list_in_every_format(filled: Shell):
    def models(*flags: str) -> str:
        return filled.run("models", "list", "--sort-by", "name", *flags).stdout

    assert models() == "NAME     DEFAULT_VERSION_NAME\nflowers\nprices\n"
    assert models("--format", "value(name)") == "flowers\nprices\n"
    assert models("--format", "get(name)").splitlines()[0] == "projects/local/models/flowers"
    assert models("--format", "csv(name,labels.team)") == "name,team\nflowers,a\nprices,b\n"
    assert models("--format", "table[box](name,description)").splitlines()[1:4] == [
        "│  NAME   │ DESCRIPTION │",
        "├─────────┼─────────────┤",
        "│ flowers │ 꽃 모델     │",
    ]
    assert [model["labels"] for model in json.loads(models("--format", "json"))] == [
        {"team": "a"},
        {"team": "b"},
    ]
    assert models("--format", "list(name.basename())") == " - flowers\n - prices\n"
    assert "labels.team:" in models("--format", "flattened")
    assert models("--format", "none") == models("--format", "disable") == ""


def test_a_list_is_filtered_sorted_limited_and_flattened(filled: Shell):
    def names(*flags: str) -> list[str]:
        return filled.run("models", "list", "--format", "value(name.basename())", *flags).stdout.split()

    assert names("--filter", "labels.team=b") == ["prices"]
    assert names("--filter", "name:flow* OR description:없음") == ["flowers"]
    assert names("--filter", "createTime>-P1D AND NOT name:prices") in (["flowers"], [])
    assert names("--sort-by", "~labels.team") == ["prices", "flowers"]
    assert names("--filter", "name:*", "--sort-by", "~name", "--limit", "1") == ["prices"]
    assert names("--flatten", "regions[]", "--sort-by", "name") == ["flowers", "prices"]
    uris = filled.run("models", "list", "--uri", "--sort-by", "name").stdout.splitlines()
    assert [uri.partition("/v1/")[2] for uri in uris] == [
        "projects/local/models/flowers",
        "projects/local/models/prices",
    ]


def test_pages_have_headings_of_their_own(filled: Shell):
    done = filled.run("models", "list", "--page-size", "1", "--sort-by", "name", "--format", "table(name)")

    assert done.stdout == "NAME\nflowers\n\nNAME\nprices\n"


def test_mistakes_are_told_on_standard_error_with_their_place(filled: Shell):
    unknown = filled.run("models", "list", "--filter", "labls.team=a")
    wrong = filled.run("models", "list", "--filter", "name=(a", code=2)

    assert (unknown.stdout, unknown.stderr) == (
        "",
        "WARNING: The following filter keys were not present in any resource : labls.team."
        " Did you mean 'labels.team'?\nListed 0 items.\n",
    )
    assert wrong.stdout == ""
    assert wrong.stderr == (
        "ERROR: (mlengine.models.list) argument --filter: expected a value at character 8, found the end.\n"
        "  name=(a\n"
        "         ^\n"
    )


class Typist:
    """A shell at a terminal of its own, and what it shows."""

    def __init__(self, command: list[str], environment: dict[str, str], cwd: Path) -> None:
        self._screen, terminal = pty.openpty()
        self._shell = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment | {"TERM": "dumb", "PS1": "$ "},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(terminal)
        self._shown = ""

    def type(self, text: str, until: str, seconds: float = 30.0) -> str:
        """Type, wait until `until` is shown; what was shown since."""
        start = len(self._shown)
        os.write(self._screen, text.encode())
        deadline = time.monotonic() + seconds
        while not re.search(until, self._shown[start:]):
            if time.monotonic() > deadline:
                pytest.fail(f"typed {text!r}, waited for {until!r}, saw {self._shown[start:]!r}")
            if select.select([self._screen], [], [], 0.2)[0]:
                self._shown += os.read(self._screen, 65536).decode(errors="replace")
        return self._shown[start:]

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._screen)


def typist(filled: Shell, name: str, *command: str) -> Iterator[Typist]:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed on this machine")
    at_terminal = Typist(list(command), dict(filled.full), filled.cwd)
    yield at_terminal
    at_terminal.close()


@pytest.fixture
def bash(filled: Shell) -> Iterator[Typist]:
    yield from typist(filled, "bash", "bash", "--norc", "--noprofile", "-i")


@pytest.fixture
def zsh(filled: Shell) -> Iterator[Typist]:
    yield from typist(filled, "zsh", "zsh", "-f", "-i")


def test_bash_completes_what_is_typed(bash: Typist):
    bash.type("source <(mlengine completion bash); echo rea''dy\n", "ready")

    bash.type("mlengine mod\t", "mlengine models ")
    bash.type("desc\t", "describe ")
    bash.type("flo\t", "flowers ")
    bash.type("--for\t", "--format ")
    bash.type("js\t", "json")
    shown = bash.type("\n", r'"name": "projects/local/models/flowers"')
    assert '"team": "a"' in shown


def test_bash_completes_behind_an_equals_sign_and_a_colon(bash: Typist):
    bash.type("source <(mlengine completion bash); echo rea''dy\n", "ready")

    bash.type("mlengine versions list --model=pri\t", "--model=prices")
    bash.type("\x15mlengine storage ls gs://output-st\t", "gs://output-story-bucket/")


def test_zsh_completes_what_is_typed(zsh: Typist):
    zsh.type(
        "autoload -Uz compinit; compinit -u -D; source <(mlengine completion zsh); echo rea''dy\n", "ready"
    )

    zsh.type("mlengine mod\t", "els ")
    zsh.type("describe flo\t", "wers ")
    zsh.type("--format js\t", "on")
    assert '"team": "a"' in zsh.type("\n", r'"team": "a"')
    zsh.type("mlengine versions list --model=pri\t", "ces")


def test_fish_completes_what_is_typed(filled: Shell):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed on this machine")

    def completed(line: str) -> list[str]:
        program = f"mlengine completion fish | source; complete -C '{line}'"
        filled.environment["HOME"] = str(filled.cwd)
        done = filled.program("fish", "--no-config", "-c", program)
        return [found.partition("\t")[0] for found in done.stdout.splitlines()]

    assert completed("mlengine mod") == ["models"]
    assert completed("mlengine models describe ") == ["flowers", "prices"]
    assert completed("mlengine versions list --model pri") == ["prices"]
    assert completed("mlengine jobs list --verb") == ["--verbosity"]
    assert completed("mlengine storage ls gs://output-st") == ["gs://output-story-bucket/"]


def test_completion_does_not_wait_for_a_server_that_never_answers(filled: Shell):
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        endpoint = f"http://127.0.0.1:{never_answers.getsockname()[1]}"
        deaf = Shell(filled.cwd, filled.environment | {"MLENGINE_ENDPOINT": endpoint})
        started = time.monotonic()
        done = deaf.program(str(MLENGINE), "__complete", "zsh", "models", "describe", "")
        seconds = time.monotonic() - started

    assert (done.stdout, done.stderr) == ("", "")
    assert 1 <= seconds < 6, "a second of waiting, and what the start takes on a busy machine"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(filled: Shell, environment: dict[str, str], coloured: bool):
    line = ["models", "list", "--sort-by", "name", "--format", "table(name.color(green=flow))"]
    screen, terminal = pty.openpty()
    subprocess.run(
        [MLENGINE, *line],
        stdout=terminal,
        env={**filled.full, "TERM": "xterm", **environment},
        check=True,
        timeout=60,
    )
    os.close(terminal)
    shown = os.read(screen, 65536).decode()
    os.close(screen)

    assert ("\x1b[32m" in shown) is coloured
    assert "\x1b" not in filled.run(*line).stdout
