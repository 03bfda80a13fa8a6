"""The server's secrets as files of DATA/keys, readable by their owner only; apart from whoever uses them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
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
    return _secret(folder / "jobs.secret", "Jobs that run then lose their access to gs:// in TensorFlow.")


def token_secret(folder: Path) -> bytes:
    """What access tokens are made with; the same for as long as the data directory lives.

    Raises:
        FailedPrecondition: the file is there and is not ours.
    """
    return _secret(
        folder / "tokens.secret", "Access tokens of the last hour then end, and clients get new ones."
    )


def signing_key(folder: Path, make: Callable[[], str], *, name: str = "id_tokens") -> str:
    """The private key that ID tokens are signed with, as PEM; `make` makes it when there is none yet.

    Args:
        name: "jobs" for the one in the key files of jobs.
    """
    path = folder / f"{name}.pem"
    if not path.exists():
        _once(path, make().encode())
    return path.read_text()


def _secret(path: Path, loss: str) -> bytes:
    if not path.exists():
        _once(path, secrets.token_bytes(_SECRET_BYTES))
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise FailedPrecondition(
            f"{path} has {len(secret)} bytes, not {_SECRET_BYTES}.",
            hint=f"Remove it: a new one is made. {loss}",
        )
    return secret


def _once(path: Path, content: bytes) -> None:
    """Write a file that is not there. Of two processes at once one wins, and both read its file."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    write_private(made, content)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    made.unlink()


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
