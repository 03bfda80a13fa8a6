"""What a project is, and what it may be called. Pure; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mlengine.errors import InvalidArgument
from mlengine.names import check_project

MOST_LABELS = 64
LONGEST_NAME = 200
_LABEL = re.compile(r"[\w-]{1,63}")
_LABEL_TEXT = re.compile(r"[\w-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A space for jobs, models, buckets and accounts of their own.

    Attributes:
        project_id: How everything is addressed ("local"); never changes, unique in the server.
        number: 12 digits, taken in place of the id.
        name: What people call it; need not be unique.
        deleted: When it was deleted; its id is never given again.
    """

    project_id: str
    number: str
    name: str
    created: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    deleted: datetime | None = None

    @property
    def agent(self) -> str:
        """The account by which the server itself acts for the project, and its jobs do."""
        return f"service-{self.number}@cloud-ml.google.com.iam.gserviceaccount.com"


def checked(project: Project) -> Project:
    """`project` itself, when it may be made.

    Raises:
        InvalidArgument: its id, name or a label is not spelled like one.
    """
    check_project(project.project_id)
    if len(project.name) > LONGEST_NAME or not project.name.isprintable():
        raise InvalidArgument(
            f"The project's name must be at most {LONGEST_NAME} printable characters.", field="name"
        )
    if len(project.labels) > MOST_LABELS:
        raise InvalidArgument(f"A project has at most {MOST_LABELS} labels.", field="labels")
    for key, text in project.labels.items():
        if not _LABEL.fullmatch(key) or not _LABEL_TEXT.fullmatch(text) or (key + text).lower() != key + text:
            raise InvalidArgument(
                f"'{key[:80]}={text[:80]}' is no label: small letters, digits, '_' and '-', at most 63 each.",
                field="labels",
            )
    return project
