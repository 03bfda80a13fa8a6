"""Who runs a server asks it how it is: settings, audit log, machine; and TensorBoard shows a training."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.stories.conftest import Server, Shell, wait_until

EVENTS = """
import sys, time
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
writer = EventFileWriter(sys.argv[1])
for step in range(5):
    summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="loss", simple_value=1 / (step + 1))])
    writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))
writer.close()
"""


def ask(server: Server, target: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(server.endpoint + target, data=data), timeout=240) as answer:
        return answer.headers, answer.read()


def test_what_was_done_stands_in_the_audit_log(shell: Shell) -> None:
    shell.run("storage", "mb", "gs://audited-bucket")
    shell.run("models", "create", "audited", "--region", "us-central1")

    told = shell.run("audit", "list", "--filter", "resource:audited", "--limit", "2").stdout.splitlines()
    whole = shell.json("audit", "list", "--filter", "resource:audited-bucket")

    assert [line.split()[1:] for line in told] == [
        ["CALLER", "METHOD", "RESOURCE", "STATUS"],
        ["owner", "ml.projects.models.create", "projects/local/models/audited", "OK"],
        ["owner", "storage.buckets.insert", "buckets/audited-bucket", "OK"],
    ]
    assert [entry["method"] for entry in whole] == ["storage.buckets.insert"]


def test_settings_are_told_with_where_they_came_from(shell: Shell) -> None:
    found = {entry["name"]: entry for entry in shell.json("server", "settings")}

    assert found["port"]["origin"] == "flag" and found["port"]["value"] != "0"
    assert found["auth"]["origin"] == "default"
    assert all(entry["meaning"] for entry in found.values())


def test_every_part_of_a_server_that_runs_is_well(server: Server) -> None:
    parts = json.loads(ask(server, "/mlengine/v1/machine")[1])["parts"]

    assert {part["name"]: part["healthy"] for part in parts} == dict.fromkeys(
        ("database", "blobs", "gateway", "loops"), True
    )


@pytest.mark.slow
def test_tensorboard_shows_the_events_in_a_bucket(server: Server, shell: Shell) -> None:
    python = shell.run("runtimes", "build", "2026.11-tensorflow", timeout=900).stdout.strip()
    shell.program(python, "-c", EVENTS, str(shell.cwd / "run" / "train"))
    shell.run("storage", "mb", "gs://board-bucket")
    shell.run("storage", "cp", "-r", str(shell.cwd / "run"), "gs://board-bucket/")
    boards = "/mlengine/v1/projects/local/tensorboards"

    url = json.loads(ask(server, boards, {"logdir": "gs://board-bucket/run"})[1])["url"]

    headers, page = ask(server, url)
    assert b"<title>" in page and b"url(/font" not in page
    assert url in headers["Content-Security-Policy"] and len(headers.get_all("Content-Type")) == 1
    tags = url + "data/plugin/scalars/tags"
    wait_until(lambda: b"loss" in ask(server, tags)[1], "TensorBoard to read the events")
    scalars = json.loads(ask(server, url + "data/plugin/scalars/scalars?run=train&tag=loss")[1])
    assert [(step, round(value, 3)) for _, step, value in scalars] == [
        (0, 1.0), (1, 0.5), (2, 0.333), (3, 0.25), (4, 0.2),
    ]  # fmt: skip
    assert json.loads(ask(server, boards, {"logdir": "gs://board-bucket/run"})[1])["url"] == url
