"""Buckets and objects as the Storage JSON API spells them: camelCase, base64, numbers as text."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from mlengine.errors import InvalidArgument
from mlengine.storage.domain import Attributes, Bucket, Conditions, Listing, ListQuery, Object, Report

Json = dict[str, Any]

# Of a resource that clients send: what they may set.
_SETTABLE = {
    "contentType": "content_type",
    "contentEncoding": "content_encoding",
    "contentDisposition": "content_disposition",
    "contentLanguage": "content_language",
    "cacheControl": "cache_control",
    "customTime": "custom_time",
    "storageClass": "storage_class",
}
# Promises about a bucket that are not kept here: better refused than forgotten.
_NOT_KEPT = (
    "retentionPolicy",
    "hierarchicalNamespace",
    "lifecycle",
    "encryption",
    "objectRetention",
)
_MOST_LISTED = 1000


def bucket_json(bucket: Bucket, base_url: str) -> Json:
    """A bucket as a `storage#bucket`."""
    answer: Json = {
        "kind": "storage#bucket",
        "id": bucket.name,
        "selfLink": f"{base_url}/storage/v1/b/{quoted(bucket.name)}",
        "name": bucket.name,
        "location": bucket.location,
        "locationType": "region" if "-" in bucket.location else "multi-region",
        "storageClass": bucket.storage_class,
        "metageneration": str(bucket.metageneration),
        "timeCreated": _time(bucket.created),
        "updated": _time(bucket.updated),
        "etag": _etag(bucket.metageneration),
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
    }
    if bucket.labels:
        answer["labels"] = dict(bucket.labels)
    if bucket.versioning:
        answer["versioning"] = {"enabled": True}
    return answer


def object_json(found: Object, base_url: str) -> Json:
    """An object as a `storage#object`."""
    path = f"b/{quoted(found.bucket)}/o/{quoted(found.name)}"
    answer: Json = {
        "kind": "storage#object",
        "id": f"{found.bucket}/{found.name}/{found.generation}",
        "selfLink": f"{base_url}/storage/v1/{path}",
        "mediaLink": f"{base_url}/download/storage/v1/{path}?generation={found.generation}&alt=media",
        "name": found.name,
        "bucket": found.bucket,
        "generation": str(found.generation),
        "metageneration": str(found.metageneration),
        "size": str(found.size),
        "crc32c": crc32c_text(found.crc32c),
        "etag": object_etag(found),
        "timeCreated": _time(found.created),
        "updated": _time(found.updated),
        "timeStorageClassUpdated": _time(found.created),
        "timeFinalized": _time(found.created),
    }
    if found.md5:
        answer["md5Hash"] = md5_text(found.md5)
    if found.deleted:
        answer["timeDeleted"] = _time(found.deleted)
    if found.components:
        answer["componentCount"] = found.components
    for wire, name in _SETTABLE.items():
        if value := getattr(found.attributes, name):
            answer[wire] = value
    if found.attributes.metadata:
        answer["metadata"] = dict(found.attributes.metadata)
    return answer


def listing_json(page: Listing, base_url: str) -> Json:
    """A page as `storage#objects`."""
    answer: Json = {"kind": "storage#objects"}
    if page.token:
        answer["nextPageToken"] = base64.urlsafe_b64encode(page.token).decode()
    if page.prefixes:
        answer["prefixes"] = list(page.prefixes)
    if page.items:
        answer["items"] = [object_json(item, base_url) for item in page.items]
    return answer


def rewrite_json(new: Object, base_url: str) -> Json:
    """The answer to a rewrite, which always is complete at once."""
    return {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(new.size),
        "objectSize": str(new.size),
        "done": True,
        "resource": object_json(new, base_url),
    }


def list_query(query: Mapping[str, str]) -> ListQuery:
    """The parameters of `objects.list`.

    Raises:
        InvalidArgument: one cannot be read, or asks for what is not there.
    """
    if _asked(query, "softDeleted"):
        raise InvalidArgument(
            "There are no soft-deleted objects here: what is deleted is gone at once.",
            hint="In a versioned bucket it stays as a noncurrent generation: list it with versions=true.",
        )
    if query.get("filter"):
        raise InvalidArgument("Listing with filter is not available in this version of mlengine.")
    try:
        token = base64.b64decode(query.get("pageToken", ""), altchars=b"-_", validate=True)
        name, _, generation = token.partition(b"\xff")
        name.decode()
        if generation:
            number({"generation": generation.decode()}, "generation")
    except (binascii.Error, ValueError, InvalidArgument):
        raise InvalidArgument("The page token is not from this list.") from None
    return ListQuery(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        start=query.get("startOffset", ""),
        end=query.get("endOffset", ""),
        token=token,
        limit=page_size(query),
        trailing=_asked(query, "includeTrailingDelimiter"),
        versions=_asked(query, "versions"),
        glob=query.get("matchGlob", ""),
    )


def _asked(query: Mapping[str, str], name: str) -> bool:
    # Google's Python client writes True.
    return query.get(name, "").lower() not in ("", "false", "0")


def page_size(query: Mapping[str, str]) -> int:
    """`maxResults`, at most 1000; that many when it is not given."""
    return min(number(query, "maxResults") or _MOST_LISTED, _MOST_LISTED)


def number(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number from 0 on; None when it is not given.

    Raises:
        InvalidArgument: it is something else.
    """
    text = query.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InvalidArgument(f"{name} must be a whole number, not '{text[:40]}'.")
    return int(text)


def conditions(query: Mapping[str, str], prefix: str = "if") -> Conditions:
    """`ifGenerationMatch` and its three kin; with the prefix "ifSource" those about the source of a copy."""
    return Conditions(
        generation=number(query, f"{prefix}GenerationMatch"),
        not_generation=number(query, f"{prefix}GenerationNotMatch"),
        metageneration=number(query, f"{prefix}MetagenerationMatch"),
        not_metageneration=number(query, f"{prefix}MetagenerationNotMatch"),
    )


def attributes(resource: Json, onto: Attributes | None = None) -> Attributes:
    """What an object resource says about the content; null takes a value away, unknown keys are passed over.

    Args:
        onto: What stays for keys that the resource does not mention.

    Raises:
        InvalidArgument: a value has the wrong type or holds control characters.
    """
    start = onto or Attributes()
    values: dict[str, Any] = {}
    for wire, name in _SETTABLE.items():
        if wire in resource:
            value = resource[wire]
            if value is not None and not isinstance(value, str):
                raise InvalidArgument(f"{wire} must be a string, not {value!r}.")
            values[name] = value or getattr(Attributes(), name)
    if "metadata" in resource:
        values["metadata"] = _merged(start.metadata, resource["metadata"], "metadata")
    return replace(start, **values)


def changed_bucket(bucket: Bucket, resource: Json) -> Bucket:
    """A bucket with what a resource says about it.

    Raises:
        InvalidArgument: it asks for something that cannot be had or changed.
    """
    for name in _NOT_KEPT:
        value = resource.get(name)
        if (
            value
            and not (isinstance(value, dict) and value.get("enabled") is False)
            and value != {"rule": []}
        ):
            raise InvalidArgument(f"Buckets with {name} are not available in this version of mlengine.")
    labels = bucket.labels
    if "labels" in resource:
        labels = _merged(labels, resource["labels"], "labels")
    versioning = bucket.versioning
    if "versioning" in resource:
        versioning = flag(inner(resource, "versioning"), "enabled")
    storage_class = text_of(resource, "storageClass") or bucket.storage_class
    return replace(bucket, labels=labels, storage_class=storage_class, versioning=versioning)


def after(query: Mapping[str, str]) -> str:
    """The name behind the page token of a list of buckets.

    Raises:
        InvalidArgument: the token is none of ours.
    """
    try:
        return base64.urlsafe_b64decode(query.get("pageToken", "").encode()).decode()
    except (binascii.Error, ValueError):
        raise InvalidArgument("The page token is not from this list.") from None


def buckets_json(found: Sequence[Bucket], *, limit: int, base_url: str) -> Json:
    """A page as `storage#buckets`; one more than `limit` tells that there is another."""
    answer: Json = {"kind": "storage#buckets"}
    if found:
        answer["items"] = [bucket_json(bucket, base_url) for bucket in found[:limit]]
    if len(found) > limit:
        answer["nextPageToken"] = base64.urlsafe_b64encode(found[limit - 1].name.encode()).decode()
    return answer


def layout_json(bucket: Bucket) -> Json:
    """A `storage#storageLayout`."""
    return {
        "kind": "storage#storageLayout",
        "bucket": bucket.name,
        "location": bucket.location,
        "locationType": "region" if "-" in bucket.location else "multi-region",
        "hierarchicalNamespace": {"enabled": False},
    }


def inner(resource: Json, name: str) -> Json:
    """An object within `resource`; empty when it is not there.

    Raises:
        InvalidArgument: it is something else.
    """
    value = resource.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"{name} must be an object, not {value!r}."[:400])
    return value


def sources(body: Json) -> list[tuple[str, int | None, Conditions]]:
    """What a compose request joins: names, generations and what must hold for each.

    Raises:
        InvalidArgument: it cannot be read.
    """
    found = body.get("sourceObjects")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InvalidArgument("sourceObjects must be a list of objects with a name each.")
    return [
        (
            text_of(item, "name"),
            number({"generation": str(item.get("generation") or "")}, "generation"),
            conditions({key: str(value) for key, value in inner(item, "objectPreconditions").items()}),
        )
        for item in found
    ]


def quoted(name: str) -> str:
    """A name as one component of a path."""
    return quote(name, safe="")


def crc32c_text(value: int) -> str:
    """CRC-32C as the API writes it: base64 of big-endian bytes."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def md5_text(hexadecimal: str) -> str:
    """MD5 as the API writes it: base64."""
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def report_json(report: Report) -> Json:
    """A page of the proof that rows and blobs agree."""
    answer: Json = {
        "objectsChecked": str(report.objects),
        "bytesRead": str(report.size),
        "findings": [
            {
                "kind": finding.kind.value,
                "subject": finding.subject,
                "detail": finding.detail,
                "repaired": finding.repaired,
            }
            for finding in report.findings
        ],
    }
    if report.token:
        answer["nextPageToken"] = report.token
    return answer


def flag(resource: Json, name: str) -> bool:
    """A truth value within `resource`; false when it is not there.

    Raises:
        InvalidArgument: it is something else.
    """
    value = resource.get(name) or False
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be true or false, not {value!r}."[:400])
    return value


def object_etag(found: Object) -> str:
    """Changes with each generation and metageneration."""
    return _etag(found.generation, found.metageneration)


def _etag(*numbers: int) -> str:
    return base64.b64encode("/".join(map(str, numbers)).encode()).decode()


def _time(moment: datetime) -> str:
    # Always with a fraction: some clients cannot read a time without one.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _merged(old: Mapping[str, str], new: object, name: str) -> dict[str, str]:
    if new is None:
        return {}
    if not isinstance(new, dict) or not all(
        value is None or isinstance(value, str) for value in new.values()
    ):
        raise InvalidArgument(f"{name} must be an object of strings, not {new!r}."[:400])
    return {key: value for key, value in {**old, **new}.items() if value is not None}


def text_of(resource: Json, name: str) -> str:
    """A string within `resource`; empty when it is not there.

    Raises:
        InvalidArgument: it is something else.
    """
    value = resource.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a string, not {value!r}."[:400])
    return value or ""
