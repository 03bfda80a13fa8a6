"""Which file becomes which object when things are copied or moved: gsutil's rules.

Apart from `transfers`, which moves the bytes: here nothing is written but a local target folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlengine.client.http import Json
from mlengine.client.storage import Storage, folder, no_bucket
from mlengine.client.wildcards import Place, is_wild, matches, paths, place, shown, tree
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound
from mlengine.names import ObjectUrl


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to copy.

    Attributes:
        item: The resource of a source that is an object.
    """

    source: Place
    target: Place
    item: Json | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Bytes to move; 0 for a file that is gone."""
        if self.item is not None:
            return int(self.item.get("size", 0))
        try:
            return self.source.stat().st_size if isinstance(self.source, Path) else 0
        except OSError:
            return 0


def plan(
    storage: Storage,
    sources: list[str],
    target: str,
    *,
    recursive: bool,
    omit: Callable[[str], None],
) -> list[Step]:
    """Every single copy that `cp SOURCES TARGET` stands for.

    Args:
        omit: Told why something is left out: a folder when the copy is not recursive, a link to a folder.

    Raises:
        NotFound: a source matches nothing.
        InvalidArgument: two places on this machine, something onto itself, or several sources for one file.
        FailedPrecondition: an object's name would lead out of the target folder.
    """
    found = [match for text in sources for match in _expand(storage, text)]
    kept: list[tuple[Place, Json | None]] = []
    for where, item in found:
        if is_folder(where) and not recursive:
            omit(f'Omitting directory "{shown(where)}". (Did you mean to do cp -r?)')
        else:
            kept.append((where, item))
    if isinstance(place(target), Path) and any(isinstance(where, Path) for where, _ in kept):
        raise InvalidArgument("Both places are on this machine.", hint="Use cp or mv for that.")
    into = _Target(storage, target, several=len(found) > 1)
    steps: list[Step] = []
    for where, item in kept:
        if is_folder(where):
            steps.extend(into.folder(where, below(storage, where, omit)))
        else:
            steps.append(Step(where, into.single(where), item))
    _distinct(steps)
    return steps


def below(
    storage: Storage, where: Place, omit: Callable[[str], None]
) -> Iterator[tuple[Place, str, Json | None]]:
    """Everything below a folder: where it is, its path in the folder, and an object's resource."""
    if isinstance(where, ObjectUrl):
        start = len(folder(where).object)
        for url, item in tree(storage, where):
            if relative := url.object[start:]:
                yield url, relative, item
        return
    for base, folders, names in os.walk(where):
        folders.sort()
        for name in list(folders):
            if (link := Path(base, name)).is_symlink():
                omit(f"Omitting {shown(link)}: a link to a folder is not followed.")
        for name in sorted(names):
            path = Path(base, name)
            if path.is_file():
                yield path, path.relative_to(where).as_posix(), None
            else:
                omit(f"Omitting {shown(path)}: it is no file, or a link that leads nowhere.")


def inside(target: Place, relative: str) -> Place:
    """The place at `relative` below a folder.

    Raises:
        FailedPrecondition: an object's name, which is anybody's text, would lead out of a local folder.
    """
    if isinstance(target, ObjectUrl):
        return ObjectUrl(target.bucket, folder(target).object + relative)
    if ".." in Path(relative).parts or Path(relative).is_absolute() or "\0" in relative:
        raise FailedPrecondition(
            f"The object name '{relative}' would land outside {target}.",
            hint="Copy that object by its own name: mlengine storage cp gs://BUCKET/OBJECT FILE",
        )
    return target / relative


def is_folder(where: Place) -> bool:
    """Whether `where` is a folder here, or a URL that can only be one."""
    if isinstance(where, Path):
        return where.is_dir()
    return not where.object or where.object.endswith("/")


class _Target:
    """Where things go: below a folder, or to exactly one name."""

    def __init__(self, storage: Storage, text: str, *, several: bool) -> None:
        self._to = place(text)
        if isinstance(self._to, ObjectUrl):
            if is_wild(ObjectUrl(self._to.bucket)):
                raise InvalidArgument(f"The target {text} must be one bucket, without wildcards.")
            if not storage.bucket_exists(self._to.bucket):
                raise no_bucket(self._to.bucket)
            named = self._to.object
            self.exists = not named or named.endswith("/") or storage.is_folder(self._to)
        else:
            self.exists = self._to.is_dir()
            if text.endswith("/") and not self.exists:
                self._to.mkdir(parents=True)
                self.exists = True
        self.is_folder = self.exists or several
        if several and isinstance(self._to, Path) and not self.exists:
            raise InvalidArgument(
                f"Several things cannot become the one file {self._to}.", hint=f"mkdir {self._to}"
            )

    def single(self, source: Place) -> Place:
        return inside(self._to, _name(source)) if self.is_folder else self._to

    def folder(self, source: Place, inner: Iterable[tuple[Place, str, Json | None]]) -> Iterator[Step]:
        """A whole folder keeps its name where the target exists, and gives it up where it does not."""
        name = _name(source) if self.is_folder else ""
        prefix = f"{name}/" if name else ""
        for where, relative, item in inner:
            yield Step(where, inside(self._to, prefix + relative), item)


def _expand(storage: Storage, text: str) -> list[tuple[Place, Json | None]]:
    where = place(text)
    if isinstance(where, Path):
        found = paths(where)
        if not found:
            raise NotFound(f"There is no file {where}.", hint=f"This folder is {Path.cwd()}.")
        return [(path, None) for path in found]
    matched = matches(storage, where)
    if not matched and not is_wild(ObjectUrl(where.bucket)) and not storage.bucket_exists(where.bucket):
        raise no_bucket(where.bucket)
    if not matched:
        raise NotFound(f"No object matches {where}.", hint=f"Look: mlengine storage ls gs://{where.bucket}")
    return [(url, item) for url, item in matched]


def _name(where: Place) -> str:
    """What stands behind the last slash; nothing for a bucket, `.` and `..`, whose contents are meant."""
    if isinstance(where, ObjectUrl):
        return where.object.rstrip("/").rpartition("/")[2]
    return "" if where.name == ".." else where.name


def _distinct(steps: list[Step]) -> None:
    """Refuse what would lose something: two sources for one name, and a source that is written over."""
    targets: dict[Place, Place] = {}
    for step in steps:
        if step.source == step.target:
            raise InvalidArgument(f"{shown(step.source)} cannot be copied onto itself.")
        other = targets.setdefault(step.target, step.source)
        if other is not step.source:
            raise InvalidArgument(
                f"{shown(other)} and {shown(step.source)} would both become {shown(step.target)}."
            )
    for step in steps:
        if step.source in targets:
            raise InvalidArgument(
                f"{shown(step.source)} is to be copied, and written over by {shown(targets[step.source])}.",
                hint="Copy the one first, then the other.",
            )
