"""A real S3-compatible server for tests: moto, in a process of its own."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Any will do for moto; obstore finds them where every client of S3 does.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it listens on loopback, and its process."""

    port: int
    process: subprocess.Popen[str]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str = "") -> str:
        """Make a bucket, of a new name if none is given, and return its name."""
        bucket = name or f"b-{uuid.uuid4().hex[:12]}"
        assert self.ask("PUT", f"/{bucket}")[0] == 200
        return bucket

    def url(self, bucket: str, prefix: str = "") -> str:
        """The `blobs_url` of a bucket."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def ask(self, verb: str, path: str) -> tuple[int, bytes]:
        """Status and body that a request without signature is answered with."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(verb, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def running_s3(port: int = 0) -> Iterator[S3Server]:
    """A server without buckets, ready for requests; killed at the end."""
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = ""
            while not (found := re.search(r"Running on http://127\.0\.0\.1:(\d+)", said)):
                line = process.stderr.readline()
                assert line, f"the S3 server ended: {said}"
                said += line
            # It writes a line a request, and would stop at a full pipe.
            with subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL):
                yield S3Server(port=int(found[1]), process=process)
                process.kill()
        finally:
            process.kill()
