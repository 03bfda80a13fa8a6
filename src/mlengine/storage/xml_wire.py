"""Buckets, objects and problems as the Storage XML API spells them: elements, and fields of the head.

Apart from `wire`, because nothing is spelled alike: names, numbers, conditions, even the listing's pages.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl, check_bucket
from mlengine.storage import headers, wire
from mlengine.storage.domain import Attributes, Conditions, Listing, ListQuery, Object, Part, past

MEDIA_TYPE = "application/xml; charset=UTF-8"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_META = "x-goog-meta-"
# Fields of the head, and what they say about a content.
_FIELDS = {
    "content-type": "content_type",
    "content-encoding": "content_encoding",
    "content-disposition": "content_disposition",
    "content-language": "content_language",
    "cache-control": "cache_control",
    "x-goog-custom-time": "custom_time",
    "x-goog-storage-class": "storage_class",
}
_CONDITIONS = {
    "generation": "generation-match",
    "not_generation": "generation-not-match",
    "metageneration": "metageneration-match",
    "not_metageneration": "metageneration-not-match",
}
_SPECIAL = re.compile(r"[&<>\"\x00-\x08\x0b\x0c\x0e-\x1f\r\n\t]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """What a listing was asked for, as its answer repeats it.

    Attributes:
        second: Whether it is the second version (`list-type=2`).
        begin: `start-after` in the second version, `marker` in the first.
        token: `continuation-token`.
        encoded: Whether names are to be percent-encoded, as some cannot stand in XML at all.
        limit: `max-keys`.
    """

    query: ListQuery
    second: bool
    begin: str
    token: str
    encoded: bool
    limit: int


def list_request(query: Mapping[str, str]) -> ListRequest:
    """The parameters of a listing.

    Raises:
        InvalidArgument: one cannot be read.
    """
    second = query.get("list-type", "") == "2"
    if query.get("list-type", "2") != "2":
        raise InvalidArgument(f"list-type must be 2 or not be there, not '{query['list-type'][:40]}'.")
    encoding = query.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise InvalidArgument(f"encoding-type must be url or not be there, not '{encoding[:40]}'.")
    asked = wire.number(query, "max-keys")
    limit = 1000 if asked is None else min(asked, 1000)
    delimiter = query.get("delimiter", "")
    begin = query.get("start-after" if second else "marker", "")
    token = query.get("continuation-token", "") if second else ""
    # A marker that is a folded prefix stands for all names in it.
    folded = not second and delimiter and begin.endswith(delimiter)
    start = (past(begin.encode()) if folded else begin.encode() + b"\0") if begin else b""
    try:
        continued = base64.b64decode(token, altchars=b"-_", validate=True)
        continued.decode()
    except (binascii.Error, ValueError):
        raise InvalidArgument("The continuation token is not from this list.") from None
    return ListRequest(
        query=ListQuery(
            prefix=query.get("prefix", ""),
            delimiter=delimiter,
            token=max(continued, start or b""),
            limit=max(limit, 1),
        ),
        second=second,
        begin=begin,
        token=token,
        encoded=encoding == "url",
        limit=limit,
    )


def listing_xml(bucket: str, asked: ListRequest, page: Listing) -> bytes:
    """A page as a `ListBucketResult`; of a page for no entries at all there is no next one."""

    def name(text: str) -> str:
        return quote(text, safe="/") if asked.encoded else text

    items, prefixes = (page.items, page.prefixes) if asked.limit else ((), ())
    more = bool(page.token and asked.limit)
    content = [
        element("Name", bucket),
        element("Prefix", name(asked.query.prefix)),
        element("MaxKeys", asked.limit),
        element("IsTruncated", "true" if more else "false"),
    ]
    if asked.query.delimiter:
        content.append(element("Delimiter", name(asked.query.delimiter)))
    if asked.encoded:
        content.append(element("EncodingType", "url"))
    if asked.second:
        content.append(element("KeyCount", len(items) + len(prefixes)))
        if asked.begin:
            content.append(element("StartAfter", name(asked.begin)))
        if asked.token:
            content.append(element("ContinuationToken", asked.token))
        if more:
            token = base64.urlsafe_b64encode(page.token).decode()
            content.append(element("NextContinuationToken", token))
    else:
        content.append(element("Marker", name(asked.begin)))
        if more:
            last = max([*(item.name for item in items), *prefixes], key=str.encode)
            content.append(element("NextMarker", name(last)))
    for item in items:
        entry = (
            element("Key", name(item.name)),
            element("Generation", item.generation),
            element("MetaGeneration", item.metageneration),
            element("LastModified", _time(item.updated)),
            element("ETag", etag(item)),
            element("Size", item.size),
            element("StorageClass", item.attributes.storage_class),
        )
        content.append(f"<Contents>{''.join(entry)}</Contents>")
    content += [f"<CommonPrefixes>{element('Prefix', name(prefix))}</CommonPrefixes>" for prefix in prefixes]
    return document("ListBucketResult", *content)


def parts_xml(url: ObjectUrl, upload_id: str, parts: Sequence[Part]) -> bytes:
    """The parts of an upload as a `ListPartsResult`."""
    content = [element("Bucket", url.bucket), element("Key", url.object), element("UploadId", upload_id)]
    for part in parts:
        entry = (
            element("PartNumber", part.number),
            element("LastModified", _time(part.stored)),
            element("ETag", f'"{part.md5}"'),
            element("Size", part.size),
        )
        content.append(f"<Part>{''.join(entry)}</Part>")
    return document("ListPartsResult", *content, element("IsTruncated", "false"))


def started_xml(url: ObjectUrl, upload_id: str) -> bytes:
    """An upload in parts that begins."""
    return document(
        "InitiateMultipartUploadResult",
        element("Bucket", url.bucket),
        element("Key", url.object),
        element("UploadId", upload_id),
    )


def joined_xml(new: Object, base_url: str) -> bytes:
    """An upload in parts that has become an object."""
    return document(
        "CompleteMultipartUploadResult",
        element("Location", f"{base_url}{path_of(new.url)}"),
        element("Bucket", new.bucket),
        element("Key", new.name),
        element("ETag", etag(new)),
    )


def copied_xml(new: Object) -> bytes:
    """A copy that is made."""
    return document(
        "CopyObjectResult", element("LastModified", _time(new.updated)), element("ETag", etag(new))
    )


def wanted_parts(raw: bytes) -> list[tuple[int, str]]:
    """Number and ETag of each part that a `CompleteMultipartUpload` names.

    Raises:
        InvalidArgument: it cannot be read.
    """
    # Entities could make gigabytes of a small body, and nobody needs them here.
    if b"<!" in raw:
        raise InvalidArgument("The list of parts must be plain XML, without declarations.")
    try:
        root = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ExpatError, ValueError, LookupError) as error:
        raise InvalidArgument(f"The list of parts is no XML: {error}.") from None
    wanted: list[tuple[int, str]] = []
    for item in root:
        said = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in item}
        number = wire.number(said, "PartNumber")
        if number is None:
            raise InvalidArgument("A part has no PartNumber.")
        wanted.append((number, said.get("ETag", "").strip('"')))
    return wanted


def attributes(fields: Mapping[str, str]) -> Attributes:
    """What the head of a request says about its content; header names are in small letters.

    Raises:
        InvalidArgument: a value holds control characters.
    """
    said: dict[str, Any] = {name: text(fields[field]) for field, name in _FIELDS.items() if fields.get(field)}
    metadata = {
        name.removeprefix(_META): text(value) for name, value in fields.items() if name.startswith(_META)
    }
    return replace(Attributes(metadata=metadata), **said)


def object_fields(found: Object) -> dict[str, str]:
    """The header fields that go with an object: what goes with its content, and the owner's own."""
    fields = headers.download_headers(found)
    if found.attributes.custom_time:
        fields["x-goog-custom-time"] = headers.header(found.attributes.custom_time)
    if found.components:
        fields["x-goog-component-count"] = str(found.components)
    for name, value in found.attributes.metadata.items():
        # A name that is no token would break the head; the JSON API shows it.
        if _TOKEN.fullmatch(name) and not re.search(r"[\x00-\x1f\x7f]", value):
            fields[_META + name.lower()] = headers.header(value)
    return fields


def stored_fields(new: Object) -> dict[str, str]:
    """The header fields of the answer to a write."""
    kept = ("etag", "last-modified", "x-goog-hash", "x-goog-generation", "x-goog-metageneration")
    sized = ("x-goog-stored-content-length", "x-goog-stored-content-encoding", "x-goog-storage-class")
    fields = headers.download_headers(new)
    return {name: fields[name] for name in (*kept, *sized)}


def conditions(fields: Mapping[str, str], prefix: str = "x-goog-if-") -> Conditions:
    """`x-goog-if-generation-match` and its kin.

    Raises:
        InvalidArgument: one is no number.
    """
    return Conditions(**{name: wire.number(fields, prefix + field) for name, field in _CONDITIONS.items()})


def write_conditions(fields: Mapping[str, str]) -> Conditions:
    """The same, and what `If-Match` and `If-None-Match` ask of the object that is to be written over.

    Raises:
        InvalidArgument: one cannot be read, or asks for what cannot be had.
    """
    found = conditions(fields)
    match, none_match = fields.get("if-match", "").strip(), fields.get("if-none-match", "").strip()
    if none_match not in ("", "*"):
        raise InvalidArgument("A request that writes can ask for If-None-Match: * only.")
    if none_match:
        found = replace(found, generation=0)
    if match == "*":
        return replace(found, not_generation=0)
    if not match:
        return found
    try:
        numbers = base64.b64decode(match.removeprefix("W/").strip('"'), validate=True).split(b"/")
        generation, metageneration = map(int, numbers)
    except (binascii.Error, ValueError):
        # No ETag that an object of ours ever had, so no object matches; generation 1 is none either.
        generation, metageneration = 1, 1
    return replace(found, generation=generation, metageneration=metageneration)


def copy_source(field: str) -> ObjectUrl:
    """What `x-goog-copy-source` names: BUCKET/OBJECT, percent-encoded.

    Raises:
        InvalidArgument: it names no object.
    """
    bucket, _, name = field.strip().removeprefix("/").partition("/")
    if not name:
        raise InvalidArgument(
            f"x-goog-copy-source '{field[:200]}' names no object.", hint="Write /BUCKET/OBJECT."
        )
    return ObjectUrl(check_bucket(unquote(bucket)), unquote(name))


def etag(found: Object) -> str:
    """The ETag of an object, in its quotes."""
    return f'"{wire.object_etag(found)}"'


def path_of(url: ObjectUrl) -> str:
    """Where an object is in this API."""
    return f"/{quote(url.bucket, safe='')}/{quote(url.object, safe='/')}"


def text(value: str) -> str:
    """A field's value as its sender meant it: servers read UTF-8 as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def error_xml(word: str, message: str, more: Mapping[str, str]) -> bytes:
    """A problem: a word for programs, a sentence for people, and what else helps."""
    return document(
        "Error",
        element("Code", word),
        element("Message", message),
        element("Details", more.get("Details", message)),
        *(element(name, value) for name, value in more.items() if name != "Details"),
        namespace="",
    )


def element(name: str, value: object) -> str:
    """One element of text. Control characters become references, which XML 1.0 forbids but most can read."""
    said = _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", str(value))
    return f"<{name}>{said}</{name}>"


def document(name: str, *content: str, namespace: str = _NAMESPACE) -> bytes:
    """A whole document."""
    said = f' xmlns="{namespace}"' if namespace else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}{said}>{"".join(content)}</{name}>'.encode()


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
