"""Contents that come with a load job: in one request with the job, or in several of their own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import InvalidArgument, NotFound, Problem, Unavailable
from mlengine.storage.domain import Span
from mlengine.tables import job_store
from mlengine.tables.domain import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an upload stands: the bytes that have come, and the job once it is complete."""

    received: int
    job: Job | None = None


Begin = Callable[[dict[str, Any], str], Job]


class Uploads:
    """Uploads into a folder.

    Args:
        find: A job that has begun.
    """

    def __init__(
        self, database: Database, clock: Clock, folder: Path, *, find: Callable[[str, str], Job]
    ) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._find = find

    def whole(self, resource: dict[str, Any], chunks: Iterable[bytes], begin: Begin) -> Job:
        """A job and its content in one request.

        Args:
            begin: Begins the job with a content of this name.
        """
        key = uuid.uuid4().hex
        path = self._folder / key
        try:
            with path.open("wb", buffering=1 << 20) as file:
                for chunk in chunks:
                    file.write(chunk)
            return begin(resource, key)
        except BaseException as error:
            if isinstance(error, Problem) or not isinstance(error, Exception):
                path.unlink(missing_ok=True)
            raise

    def start(self, project: str, resource: dict[str, Any]) -> str:
        """Begin an upload in several requests. Returns its id: who knows it may send."""
        upload_id = uuid.uuid4().hex + uuid.uuid4().hex[:16]
        with self._database.begin() as db:
            job_store.add_upload(db, upload_id, project=project, request=resource, now=self._clock())
        return upload_id

    def send(
        self, project: str, upload_id: str, span: Span, chunks: Iterable[bytes], begin: Begin
    ) -> Standing:
        """The next bytes, the last ones, or none to ask how it stands. Bytes that have come are passed over.

        Raises:
            NotFound: there is no such upload.
            Unavailable: bytes before these are missing.
        """
        with self._database.read() as db:
            upload = job_store.find_upload(db, project, upload_id)
        if upload is None:
            raise NotFound("There is no such upload.", hint="It expired: begin again.")
        if upload.job_id:
            return Standing(received=0, job=self._find(project, upload.job_id))
        path = self._folder / upload_id
        received = path.stat().st_size if path.exists() else 0
        if span.start is not None:
            received = _append(path, span.start, received, chunks)
        if span.total is not None and received > span.total:
            raise InvalidArgument(f"{received} bytes have come, more than the {span.total} of the whole.")
        if received != span.total and not (span.last and span.total is None):
            return Standing(received=received)
        path.touch()
        try:
            job = begin(dict(upload.request), upload_id)
        except Problem:
            path.unlink(missing_ok=True)
            raise
        with self._database.begin() as db:
            job_store.finish_upload(db, upload_id, job.job_id)
        return Standing(received=received, job=job)


def _append(path: Path, start: int, received: int, chunks: Iterable[bytes]) -> int:
    if start > received:
        raise Unavailable(
            f"The bytes begin at {start}, but only {received} have come.",
            hint="Ask how the upload stands and go on from there.",
        )
    skip = received - start
    with path.open("ab", buffering=1 << 20) as file:
        for chunk in chunks:
            fresh = chunk[skip:] if skip else chunk
            skip = max(0, skip - len(chunk))
            file.write(fresh)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()
