"""What versions did over time, and up to where that was counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add what monitoring needs; nothing that is there changes."""
    op.create_table(
        "version_intervals",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("version", sa.String(128), primary_key=True),
        sa.Column("width", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_index("ix_version_intervals_start", "version_intervals", ["width", "start"])
    op.create_table(
        "version_positions",
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("version", sa.String(128), primary_key=True),
        sa.Column("epoch", sa.String(64), nullable=False),
        sa.Column("last_use", sa.String(27)),
        sa.Column("figures", sa.Text, nullable=False),
    )
