"""The URLs of the Storage XML API, `/BUCKET/OBJECT`: TensorFlow's, obstore's, and those that can be signed.

Apart from `methods`, because names, conditions and errors are spelled in another way here, and because the
paths begin with whatever buckets are called: they need a router of their own (`web.fork`). So a bucket whose
name is the first word of another path of ours ("storage", "upload") is reached by the JSON API only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlengine.errors import (
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotModified,
    PermissionDenied,
    PreconditionFailed,
    Problem,
    QuotaExceeded,
    RangeNotSatisfiable,
    Unauthenticated,
    Unavailable,
)
from mlengine.names import ObjectUrl
from mlengine.storage import headers, wire, xml_wire
from mlengine.storage.domain import Object
from mlengine.storage.media import Media, unfinished
from mlengine.storage.service import Source, StorageService
from mlengine.web.envelope import http_code
from mlengine.web.method import Call, Handler, Json, Method, Reply

Admit = Callable[[Call], Call]

_BUCKET = "/{bucket}"
_OBJECT = "/{bucket}/{object*}"
_LONGEST_LIST = 4 << 20  # 10,000 parts need a quarter of it
# Problems by the words which clients look for, the narrower before the wider.
_WORDS: tuple[tuple[type[Problem], str], ...] = (
    (PreconditionFailed, "PreconditionFailed"),
    (RangeNotSatisfiable, "InvalidRange"),
    (InvalidArgument, "InvalidArgument"),
    (FailedPrecondition, "BadRequest"),
    (Conflict, "OperationAborted"),
    (PermissionDenied, "AccessDenied"),
    (Unauthenticated, "AuthenticationRequired"),
    (QuotaExceeded, "QuotaExceeded"),
    (Unavailable, "ServiceUnavailable"),
)
# Parts of a resource that Google's API has and this one has not: never to be taken for the resource itself.
_NOT_HERE = frozenset(
    {
        "acl",
        "billing",
        "compose",
        "cors",
        "delete",
        "encryption",
        "encryptionConfig",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "object-lock",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "restore",
        "retention",
        "select",
        "storageClass",
        "tagging",
        "torrent",
        "versioning",
        "versions",
        "website",
    }
)


def methods(service: StorageService, admit: Admit) -> list[Method]:
    """The rows of the XML API.

    Args:
        admit: Lets a call pass, in the form in which it is to be answered, or raises PermissionDenied.
    """
    objects, parts = _Objects(service), _Parts(service)

    def get(call: Call) -> Reply:
        return parts.list(call) if "uploadId" in call.query else objects.get(call)

    def put(call: Call) -> Reply:
        if "uploadId" in call.query:
            return parts.put(call)
        if "upload_id" in call.query:
            return objects.send(call)
        return objects.copy(call) if "x-goog-copy-source" in call.headers else objects.put(call)

    def post(call: Call) -> Reply:
        if "uploads" in call.query:
            return parts.start(call)
        if "uploadId" in call.query:
            return parts.join(call)
        if "upload_id" in call.query:
            return objects.send(call)
        if call.headers.get("x-goog-resumable") == "start":
            return objects.start(call)
        raise InvalidArgument(
            "A POST to an object begins or ends an upload.",
            hint="Send ?uploads, ?uploadId=… or the header x-goog-resumable: start; or use PUT.",
        )

    def delete(call: Call) -> Reply:
        if "uploadId" in call.query:
            return parts.abort(call)
        return objects.cancel(call) if "upload_id" in call.query else objects.delete(call)

    rows = [
        ("objects.get", "GET", _OBJECT, get, "An object's content, or a range of it."),
        ("objects.head", "HEAD", _OBJECT, objects.head, "What is known about an object."),
        ("objects.put", "PUT", _OBJECT, put, "Store or copy an object, or a part of one."),
        ("objects.post", "POST", _OBJECT, post, "Begin or end an upload in several requests."),
        ("objects.delete", "DELETE", _OBJECT, delete, "Delete an object, or give an upload up."),
    ]
    for path, noun in ((_BUCKET, "bucket"), (_BUCKET + "/", "bucket.slash")):
        rows += [
            (f"{noun}.list", "GET", path, objects.list, "A bucket's objects, a page at a time."),
            (f"{noun}.head", "HEAD", path, objects.head_bucket, "Whether a bucket is there."),
        ]
    return [
        Method(
            id=f"storage.xml.{name}",
            verb=verb,
            path=path,
            handler=_in_xml(service, admit, handler),
            summary=summary,
        )
        for name, verb, path, handler, summary in rows
    ]


class _Objects:
    """Objects in one request, listings, and resumable uploads."""

    def __init__(self, service: StorageService) -> None:
        self._service = service
        self._media = Media(service)

    def get(self, call: Call) -> Reply:
        reply = self._media.download(call, xml_wire.conditions(call.headers), xml_wire.object_fields)
        return replace(reply, headers={**reply.headers, **_overridden(call)})

    def head(self, call: Call) -> Reply:
        found = self._service.get(
            _url(call),
            generation=wire.number(call.query, "generation"),
            conditions=xml_wire.conditions(call.headers),
        )
        headers.check_tags(call.headers, found)
        fields = xml_wire.object_fields(found) | {
            "content-length": str(found.size),
            "content-type": headers.header(found.attributes.content_type) or "application/octet-stream",
        }
        return Reply(headers=fields | _overridden(call))

    def put(self, call: Call) -> Reply:
        new = self._service.put(
            _url(call),
            call.body,
            attributes=xml_wire.attributes(call.headers),
            conditions=xml_wire.write_conditions(call.headers),
            claimed=headers.claimed_hashes(call.headers, {}),
            expected=headers.body_length(call.headers),
        )
        return _stored(new)

    def copy(self, call: Call) -> Reply:
        fields = call.headers
        directive = fields.get("x-goog-metadata-directive", "COPY").upper()
        if directive not in ("COPY", "REPLACE"):
            raise InvalidArgument(
                f"x-goog-metadata-directive must be COPY or REPLACE, not '{directive[:40]}'."
            )
        source = Source(
            url=xml_wire.copy_source(fields["x-goog-copy-source"]),
            generation=wire.number(fields, "x-goog-copy-source-generation"),
            conditions=xml_wire.conditions(fields, "x-goog-copy-source-if-"),
        )
        new = self._service.copy(
            source,
            _url(call),
            attributes=xml_wire.attributes(fields) if directive == "REPLACE" else None,
            conditions=xml_wire.write_conditions(fields),
        )
        return _document(xml_wire.copied_xml(new), xml_wire.stored_fields(new))

    def delete(self, call: Call) -> Reply:
        self._service.delete(
            _url(call),
            generation=wire.number(call.query, "generation"),
            conditions=xml_wire.write_conditions(call.headers),
        )
        return Reply(status=204)

    def list(self, call: Call) -> Reply:
        if "uploads" in call.query:
            raise _missing("uploads")
        asked = xml_wire.list_request(call.query)
        page = self._service.list(call.path["bucket"], asked.query)
        return _document(xml_wire.listing_xml(call.path["bucket"], asked, page))

    def head_bucket(self, call: Call) -> Reply:
        bucket = self._service.buckets.get(call.path["bucket"])
        return Reply(headers={"x-goog-metageneration": str(bucket.metageneration)})

    def start(self, call: Call) -> Reply:
        url = _url(call)
        upload_id = self._service.uploads.start(
            url,
            attributes=xml_wire.attributes(call.headers),
            conditions=xml_wire.write_conditions(call.headers),
            claimed=headers.claimed_hashes(call.headers, {}),
            total=wire.number(call.headers, "x-upload-content-length"),
        )
        location = f"{call.base_url}{xml_wire.path_of(url)}?upload_id={upload_id}"
        return Reply(status=201, headers={"location": location, "x-guploader-uploadid": upload_id})

    def send(self, call: Call) -> Reply:
        standing = self._service.uploads.send(
            call.path["bucket"],
            call.query["upload_id"],
            headers.upload_span(call.headers),
            call.body,
            claimed=headers.claimed_hashes(call.headers, {}),
        )
        return _stored(standing.done) if standing.done else unfinished(standing, call)

    def cancel(self, call: Call) -> Reply:
        return self._media.cancel(call)


class _Parts:
    """Uploads in parts."""

    def __init__(self, service: StorageService) -> None:
        self._parts = service.parts

    def start(self, call: Call) -> Reply:
        upload_id = self._parts.start(
            _url(call),
            attributes=xml_wire.attributes(call.headers),
            conditions=xml_wire.write_conditions(call.headers),
        )
        return _document(xml_wire.started_xml(_url(call), upload_id))

    def put(self, call: Call) -> Reply:
        if "x-goog-copy-source" in call.headers:
            raise InvalidArgument("A part cannot be copied from an object.", hint="Send its content.")
        number = wire.number(call.query, "partNumber")
        if number is None:
            raise InvalidArgument("The part needs a number.", hint="Give it as partNumber=….")
        part = self._parts.put(
            _url(call),
            call.query["uploadId"],
            number,
            call.body,
            claimed=headers.claimed_hashes(call.headers, {}),
        )
        hashes = f"crc32c={wire.crc32c_text(part.crc32c)},md5={wire.md5_text(part.md5)}"
        return Reply(headers={"etag": f'"{part.md5}"', "x-goog-hash": hashes})

    def list(self, call: Call) -> Reply:
        upload_id = call.query["uploadId"]
        return _document(xml_wire.parts_xml(_url(call), upload_id, self._parts.list(_url(call), upload_id)))

    def join(self, call: Call) -> Reply:
        new = self._parts.join(
            _url(call),
            call.query["uploadId"],
            xml_wire.wanted_parts(call.read(limit=_LONGEST_LIST)),
            conditions=xml_wire.write_conditions(call.headers),
            claimed=headers.claimed_hashes({"x-goog-hash": call.headers.get("x-goog-hash", "")}, {}),
        )
        return _document(xml_wire.joined_xml(new, call.base_url), xml_wire.stored_fields(new))

    def abort(self, call: Call) -> Reply:
        self._parts.abort(_url(call), call.query["uploadId"])
        return Reply(status=204)


def _url(call: Call) -> ObjectUrl:
    return ObjectUrl(call.path["bucket"], call.path["object"])


def _overridden(call: Call) -> dict[str, str]:
    """Fields that the URL itself asks for, as signed URLs for browsers do."""
    asked = {
        name.removeprefix("response-"): value
        for name, value in call.query.items()
        if name in ("response-content-type", "response-content-disposition") and value
    }
    for name, value in asked.items():
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise InvalidArgument(f"response-{name} must hold no control characters.")
    return {name: headers.header(value) for name, value in asked.items()}


def _stored(new: Object) -> Reply:
    return Reply(headers=xml_wire.stored_fields(new))


def _document(content: bytes, fields: dict[str, str] | None = None) -> Reply:
    return Reply(content=content, headers=fields or {}, media_type=xml_wire.MEDIA_TYPE)


def _missing(name: str) -> InvalidArgument:
    return InvalidArgument(f"?{name} is not available in this version of mlengine.")


def _in_xml(service: StorageService, admit: Admit, handler: Handler) -> Handler:
    """`handler` for those who may, with its problems said in XML."""

    def answered(call: Call) -> Json | Reply:
        try:
            call = admit(call)
            if missing := _NOT_HERE & call.query.keys():
                raise _missing(min(missing))
            return handler(call)
        except Problem as problem:
            return _error(problem, _word(service, call, problem))

    return answered


def _word(service: StorageService, call: Call, problem: Problem) -> str:
    """The word for a problem; whoever raised it may have said one."""
    for detail in problem.details:
        if reason := detail.get("reason"):
            return str(reason)
    if not isinstance(problem, NotFound):
        return next((word for kind, word in _WORDS if isinstance(problem, kind)), "InternalError")
    try:
        service.buckets.get(call.path["bucket"])
    except Problem:
        return "NoSuchBucket"
    return "NoSuchUpload" if call.query.keys() & {"uploadId", "upload_id"} else "NoSuchKey"


def _error(problem: Problem, word: str) -> Reply:
    if isinstance(problem, NotModified):
        return Reply(status=http_code(problem))
    fields: dict[str, str] = {}
    if isinstance(problem, RangeNotSatisfiable):
        fields["content-range"] = f"bytes */{problem.size}"
    more = {
        str(name): str(value)
        for detail in problem.details
        for name, value in (detail.get("metadata") or {}).items()
    }
    return Reply(
        content=xml_wire.error_xml(word, str(problem), more),
        # Not 429: clients would send the same again and again, and waiting makes no room.
        status=http_code(problem),
        headers=fields,
        media_type=xml_wire.MEDIA_TYPE,
    )
