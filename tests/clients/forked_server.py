"""Storage servers that start in a moment, for tests that kill many.

They are forked from a process that has imported all there is, and done nothing with it.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import quote

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.clients.storage_server"])
BUCKET = "bucket"


def _serve(folder: Path, url: str, port: int, pipe: Connection) -> None:
    from tests.clients.storage_server import main

    main(folder, port, url, tell=pipe.send)


class ForkedServer:
    """A server in a process of its own.

    Args:
        folder: Its contents, and its rows unless `database_url` says otherwise.
    """

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self._folder = folder
        self._url = database_url
        self._process: BaseProcess | None = None
        self.port = 0

    def start(self) -> None:
        """Start it, where it was before if it was; return when it listens."""
        ours, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(self._folder, self._url, self.port, theirs))
        self._process.start()
        theirs.close()
        with ours:
            self.port = ours.recv()

    def kill(self) -> None:
        """SIGKILL, as a power cut to the process."""
        if self._process:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


class Caller:
    """One connection to a server, byte for byte: nothing is made prettier on its way."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(
        self, verb: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, header fields in small letters, content."""
        self._connection.request(verb, target, body=body, headers=dict(headers or {}))
        response = self._connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return response.status, fields, response.read()

    def json(self, verb: str, target: str, resource: object = None) -> Any:
        """The JSON that comes back with a status below 300."""
        body = b"" if resource is None else json.dumps(resource).encode()
        status, _, content = self.ask(verb, target, body)
        assert status < 300, (status, content)
        return json.loads(content) if content else None

    def upload(
        self, name: str, content: bytes, query: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Store an object in one request: status, and its resource or the error."""
        target = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}{query}"
        status, _, answer = self.ask("POST", target, content, headers)
        return status, json.loads(answer)

    def names(self) -> list[str]:
        """Of all objects."""
        found: list[str] = []
        token = ""
        while True:
            page = self.json("GET", f"/storage/v1/b/{BUCKET}/o?fields=items/name,nextPageToken{token}")
            found += [item["name"] for item in page.get("items", [])]
            if "nextPageToken" not in page:
                return found
            token = f"&pageToken={quote(page['nextPageToken'])}"

    def findings(self) -> list[Any]:
        """What is wrong with what is stored, contents and all."""
        found: list[Any] = []
        asked: dict[str, Any] = {"checksums": True}
        while True:
            page = self.json("POST", "/mlengine/v1/storage:fsck", asked)
            found += page["findings"]
            if "nextPageToken" not in page:
                return found
            asked["pageToken"] = page["nextPageToken"]

    def close(self) -> None:
        self._connection.close()


def media(name: str) -> str:
    """Where the content of an object is."""
    return f"/download/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media"


@contextmanager
def calling(server: ForkedServer) -> Iterator[Caller]:
    """A connection for a while."""
    caller = Caller(server.port)
    try:
        yield caller
    finally:
        caller.close()


@contextmanager
def serving(folder: Path, *, template: Path | None = None, database_url: str = "") -> Iterator[ForkedServer]:
    """A server with one empty bucket.

    Args:
        template: A migrated SQLite file, to be copied.
    """
    if template:
        shutil.copy(template, folder / "mlengine.db")
    server = ForkedServer(folder, database_url)
    server.start()
    try:
        with calling(server) as caller:
            caller.json("POST", "/storage/v1/b?project=demo-project", {"name": BUCKET})
        yield server
    finally:
        server.kill()
