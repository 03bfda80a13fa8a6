"""Fetching one content: checked, gone on with after a break, and never half under its final name."""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Iterator
from http.client import HTTPException
from pathlib import Path

from mlengine.client.addresses import object_path
from mlengine.client.checksum import Crc
from mlengine.client.http import Connection, Json
from mlengine.client.patience import PASSING, Patience
from mlengine.client.trackers import Tracker
from mlengine.client.uploading import Tell, untold
from mlengine.errors import Conflict, FailedPrecondition, Internal, NotFound, Problem, Unavailable
from mlengine.names import ObjectUrl

_READ = 1 << 20
_STALLED_SECONDS = 60.0
_LONGEST_FILE_NAME = 255 - len(".partial-999.1234567")


def pieces(
    connection: Connection, url: ObjectUrl, found: Json, *, start: int, end: int, patience: Patience
) -> Iterator[bytes]:
    """The stored bytes from `start` up to but without `end`, of one generation, whatever happens to the line.

    Args:
        found: The object's resource, which names the generation.

    Raises:
        NotFound: the object was deleted meanwhile.
        Conflict: it was replaced meanwhile.
    """
    query: dict[str, str | int] = {"alt": "media"}
    if generation := found.get("generation"):
        query["ifGenerationMatch"] = generation
    size = int(found.get("size", 0))
    try:
        while start < end:
            try:
                for piece in _stretch(connection, url, query, start=start, end=end, size=size):
                    patience.progress()
                    start += len(piece)
                    yield piece
            except PASSING as problem:
                connection.close()
                patience.wait(problem)
    except NotFound as problem:
        raise NotFound(f"{url} was deleted while it was being read.", details=problem.details) from None
    except FailedPrecondition:
        raise Conflict(f"{url} was replaced while it was being read.", hint="Fetch it again.") from None
    finally:
        if start < end:
            connection.close()  # the rest of an answer may be on the line


def unpacked(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Gzip undone, in bounded steps, also of several members in a row. Raises FailedPrecondition."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for piece in packed:
            while piece:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=31)
                if content := unpacker.decompress(piece, _READ):
                    yield content
                piece = unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        raise FailedPrecondition(
            f"The object says that it is packed with gzip, but it is not: {error}.",
            hint="Its contentEncoding is wrong: upload it again.",
        ) from None


class Checked:
    """Counts what comes by, and compares it with what the server says about the object."""

    def __init__(self, url: ObjectUrl, found: Json) -> None:
        self._url = url
        self._found = found
        self._crc = Crc()
        self.received = 0

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        self._crc.add(piece)
        self.received += len(piece)

    def verify(self) -> None:
        """Raises Internal when the whole is not what it should be."""
        found, text = self._found, self._crc.text
        if self.received != int(found.get("size", self.received)) or found.get("crc32c", text) != text:
            raise Internal(
                f"{self._url} arrived damaged: {self.received} bytes with CRC32C {text} in place of "
                f"{found.get('size')} bytes with {found.get('crc32c')}.",
                hint="Fetch it again.",
            )


class Download:
    """How to fetch one object into one file.

    Args:
        found: The object's resource.
        tracker: Remembers the download for a later run; without one an interrupted download leaves nothing.
        taken: Names that the unfinished file must not have, for others are coming to be there.
    """

    def __init__(
        self,
        connection: Connection,
        url: ObjectUrl,
        found: Json,
        *,
        tracker: Tracker | None = None,
        taken: Collection[Path] = (),
        patience: Patience,
        tell: Tell = untold,
    ) -> None:
        self._connection = connection
        self._url = url
        self._found = found
        self._tracker = tracker
        self._taken = taken
        self._patience = patience
        self._tell = tell

    def file(self, path: Path) -> tuple[int, int]:
        """Write the object to `path`, which appears only when it is whole.

        Returns:
            Bytes received now, and bytes that an earlier run had received.

        Raises:
            NotFound, Conflict: it was deleted or replaced meanwhile.
            Internal: it arrived damaged.
            FailedPrecondition: there is a folder of that name.
            OSError: the file cannot be written.
        """
        if path.is_dir():
            raise FailedPrecondition(f"{path} is a folder and cannot become a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial, resumed = self._partial(path)
        keep = False
        try:
            try:
                moved = self._fill(partial, resumed=resumed)
            except Internal:
                if not resumed:
                    raise
                moved = self._fill(partial, resumed=False)  # somebody else wrote into our file
            self._finish(partial, path)
        except IsADirectoryError as error:  # a folder of that name has come meanwhile
            raise file_problem(error, path) from None
        except (Internal, NotFound, Conflict, FailedPrecondition):
            raise  # going on would be of no use
        except BaseException:
            keep = self._tracker is not None
            raise
        finally:
            if not keep:
                partial.unlink(missing_ok=True)
                if self._tracker:
                    self._tracker.clear()
        return moved

    def _partial(self, path: Path) -> tuple[Path, bool]:
        """The unfinished file, and whether an earlier run has begun it."""
        note = self._tracker.read() if self._tracker else {}
        known = path.with_name(note["partial"]) if note.get("partial") else None
        if known and known.is_file() and known not in self._taken:
            same = note.get("generation") == self._generation
            self._note(known)
            return known, same
        name = path.name
        while len(os.fsencode(name)) > _LONGEST_FILE_NAME:
            name = name[:-1]
        number = 1
        while True:
            partial = path.with_name(f"{name}.partial{'' if number == 1 else f'-{number}'}")
            number += 1
            if partial in self._taken:
                continue
            try:
                # Not over a file of that name, which may be anybody's.
                partial.open("xb").close()
            except FileExistsError:
                continue
            self._note(partial)
            return partial, False

    @property
    def _generation(self) -> str:
        return str(self._found.get("generation") or self._found.get("crc32c"))

    def _note(self, partial: Path) -> None:
        if self._tracker:
            self._tracker.write({"partial": partial.name, "generation": self._generation})

    def _fill(self, partial: Path, *, resumed: bool) -> tuple[int, int]:
        checked = Checked(self._url, self._found)
        size = int(self._found.get("size", 0))
        with partial.open("r+b") as target:
            if resumed:
                while (piece := target.read(_READ)) and checked.received < size:
                    checked.add(piece)
            else:
                target.truncate(0)
            there = checked.received
            if there > size:
                raise Internal(f"{partial} is longer than {self._url}.")
            self._tell(there, 0)
            for piece in pieces(
                self._connection, self._url, self._found, start=there, end=size, patience=self._patience
            ):
                target.write(piece)
                checked.add(piece)
                self._tell(checked.received, len(piece))
        checked.verify()
        return size - there, there

    def _finish(self, partial: Path, path: Path) -> None:
        if self._found.get("contentEncoding") != "gzip":
            partial.replace(path)
            return
        whole = partial.with_name(f"{partial.name}.{os.getpid()}")
        try:
            with partial.open("rb") as source, whole.open("wb") as target:
                for piece in unpacked(iter(lambda: source.read(_READ), b"")):
                    target.write(piece)
            whole.replace(path)
        finally:
            whole.unlink(missing_ok=True)


def _stretch(
    connection: Connection,
    url: ObjectUrl,
    query: dict[str, str | int],
    *,
    start: int,
    end: int,
    size: int,
) -> Iterator[bytes]:
    """One answer with the bytes from `start` to `end`, as far as it comes. Raises Unavailable."""
    # The stored bytes are wanted, also of what is stored packed: only these fit the checksum.
    headers = {"Accept-Encoding": "gzip"}
    if start or end < size:
        headers["Range"] = f"bytes={start}-{end - 1}"
    response = connection.send(
        "GET", object_path(url), query=query, headers=headers, timeout=_STALLED_SECONDS
    )
    skip = start if response.status == 200 else 0  # this server knows no ranges
    missing = end - start
    while missing:
        try:
            piece = response.read(_READ)
        except (OSError, HTTPException) as error:
            raise Unavailable(f"The server broke off in the middle of {url}: {error}.") from error
        if not piece:
            raise Unavailable(f"The server broke off in the middle of {url}: {missing} bytes are missing.")
        if skip:
            skip, piece = max(0, skip - len(piece)), piece[skip:]
        piece = piece[:missing]
        missing -= len(piece)
        if piece:
            yield piece
    response.read()


def file_problem(error: OSError, where: object) -> Problem:
    """What went wrong with a file of this machine, in words."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return FailedPrecondition(f"{where} needs a folder where there is a file: {error.filename}.")
    if isinstance(error, IsADirectoryError):
        return FailedPrecondition(f"{where} is a folder and cannot become a file.")
    return FailedPrecondition(f"{where if error.filename is None else error.filename}: {error.strerror}.")
