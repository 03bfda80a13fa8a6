"""What no honest client sends to `ml`: each a precise 4xx, and nothing is changed by it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.stories.conftest import ROOT, Server, Shell, wait_until

PARENT = "/v1/projects/local"
MODEL = f"{PARENT}/models/titanic"
MASK = "?updateMask=description"


class Asker:
    """Sends what it is told, and knows all that could be changed by it."""

    def __init__(self, endpoint: str) -> None:
        self.host = urlsplit(endpoint).netloc
        status, _ = self.send("POST", f"{PARENT}/models", b'{"name": "titanic", "description": "first"}')
        assert status == 200

    def send(
        self, verb: str, target: str, body: bytes | Iterator[bytes] = b"", **headers: str
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.putrequest(verb, target)
            if isinstance(body, bytes):
                connection.putheader("content-length", str(len(body)))
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            try:
                for piece in [body] if isinstance(body, bytes) else body:
                    connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has heard enough, and has answered
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def state(self) -> list[Any]:
        nouns = ("jobs", "models", "operations", "models/titanic/versions")
        return [self.send("GET", f"{PARENT}/{noun}?pageSize=100")[1] for noun in nouns]


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    running = Server(tmp_path_factory.mktemp("bad"), Shell(ROOT))
    running.start()
    yield Asker(running.endpoint)
    running.stop()


NAMES = [
    "a/b",
    "..",
    "../models",
    "a..b",
    "größe",
    "名前",
    "a b",
    "a\nb",
    "a\0b",
    "%",
    "-a",
    "1a",
    "a:b",
    "a" * 129,
    "a" * 10_240,
    "é" * 1000,
    "\N{RIGHT-TO-LEFT OVERRIDE}a",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_that_cannot_be_is_refused_everywhere_with_a_short_answer(asker: Asker, name: str) -> None:
    before = asker.state()
    part, sent = quote(name, safe=""), json.dumps
    requests = [
        ("GET", f"{PARENT}/jobs/{part}", b""),
        ("PATCH", f"{PARENT}/jobs/{part}?updateMask=labels", b'{"labels": {}}'),
        ("POST", f"{PARENT}/jobs/{part}:cancel", b"{}"),
        ("GET", f"{PARENT}/models/{part}", b""),
        ("DELETE", f"{PARENT}/models/{part}", b""),
        ("PATCH", f"{PARENT}/models/{part}{MASK}", b'{"description": "x"}'),
        ("GET", f"{MODEL}/versions/{part}", b""),
        ("DELETE", f"{MODEL}/versions/{part}", b""),
        ("POST", f"{MODEL}/versions/{part}:setDefault", b"{}"),
        ("POST", f"{MODEL}/versions/{part}:predict", b"{}"),
        ("POST", f"{PARENT}/models/{part}:explain", b"{}"),
        ("GET", f"{PARENT}/operations/{part}", b""),
        ("POST", f"{PARENT}/operations/{part}:cancel", b""),
        ("GET", f"{PARENT}/locations/{part}", b""),
        ("GET", f"{PARENT}/locations/{part}/operations/{part}", b""),
        ("POST", f"{PARENT}/models", sent({"name": name}).encode()),
        ("POST", f"{MODEL}/versions", sent({"name": name, "deploymentUri": "gs://box/m"}).encode()),
        ("POST", f"{PARENT}/jobs", sent({"jobId": name, "trainingInput": {}}).encode()),
        (
            "PATCH",
            f"{MODEL}?updateMask=defaultVersion.name",
            sent({"defaultVersion": {"name": name}}).encode(),
        ),
    ]

    for verb, target, body in requests:
        status, answer = asker.send(verb, target, body)
        assert status in (400, 404), (verb, target[:100], status, answer)
        assert answer["error"]["code"] == status
        assert answer["error"]["status"] in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert asker.state() == before


BODIES = [
    (b"{", "not JSON"),
    (b"hello", "not JSON"),
    (b'{"description": "x"', "not JSON"),
    (b'{"description": NaN}', "not JSON"),
    (b"[]", "must be a JSON object, not an array"),
    (b'"x"', "must be a JSON object, not a string"),
    (b"null", "must be a JSON object, not null"),
    (b'{"description": "\xff"}', "not UTF-8"),
    (b'{"description": "\\u0000"}', "NUL character"),
    (b'{"description": "\\ud800"}', "half a surrogate pair"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"description": 7}', "must be a string"),
    (b'{"description": "x", "description2": 1}', "Unknown field 'description2'"),
    (b'{"etag": "AAAA"}', "no etag of ours"),
]


@pytest.mark.parametrize(("body", "words"), BODIES, ids=lambda value: repr(value)[:30])
def test_a_body_that_cannot_be_read_is_refused_with_why(asker: Asker, body: bytes, words: str) -> None:
    before = asker.state()

    status, answer = asker.send("PATCH", MODEL + MASK, body)

    assert status == 400
    assert words in answer["error"]["message"]
    assert asker.state() == before


def test_a_stale_etag_is_a_conflict(asker: Asker) -> None:
    before = asker.state()

    status, answer = asker.send("PATCH", MODEL + MASK, b'{"description": "x", "etag": "AAAAAAAAAAE="}')

    assert (status, answer["error"]["status"]) == (409, "ABORTED")
    assert asker.state() == before


@pytest.mark.parametrize(
    ("verb", "target"),
    [("POST", f"{PARENT}/jobs"), ("POST", f"{PARENT}/models"), ("PATCH", MODEL + MASK), ("POST", "/batch")],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_megabytes_is_refused(asker: Asker, verb: str, target: str, chunked: bool) -> None:
    before = asker.state()
    piece, count = b'{"description": "' + b" " * ((1 << 20) - 17), 100
    frame = b"%x\r\n" % len(piece), b"\r\n"
    pieces = (frame[0] + piece + frame[1] if chunked else piece for _ in range(count))
    length = {"transfer_encoding": "chunked"} if chunked else {"content_length": str(len(piece) * count)}

    status, answer = asker.send(verb, target, pieces, content_type="multipart/mixed; boundary=x", **length)

    assert status in (400, 413)
    assert answer["error"]["code"] == status
    assert asker.state() == before


@pytest.mark.parametrize("target", [MODEL + MASK, f"{MODEL}/versions/v1{MASK}"])
def test_a_body_that_breaks_off_changes_nothing(asker: Asker, target: str) -> None:
    before = asker.state()
    host, port = asker.host.split(":")
    body = b'{"description": "x"}'

    with socket.create_connection((host, int(port)), timeout=60) as connection:
        head = f"PATCH {target} HTTP/1.1\r\nHost: {asker.host}\r\nContent-Length: {len(body) + 1}\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert not answer or b" 4" in answer[:16]
    wait_until(lambda: asker.state() == before, "the state of before", seconds=5)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("jobs?pageToken=am9icw==", "not from this list"),
        ("jobs?pageToken=%00", "not from this list"),
        ("models?pageSize=-1", "no page size"),
        ("models?filter=name", "operator is expected"),
        ("models?filter=" + "(" * 100, "nested more than"),
        ("models?filter=" + "a" * 30_000, "longer than"),
        ("operations?filter=done=maybe", "true or false"),
        ("models?fields=models(", "cannot be read"),
        ("models?updateMask=x", "Unknown query parameter 'updateMask'"),
        ("models?alt=proto", "alt=proto is not available"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_with_why(asker: Asker, target: str, words: str) -> None:
    status, answer = asker.send("GET", f"{PARENT}/{target}")

    assert status == 400
    assert words in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 1000


@pytest.mark.parametrize("noun", ["jobs", "models", "operations", "models/titanic/versions", "locations"])
def test_a_token_of_any_other_list_is_refused(asker: Asker, noun: str) -> None:
    asker.send("POST", f"{PARENT}/models", b'{"name": "another"}')
    lists = ["models", "locations"]
    tokens = {found: asker.send("GET", f"{PARENT}/{found}?pageSize=1")[1]["nextPageToken"] for found in lists}

    for found, token in tokens.items():
        status, answer = asker.send("GET", f"{PARENT}/{noun}?pageToken={token}")
        assert status == (200 if found == noun else 400), answer
