"""What the header fields of uploads and downloads say: hashes, ranges, and what goes with a content."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import format_datetime
from urllib.parse import quote

from mlengine.errors import InvalidArgument, NotModified, PreconditionFailed, RangeNotSatisfiable
from mlengine.storage.domain import Hashes, Object, Span
from mlengine.storage.wire import Json, crc32c_text, md5_text, object_etag, text_of

# With `nosniff`, no browser takes these for anything to show.
_NEVER_A_PAGE = frozenset(("", "application/octet-stream"))
_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def claimed_hashes(headers: Mapping[str, str], resource: Json) -> Hashes:
    """The hashes that a sender gives, in the resource, in `x-goog-hash` or in `content-md5`.

    Raises:
        InvalidArgument: one is no base64 of the right length.
    """
    said = {
        "crc32c": text_of(resource, "crc32c"),
        "md5": text_of(resource, "md5Hash") or headers.get("content-md5", ""),
    }
    for item in headers.get("x-goog-hash", "").split(","):
        name, _, value = item.strip().partition("=")
        if name in said:
            said[name] = value
    crc32c = _decoded(said["crc32c"], 4, "crc32c")
    md5 = _decoded(said["md5"], 16, "md5Hash")
    return Hashes(
        crc32c=int.from_bytes(crc32c, "big") if crc32c else None,
        md5=md5.hex() if md5 else None,
        # It verifies uploads by nothing else, and warns its users when it finds none.
        wants_md5=bool(md5) or "gsutil/" in headers.get("user-agent", ""),
    )


def upload_span(headers: Mapping[str, str]) -> Span:
    """What `Content-Range` says about the bytes of a request; without one it brings the whole content.

    Raises:
        InvalidArgument: it cannot be read.
    """
    text = headers.get("content-range", "").strip()
    if not text:
        return Span(start=0, last=True)
    match = _CONTENT_RANGE.fullmatch(text)
    if not match:
        raise InvalidArgument(
            f"The Content-Range '{text[:80]}' cannot be read.",
            hint="Write bytes FIRST-LAST/TOTAL, FIRST-LAST/* or */TOTAL.",
        )
    first, last, total = match.groups()
    span = Span(
        start=None if first is None else int(first),
        end=None if last is None else int(last) + 1,
        total=None if total == "*" else int(total),
    )
    if (
        span.start is not None
        and span.end is not None
        and (span.end < span.start or (span.total is not None and span.end > span.total))
    ):
        raise InvalidArgument(f"The Content-Range '{text}' contradicts itself.")
    return span


def body_length(fields: Mapping[str, str]) -> int | None:
    """Length of the body, if the sender tells."""
    text = fields.get("content-length", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The span that a `Range` header asks for, as far as it exists; None for the whole content.

    Raises:
        RangeNotSatisfiable: it lies past the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
        empty = match[2].strip("0") == ""
    else:
        start, end = int(match[1]), size if match[2] == "" else min(int(match[2]) + 1, size)
        if match[2] and int(match[2]) < start:
            return None
        empty = False
    if empty or start >= size:
        raise RangeNotSatisfiable(f"The range {header[:80]} lies past the end of {size} bytes.", size=size)
    return start, end


def check_tags(fields: Mapping[str, str], found: Object) -> None:
    """Compare with `If-Match` and `If-None-Match` of a request that reads; header names in small letters.

    Raises:
        PreconditionFailed: the client wants another state of the object.
        NotModified: it has this one already.
    """
    tag = object_etag(found)
    wanted, unwanted = (_tags(fields.get(name, "")) for name in ("if-match", "if-none-match"))
    if wanted and not wanted & {tag, "*"}:
        raise PreconditionFailed(f"{found.url} is no longer what If-Match names: its ETag is {tag}.")
    if unwanted & {tag, "*"}:
        raise NotModified(f"{found.url} is what If-None-Match names.")


def asked_range(fields: Mapping[str, str], found: Object) -> str:
    """The `Range` of a request, unless it is only meant for another state of the object (`If-Range`)."""
    condition = fields.get("if-range", "").strip()
    if condition not in ("", f'"{object_etag(found)}"', _date(found)):
        return ""
    return fields.get("range", "")


def download_headers(found: Object) -> dict[str, str]:
    """The header fields that go with a content."""
    hashes = [f"crc32c={crc32c_text(found.crc32c)}", *([f"md5={md5_text(found.md5)}"] if found.md5 else [])]
    said = found.attributes
    headers = {
        "etag": f'"{object_etag(found)}"',
        "last-modified": _date(found),
        "accept-ranges": "bytes",
        "x-goog-hash": ",".join(hashes),
        "x-goog-generation": str(found.generation),
        "x-goog-metageneration": str(found.metageneration),
        "x-goog-storage-class": header(said.storage_class),
        "x-goog-stored-content-length": str(found.size),
        "x-goog-stored-content-encoding": header(said.content_encoding) or "identity",
        "x-content-type-options": "nosniff",
    }
    if said.content_type not in _NEVER_A_PAGE:
        # What users store must never run as a page of this server, which serves others too.
        headers["content-security-policy"] = "sandbox"
    for name, value in (
        ("content-encoding", said.content_encoding),
        ("content-disposition", said.content_disposition),
        ("content-language", said.content_language),
        ("cache-control", said.cache_control),
    ):
        if value:
            headers[name] = header(value)
    return headers


def header(value: str) -> str:
    """A value for a header field: what is not ASCII goes as UTF-8, which servers write as Latin-1."""
    return value.encode().decode("latin-1")


def upload_url(base_url: str, bucket: str, upload_id: str) -> str:
    """Where the next bytes of an upload go."""
    path = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o"
    return f"{base_url}{path}?uploadType=resumable&upload_id={upload_id}"


def _date(found: Object) -> str:
    return format_datetime(found.updated.astimezone(UTC), usegmt=True)


def _tags(field: str) -> set[str]:
    return {tag.strip().removeprefix("W/").strip('"') for tag in field.split(",") if tag.strip()}


def _decoded(text: str, length: int, name: str) -> bytes:
    if not text:
        return b""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length:
        raise InvalidArgument(f"{name} must be {length} bytes in base64, not '{text[:60]}'.")
    return raw
