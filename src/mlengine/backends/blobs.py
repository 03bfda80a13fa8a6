"""Which blob store a server has: the one place that knows all of them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from mlengine.backends.blobs_folder import FolderBlobs
from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.storage.blobs import Blobs

OBJECT_STORES = ("s3", "gs", "az")


def open_blobs(url: str, data_dir: Path) -> Blobs:
    """The blob store that the setting `blobs_url` names.

    Args:
        url: Empty for a folder in the data directory, else that of an object store
            (see `blobs_object_store.open_object_store`).
        data_dir: The server's data directory.

    Raises:
        InvalidArgument: the URL is wrong.
        FailedPrecondition: the library for object stores is not installed, or the store cannot be used.
    """
    if not url:
        return FolderBlobs(data_dir / "blobs")
    scheme = urlsplit(url).scheme
    if scheme not in OBJECT_STORES:
        known = ", ".join(f"{name}://" for name in OBJECT_STORES)
        raise InvalidArgument(
            f"blobs_url begins with '{scheme}:'; it must begin with {known}, or be empty.",
            hint="An empty one keeps contents in the data directory.",
        )
    try:
        from mlengine.backends.blobs_object_store import open_object_store
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        raise FailedPrecondition(
            f"blobs_url names an object store ({scheme}://), but the library for these is not installed.",
            hint="Install it: python -m pip install 'mlengine[object-stores]'",
        ) from None
    return open_object_store(url, spool=data_dir / "spool")
