"""How a line is read: words, flags anywhere, and what is said when it is wrong."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mlengine.cli.main import GROUPS
from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer

MODELS = "/v1/projects/{}/models"
COMMANDS = [command for module, _ in GROUPS.values() for command in import_module(module).COMMANDS]


def test_help_lists_every_group_and_every_command_of_a_group(run: Run):
    overview = run("--help")

    assert overview.code == 0
    assert all(f"\n  {word} " in overview.out for word in GROUPS)
    for word in GROUPS:
        listed = run(word, "--help").out
        assert all(command.words in listed for command in COMMANDS if command.words.split()[0] == word)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_has_help_and_needs_no_server_for_it(run: Run, command):
    done = run(*command.words.split(), "--help")

    assert done.code == 0
    assert command.summary.split()[0] in done.out
    assert done.out.startswith(f"usage: mlengine {command.words}")


@pytest.mark.parametrize("first", ["ml-engine", "ai-platform"])
def test_the_old_first_words_are_skipped(run: Run, server: SmallServer, first: str):
    server.answers[f"GET {MODELS.format('local')}"] = (200, {})

    done = run(first, "models", "list")

    assert (done.code, done.out, done.err) == (0, "", "Listed 0 items.\n")


@pytest.mark.parametrize(
    "line",
    [
        "--project other --format json models list",
        "models --project=other list --format=json",
        "models list --format json --project other",
    ],
)
def test_global_flags_may_stand_anywhere(run: Run, server: SmallServer, line: str):
    server.answers[f"GET {MODELS.format('other')}"] = (200, {"models": [{"name": "projects/other/models/m"}]})

    done = run(*line.split())

    assert done.code == 0
    assert json.loads(done.out) == [{"name": "projects/other/models/m"}]


def test_flag_wins_over_environment_and_environment_over_default(
    run: Run, server: SmallServer, monkeypatch: pytest.MonkeyPatch
):
    for project in ("local", "from-env", "from-flag"):
        server.answers[f"GET {MODELS.format(project)}"] = (200, {})

    run("models", "list")
    monkeypatch.setenv("MLENGINE_PROJECT", "from-env")
    run("models", "list")
    run("models", "list", "--project", "from-flag")

    assert [seen.path.split("/")[3] for seen in server.seen] == ["local", "from-env", "from-flag"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("modls list", ["'modls'", "Did you mean 'models'?"]),
        ("models lst", ["'lst' is no command of `mlengine models`", "Did you mean 'list'?"]),
        ("models", ["needs a command", "create, delete, describe, get-iam-policy, list"]),
        ("jobs submit", ["needs a command", "training"]),
        ("jobs submit prediction x", ["is not available in this version", "mlengine predict"]),
        ("operations delete op1", ["is not available", "mlengine operations cancel"]),
        ("ml init-project", ["is not available", "mlengine projects create"]),
        ("models list --limt 3", ["unrecognized arguments: --limt", "Did you mean '--limit'?", "usage:"]),
        ("models list --limit x", ["--limit: Value must be an integer; received: x"]),
        ("models list --limit 0", ["at least 1"]),
        ("models list extra", ["unrecognized arguments: extra"]),
        ("models list --format", ["argument --format: expected one argument"]),
        ("models list --format xml", ["format 'xml' is unknown"]),
        ("models list --format diff", ["format 'diff' is not available here"]),
        ("models list --format value(name.sub())", ["sub() needs its pattern"]),
        ("models list --verbosity loud", ["Invalid choice: 'loud'", "debug, info"]),
        ("models list --endpoint ftp://x", ["no URL"]),
        ("models list --region us-centrl1", ["Invalid choice: 'us-centrl1'", "Did you mean 'us-central1'?"]),
        ("operations list --region global", ["Invalid choice: 'global'"]),
        ("models list --log-http=maybe", ["--log-http: Value must be true or false; received: maybe"]),
        ("models update m --clear-labels --remove-labels a", ["not allowed with"]),
        ("jobs submit training j --worker-count 2", ["--worker-machine-type: Must be specified with"]),
        ("jobs submit training j --worker-machine-type t", ["--worker-count: Must be specified with"]),
        ("jobs submit training j --master-accelerator type=tpu-v2", ["Key [count] required"]),
        (
            "jobs submit training j --master-accelerator type=nvidia-tesla-k8,count=1",
            ["Did you mean 'nvidia-tesla-k80'?"],
        ),
        ("jobs submit training j --master-accelerator type=tpu-v2,count=0", ["at least 1"]),
        ("jobs submit training j --master-accelerator typ=tpu-v2,count=1", ["Did you mean 'type'?"]),
        ("jobs submit training j --master-image-uri i --runtime-version 1.15", ["Only one of"]),
        ("jobs submit training j --service-account nobody", ["an e-mail address is expected"]),
        ("jobs submit training j --use-chief-in-tf-config perhaps", ["must be true or false"]),
        ("jobs submit training j --kms-key k", ["--kms-project: Must be specified."]),
        ("jobs submit training j --kms-keyring r", ["--kms-key: Must be specified."]),
        ("jobs submit training j --stream-logs --async", ["not allowed with"]),
        ("jobs stream-logs j --polling-interval 0", ["between 0.05 and 3600"]),
        ("versions create v --model m --ports 80,70000", ["at most 65535"]),
        (
            "versions create v --model m --predict-route /p",
            ["--image: Must be specified with --predict-route"],
        ),
        ("versions create v --model m --num-paths 3", ["--explanation-method: Must be specified"]),
        (
            "versions create v --model m --explanation-method xrai --num-paths 3",
            ["--num-paths: has no meaning with xrai"],
        ),
        ("versions create v --model m --metric-targets cpu-use=3", ["Did you mean 'cpu-usage'?"]),
        ("versions create v --model m --metric-targets cpu-usage=101", ["between 0 and 100"]),
        ("versions update v --model m --sampling-percentage 2", ["between 0 and 1"]),
        ("explain --model m --json-instances a --signature-name s", ["unrecognized arguments"]),
        ("local train --module-name m --worker-count -1", ["--worker-count"]),
        ("models list --flags-file none.yaml", ["none.yaml cannot be read"]),
        ("versions list", ["argument --model: Must be specified.", "usage:"]),
        ("predict --model m", ["Exactly one of", "--json-instances"]),
        ("predict --model m --json-instances a --text-instances b", ["not allowed with"]),
        ("versions create v --model m --framework sklearn", ["Invalid choice: 'sklearn'", "scikit-learn"]),
        ("local train --module-name m --train-steps 3", ["--train-steps", "go behind a bare --"]),
        ("models list -- x", ["nothing may follow a bare --"]),
        ("--frmt json models list", ["unrecognized arguments: --frmt", "The command comes first"]),
    ],
)
def test_a_wrong_line_ends_with_2_and_says_what_was_meant(
    run: Run, server: SmallServer, line: str, words: list[str]
):
    server.answers[f"GET {MODELS.format('local')}"] = (200, {"models": [{"name": "m"}]})

    done = run(*line.split())

    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("ERROR: (mlengine")
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    "line",
    [
        "models list --account a@b.c",
        "models list --billing-project=p",
        "models list --configuration c",
        "jobs submit training j --impersonate-service-account a@b.c",
        "predict --model m --json-instances - --trace-token t",
    ],
)
def test_a_flag_that_cannot_be_honoured_is_refused_by_name(run: Run, line: str):
    done = run(*line.split())

    assert done.code == 2
    assert "is not available in this version of mlengine: " in done.err
    assert any(word.partition("=")[0] in done.err for word in line.split() if word.startswith("--"))


@pytest.mark.parametrize(
    "words",
    [
        ("local", "train", "--module-name", "trainer.oops", " "),
        ("local", "train", "--module-name", "trainer.oops", "    "),
        ("jobs", "submit", "training", "\u00a0"),
        ("local", "train", "--module-name", "m", "--", "--epochs", "3", " "),
    ],
)
def test_a_blank_argument_is_traced_to_the_backslash(run: Run, words: tuple[str, ...]):
    done = run(*words)

    assert done.code == 2
    assert "is there a space after a backslash at a line's end?" in done.err
    assert f"the one after '{words[-2]}'" in done.err
    assert "The shell ends the command there" in done.err


def test_a_blank_that_is_a_trainers_value_is_left_alone(run: Run, tmp_path: Path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "task.py").write_text(
        "import sys\nsys.exit(0 if sys.argv[1:] == ['--sep', ' '] else 3)\n"
    )

    done = run(
        "local", "train", "--module-name", "pack.task", "--package-path", "pack",
        "--python", sys.executable, "--", "--sep", " ",
    )  # fmt: skip

    assert done.code == 0


def test_version_is_printed_alone_and_is_also_a_flag_of_predict(run: Run, server: SmallServer):
    server.answers["POST /v1/projects/local/models/m/versions/v1:predict"] = (200, {"predictions": [1]})

    assert run("--version").out.startswith("mlengine ")
    asked = run("predict", "--model", "m", "--version", "v1", "--json-instances", "-", stdin="[1]\n")
    assert asked.out == "[1]\n"


def test_no_server_is_one_line_and_the_way_out(run: Run):
    done = run("models", "list", "--endpoint", "http://127.0.0.1:9")

    assert done.code == 1
    assert done.err == (
        "ERROR: (mlengine.models.list) No server answers at http://127.0.0.1:9.\n"
        "Start one: mlengine server start --detach\n"
    )


def test_an_unexpected_failure_is_one_line_without_traceback(run: Run, server: SmallServer):
    server.answers[f"GET {MODELS.format('local')}"] = (200, {"models": 5})

    done = run("models", "list")

    assert done.code == 1
    assert "Traceback" not in done.err
    assert "--verbosity debug" in done.err
    with pytest.raises(TypeError):
        run("models", "list", "--verbosity", "debug")


def test_a_reader_that_goes_away_is_no_error(server: SmallServer):
    server.answers[f"GET {MODELS.format('local')}"] = (
        200,
        {"models": [{"name": f"m{n}"} for n in range(20000)]},
    )
    script = f"{sys.executable} -m mlengine models list --endpoint {server.endpoint} | head -1"

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "NAME    DEFAULT_VERSION_NAME\n"
    assert done.stderr == ""


def test_names_beyond_the_terminals_letters_do_not_end_in_a_traceback(server: SmallServer):
    server.answers[f"GET {MODELS.format('local')}"] = (
        200,
        {"models": [{"name": "m", "description": "모델"}]},
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    done = subprocess.run(
        f"{sys.executable} -m mlengine models list --endpoint {server.endpoint} --format json".split(),
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )

    assert "\\ubaa8" in done.stdout


def test_a_list_imports_neither_yaml_nor_the_other_groups(server: SmallServer):
    server.answers[f"GET {MODELS.format('local')}"] = (200, {})
    script = (
        "import sys\nfrom mlengine.cli.main import main\n"
        f"main(['models', 'list', '--endpoint', {server.endpoint!r}])\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in "
        "('mlengine', 'yaml', 'urllib3', 'asyncio', 'sqlalchemy')))\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    loaded = ast.literal_eval(done.stdout)
    assert "mlengine.cli.models" in loaded
    assert not [name for name in loaded if not name.startswith("mlengine")]
    others = {module for word, (module, _) in GROUPS.items() if word != "models"}
    assert not others & set(loaded)
    server_side = ("web", "jobs", "models", "serving", "backends", "app", "settings")
    assert not [name for name in loaded if name.startswith(tuple(f"mlengine.{part}" for part in server_side))]
