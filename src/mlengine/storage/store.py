"""The only SQL about buckets, objects and unfinished uploads, but for listings and counting (`store_…`).

Object names are kept as UTF-8 bytes, because listings go by bytes, and some databases sort text by locale.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    false,
    func,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import sqlite

from mlengine.database import Moment
from mlengine.errors import NotFound, nearest
from mlengine.names import ObjectUrl
from mlengine.storage.domain import LONGEST_NAME, Attributes, Bucket, Object, Part

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
    Column("versioning", Boolean, nullable=False, server_default=false()),
    Column("metageneration", BigInteger, nullable=False),
)


# Without `deleted`, which live objects do not have.
_OBJECT_FIELDS = tuple(field.name for field in fields(Object) if field.name != "deleted")


def _object_columns() -> tuple[Column[Any], ...]:
    return (
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


OBJECTS = Table(
    "storage_objects",
    METADATA,
    Column("bucket", String(222), ForeignKey("storage_buckets.name"), primary_key=True),
    Column("name", LargeBinary(LONGEST_NAME), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    *_object_columns(),
)
# Apart from the live objects, so that these are found and listed as fast however long their past is.
NONCURRENT = Table(
    "storage_noncurrent",
    METADATA,
    Column("bucket", String(222), ForeignKey("storage_buckets.name"), primary_key=True),
    Column("name", LargeBinary(LONGEST_NAME), primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    *_object_columns(),
    Column("deleted", Moment, nullable=False),
)
# What each project stores: live and noncurrent objects, each with its whole size.
USAGE = Table(
    "storage_usage",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("objects", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
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
# Of uploads that come in numbered parts: a blob each.
PARTS = Table(
    "storage_parts",
    METADATA,
    Column("upload", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("blob", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("crc32c", BigInteger, nullable=False),
    Column("md5", String(32), nullable=False),
    Column("stored", Moment, nullable=False),
)


# Contents that are too small for a blob of their own: synced with the row that names them.
SMALL = Table(
    "storage_small",
    METADATA,
    Column("blob", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# What every upload and download asks is built once: building a statement takes longer than the database does.
_BUCKET = select(BUCKETS).where(BUCKETS.c.name == bindparam("bucket"))
_LOCKED_BUCKET = _BUCKET.with_for_update()
_LIVE = select(OBJECTS).where(OBJECTS.c.bucket == bindparam("bucket"), OBJECTS.c.name == bindparam("name"))
_LIVE_AND_SMALL = (
    select(OBJECTS, SMALL.c.content)
    .select_from(OBJECTS.outerjoin(SMALL, SMALL.c.blob == OBJECTS.c.blob))
    .where(OBJECTS.c.bucket == bindparam("bucket"), OBJECTS.c.name == bindparam("name"))
)
_LIVE_AND_SMALL_OF_SQLITE = str(_LIVE_AND_SMALL.compile(dialect=sqlite.dialect()))
_LIVE_AND_SMALL_NAMES = tuple(_LIVE_AND_SMALL.selected_columns.keys())
_LATEST = select(func.max(NONCURRENT.c.generation)).where(
    NONCURRENT.c.bucket == bindparam("bucket"), NONCURRENT.c.name == bindparam("name")
)
_ADD = insert(OBJECTS)
_ADD_NONCURRENT = insert(NONCURRENT)
_REPLACE = update(OBJECTS).where(
    OBJECTS.c.bucket == bindparam("its_bucket"), OBJECTS.c.name == bindparam("its_name")
)
_SHARING = union_all(
    select(OBJECTS.c.generation).where(OBJECTS.c.blob == bindparam("blob")),
    select(NONCURRENT.c.generation).where(NONCURRENT.c.blob == bindparam("blob")),
).limit(1)
_MARK = insert(GARBAGE)
_UNMARK = delete(GARBAGE).where(GARBAGE.c.blob == bindparam("its_blob"))
_ADD_SMALL = insert(SMALL)
_GET_SMALL = select(SMALL.c.content).where(SMALL.c.blob == bindparam("blob"))
_DROP_SMALL = delete(SMALL).where(SMALL.c.blob == bindparam("its_blob"))


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
    row = db.execute(_LOCKED_BUCKET if lock else _BUCKET, {"bucket": name}).first()
    if row is None:
        known = [str(found) for found in db.execute(select(BUCKETS.c.name).limit(1000)).scalars()]
        hint = nearest(name, known) or "Make it with 'mlengine storage mb', or look at the spelling."
        raise NotFound(f"There is no bucket '{name}'.", hint=hint)
    return Bucket(**row._mapping)


def find_bucket(db: Connection, name: str) -> Bucket | None:
    """The bucket called `name`, or None."""
    row = db.execute(_BUCKET, {"bucket": name}).first()
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


def find(db: Connection, url: ObjectUrl, generation: int | None = None) -> Object | None:
    """The live object at `url`, or that of a generation, be it live or not; None if there is none."""
    row = db.execute(_LIVE, {"bucket": url.bucket, "name": url.object.encode()}).first()
    if row is None or generation not in (None, row.generation):
        if generation is None:
            return None
        past = select(NONCURRENT).where(_at(NONCURRENT, url), NONCURRENT.c.generation == generation)
        row = db.execute(past).first()
    return object_of(row._mapping) if row else None


def find_and_read(db: Connection, url: ObjectUrl) -> tuple[Object, bytes | None] | None:
    """The live object at `url`, and its content if that lies in the database, by one question."""
    name = url.object.encode()
    if isinstance(driver := db.connection.driver_connection, sqlite3.Connection):
        # Every download begins here, and the way around the driver takes three times as long as the question.
        raw = driver.execute(_LIVE_AND_SMALL_OF_SQLITE, (url.bucket, name)).fetchone()
        if raw is None:
            return None
        values = dict(zip(_LIVE_AND_SMALL_NAMES, raw, strict=True))
        values["attributes"] = json.loads(values["attributes"])
        for moment in ("created", "updated"):
            values[moment] = datetime.fromisoformat(values[moment])
    else:
        row = db.execute(_LIVE_AND_SMALL, {"bucket": url.bucket, "name": name}).first()
        if row is None:
            return None
        values = dict(row._mapping)
    content = values.pop("content")
    return object_of(values), None if content is None else bytes(content)


def latest_generation(db: Connection, url: ObjectUrl) -> int:
    """The highest noncurrent generation of a name; 0 if there is none."""
    return db.execute(_LATEST, {"bucket": url.bucket, "name": url.object.encode()}).scalar() or 0


def add(db: Connection, new: Object) -> None:
    """Write an object: a live one under a name that is free, or a noncurrent one."""
    db.execute(_ADD_NONCURRENT if new.deleted else _ADD, _row(new))


def save(db: Connection, new: Object) -> None:
    """Write a live object in place of the one under its name, or a noncurrent one in place of itself."""
    if new.deleted:
        db.execute(update(NONCURRENT).where(_itself(new)).values(**_row(new)))
        return
    row = _row(new)
    db.execute(_REPLACE, row | {"its_bucket": row["bucket"], "its_name": row["name"]})


def remove(db: Connection, old: Object) -> None:
    """Delete the row of an object."""
    db.execute(delete(_table(old)).where(_itself(old)))


def drop_blob(db: Connection, blob: str) -> str:
    """Mark a blob for deletion, unless another object or generation shares it.

    Returns:
        The blob; "" when it is shared, or was in the database and is deleted already.
    """
    # One statement, hence one moment: else an object could move past us from one table into the other.
    if db.execute(_SHARING, {"blob": blob}).first():
        return ""
    if is_small(blob):
        db.execute(_DROP_SMALL, {"its_blob": blob})
        return ""
    db.execute(_MARK, {"blob": blob})
    return blob


def is_small(blob: str) -> bool:
    """Whether the key is that of a content in the database: other keys are hexadecimal."""
    return blob.startswith("s")


def add_small(db: Connection, content: bytes) -> str:
    """Store a small content, and give its key."""
    blob = "s" + uuid.uuid4().hex
    db.execute(_ADD_SMALL, {"blob": blob, "content": content})
    return blob


def get_small(db: Connection, blob: str) -> bytes | None:
    """A small content; None if it is not there."""
    content = db.execute(_GET_SMALL, {"blob": blob}).scalar()
    return None if content is None else bytes(content)


def unowned_small(db: Connection) -> list[str]:
    """Keys of small contents that no object has, which must not happen."""
    owned = select(OBJECTS.c.blob).union_all(select(NONCURRENT.c.blob))
    return list(db.execute(select(SMALL.c.blob).where(SMALL.c.blob.not_in(owned))).scalars())


def drop_small(db: Connection, blob: str) -> None:
    """Delete a small content."""
    db.execute(_DROP_SMALL, {"its_blob": blob})


def has_objects(db: Connection, bucket: str) -> bool:
    """Whether any live object lies in the bucket."""
    return (
        db.execute(select(OBJECTS.c.generation).where(OBJECTS.c.bucket == bucket).limit(1)).first()
        is not None
    )


def has_noncurrent(db: Connection, bucket: str) -> bool:
    """Whether any noncurrent generation lies in the bucket."""
    found = select(NONCURRENT.c.generation).where(NONCURRENT.c.bucket == bucket).limit(1)
    return db.execute(found).first() is not None


def garbage(db: Connection) -> list[str]:
    """Blobs marked for deletion."""
    return [str(blob) for blob in db.execute(select(GARBAGE.c.blob)).scalars()]


def forget_garbage(db: Connection, blobs: Iterable[str]) -> None:
    """Take back the marks of blobs that are deleted."""
    for blob in blobs:
        db.execute(_UNMARK, {"its_blob": blob})


def in_use(db: Connection, blobs: Iterable[str]) -> set[str]:
    """Those of `blobs` that an object, a noncurrent generation, an open upload or a part of one refers to."""
    keys = list(blobs)
    open_uploads = UPLOADS.c.blob.in_(keys) & UPLOADS.c.done_generation.is_(None)
    everywhere = union_all(
        select(OBJECTS.c.blob).where(OBJECTS.c.blob.in_(keys)),
        select(NONCURRENT.c.blob).where(NONCURRENT.c.blob.in_(keys)),
        select(UPLOADS.c.blob).where(open_uploads),
        select(PARTS.c.blob).where(PARTS.c.blob.in_(keys)),
    )
    return set(db.execute(everywhere).scalars())


def marked(db: Connection, blobs: Iterable[str]) -> set[str]:
    """Those of `blobs` that are marked for deletion."""
    return set(db.execute(select(GARBAGE.c.blob).where(GARBAGE.c.blob.in_(list(blobs)))).scalars())


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


def remove_upload(db: Connection, upload_id: str) -> list[str]:
    """Forget an upload; the blobs of its parts, now marked for deletion."""
    db.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id))
    return remove_parts(db, upload_id)


def put_part(db: Connection, upload_id: str, part: Part) -> list[str]:
    """Write a part in place of the one with its number; the blob of that one, now marked for deletion."""
    replaced = remove_parts(db, upload_id, part.number)
    db.execute(insert(PARTS).values(upload=upload_id, **asdict(part)))
    return replaced


def parts(db: Connection, upload_id: str) -> list[Part]:
    """The parts of an upload, in the order of their numbers."""
    query = select(PARTS).where(PARTS.c.upload == upload_id).order_by(PARTS.c.number)
    rows = (dict(row._mapping) for row in db.execute(query))
    return [Part(**{name: value for name, value in row.items() if name != "upload"}) for row in rows]


def size_of_parts(db: Connection, upload_id: str, *, without: int) -> int:
    """Bytes in all parts of an upload but the one with a number."""
    others = (PARTS.c.upload == upload_id) & (PARTS.c.number != without)
    return int(db.execute(select(func.sum(PARTS.c.size)).where(others)).scalar() or 0)


def remove_parts(db: Connection, upload_id: str, number: int | None = None) -> list[str]:
    """Forget the parts of an upload, or the one with that number; their blobs, now marked for deletion."""
    which = PARTS.c.upload == upload_id
    if number is not None:
        which &= PARTS.c.number == number
    blobs = db.execute(select(PARTS.c.blob).where(which)).scalars().all()
    db.execute(delete(PARTS).where(which))
    for blob in blobs:
        db.execute(insert(GARBAGE).values(blob=blob))
    return list(blobs)


def uploads_before(db: Connection, moment: datetime) -> list[Any]:
    """The rows of uploads that nobody has touched since `moment`."""
    return list(db.execute(select(UPLOADS).where(UPLOADS.c.touched < moment)))


def remove_uploads_of(db: Connection, bucket: str) -> list[str]:
    """Forget the uploads into a bucket; the blobs of those that were still open."""
    mine = UPLOADS.c.bucket == bucket
    blobs = (
        db.execute(select(UPLOADS.c.blob).where(mine, UPLOADS.c.done_generation.is_(None))).scalars().all()
    )
    ids = db.execute(select(UPLOADS.c.id).where(mine)).scalars().all()
    of_parts = [blob for upload_id in ids for blob in remove_parts(db, upload_id)]
    db.execute(delete(UPLOADS).where(mine))
    for blob in blobs:
        db.execute(insert(GARBAGE).values(blob=blob))
    return [*blobs, *of_parts]


def object_of(row: Any) -> Object:
    """A row of either table of objects."""
    values = dict(row)
    values["name"] = bytes(values["name"]).decode()
    values["attributes"] = Attributes(**values["attributes"])
    return Object(**values)


def _table(found: Object) -> Table:
    return NONCURRENT if found.deleted else OBJECTS


def _at(table: Table, url: ObjectUrl) -> Any:
    return (table.c.bucket == url.bucket) & (table.c.name == url.object.encode())


def _itself(found: Object) -> Any:
    if found.deleted:
        return _at(NONCURRENT, found.url) & (NONCURRENT.c.generation == found.generation)
    return _at(OBJECTS, found.url)


def _row(new: Object) -> dict[str, Any]:
    row = {name: getattr(new, name) for name in _OBJECT_FIELDS}
    row["name"] = new.name.encode()
    row["attributes"] = asdict(new.attributes)
    if new.deleted is not None:
        row["deleted"] = new.deleted
    return row
