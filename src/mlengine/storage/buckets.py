"""What can be done with buckets themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import AlreadyExists, Conflict
from mlengine.names import check_bucket, check_project
from mlengine.storage import store
from mlengine.storage.changing import Changes
from mlengine.storage.domain import ANY, Bucket, Conditions


class BucketService:
    """Buckets. Every verb raises NotFound for one that is not there.

    Args:
        project: The id of the project that a request means, by an id, a number or nothing; raises NotFound
            for one that is not there.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        clock: Clock,
        *,
        project: Callable[[str], str] = lambda asked: asked,
    ) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._project = project

    def project(self, asked: str) -> str:
        """The project that a request means; without saying so, the first one of this server.

        Raises:
            NotFound: there is none of this name.
        """
        return self._project(asked)

    def create(
        self,
        name: str,
        project: str,
        *,
        location: str = "US",
        storage_class: str = "STANDARD",
        labels: Mapping[str, str] | None = None,
        versioning: bool = False,
    ) -> Bucket:
        """Make an empty bucket.

        Raises:
            NotFound: no such project.
            AlreadyExists: the name is taken, here or in another project.
        """
        now = self._clock()
        bucket = Bucket(
            name=check_bucket(name),
            project=check_project(self.project(project)),
            created=now,
            updated=now,
            location=location,
            storage_class=storage_class,
            labels=dict(labels or {}),
            versioning=versioning,
        )
        with self._changes.begin() as change:
            taken = store.find_bucket(change.db, name)
            if taken is None:
                store.add_bucket(change.db, bucket)
                return bucket
        whose = (
            "Your project owns it."
            if taken.project == bucket.project
            else "Bucket names are unique in the whole server."
        )
        raise AlreadyExists(f"There is a bucket '{name}' already.", hint=whose)

    def get(self, name: str, conditions: Conditions = ANY) -> Bucket:
        """One bucket.

        Raises:
            NotModified, PreconditionFailed: as `conditions` demand.
        """
        with self._database.read() as db:
            bucket = store.get_bucket(db, name)
        conditions.check(bucket, reading=True)
        return bucket

    def list(self, project: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> list[Bucket]:
        """At most `limit` of a project's buckets by name, those past the name `after`.

        Raises:
            NotFound: no such project.
        """
        project = self.project(project)
        with self._database.read() as db:
            return store.buckets(db, project, prefix=prefix, after=after, limit=limit)

    def change(self, name: str, change: Callable[[Bucket], Bucket], conditions: Conditions = ANY) -> Bucket:
        """Change what may change of a bucket: labels, storage class and versioning.

        Raises:
            PreconditionFailed: a condition does not hold.
        """
        with self._changes.begin() as open_change:
            bucket = store.get_bucket(open_change.db, name, lock=True)
            conditions.check(bucket)
            bucket = replace(change(bucket), metageneration=bucket.metageneration + 1, updated=self._clock())
            store.save_bucket(open_change.db, bucket)
        return bucket

    def delete(self, name: str, conditions: Conditions = ANY) -> None:
        """Delete an empty bucket, and the unfinished uploads into it.

        Raises:
            Conflict: it is not empty.
            PreconditionFailed: a condition does not hold.
        """
        with self._changes.begin() as change:
            conditions.check(store.get_bucket(change.db, name, lock=True))
            if store.has_objects(change.db, name):
                raise Conflict(f"The bucket {name} is not empty.", hint="Delete its objects first.")
            if store.has_noncurrent(change.db, name):
                raise Conflict(
                    f"The bucket {name} is not empty: it holds noncurrent generations.",
                    hint="List them with versions=true, and delete each by its generation.",
                )
            change.dropped.extend(store.remove_uploads_of(change.db, name))
            store.remove_bucket(change.db, name)
