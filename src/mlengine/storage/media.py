"""Handlers that move contents: uploads in one request or many, and downloads."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl
from mlengine.storage import headers, wire
from mlengine.storage.domain import Attributes, Conditions, Object
from mlengine.storage.service import StorageService
from mlengine.storage.uploads import Standing
from mlengine.web.method import Call, Json, Reply
from mlengine.web.multipart import MultipartReader, boundary_of


class Media:
    """Uploads and downloads over HTTP."""

    def __init__(self, service: StorageService) -> None:
        self._service = service

    def upload(self, call: Call) -> Json | Reply:
        """`objects.insert`, in whichever of the three ways."""
        if "upload_id" in call.query:
            return self.send(call)
        kind = call.query.get("uploadType") or call.headers.get("x-goog-upload-protocol", "")
        if kind == "media":
            return self._simple(call)
        if kind == "multipart":
            return self._multipart(call)
        if kind == "resumable":
            return self._start(call)
        raise InvalidArgument(f"uploadType must be media, multipart or resumable, not '{kind[:40]}'.")

    def send(self, call: Call) -> Json | Reply:
        """The next bytes of an upload in many requests, or the question how it stands."""
        standing = self._service.uploads.send(
            call.path["bucket"],
            call.query.get("upload_id", ""),
            headers.upload_span(call.headers),
            call.body,
            claimed=headers.claimed_hashes(call.headers, {}),
        )
        if standing.done:
            return wire.object_json(standing.done, call.base_url)
        return unfinished(standing, call)

    def cancel(self, call: Call) -> Reply:
        """Drop an upload; 499 is what Google answers to that."""
        self._service.uploads.cancel(call.path["bucket"], call.query.get("upload_id", ""))
        return Reply(status=499)

    def download(
        self,
        call: Call,
        conditions: Conditions | None = None,
        describe: Callable[[Object], dict[str, str]] = headers.download_headers,
    ) -> Reply:
        """The content of an object, or a range of it; gzip is undone for whoever does not take it.

        Args:
            conditions: What must hold; None for what the query asks.
            describe: The header fields that go with it.
        """
        accepts_gzip = "gzip" in call.headers.get("accept-encoding", "")
        partial: list[tuple[int, int]] = []

        def span(found: Object) -> tuple[int, int]:
            headers.check_tags(call.headers, found)
            unpack = found.attributes.content_encoding == "gzip" and not accepts_gzip
            asked = "" if unpack else headers.asked_range(call.headers, found)
            wanted = headers.byte_range(asked, found.size)
            partial[:] = [wanted] if wanted else []
            return wanted or (0, found.size)

        found, pieces = self._service.open(
            ObjectUrl(call.path["bucket"], call.path["object"]),
            span=span,
            generation=wire.number(call.query, "generation"),
            conditions=wire.conditions(call.query) if conditions is None else conditions,
        )
        fields = describe(found)
        # As a field of its own, or the framework would add a charset to it.
        fields["content-type"] = headers.header(found.attributes.content_type) or "application/octet-stream"
        if found.attributes.content_encoding == "gzip" and not accepts_gzip:
            fields.pop("content-encoding")
            fields["warning"] = "214 UploadServer gunzipped"
            return Reply(content=_unpacked(pieces), headers=fields)
        start, end = partial[0] if partial else (0, found.size)
        if partial:
            fields["content-range"] = f"bytes {start}-{end - 1}/{found.size}"
        return Reply(
            content=pieces,
            status=206 if partial else 200,
            headers=fields,
            length=end - start,
        )

    def _simple(self, call: Call) -> Json:
        attributes = Attributes(
            content_type=call.headers.get("content-type", ""),
            content_encoding=call.query.get("contentEncoding") or call.headers.get("content-encoding", ""),
        )
        new = self._service.put(
            ObjectUrl(call.path["bucket"], call.query.get("name", "")),
            call.body,
            attributes=attributes,
            conditions=wire.conditions(call.query),
            claimed=headers.claimed_hashes(call.headers, {}),
            expected=headers.body_length(call.headers),
        )
        return wire.object_json(new, call.base_url)

    def _multipart(self, call: Call) -> Json:
        reader = MultipartReader(call.body, boundary_of(call.headers.get("content-type", "")))
        if reader.next_part() is None:
            raise InvalidArgument("The body has no parts.", hint="The first is JSON, the second the content.")
        resource = _json(reader.small())
        media = reader.next_part()
        if media is None:
            raise InvalidArgument("The body has one part only.", hint="The second part is the content.")
        attributes = wire.attributes(resource)
        if not attributes.content_type:
            attributes = replace(attributes, content_type=media.get("content-type", "").replace("*/*", ""))
        if not attributes.content_encoding:
            attributes = replace(attributes, content_encoding=call.query.get("contentEncoding", ""))
        new = self._service.put(
            ObjectUrl(call.path["bucket"], _name(call, resource)),
            reader.content(),
            attributes=attributes,
            conditions=wire.conditions(call.query),
            claimed=headers.claimed_hashes(call.headers, resource),
        )
        reader.drain()
        return wire.object_json(new, call.base_url)

    def _start(self, call: Call) -> Reply:
        resource = call.json()
        attributes = wire.attributes(resource)
        if not attributes.content_type:
            attributes = replace(attributes, content_type=call.headers.get("x-upload-content-type", ""))
        upload_id = self._service.uploads.start(
            ObjectUrl(call.path["bucket"], _name(call, resource)),
            attributes=attributes,
            conditions=wire.conditions(call.query),
            claimed=headers.claimed_hashes(call.headers, resource),
            total=wire.number(call.headers, "x-upload-content-length"),
        )
        return Reply(
            headers={
                "location": headers.upload_url(call.base_url, call.path["bucket"], upload_id),
                "x-guploader-uploadid": upload_id,
            }
        )


def _name(call: Call, resource: Json) -> str:
    name = call.query.get("name") or resource.get("name") or ""
    if not isinstance(name, str):
        raise InvalidArgument(f"name must be a string, not {name!r}.")
    return name


def _json(raw: bytes) -> Json:
    return Call(path={}, body=iter((raw,))).json()


def unfinished(standing: Standing, call: Call) -> Reply:
    """How an upload stands: 308, or for clients that would follow that as a redirection, 200 with a note."""
    fields = {"range": f"bytes=0-{standing.received - 1}"} if standing.received else {}
    if call.headers.get("x-guploader-no-308") == "yes":
        return Reply(headers=fields | {"x-http-status-code-override": "308"})
    return Reply(status=308, headers=fields)


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Gzip undone, also of several members in a row."""
    unpacker = zlib.decompressobj(wbits=31)
    for piece in pieces:
        while piece:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=31)
            # In bounded steps: a small piece may unpack to a thousand times its size.
            if unpacked := unpacker.decompress(piece, 1 << 20):
                yield unpacked
            piece = unpacker.unconsumed_tail or unpacker.unused_data
    if rest := unpacker.flush():
        yield rest
