"""Flags of every command: logging of requests, silence, tokens, files of flags, tracks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer, error

MODELS = "GET /v1/projects/local/models"


@pytest.fixture
def one_model(server: SmallServer) -> SmallServer:
    server.answers[MODELS] = (200, {"models": [{"name": "projects/local/models/m1"}]})
    return server


def test_log_http_shows_request_and_answer_and_hides_the_token(
    run: Run, one_model: SmallServer, tmp_path: Path
):
    (tmp_path / "token").write_text("s3cret\n")

    done = run("models", "list", "--log-http", "--access-token-file", "token")

    assert done.code == 0
    assert one_model.seen[0].headers["authorization"] == "Bearer s3cret"
    assert "method: GET" in done.err
    assert f"uri: {one_model.endpoint}/v1/projects/local/models?pageSize=100" in done.err
    assert "authorization: --- Token Redacted ---" in done.err
    assert "status: 200" in done.err
    assert '{"models": [{"name": "projects/local/models/m1"}]}' in done.err
    assert "s3cret" not in done.err
    assert done.out == "NAME  DEFAULT_VERSION_NAME\nm1\n"


def test_log_http_shows_what_is_sent_and_the_body_of_a_refusal(run: Run, server: SmallServer):
    server.answers["POST /v1/projects/local/models"] = error(409, "ALREADY_EXISTS", "m is taken.")

    done = run("models", "create", "m", "--log-http=true")

    assert done.code == 1
    assert '"onlinePredictionLogging": false' in done.err
    assert '{"error": {"code": 409' in done.err


@pytest.mark.parametrize("flag", ["--no-log-http", "--log-http=false"])
def test_log_http_can_be_taken_back(run: Run, one_model: SmallServer, flag: str):
    assert run("models", "list", "--log-http", flag).err == ""


@pytest.mark.parametrize("flag", ["--user-output-enabled=false", "--no-user-output-enabled"])
def test_without_user_output_only_errors_are_printed(run: Run, one_model: SmallServer, flag: str):
    one_model.answers["GET /v1/projects/local/jobs/j"] = error(404, "NOT_FOUND", "No job j.")

    listed, failed = run("models", "list", flag), run("jobs", "describe", "j", flag)

    assert (listed.code, listed.out, listed.err) == (0, "", "")
    assert (failed.code, failed.err) == (1, "ERROR: (mlengine.jobs.describe) NOT_FOUND: No job j.\n")


def test_an_operation_that_fails_is_told_without_user_output_too(run: Run, server: SmallServer):
    failed = {"name": "projects/local/operations/op1", "done": True, "error": {"code": 9, "message": "no"}}
    server.answers["DELETE /v1/projects/local/models/m"] = (200, failed)

    done = run("models", "delete", "m", "-q", "--user-output-enabled=false")

    assert (done.code, done.err) == (1, "ERROR: (mlengine.models.delete) no\n")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), ("", "holds no token"), ("two words", "holds no token")]
)
def test_a_token_file_that_holds_no_token_is_named(
    run: Run, server: SmallServer, tmp_path: Path, content: str | None, words: str
):
    if content is not None:
        (tmp_path / "token").write_text(content)

    done = run("models", "list", "--access-token-file", "token")

    assert done.code == 1
    assert "--access-token-file token" in done.err
    assert words in done.err
    assert server.seen == []


def test_a_file_of_flags_stands_for_what_is_in_it(run: Run, server: SmallServer, tmp_path: Path):
    server.answers["POST /v1/projects/other/models"] = (200, {"name": "projects/other/models/m"})
    (tmp_path / "more.yaml").write_text("--labels: {team: a, kind: b}\n--enable-logging: true\n")
    (tmp_path / "flags.yaml").write_text(
        "- --project: other\n  --flags-file: more.yaml\n- --regions: [us-east1]\n- --log-http: false\n"
    )

    done = run("models", "create", "m", "--flags-file=flags.yaml")

    assert done.code == 0, done.err
    body = server.seen[0].json
    assert (body["labels"], body["regions"]) == ({"team": "a", "kind": "b"}, ["us-east1"])
    assert body["onlinePredictionLogging"] is True


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("just text", "holds no flags"),
        ("project: p", "'project' in f.yaml is no flag"),
        ("{", "is no YAML"),
        ("--flags-file: f.yaml", "names itself"),
        ("--limt: 3", "Did you mean '--limit'?"),
    ],
)
def test_a_file_that_holds_no_flags_is_refused(run: Run, tmp_path: Path, content: str, words: str):
    (tmp_path / "f.yaml").write_text(content)

    done = run("models", "list", "--flags-file", "f.yaml")

    assert done.code == 2
    assert words in done.err


@pytest.mark.parametrize("first", ["beta", "alpha", "beta ai-platform", "alpha ml-engine", "beta ml", "ml"])
def test_tracks_and_old_first_words_are_skipped(run: Run, one_model: SmallServer, first: str):
    assert run(*first.split(), "models", "list").code == 0


def test_a_bare_double_hyphen_keeps_a_file_of_flags_for_the_trainer(run: Run, tmp_path: Path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "task.py").write_text("import sys\nsys.exit(len(sys.argv))\n")

    done = run(
        "local", "train", "--module-name", "pack.task", "--package-path", "pack", "--",
        "--flags-file", "none.yaml",
    )  # fmt: skip

    assert done.code == 3
