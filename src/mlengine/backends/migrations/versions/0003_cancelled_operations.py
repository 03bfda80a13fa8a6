"""Operations remember that somebody wants them cancelled, and labels; versions the machine type asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns with defaults, or none: both databases do so in place."""
    op.add_column(
        "operations", sa.Column("cancelling", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("operations", sa.Column("labels", sa.JSON))
    op.add_column(
        "versions", sa.Column("machine_type", sa.String(64), nullable=False, server_default=sa.text("''"))
    )
