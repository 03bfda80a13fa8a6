"""Buckets, objects, and the rules about them: names, conditions, hashes, the order of a listing. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from mlengine.errors import InvalidArgument, NotModified, PreconditionFailed
from mlengine.names import ObjectUrl

LONGEST_NAME = 1024  # bytes of UTF-8
MOST_SOURCES = 32  # of one compose
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A named set of objects that belongs to a project. Names are unique in the whole server.

    Attributes:
        versioning: Whether objects that are replaced or deleted are kept as noncurrent generations.
        metageneration: Grows by one with each change of the bucket's own data.
    """

    name: str
    project: str
    created: datetime
    updated: datetime
    location: str = "US"
    storage_class: str = "STANDARD"
    labels: Mapping[str, str] = field(default_factory=dict)
    versioning: bool = False
    metageneration: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What the owner says about an object's content.

    Raises:
        InvalidArgument: a value holds a control character; most of them travel as HTTP header fields.
    """

    content_type: str = ""
    content_encoding: str = ""
    content_disposition: str = ""
    content_language: str = ""
    cache_control: str = ""
    custom_time: str = ""
    storage_class: str = "STANDARD"
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, str) and _CONTROL.search(value):
                raise InvalidArgument(f"{name} must hold no control characters, but is {value[:80]!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One generation of an object: immutable bytes in a blob, and what is known about them.

    Attributes:
        generation: Microseconds since 1970 when it was made, or a little more: it always grows.
        metageneration: Counts the changes of `attributes` within the generation.
        blob: Key of the content in the blob store; several objects may share one.
        size: Length of the content in bytes.
        crc32c: CRC-32C of the content.
        md5: Hexadecimal MD5; empty for a composed object, as in Google's store.
        components: Number of objects it was composed of; 0 if it was not.
        deleted: When it was replaced or deleted in a versioned bucket; None for a live object.
    """

    bucket: str
    name: str
    generation: int
    blob: str
    size: int
    crc32c: int
    created: datetime
    updated: datetime
    md5: str = ""
    metageneration: int = 1
    components: int = 0
    attributes: Attributes = field(default_factory=Attributes)
    deleted: datetime | None = None

    @property
    def url(self) -> ObjectUrl:
        """gs://bucket/name."""
        return ObjectUrl(self.bucket, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What must hold for a request to take effect; None asks for nothing.

    A generation of 0 means that there is no object.
    """

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    def check(self, found: Object | Bucket | None, *, reading: bool = False) -> None:
        """Compare with what is there.

        Args:
            found: What is there; None for nothing.
            reading: Whether the request only reads: an unchanged resource is then no error.

        Raises:
            PreconditionFailed: a condition does not hold.
            NotModified: a reader has this very generation already.
        """
        generation = found.generation if isinstance(found, Object) else 0
        metageneration = found.metageneration if found else 0
        for wanted, is_, noun in (
            (self.generation, generation, "generation"),
            (self.metageneration, metageneration, "metageneration"),
        ):
            if wanted is not None and wanted != is_:
                raise PreconditionFailed(_unmet(found, noun, is_, f"not {wanted}"))
        for unwanted, is_, noun in (
            (self.not_generation, generation, "generation"),
            (self.not_metageneration, metageneration, "metageneration"),
        ):
            if unwanted is not None and unwanted == is_:
                message = _unmet(found, noun, is_, "the one excluded")
                raise NotModified(message) if reading else PreconditionFailed(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """Digests of a content; as a claim of the client, None leaves one open.

    Attributes:
        wants_md5: Of a claim: the client will look for an MD5, whatever the size.
    """

    crc32c: int | None = None
    md5: str | None = None
    wants_md5: bool = False

    def check(self, found: Hashes) -> None:
        """Compare the client's claim with what arrived.

        Raises:
            InvalidArgument: the content was damaged on its way.
        """
        for noun, said, is_ in (("CRC32C", self.crc32c, found.crc32c), ("MD5", self.md5, found.md5)):
            if said is not None and said != is_:
                raise InvalidArgument(
                    f"The content that arrived does not have the {noun} that was announced.",
                    hint="Nothing was stored; send it again.",
                )

    def and_also(self, other: Hashes) -> Self:
        """Both claims in one; those of `self` win."""
        return type(self)(
            crc32c=other.crc32c if self.crc32c is None else self.crc32c,
            md5=other.md5 if self.md5 is None else self.md5,
            wants_md5=self.wants_md5 or other.wants_md5,
        )


ANY = Conditions()
UNCLAIMED = Hashes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which objects of a bucket to list.

    Attributes:
        delimiter: Names that hold it past the prefix are folded into one prefix each.
        start, end: Half-open range of names; empty for no bound.
        token: Where this page starts, as the previous one told; empty for the first. The UTF-8 name, and
            behind a byte 0xFF the generation, if earlier ones of the same name have been listed.
        limit: Most entries (objects and prefixes together).
        trailing: Also list objects that end in the delimiter and are themselves a prefix ("folder markers").
        versions: Also list noncurrent generations.
        glob: List only objects, and prefixes, whose whole name is like this; empty for all. See `globs`.
    """

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    token: bytes = b""
    limit: int = 1000
    trailing: bool = False
    versions: bool = False
    glob: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page; `token` is empty on the last."""

    items: tuple[Object, ...]
    prefixes: tuple[str, ...]
    token: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which bytes one request of an upload brings.

    Attributes:
        start: Position of the first; None when it brings none.
        end: Position past the last; None when only the end of the request tells.
        total: Length of the whole content, once the client knows it.
        last: Whether the content ends with this request.
    """

    start: int | None = None
    end: int | None = None
    total: int | None = None
    last: bool = False


class Kind(StrEnum):
    """What can be wrong with what is stored."""

    MISSING = "MISSING"
    WRONG_SIZE = "WRONG_SIZE"
    WRONG_CONTENT = "WRONG_CONTENT"
    UNREFERENCED = "UNREFERENCED"
    COUNT = "COUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        subject: The object with its generation, the blob or the project.
        detail: What is wrong with it.
        repaired: Whether it is right again.
    """

    kind: Kind
    subject: str
    detail: str
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One page of the proof that rows and blobs agree.

    Attributes:
        objects: Objects and noncurrent generations that were looked at.
        size: Bytes of contents that were read.
        token: Where the next page begins; empty after the last.
    """

    objects: int = 0
    size: int = 0
    findings: tuple[Finding, ...] = ()
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the numbered contents that will be joined into an object.

    Attributes:
        number: Its place among the others, from 1 on; gaps are allowed.
        blob: Key of its content in the blob store.
        size: Length in bytes.
        crc32c: CRC-32C of the content.
        md5: Hexadecimal MD5, by which the client refers to it.
        stored: When it had come.
    """

    number: int
    blob: str
    size: int
    crc32c: int
    md5: str
    stored: datetime


def check_name(name: str) -> str:
    """`name` itself, when an object may be called so. Any character may occur, slashes and dots too.

    Raises:
        InvalidArgument: it is empty, ".", "..", too long, holds a NUL, or is no Unicode text.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"The object name {name[:80]!r} is no valid Unicode text.") from None
    if not name:
        raise InvalidArgument("The object needs a name.", hint="Give it as name=… or in the JSON part.")
    if "\0" in name:
        raise InvalidArgument(f"The object name {name[:80]!r} holds a NUL character.")
    if name in (".", ".."):
        raise InvalidArgument(f"No object may be called '{name}'.")
    if size > LONGEST_NAME:
        raise InvalidArgument(f"The object name is {size} bytes long; {LONGEST_NAME} are allowed.")
    return name


def past(prefix: bytes) -> bytes | None:
    """The smallest byte string greater than all that begin with `prefix`; None if there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _unmet(found: Object | Bucket | None, noun: str, is_: int, relation: str) -> str:
    if found is None:
        return f"A condition on the {noun} does not hold: there is no such object."
    return f"A condition on the {noun} of {found.name[:200]} does not hold: it is {is_}, {relation}."
