"""Tables in the manner of BigQuery: datasets, tables, versions of their contents, jobs and uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Add what tables need; nothing that is there changes."""
    op.create_table(
        "table_datasets",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("dataset", sa.String(1024), primary_key=True),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("updated", _MOMENT, nullable=False),
        sa.Column("location", sa.String(64), nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
    )
    op.create_table(
        "table_tables",
        sa.Column("uid", sa.String(32), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("dataset", sa.String(1024), nullable=False),
        sa.Column("name", sa.String(1024), nullable=False),
        sa.Column("gone", sa.String(32), nullable=False),
        sa.Column("deleted", _MOMENT),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("updated", _MOMENT, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("view", sa.Text, nullable=False),
        sa.Column("expires", _MOMENT),
        sa.Column("said", sa.JSON, nullable=False),
        sa.UniqueConstraint("project", "dataset", "name", "gone", name="uq_table_tables_name"),
    )
    op.create_index("ix_table_tables_expires", "table_tables", ["expires"])
    op.create_index("ix_table_tables_deleted", "table_tables", ["deleted"])
    op.create_table(
        "table_versions",
        sa.Column("table", sa.String(32), sa.ForeignKey("table_tables.uid"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("schema", sa.JSON, nullable=False),
        sa.Column("segments", sa.JSON, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_table_versions_created", "table_versions", ["table", "created"])
    op.create_table(
        "table_jobs",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("job_id", sa.String(1024), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("location", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("started", _MOMENT),
        sa.Column("ended", _MOMENT),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("statistics", sa.JSON, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
    )
    op.create_index("ix_table_jobs_newest", "table_jobs", ["project", "created", "job_id"])
    op.create_index("ix_table_jobs_state", "table_jobs", ["state"])
    op.create_table(
        "table_reads",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("job", sa.String(128), primary_key=True),
        sa.Column("table", sa.String(2200), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("read", _MOMENT, nullable=False),
    )
    op.create_table(
        "table_uploads",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("job_id", sa.String(1024), nullable=False),
    )
