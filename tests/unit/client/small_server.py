"""A real HTTP server, small enough to read: buckets in memory, and `ml` answers that a test lays out."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import google_crc32c

Answer = tuple[int, Any]


@dataclass
class Seen:
    """One request as it came."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class SmallServer:
    """What a test sees of the server.

    Attributes:
        buckets: Contents by bucket and object name.
        answers: For "VERB /path": an answer, a list of answers in order (the last one stays), or a function.
        cut_uploads: So many pieces of resumable uploads are read, kept and not answered.
        damaged: Objects whose bytes are changed on the way out.
    """

    endpoint: str = ""
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    sessions: dict[str, tuple[str, str, bytearray]] = field(default_factory=dict)
    cut_uploads: int = 0
    damaged: set[str] = field(default_factory=set)

    def asked(self, verb: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.verb == verb and seen.path == path]

    def answer(self, seen: Seen) -> Answer | Callable[[], None]:
        self.seen.append(seen)
        laid_out = self.answers.get(f"{seen.verb} {seen.path}")
        if laid_out is not None:
            if isinstance(laid_out, list):
                laid_out = laid_out.pop(0) if len(laid_out) > 1 else laid_out[0]
            return laid_out(seen) if callable(laid_out) else laid_out
        for verb, pattern, act in _ROUTES:
            match = re.fullmatch(pattern, seen.path)
            if seen.verb == verb and match:
                return act(self, seen, *(unquote(part) for part in match.groups()))
        return error(404, "NOT_FOUND", f"There is nothing at {seen.path}.")


class Cut(Exception):
    """The connection ends without an answer."""


def error(code: int, status: str, message: str) -> Answer:
    return code, {"error": {"code": code, "status": status, "message": message}}


@contextmanager
def serving() -> Iterator[SmallServer]:
    state = SmallServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            try:
                code, content = state.answer(seen)
            except Cut:
                self.close_connection = True
                return
            more = {}
            if isinstance(content, tuple):
                content, more = content
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(code)
            for name, value in {"Content-Length": str(len(raw)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def checksum(content: bytes) -> str:
    return base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


def _resource(bucket: str, name: str, content: bytes) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "name": name,
        "size": str(len(content)),
        "crc32c": checksum(content),
        "updated": "2026-11-02T09:30:00.123Z",
    }


def _get_bucket(state: SmallServer, seen: Seen, bucket: str) -> Answer:
    return (
        (200, {"name": bucket})
        if bucket in state.buckets
        else error(404, "NOT_FOUND", f"No bucket {bucket}.")
    )


def _list_buckets(state: SmallServer, seen: Seen) -> Answer:
    return 200, {"items": [{"name": name} for name in sorted(state.buckets)]}


def _make_bucket(state: SmallServer, seen: Seen) -> Answer:
    name = seen.json["name"]
    if name in state.buckets:
        return error(409, "ALREADY_EXISTS", f"The bucket {name} already exists.")
    state.buckets[name] = {}
    return 200, {"name": name}


def _list_objects(state: SmallServer, seen: Seen, bucket: str) -> Answer:
    if bucket not in state.buckets:
        return error(404, "NOT_FOUND", f"No bucket {bucket}.")
    prefix, delimiter = seen.query.get("prefix", ""), seen.query.get("delimiter", "")
    items, prefixes = [], []
    for name, content in sorted(state.buckets[bucket].items()):
        if not name.startswith(prefix):
            continue
        rest = name[len(prefix) :]
        if delimiter and delimiter in rest:
            found = prefix + rest.partition(delimiter)[0] + delimiter
            if found not in prefixes:
                prefixes.append(found)
        else:
            items.append(_resource(bucket, name, content))
    # Pages of two: whoever forgets the token sees only half.
    start = int(seen.query.get("pageToken", 0))
    page = {"items": items[start : start + 2], "prefixes": prefixes if not start else []}
    if start + 2 < len(items):
        page["nextPageToken"] = str(start + 2)
    return 200, page


def _get_object(state: SmallServer, seen: Seen, bucket: str, name: str) -> Answer:
    content = state.buckets.get(bucket, {}).get(name)
    if content is None:
        return error(404, "NOT_FOUND", f"No object {name}.")
    if seen.query.get("alt") == "media":
        return 200, b"\0" + content[1:] if name in state.damaged else content
    return 200, _resource(bucket, name, content)


def _delete_object(state: SmallServer, seen: Seen, bucket: str, name: str) -> Answer:
    if state.buckets.get(bucket, {}).pop(name, None) is None:
        return error(404, "NOT_FOUND", f"No object {name}.")
    return 204, b""


def _rewrite(state: SmallServer, seen: Seen, bucket: str, name: str, to_bucket: str, to_name: str) -> Answer:
    state.buckets[to_bucket][to_name] = state.buckets[bucket][name]
    return 200, {"done": True}


def _upload(state: SmallServer, seen: Seen, bucket: str) -> Answer:
    if bucket not in state.buckets:
        return error(404, "NOT_FOUND", f"No bucket {bucket}.")
    name = seen.query["name"]
    if seen.query["uploadType"] == "resumable":
        session = f"s{len(state.sessions)}"
        state.sessions[session] = (bucket, name, bytearray())
        return 200, ({}, {"Location": f"{state.endpoint}/upload/storage/v1/b/{bucket}/o?upload_id={session}"})
    boundary = re.search(r'boundary="(.+)"', seen.headers["content-type"])
    assert boundary
    _, about, content, _ = seen.body.split(f"--{boundary[1]}".encode())
    stored = content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    assert json.loads(about.partition(b"\r\n\r\n")[2])["size"] == str(len(stored))
    state.buckets[bucket][name] = stored
    return 200, _resource(bucket, name, stored)


def _piece(state: SmallServer, seen: Seen, _bucket: str) -> Answer:
    bucket, name, got = state.sessions[seen.query["upload_id"]]
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", seen.headers["content-range"])
    assert match
    if match[1] is not None:
        assert int(match[1]) == len(got), "a piece must begin where the last one ended"
        if state.cut_uploads:
            state.cut_uploads -= 1
            got += seen.body[: len(seen.body) // 2]
            raise Cut
        got += seen.body
    if len(got) < int(match[2]):
        return 308, (b"", {"Range": f"bytes=0-{len(got) - 1}"} if got else {})
    state.buckets[bucket][name] = bytes(got)
    return 200, _resource(bucket, name, bytes(got))


_B, _O = "/storage/v1/b/([^/]+)", "/storage/v1/b/([^/]+)/o/([^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/storage/v1/b", _list_buckets),
    ("POST", "/storage/v1/b", _make_bucket),
    ("GET", _B, _get_bucket),
    ("GET", _B + "/o", _list_objects),
    ("GET", _O, _get_object),
    ("DELETE", _O, _delete_object),
    ("POST", _O + "/rewriteTo/b/([^/]+)/o/([^/]+)", _rewrite),
    ("POST", "/upload" + _B + "/o", _upload),
    ("PUT", "/upload" + _B + "/o", _piece),
    ("GET", "/healthz", lambda state, seen: (200, {})),
]
