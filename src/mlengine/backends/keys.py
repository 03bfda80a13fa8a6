"""The server's secrets as files of DATA/keys, readable by their owner only; apart from whoever uses them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mlengine.errors import FailedPrecondition

_SECRET_BYTES = 32


def keys_folder(data_dir: Path) -> Path:
    """The folder of keys, made if it is not there.

    Raises:
        FailedPrecondition: it cannot be made.
    """
    folder = data_dir / "keys"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FailedPrecondition(
            f"The folder of keys {folder} cannot be made: {error.strerror}.",
            hint="See who owns the data directory, or name another with --data-dir.",
        ) from error
    return folder


def job_secret(folder: Path) -> bytes:
    """What the tokens of jobs are made with; the same for as long as the data directory lives.

    Raises:
        FailedPrecondition: the file is there and is not ours.
    """
    path = folder / "jobs.secret"
    if not path.exists():
        made = folder / f"jobs.secret.{os.getpid()}"
        write_private(made, secrets.token_bytes(_SECRET_BYTES))
        try:
            # Of two processes that begin at once, one wins and both read what it wrote.
            os.link(made, path)
        except FileExistsError:
            pass
        made.unlink()
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise FailedPrecondition(
            f"{path} has {len(secret)} bytes, not {_SECRET_BYTES}.",
            hint="Remove it: a new one is made. Jobs that run then lose their access to gs:// in TensorFlow.",
        )
    return secret


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    # Born private: between open and chmod anybody could open it, and keep it open.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
