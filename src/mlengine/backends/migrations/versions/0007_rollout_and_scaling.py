"""Traffic between the versions of a model, and what a version says about its workers, code and schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Widen models and versions. Those that are there go on as they did."""
    op.add_column("models", sa.Column("rollout", sa.JSON))
    for column in (
        sa.Column("scaling", sa.JSON),
        sa.Column("settings", sa.JSON),
        sa.Column("settings_generation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("code", sa.JSON),
        sa.Column("request_logging", sa.JSON),
        sa.Column("explanation", sa.JSON),
        sa.Column("schema", sa.JSON),
        sa.Column("acceleration", sa.JSON),
    ):
        op.add_column("versions", column)
