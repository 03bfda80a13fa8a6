"""The tables of jobs, models, operations and storage.

Spelled out, not taken from the stores: what a store says later must not change what this step did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Make all tables in an empty database."""
    _operations()
    _models()
    _jobs()
    _storage()


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("operation", sa.String(300), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("model", sa.String(300), nullable=False),
        sa.Column("version", sa.JSON, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, index=True),
        sa.Column("started", _MOMENT),
        sa.Column("ended", _MOMENT),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("response", sa.JSON, nullable=False),
        sa.Column("error_status", sa.String(32), nullable=False),
        sa.Column("error_message", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("default_version", sa.String(128), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("version", sa.String(128), primary_key=True),
        sa.Column("uid", sa.String(32), nullable=False, unique=True),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("framework", sa.String(32), nullable=False),
        sa.Column("runtime", sa.String(64), nullable=False),
        sa.Column("runtime_version", sa.String(64), nullable=False),
        sa.Column("python_version", sa.String(16), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("operation", sa.String(300), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("error_message", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("job", sa.String(128), primary_key=True),
        sa.Column("uid", sa.String(32), nullable=False, unique=True),
        sa.Column("training", sa.JSON, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("started", _MOMENT),
        sa.Column("ended", _MOMENT),
        sa.Column("error_message", sa.Text, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )


def _storage() -> None:
    op.create_table(
        "storage_buckets",
        sa.Column("name", sa.String(222), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False, index=True),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("updated", _MOMENT, nullable=False),
        sa.Column("location", sa.String(64), nullable=False),
        sa.Column("storage_class", sa.String(64), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("metageneration", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "storage_objects",
        sa.Column("bucket", sa.String(222), sa.ForeignKey("storage_buckets.name"), primary_key=True),
        sa.Column("name", sa.LargeBinary(1024), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("metageneration", sa.BigInteger, nullable=False),
        sa.Column("blob", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("crc32c", sa.BigInteger, nullable=False),
        sa.Column("md5", sa.String(32), nullable=False),
        sa.Column("components", sa.Integer, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("updated", _MOMENT, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    op.create_table("storage_garbage", sa.Column("blob", sa.String(64), primary_key=True))
    op.create_table(
        "storage_uploads",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("bucket", sa.String(222), nullable=False),
        sa.Column("blob", sa.String(64), nullable=False, index=True),
        sa.Column("touched", _MOMENT, nullable=False, index=True),
        sa.Column("done_generation", sa.BigInteger),
        sa.Column("request", sa.JSON, nullable=False),
    )
