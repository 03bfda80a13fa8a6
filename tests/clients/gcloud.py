"""Requests as gcloud sends them, byte for byte where it matters. gcloud itself is in no package registry.

What it reads of an answer is checked here for every request: that it is a JSON object, and that each etag is
base64, or its generated clients would fail before any command sees the answer.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

Json = dict[str, Any]

_USER_AGENT = (
    "google-cloud-sdk gcloud/578.0.0 command/{command} invocation-id/3f1c5c0fbd1d4c0f9f2d8a2bd1ffb7cf "
    "environment/None environment-version/None client-os/LINUX client-os-ver/6.1.0 "
    "client-pltf-arch/x86_64 interactive/False from-script/False python/3.11.9 term/dumb (Linux 6.1.0)"
)
_EPOCH = "1970-01-01T01:00:00Z"


class Refused(Exception):
    """An answer of 300 or above."""

    def __init__(self, code: int, error: Json) -> None:
        super().__init__(f"{code}: {error}")
        self.code = code
        self.error = error


@dataclass
class Gcloud:
    """One installation, pointed at a server as docs/gcloud.md says.

    Attributes:
        endpoint: What `api_endpoint_overrides/ml` holds, with its final slash.
        token: What is in the file of `auth/access_token_file`; "" for none.
    """

    endpoint: str
    project: str
    token: str = ""
    command: str = "gcloud.ai-platform"

    # ml v1, as the generated client calls it

    def ml(self, verb: str, path: str, body: Json | None = None, **query: str | int) -> Json:
        """One call; `path` stands below the project."""
        url = f"{self.endpoint}v1/projects/{self.project}/{path}"
        return self._call(verb, url, body, {"alt": "json", **query})

    def pages(self, path: str, key: str, page_size: int = 100) -> Iterator[Json]:
        """Everything in a list, as list commands fetch it."""
        query: dict[str, str | int] = {"pageSize": page_size}
        while True:
            page = self.ml("GET", path, **query)
            yield from page.get(key, [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def wait(self, operation: Json) -> Json:
        """Poll until it is done; its `response`. gcloud looks every five seconds, this one more often."""
        name = operation["name"]
        head, _, identifier = name.rpartition("/")
        assert head == f"projects/{self.project}/operations"
        deadline = time.monotonic() + 300
        while not operation.get("done"):
            assert time.monotonic() < deadline, f"{name} is never done"
            time.sleep(0.2)
            operation = self.ml("GET", f"operations/{identifier}")
        assert operation["name"] == name
        assert ("error" in operation) != ("response" in operation)
        if "error" in operation:
            raise Refused(operation["error"]["code"], operation["error"])
        return operation["response"]

    # Predictions, sent by hand

    def predict(self, model: str, body: Json, version: str = "") -> tuple[int, Any]:
        """Status and body of the answer: no `alt`, keys sorted."""
        path = f"models/{model}" + (f"/versions/{version}" if version else "")
        response = requests.post(
            f"{self.endpoint}v1/projects/{self.project}/{path}:predict",
            data=json.dumps(body, sort_keys=True),
            headers={**self._headers, "Content-Type": "application/json"},
            timeout=120,
        )
        return response.status_code, response.json()

    # Cloud Storage

    def upload(self, file: Path, bucket: str, name: str) -> Json:
        """A package, in two parts with bare line feeds and a boundary in single quotes."""
        content = file.read_bytes()
        boundary = "===============7330845974216740156=="
        about = json.dumps({"size": str(len(content))}).encode()
        parts = (
            b"Content-Type: application/json\nMIME-Version: 1.0\n\n" + about,
            b"Content-Type: application/octet-stream\nMIME-Version: 1.0\n"
            b"Content-Transfer-Encoding: binary\n\n" + content,
        )
        mark = f"--{boundary}".encode()
        body = b"".join(mark + b"\n" + part + b"\n" for part in parts) + mark + b"--\n"
        host = "{0.scheme}://{0.netloc}".format(urlsplit(self.endpoint))
        response = requests.post(
            f"{host}/upload/storage/v1/b/{bucket}/o?alt=json&name={quote(name, safe='')}"
            "&uploadType=multipart",
            data=body,
            headers={**self._headers, "content-type": f"multipart/related; boundary='{boundary}'"},
            timeout=60,
        )
        resource = _read(response)
        assert resource["size"] == str(len(content)), "Cloud storage upload failure."
        return resource

    # Logs

    def log_entries(
        self, job_id: str, *, since: str = _EPOCH, insert_id: str = "", until: datetime, task: str = ""
    ) -> list[Json]:
        """The entries of a job between two moments, as one look of stream-logs asks for them."""
        lower = f'timestamp>="{since}"'
        if insert_id:
            lower = f'((timestamp="{since}" AND insertId>"{insert_id}") OR timestamp>"{since}")'
        terms = [
            '(resource.type="ml_job" OR resource.type="cloudml_job")',
            f'resource.labels.job_id="{job_id}"',
            lower,
            f'timestamp<"{until.astimezone(UTC).isoformat().replace("+00:00", "Z")}"',
        ]
        if task:
            terms.append(f'(resource.labels.task_name="{task}" OR labels.task_name="{task}")')
        body: Json = {
            "filter": " AND ".join(terms),
            "orderBy": "timestamp asc",
            "pageSize": 1000,
            "resourceNames": [f"projects/{self.project}"],
        }
        found: list[Json] = []
        while True:
            page = self._call("POST", f"{self.endpoint}v2/entries:list", body, {"alt": "json"})
            found += page.get("entries", [])
            if not page.get("nextPageToken"):
                return found
            body["pageToken"] = page["nextPageToken"]

    def stream(self, job_id: str, *, delay: timedelta) -> Iterator[Json]:
        """Every entry until the job has ended, by gcloud's rule; its `delay` is five seconds."""
        since, insert_id, idle = _EPOCH, "", 0
        while True:
            until = datetime.now(UTC) - delay
            entries = self.log_entries(job_id, since=since, insert_id=insert_id, until=until)
            for entry in entries:
                since, insert_id = entry["timestamp"], entry["insertId"]
                yield entry
            idle = 0 if entries else idle + 1
            if idle >= 2 and self.ml("GET", f"jobs/{job_id}").get("endTime"):
                return
            time.sleep(0.3)

    # The wire

    @property
    def _headers(self) -> dict[str, str]:
        headers = {
            "User-Agent": _USER_AGENT.format(command=self.command),
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
            "x-goog-api-client": "gcloud/578.0.0 gl-python/3.11.9 cred-type/u",
        }
        return headers | ({"authorization": f"Bearer {self.token}"} if self.token else {})

    def _call(self, verb: str, url: str, body: Json | None, query: dict[str, str | int]) -> Json:
        headers = dict(self._headers)
        data = b""
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        headers["content-length"] = str(len(data))
        response = requests.request(verb, url, params=query, data=data, headers=headers, timeout=60)
        return _read(response)


def _read(response: requests.Response) -> Json:
    assert response.headers["content-type"].startswith("application/json")
    answer = response.json()
    assert isinstance(answer, dict)
    if response.status_code >= 300:
        raise Refused(response.status_code, answer["error"])
    _check_etags(answer)
    return answer


def _check_etags(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _check_etags(item)
    elif isinstance(value, dict):
        if isinstance(value.get("etag"), str):
            base64.b64decode(value["etag"], validate=True)
        for item in value.values():
            _check_etags(item)
