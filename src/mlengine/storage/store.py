"""The only SQL about buckets, objects and unfinished uploads.

Object names are kept as UTF-8 bytes, because listings go by bytes, and some databases sort text by locale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from mlengine.database import Moment
from mlengine.errors import NotFound, nearest
from mlengine.names import ObjectUrl
from mlengine.storage.domain import LONGEST_NAME, Attributes, Bucket, Listing, ListQuery, Object, past

METADATA = MetaData()
BUCKETS = Table(
    "storage_buckets",
    METADATA,
    Column("name", String(222), primary_key=True),
    Column("project", String(63), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("location", String(64), nullable=False),
    Column("storage_class", String(64), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("metageneration", BigInteger, nullable=False),
)
OBJECTS = Table(
    "storage_objects",
    METADATA,
    Column("bucket", String(222), ForeignKey("storage_buckets.name"), primary_key=True),
    Column("name", LargeBinary(LONGEST_NAME), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("metageneration", BigInteger, nullable=False),
    Column("blob", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("crc32c", BigInteger, nullable=False),
    Column("md5", String(32), nullable=False),
    Column("components", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("attributes", JSON, nullable=False),
)
# Blobs that lost their last object in a transaction which has been committed: to be deleted, if not yet done.
GARBAGE = Table("storage_garbage", METADATA, Column("blob", String(64), primary_key=True))
UPLOADS = Table(
    "storage_uploads",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("bucket", String(222), nullable=False),
    Column("blob", String(64), nullable=False, index=True),
    Column("touched", Moment, nullable=False, index=True),
    Column("done_generation", BigInteger),
    Column("request", JSON, nullable=False),
)

_PORTION = 256  # rows fetched at once in a listing with a delimiter


def add_bucket(db: Connection, bucket: Bucket) -> None:
    """Write a new bucket."""
    db.execute(insert(BUCKETS).values(**asdict(bucket)))


def get_bucket(db: Connection, name: str, *, lock: bool = False) -> Bucket:
    """The bucket called `name`.

    Args:
        lock: Let nobody else change the bucket or its objects before this transaction ends.

    Raises:
        NotFound: there is none.
    """
    query = select(BUCKETS).where(BUCKETS.c.name == name)
    row = db.execute(query.with_for_update() if lock else query).first()
    if row is None:
        known = [str(found) for found in db.execute(select(BUCKETS.c.name).limit(1000)).scalars()]
        hint = nearest(name, known) or "Make it with 'mlengine storage mb', or look at the spelling."
        raise NotFound(f"There is no bucket '{name}'.", hint=hint)
    return Bucket(**row._mapping)


def find_bucket(db: Connection, name: str) -> Bucket | None:
    """The bucket called `name`, or None."""
    row = db.execute(select(BUCKETS).where(BUCKETS.c.name == name)).first()
    return Bucket(**row._mapping) if row else None


def save_bucket(db: Connection, bucket: Bucket) -> None:
    """Write a bucket that is locked."""
    values = asdict(bucket)
    db.execute(update(BUCKETS).where(BUCKETS.c.name == bucket.name).values(**values))


def remove_bucket(db: Connection, name: str) -> None:
    """Delete the row of an empty bucket that is locked."""
    db.execute(delete(BUCKETS).where(BUCKETS.c.name == name))


def buckets(db: Connection, project: str, *, prefix: str, after: str, limit: int) -> list[Bucket]:
    """At most `limit` of a project's buckets in order of their names, those past the name `after`."""
    # Bucket names are ASCII without capitals, which every locale sorts; only '-', '_', '.' may move about.
    query = select(BUCKETS).where(BUCKETS.c.project == project, BUCKETS.c.name > after)
    if prefix:
        query = query.where(BUCKETS.c.name.startswith(prefix, autoescape=True))
    return [Bucket(**row._mapping) for row in db.execute(query.order_by(BUCKETS.c.name).limit(limit))]


def find(db: Connection, url: ObjectUrl) -> Object | None:
    """The object at `url`, or None."""
    row = db.execute(select(OBJECTS).where(_is(url))).first()
    return _object(row._mapping) if row else None


def put(db: Connection, new: Object, old: Object | None) -> str:
    """Write `new` in place of `old`; the bucket is locked.

    Returns:
        The blob that nobody needs any more, now marked for deletion; "" when there is none.
    """
    row = _row(new)
    if old is None:
        db.execute(insert(OBJECTS).values(**row))
        return ""
    db.execute(update(OBJECTS).where(_is(new.url)).values(**row))
    return "" if old.blob == new.blob else _drop_blob(db, old.blob)


def remove(db: Connection, old: Object) -> str:
    """Delete the row of an object, and return what `put` returns; the bucket is locked."""
    db.execute(delete(OBJECTS).where(_is(old.url)))
    return _drop_blob(db, old.blob)


def page(db: Connection, bucket: str, query: ListQuery) -> Listing:
    """One page of a listing.

    Works by seeking in the index: behind a folded prefix it jumps over all that begin with it.
    """
    prefix, delimiter = query.prefix.encode(), query.delimiter.encode()
    at = max(query.token, prefix, query.start.encode())
    end = min((bound for bound in (past(prefix), query.end.encode() or None) if bound), default=None)
    items: list[Object] = []
    prefixes: list[str] = []
    portion = min(query.limit + 1, _PORTION) if delimiter else query.limit + 1
    while True:
        rows = _rows(db, bucket, at, end, portion)
        for name, row in rows:
            if name < at:
                continue  # still below the prefix folded last
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            folder = name[: cut + len(delimiter)] if cut >= 0 else b""
            marker = bool(folder) and query.trailing and name == folder
            room = query.limit - len(items) - len(prefixes)
            # A marker counts twice; a page for one entry must take it all the same, or never get past it.
            if room < 1 or (marker and room < 2 and query.limit > 1):
                return Listing(items=tuple(items), prefixes=tuple(prefixes), token=name)
            if marker or not folder:
                items.append(_object(row))
            if folder:
                prefixes.append(folder.decode())
            # UTF-8 has no byte 0xFF, so there always is a name past a folder.
            at = past(folder) or name if folder else name + b"\x00"
        if len(rows) < portion or (end is not None and at >= end):
            return Listing(items=tuple(items), prefixes=tuple(prefixes))


def has_objects(db: Connection, bucket: str) -> bool:
    """Whether anything lies in the bucket."""
    return (
        db.execute(select(OBJECTS.c.generation).where(OBJECTS.c.bucket == bucket).limit(1)).first()
        is not None
    )


def garbage(db: Connection) -> list[str]:
    """Blobs marked for deletion."""
    return [str(blob) for blob in db.execute(select(GARBAGE.c.blob)).scalars()]


def forget_garbage(db: Connection, blobs: Iterable[str]) -> None:
    """Take back the marks of blobs that are deleted."""
    for blob in blobs:
        db.execute(delete(GARBAGE).where(GARBAGE.c.blob == blob))


def in_use(db: Connection, blobs: Iterable[str]) -> set[str]:
    """Those of `blobs` that an object or an open upload refers to."""
    keys = list(blobs)
    used = set(db.execute(select(OBJECTS.c.blob).where(OBJECTS.c.blob.in_(keys))).scalars())
    open_uploads = UPLOADS.c.blob.in_(keys) & UPLOADS.c.done_generation.is_(None)
    return used | set(db.execute(select(UPLOADS.c.blob).where(open_uploads)).scalars())


def add_upload(
    db: Connection, upload_id: str, *, bucket: str, blob: str, request: dict[str, Any], now: datetime
) -> None:
    """Remember a resumable upload that starts now."""
    row = {"id": upload_id, "bucket": bucket, "blob": blob, "touched": now, "request": request}
    db.execute(insert(UPLOADS).values(**row))


def find_upload(db: Connection, upload_id: str) -> Any:
    """The row of an upload, or None."""
    return db.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()


def touch_upload(db: Connection, upload_id: str, now: datetime) -> None:
    """Note that an upload goes on."""
    db.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(touched=now))


def finish_upload(db: Connection, upload_id: str, *, generation: int, now: datetime) -> bool:
    """Note that an upload has become an object; False when it was finished or dropped before."""
    still_open = (UPLOADS.c.id == upload_id) & UPLOADS.c.done_generation.is_(None)
    done = update(UPLOADS).where(still_open).values(done_generation=generation, touched=now)
    return db.execute(done).rowcount == 1


def remove_upload(db: Connection, upload_id: str) -> None:
    """Forget an upload."""
    db.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id))


def uploads_before(db: Connection, moment: datetime) -> list[Any]:
    """The rows of uploads that nobody has touched since `moment`."""
    return list(db.execute(select(UPLOADS).where(UPLOADS.c.touched < moment)))


def remove_uploads_of(db: Connection, bucket: str) -> list[str]:
    """Forget the uploads into a bucket; the blobs of those that were still open."""
    mine = UPLOADS.c.bucket == bucket
    blobs = (
        db.execute(select(UPLOADS.c.blob).where(mine, UPLOADS.c.done_generation.is_(None))).scalars().all()
    )
    db.execute(delete(UPLOADS).where(mine))
    for blob in blobs:
        db.execute(insert(GARBAGE).values(blob=blob))
    return list(blobs)


def _rows(
    db: Connection, bucket: str, start: bytes, end: bytes | None, limit: int
) -> list[tuple[bytes, dict[str, Any]]]:
    query = select(OBJECTS).where(OBJECTS.c.bucket == bucket, OBJECTS.c.name >= start)
    if end is not None:
        query = query.where(OBJECTS.c.name < end)
    found: Iterator[Any] = iter(db.execute(query.order_by(OBJECTS.c.name).limit(limit)))
    return [(bytes(row.name), row._mapping) for row in found]


def _drop_blob(db: Connection, blob: str) -> str:
    """Mark a blob for deletion, unless another object (a copy) shares it."""
    if db.execute(select(OBJECTS.c.generation).where(OBJECTS.c.blob == blob).limit(1)).first():
        return ""
    db.execute(insert(GARBAGE).values(blob=blob))
    return blob


def _is(url: ObjectUrl) -> Any:
    return (OBJECTS.c.bucket == url.bucket) & (OBJECTS.c.name == url.object.encode())


def _object(row: Any) -> Object:
    values = dict(row)
    values["name"] = bytes(values["name"]).decode()
    values["attributes"] = Attributes(**values["attributes"])
    return Object(**values)


def _row(new: Object) -> dict[str, Any]:
    return asdict(new) | {"name": new.name.encode()}
