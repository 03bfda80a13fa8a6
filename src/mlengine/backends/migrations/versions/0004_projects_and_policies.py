"""Projects, who may do what in them, and access tokens that were given back before their time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Add what several projects and their policies need."""
    op.create_table(
        "projects",
        sa.Column("project_id", sa.String(63), primary_key=True),
        sa.Column("number", sa.String(12), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("deleted", _MOMENT),
    )
    op.create_table(
        "iam_policies",
        sa.Column("resource", sa.String(400), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("bindings", sa.JSON, nullable=False),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.String(32), primary_key=True),
        sa.Column("until", _MOMENT, nullable=False),
    )
