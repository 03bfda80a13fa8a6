"""Resource names: how they are spelled, and what may stand in them.

An id is one component ("train_7"); a name is the whole path ("projects/p/jobs/train_7").
Rules: reference of `ml` v1, section 5 (ids), and the storage rules for buckets and objects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from mlengine.errors import InvalidArgument

LONGEST_ID = 128
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}", re.ASCII)
_PROJECT = re.compile(r"[a-z][a-z0-9-]{2,61}[a-z0-9]", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,220})[a-z0-9]", re.ASCII)


def check_id(value: str, *, field: str, noun: str) -> str:
    """`value` itself, when it is a legal job, model or version id.

    Raises:
        InvalidArgument: it is not; the message shows what is wrong and a spelling that would do.
    """
    if _ID.fullmatch(value):
        return value
    if not value:
        raise InvalidArgument(f"The {noun} needs a name.", field=field)
    cured = re.sub(r"[^A-Za-z0-9_]", "_", value)[:LONGEST_ID]
    if not cured[0].isalpha():
        cured = f"{noun.split()[-1]}_{cured}"[:LONGEST_ID]
    raise InvalidArgument(
        f"'{value[:140]}' is no {noun} id: letters, digits and underscores, a letter first, at most 128.",
        hint=f"'{cured}' would do.",
        field=field,
    )


def check_project(value: str) -> str:
    """`value` itself, when it is spelled like a project id (4 to 63 characters: a-z, 0-9, hyphen).

    Raises:
        InvalidArgument: it is not.
    """
    if _PROJECT.fullmatch(value):
        return value
    raise InvalidArgument(
        f"'{value[:80]}' is no project id: small letters, digits and hyphens, a letter first, "
        "4 to 63 characters.",
        field="project",
    )


@dataclass(frozen=True, slots=True, order=True)
class JobName:
    """projects/PROJECT/jobs/JOB."""

    project: str
    job: str

    @classmethod
    def of(cls, project: str, job: str) -> Self:
        """The name of a job that may exist; both parts are checked."""
        return cls(check_project(project), check_id(job, field="job.job_id", noun="job"))

    def __str__(self) -> str:
        return f"projects/{self.project}/jobs/{self.job}"


@dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """projects/PROJECT/models/MODEL."""

    project: str
    model: str

    @classmethod
    def of(cls, project: str, model: str) -> Self:
        """The name of a model that may exist; both parts are checked."""
        return cls(check_project(project), check_id(model, field="model.name", noun="model"))

    def version(self, version: str) -> VersionName:
        """The name of one of this model's versions; the id is checked."""
        return VersionName(self, check_id(version, field="version.name", noun="version"))

    def __str__(self) -> str:
        return f"projects/{self.project}/models/{self.model}"


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """projects/PROJECT/models/MODEL/versions/VERSION."""

    parent: ModelName
    version: str

    @property
    def key(self) -> str:
        """PROJECT/MODEL/VERSION, as the gateway's routing table spells it."""
        return f"{self.parent.project}/{self.parent.model}/{self.version}"

    def __str__(self) -> str:
        return f"{self.parent}/versions/{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class OperationName:
    """projects/PROJECT/operations/OPERATION."""

    project: str
    operation: str

    def __str__(self) -> str:
        return f"projects/{self.project}/operations/{self.operation}"


@dataclass(frozen=True, slots=True, order=True)
class ObjectUrl:
    """gs://BUCKET/OBJECT; `object` is empty for the bucket itself and ends in a slash for a folder."""

    bucket: str
    object: str = ""

    @classmethod
    def parse(cls, url: str, *, field: str = "") -> Self:
        """Read `gs://bucket[/object]`.

        Raises:
            InvalidArgument: no gs:// URL, or no legal bucket name.
        """
        if not url.startswith("gs://"):
            raise InvalidArgument(
                f"'{url[:200]}' is no bucket URL.", hint="Write gs://BUCKET/PATH.", field=field
            )
        bucket, _, object_name = url[5:].partition("/")
        return cls(check_bucket(bucket, field=field), object_name)

    def child(self, relative: str) -> ObjectUrl:
        """The object at `relative` below this folder."""
        base = self.object.rstrip("/")
        return ObjectUrl(self.bucket, f"{base}/{relative}" if base else relative)

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.object}"


def check_bucket(value: str, *, field: str = "") -> str:
    """`value` itself, when it is a legal bucket name (3 to 222 of a-z, 0-9, `-`, `_`, `.`).

    Raises:
        InvalidArgument: it is not.
    """
    if _BUCKET.fullmatch(value) and ".." not in value:
        return value
    raise InvalidArgument(
        f"'{value[:80]}' is no bucket name: 3 to 222 small letters, digits, '-', '_' or '.', "
        "a letter or digit first and last.",
        field=field,
    )
