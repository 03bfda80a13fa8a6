"""From objects to files: which names may become paths, and writing them where no name leads astray."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from mlengine.errors import FailedPrecondition, Internal
from mlengine.storage.blobs import Pieces
from mlengine.storage.domain import Hashes, Object
from mlengine.storage.hashing import Digest


def plan_tree(objects: Iterable[Object], *, prefix: str) -> dict[PurePosixPath, Object | None]:
    """The files that `objects` become below a directory; folder markers become None.

    Raises:
        FailedPrecondition: a name leads out or is no path, or one is file and directory at once.
    """
    plan: dict[PurePosixPath, Object | None] = {}
    folders: set[PurePosixPath] = set()
    for found in objects:
        relative = found.name.removeprefix(prefix)
        if not relative:
            continue
        path = _path(relative.removesuffix("/"), found)
        folders.update(path.parents)
        if relative.endswith("/"):
            folders.add(path)
        else:
            plan[path] = found
    for path, file in plan.items():
        if file and path in folders:
            raise FailedPrecondition(
                f"{file.url} is an object, and there are objects below it as well: "
                "a file cannot be a directory at once.",
                hint="Delete or rename one of them.",
            )
    return plan | dict.fromkeys(sorted(folders - {PurePosixPath(".")}))


def write_tree(
    plan: Mapping[PurePosixPath, Object | None], target: Path, *, open_read: Callable[[Object], Pieces]
) -> int:
    """Make the files of a plan in `target`, in place of what has their names.

    Returns:
        The number of files.

    Raises:
        FailedPrecondition: something in `target` is in the way, such as a symbolic link; or the disk is full.
        Internal: a content does not have the checksum it had when it was stored.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        root = target.resolve()
        for path, found in plan.items():
            place = root / path
            folder = place.parent if found else place
            if not folder.resolve().is_relative_to(root):
                raise FailedPrecondition(f"'{path}' leads out of {target} through a symbolic link.")
            folder.mkdir(parents=True, exist_ok=True)
            if found:
                _write_file(place, found, open_read(found))
    except OSError as error:
        raise FailedPrecondition(
            f"{error.filename or target} cannot be written: {error.strerror}."
        ) from error
    return sum(found is not None for found in plan.values())


def _path(relative: str, found: Object) -> PurePosixPath:
    parts = relative.split("/")
    for part in parts:
        if part in ("", ".", "..") or "\x00" in part or len(part.encode()) > 255:
            what = f"the part {part[:40]!r}" if part else "an empty part"
            raise FailedPrecondition(
                f"{found.url} cannot be a file: its name has {what}.",
                hint="Rename the object, or keep it outside of directories that are downloaded.",
            )
    return PurePosixPath(*parts)


def _write_file(place: Path, found: Object, pieces: Pieces) -> None:
    # Not followed: a link that lies there must not redirect the content.
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    digest = Digest(md5=False)
    with os.fdopen(descriptor, "wb") as file:
        for piece in digest.through(pieces):
            file.write(piece)
    if digest.hashes() != Hashes(crc32c=found.crc32c):
        raise Internal(f"The stored content of {found.url} is damaged: its CRC32C has changed.")
