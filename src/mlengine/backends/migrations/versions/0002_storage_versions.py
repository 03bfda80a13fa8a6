"""Noncurrent generations of objects, uploads in parts, how much each project stores; service accounts, keys.

Nothing is rebuilt: SQLite and PostgreSQL both add a column with a default in place, so that a large table of
objects costs no time. What is stored already is counted once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Add what versioned buckets, quotas, uploads in parts and signed URLs need."""
    op.add_column(
        "storage_buckets", sa.Column("versioning", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_table(
        "storage_noncurrent",
        sa.Column("bucket", sa.String(222), sa.ForeignKey("storage_buckets.name"), primary_key=True),
        sa.Column("name", sa.LargeBinary(1024), primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("metageneration", sa.BigInteger, nullable=False),
        sa.Column("blob", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("crc32c", sa.BigInteger, nullable=False),
        sa.Column("md5", sa.String(32), nullable=False),
        sa.Column("components", sa.Integer, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("updated", _MOMENT, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("deleted", _MOMENT, nullable=False),
    )
    op.create_table(
        "storage_usage",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("objects", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO storage_usage (project, objects, size)"
        " SELECT b.project, COUNT(*), COALESCE(SUM(o.size), 0)"
        " FROM storage_objects o JOIN storage_buckets b ON b.name = o.bucket GROUP BY b.project"
    )
    op.create_table(
        "storage_parts",
        sa.Column("upload", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("blob", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("crc32c", sa.BigInteger, nullable=False),
        sa.Column("md5", sa.String(32), nullable=False),
        sa.Column("stored", _MOMENT, nullable=False),
    )
    op.create_table(
        "service_accounts",
        sa.Column("email", sa.String(255), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False, index=True),
        sa.Column("unique_id", sa.String(21), nullable=False, unique=True),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
    )
    op.create_table(
        "service_account_keys",
        sa.Column("email", sa.String(255), sa.ForeignKey("service_accounts.email"), primary_key=True),
        sa.Column("key_id", sa.String(40), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
    )
