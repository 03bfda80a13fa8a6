"""What other parts of the server want of objects: whole folders, and whether something is there."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from mlengine.errors import NotFound
from mlengine.names import ObjectUrl
from mlengine.storage.blobs import Pieces
from mlengine.storage.domain import Listing, ListQuery, Object
from mlengine.storage.tree import plan_tree, write_tree


class Folders(ABC):
    """Prefixes that end in a slash, taken for folders; built upon single objects and pages of a listing."""

    @abstractmethod
    def get(self, url: ObjectUrl) -> Object:
        """What is known about an object; NotFound if there is none."""

    @abstractmethod
    def list(self, bucket: str, query: ListQuery) -> Listing:
        """One page of a bucket's objects."""

    @abstractmethod
    def open(self, url: ObjectUrl) -> tuple[Object, Pieces]:
        """An object and its content."""

    def open_read(self, url: ObjectUrl) -> Pieces:
        """The content of an object."""
        return self.open(url)[1]

    def exists(self, url: ObjectUrl) -> bool:
        """Whether there is such an object; of a URL with a final slash (or a bucket's), anything below it."""
        try:
            if url.object and not url.object.endswith("/"):
                self.get(url)
                return True
            return bool(self.list(url.bucket, ListQuery(prefix=url.object, limit=1)).items)
        except NotFound:
            return False

    def list_under(self, url: ObjectUrl) -> Iterator[Object]:
        """All objects below a folder, in the order of their names; the folder's own marker is one of them."""
        query = ListQuery(prefix=_folder(url))
        while True:
            page = self.list(url.bucket, query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)

    def paths_under(self, url: ObjectUrl, most: int) -> builtins.list[str]:
        """The paths of at most `most` objects below a folder, relative to it and without folder markers."""
        start = len(_folder(url))
        names = (found.name[start:] for found in self.list_under(url))
        return builtins.list(islice((name for name in names if name and not name.endswith("/")), most))

    def fetch_tree(self, url: ObjectUrl, target: Path) -> int:
        """Download all objects below a folder into the directory `target`, which is made if need be.

        Returns:
            The number of files written.

        Raises:
            NotFound: there is nothing below `url`.
            FailedPrecondition: an object's name cannot be a file in there ("../x", "/x", "a" beside "a/b");
                nothing is written then.
            Internal: a content does not have its checksum.
        """
        plan = plan_tree(self.list_under(url), prefix=_folder(url))
        if not plan:
            raise NotFound(f"There is nothing below {url}.", hint=f"Look with 'mlengine storage ls {url}'.")
        return write_tree(plan, target, open_read=lambda found: self.open(found.url)[1])


def _folder(url: ObjectUrl) -> str:
    return f"{url.object.rstrip('/')}/" if url.object.strip("/") else url.object
