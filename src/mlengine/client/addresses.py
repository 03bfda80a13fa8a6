"""Where buckets, objects and uploads live in the Storage JSON API. Apart, for whoever calls it needs them."""

from __future__ import annotations

from urllib.parse import quote

from mlengine.names import ObjectUrl


def bucket_path(bucket: str) -> str:
    """The path of a bucket."""
    return f"/storage/v1/b/{part(bucket)}"


def object_path(url: ObjectUrl) -> str:
    """The path of an object."""
    return f"{bucket_path(url.bucket)}/o/{part(url.object)}"


def upload_path(bucket: str) -> str:
    """Where contents for a bucket are sent."""
    return f"/upload/storage/v1/b/{part(bucket)}/o"


def part(text: str) -> str:
    """`text` as one component of a path: slashes are encoded too."""
    return quote(text, safe="")
