"""The URLs of the Storage JSON API."""

from __future__ import annotations

from collections.abc import Callable

from mlengine.errors import InvalidArgument, NotModified, RangeNotSatisfiable
from mlengine.names import ObjectUrl
from mlengine.storage import formalities, headers, wire
from mlengine.storage.domain import Bucket, Object
from mlengine.storage.media import Media
from mlengine.storage.service import Source, StorageService
from mlengine.web.batch import Batch
from mlengine.web.envelope import envelope, http_code
from mlengine.web.method import Call, Handler, Json, Method, Reply
from mlengine.web.partial import masked, parse_mask

_BUCKET = "/storage/v1/b/{bucket}"
_OBJECT = _BUCKET + "/o/{object+}"


def methods(
    service: StorageService, guard: Callable[[list[Method]], list[Method]] = lambda rows: rows
) -> list[Method]:
    """The rows of the JSON API, the batch and our own.

    Args:
        guard: Stands before each call of a batch, as it does before those that come alone.
    """
    media = Media(service)
    formal = [_row(*row) for row in formalities.rows(service)]
    small = [*_bucket_rows(service), *_object_rows(service, media), *formal]
    batch = Method(
        id="storage.batch",
        verb="POST",
        path="/batch/storage/v1",
        handler=Batch(guard(small)).run,
        summary="Many calls that move no contents, in one request.",
    )
    return [*small, *_media_rows(media), batch, _fsck_row(service)]


def _bucket_rows(service: StorageService) -> list[Method]:
    buckets = service.buckets

    def insert(call: Call) -> Json:
        resource = call.json()
        name = resource.get("name")
        if not isinstance(name, str):
            raise InvalidArgument("The bucket needs a name.", hint='Send {"name": "…"}.')
        project = buckets.project(call.query.get("project", ""))
        if not project:
            raise InvalidArgument(
                "Required parameter: project.", hint="Set GOOGLE_CLOUD_PROJECT, or name a project."
            )
        # What a bucket cannot do is refused before it is made.
        now = service.now()
        asked = wire.changed_bucket(Bucket(name=name, project=project, created=now, updated=now), resource)
        location = resource.get("location") or asked.location
        bucket = buckets.create(
            name,
            asked.project,
            location=str(location).upper(),
            storage_class=asked.storage_class,
            labels=asked.labels,
            versioning=asked.versioning,
        )
        return wire.bucket_json(bucket, call.base_url)

    def get(call: Call) -> Json:
        bucket = buckets.get(call.path["bucket"], wire.conditions(call.query))
        return wire.bucket_json(bucket, call.base_url)

    def list_(call: Call) -> Json:
        limit = wire.page_size(call.query)
        found = buckets.list(
            call.query.get("project", ""),
            prefix=call.query.get("prefix", ""),
            after=wire.after(call.query),
            limit=limit + 1,
        )
        return wire.buckets_json(found, limit=limit, base_url=call.base_url)

    def patch(call: Call) -> Json:
        resource = call.json()
        bucket = buckets.change(
            call.path["bucket"], lambda old: wire.changed_bucket(old, resource), wire.conditions(call.query)
        )
        return wire.bucket_json(bucket, call.base_url)

    def delete(call: Call) -> Reply:
        buckets.delete(call.path["bucket"], wire.conditions(call.query))
        return Reply(status=204)

    return [
        _row("storage.buckets.insert", "POST", "/storage/v1/b", insert, "Make a bucket."),
        _row("storage.buckets.list", "GET", "/storage/v1/b", list_, "A project's buckets, a page at a time."),
        _row("storage.buckets.get", "GET", _BUCKET, get, "One bucket."),
        _row("storage.buckets.patch", "PATCH", _BUCKET, patch, "Change labels, class or versioning."),
        _row("storage.buckets.delete", "DELETE", _BUCKET, delete, "Delete an empty bucket."),
    ]


def _object_rows(service: StorageService, media: Media) -> list[Method]:
    def get(call: Call) -> Json | Reply:
        if call.query.get("alt") == "media":
            return media.download(call)
        found = service.get(
            _url(call),
            generation=wire.number(call.query, "generation"),
            conditions=wire.conditions(call.query),
        )
        headers.check_tags(call.headers, found)
        return wire.object_json(found, call.base_url)

    def list_(call: Call) -> Json:
        page = service.list(call.path["bucket"], wire.list_query(call.query))
        return wire.listing_json(page, call.base_url)

    def patch(call: Call) -> Json:
        resource = call.json()
        return wire.object_json(
            service.change(
                _url(call),
                lambda old: wire.attributes(resource, onto=old),
                generation=wire.number(call.query, "generation"),
                conditions=wire.conditions(call.query),
            ),
            call.base_url,
        )

    def update(call: Call) -> Json:
        resource = call.json()
        return wire.object_json(
            service.change(
                _url(call),
                lambda _: wire.attributes(resource),
                generation=wire.number(call.query, "generation"),
                conditions=wire.conditions(call.query),
            ),
            call.base_url,
        )

    def delete(call: Call) -> Reply:
        service.delete(
            _url(call),
            generation=wire.number(call.query, "generation"),
            conditions=wire.conditions(call.query),
        )
        return Reply(status=204)

    def copy(call: Call) -> Json:
        return wire.object_json(_copied(service, call), call.base_url)

    def rewrite(call: Call) -> Json:
        return wire.rewrite_json(_copied(service, call), call.base_url)

    def move(call: Call) -> Json:
        target = ObjectUrl(call.path["bucket"], call.path["target"])
        new = service.copy(_source(call), target, conditions=wire.conditions(call.query), move=True)
        return wire.object_json(new, call.base_url)

    def compose(call: Call) -> Json:
        body = call.json()
        resource = wire.inner(body, "destination")
        new = service.compose(
            _url(call),
            [
                Source(url=ObjectUrl(call.path["bucket"], name), generation=generation, conditions=conditions)
                for name, generation, conditions in wire.sources(body)
            ],
            attributes=wire.attributes(resource) if resource else None,
            conditions=wire.conditions(call.query),
        )
        return wire.object_json(new, call.base_url)

    target = "/b/{target_bucket}/o/{target+}"
    return [
        _row("storage.objects.list", "GET", _BUCKET + "/o", list_, "A bucket's objects, a page at a time."),
        _row(
            "storage.objects.patch", "PATCH", _OBJECT, patch, "Change some of what is said about an object."
        ),
        _row("storage.objects.update", "PUT", _OBJECT, update, "Replace what is said about an object."),
        _row("storage.objects.delete", "DELETE", _OBJECT, delete, "Delete an object."),
        _row("storage.objects.copy", "POST", _OBJECT + "/copyTo" + target, copy, "Copy an object."),
        _row(
            "storage.objects.rewrite",
            "POST",
            _OBJECT + "/rewriteTo" + target,
            rewrite,
            "Copy an object; always complete after one call.",
        ),
        _row("storage.objects.move", "POST", _OBJECT + "/moveTo/o/{target+}", move, "Rename an object."),
        _row("storage.objects.compose", "POST", _OBJECT + "/compose", compose, "Join objects into one."),
        _row(
            "storage.objects.get",
            "GET",
            _OBJECT,
            get,
            "What is known about an object; alt=media: its content.",
        ),
    ]


def _media_rows(media: Media) -> list[Method]:
    rows = [
        _row(
            "storage.objects.download",
            "GET",
            "/download" + _OBJECT,
            media.download,
            "An object's content, or a range of it.",
        )
    ]
    for prefix, noun in (("/upload", ""), ("/resumable/upload", "resumable.")):
        path = prefix + _BUCKET + "/o"
        rows += [
            _row(
                f"storage.objects.{noun}insert", "POST", path, media.upload, "Store an object, or begin to."
            ),
            _row(f"storage.objects.{noun}send", "PUT", path, media.send, "Send more of an upload."),
            _row(f"storage.objects.{noun}cancel", "DELETE", path, media.cancel, "Give an upload up."),
        ]
    return rows


def _fsck_row(service: StorageService) -> Method:
    def fsck(call: Call) -> Json:
        asked = call.json()
        report = service.checks.page(
            wire.text_of(asked, "pageToken"),
            checksums=wire.flag(asked, "checksums"),
            repair=wire.flag(asked, "repair"),
        )
        return wire.report_json(report)

    return _row(
        "mlengine.storage.fsck",
        "POST",
        "/mlengine/v1/storage:fsck",
        fsck,
        "Prove that objects, contents and counters agree, a page at a time.",
    )


def _copied(service: StorageService, call: Call) -> Object:
    resource = call.json()
    return service.copy(
        _source(call),
        ObjectUrl(call.path["target_bucket"], call.path["target"]),
        # An empty resource asks for the attributes of the source; one that says anything replaces them all.
        attributes=wire.attributes(resource) if resource else None,
        conditions=wire.conditions(call.query),
    )


def _url(call: Call) -> ObjectUrl:
    return ObjectUrl(call.path["bucket"], call.path["object"])


def _source(call: Call) -> Source:
    return Source(
        url=_url(call),
        generation=wire.number(call.query, "sourceGeneration"),
        conditions=wire.conditions(call.query, "ifSource"),
    )


def _row(method_id: str, verb: str, path: str, handler: Handler, summary: str) -> Method:
    return Method(id=method_id, verb=verb, path=path, handler=_finished(handler), summary=summary)


def _finished(handler: Handler) -> Handler:
    """`handler` with what every method here knows: `fields`, and outcomes that are no common JSON errors."""

    def finished(call: Call) -> Json | Reply:
        mask = parse_mask(call.query["fields"]) if call.query.get("fields", "").strip() else {}
        try:
            answer = handler(call)
        except NotModified as problem:
            return Reply(status=http_code(problem))
        except RangeNotSatisfiable as problem:
            span = {"content-range": f"bytes */{problem.size}"}
            return Reply(content=envelope(problem), status=http_code(problem), headers=span)
        return masked(answer, mask) if isinstance(answer, dict) else answer

    return finished
