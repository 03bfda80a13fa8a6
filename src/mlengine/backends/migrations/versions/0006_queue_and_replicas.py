"""Jobs of several replicas, with priorities and labels to be found by; indices for lists of 100,000 jobs."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Widen jobs. Those that are there keep their places, and had one replica."""
    for column in (
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("wait_until", _MOMENT),
        sa.Column("replicas", sa.JSON),
        sa.Column("restarts", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("jobs", column)
    op.drop_index("ix_jobs_created", "jobs")
    op.drop_index("ix_jobs_state", "jobs")
    op.create_index("ix_jobs_newest", "jobs", ["project", "created", "uid"])
    op.create_index("ix_jobs_newest_in_state", "jobs", ["project", "state", "created", "uid"])
    op.create_index("ix_jobs_queue", "jobs", ["state", sa.text("priority DESC"), "created", "uid"])
    op.create_index("ix_jobs_wait", "jobs", ["state", "wait_until"])
    labels = op.create_table(
        "job_labels",
        sa.Column("uid", sa.String(32), sa.ForeignKey("jobs.uid", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.String(63), primary_key=True),
        sa.Column("value", sa.String(63), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
    )
    op.create_index("ix_job_labels", "job_labels", ["project", "key", "value", "created", "uid"])
    found = op.get_bind().execute(sa.text("SELECT uid, project, created, labels FROM jobs")).all()
    rows = [
        {"uid": uid, "key": key, "value": value, "project": project, "created": created}
        for uid, project, created, text in found
        for key, value in (json.loads(text) if isinstance(text, str) else text).items()
    ]
    if rows:
        op.bulk_insert(labels, rows)
