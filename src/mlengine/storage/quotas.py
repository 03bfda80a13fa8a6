"""How much a project stores and may store. Pure; the counter itself is a row, see `store_usage`.

Counted are live and noncurrent objects, each with its whole size: what users can see and delete, not what the
blob store saves by sharing a content between copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlengine.errors import QuotaExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much is stored, or by how much that changes.

    Attributes:
        objects: Number of objects, noncurrent generations among them.
        size: Their contents in bytes.
    """

    objects: int = 0
    size: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(objects=self.objects + other.objects, size=self.size + other.size)

    def __neg__(self) -> Usage:
        return Usage(objects=-self.objects, size=-self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much a project may store; 0 sets no limit.

    Attributes:
        objects: Most objects.
        size: Most bytes.
    """

    objects: int = 0
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.objects or self.size)

    def check(self, project: str, *, used: Usage, change: Usage) -> None:
        """Whether `change` fits in beside `used`. What takes nothing more is always let through.

        Raises:
            QuotaExceeded: it does not.
        """
        if self.objects and change.objects > 0 and used.objects + change.objects > self.objects:
            raise QuotaExceeded(
                f"Project {project} stores {used.objects} objects of the {self.objects} it may.",
                hint="Delete objects, or noncurrent generations of them; or let whoever runs the server "
                "raise storage_quota_objects.",
            )
        if self.size and change.size > 0 and used.size + change.size > self.size:
            raise QuotaExceeded(
                f"Project {project} stores {used.size} bytes of the {self.size} it may; "
                f"{change.size} more do not fit.",
                hint="Delete objects, or noncurrent generations of them; or let whoever runs the server "
                "raise storage_quota_bytes.",
            )


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """How long one content may become, as things stood when it began to arrive.

    Only what spares everybody a long upload in vain: the last word is spoken when the object becomes visible.

    Attributes:
        used: What the project stores.
        replaced: What of that makes room for the new object.
    """

    project: str
    quota: Quota
    used: Usage
    replaced: Usage

    def check(self, size: int) -> None:
        """Whether an object of `size` bytes would fit.

        Raises:
            QuotaExceeded: it would not.
        """
        self.quota.check(self.project, used=self.used, change=Usage(objects=1, size=size) + -self.replaced)

    def through(self, chunks: Iterable[bytes], *, size: int = 0) -> Iterator[bytes]:
        """The same chunks, up to the one that does not fit any more.

        Args:
            size: Bytes that have come before.

        Raises:
            QuotaExceeded: a chunk does not fit.
        """
        for chunk in chunks:
            size += len(chunk)
            self.check(size)
            yield chunk
