"""Contents too small for a blob of their own lie in the database. Those that are blobs stay blobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table of small contents."""
    op.create_table(
        "storage_small",
        sa.Column("blob", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
