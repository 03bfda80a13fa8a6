"""Which file becomes which object when things are copied, and what a listing shows: gsutil's rules.

Apart from `storage`, which moves one thing: here paths, wildcards and folders are told apart.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlengine.client.http import Json
from mlengine.client.storage import Storage, no_bucket
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound
from mlengine.names import ObjectUrl

Place = Path | ObjectUrl
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to copy."""

    source: Place
    target: Place


def place(text: str) -> Place:
    """A gs:// URL or a local path; `file://` is understood. Raises InvalidArgument."""
    if text.startswith("gs://"):
        return ObjectUrl.parse(text)
    return Path(text.removeprefix("file://"))


def shown(where: Place) -> str:
    """`where` as gsutil writes it."""
    return str(where) if isinstance(where, ObjectUrl) else f"file://{where}"


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
        omit: Told of each folder that is left out because the copy is not recursive.

    Raises:
        NotFound: a source matches nothing.
        InvalidArgument: two places on this machine, or several sources for one file.
    """
    found = [match for text in sources for match in _expand(storage, text)]
    kept: list[Place] = []
    for match in found:
        if _is_folder(match) and not recursive:
            omit(shown(match))
        else:
            kept.append(match)
    if isinstance(place(target), Path) and any(isinstance(match, Path) for match in kept):
        raise InvalidArgument("Both places are on this machine.", hint="Use cp for that.")
    into = _Target(storage, target, several=len(found) > 1)
    steps: list[Step] = []
    for match in kept:
        if _is_folder(match):
            steps.extend(into.folder(match, _below(storage, match)))
        else:
            steps.append(into.single(match))
    _distinct(steps)
    return steps


def run(storage: Storage, step: Step) -> None:
    """Copy one thing. Raises NotFound, Internal as `Storage` does."""
    match step.source, step.target:
        case Path() as source, ObjectUrl() as target:
            storage.upload(source, target)
        case ObjectUrl() as source, Path() as target:
            if source.object.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
            else:
                storage.download_file(source, target)
        case ObjectUrl() as source, ObjectUrl() as target:
            storage.copy(source, target)


def matches(storage: Storage, url: ObjectUrl) -> list[tuple[ObjectUrl, Json | None]]:
    """What a URL with or without wildcards names: objects with their resource, folders with None.

    `*` and `?` stop at a slash, `**` does not.
    """
    if not _WILD.search(url.object):
        exact = storage.stat(url) if url.object and not url.object.endswith("/") else None
        if exact:
            return [(url, exact)]
        if not url.object or storage.is_folder(url):
            return [(_as_folder(url), None)]
        return []
    if "**" in url.object:
        base = url.object[: url.object.index("**")]
        pattern = _pattern(url.object)
        listing = storage.list(ObjectUrl(url.bucket, _WILD.split(base)[0]), recursive=True)
        return [
            (ObjectUrl(url.bucket, item["name"]), item)
            for item in listing.objects
            if pattern.fullmatch(item["name"]) and not item["name"].endswith("/")
        ]
    return list(_level(storage, url.bucket, "", url.object.split("/")))


def tree(storage: Storage, folder: ObjectUrl) -> list[tuple[ObjectUrl, Json]]:
    """Every object below a folder, by name."""
    found = storage.list(_as_folder(folder), recursive=True).objects
    return [(ObjectUrl(folder.bucket, item["name"]), item) for item in found]


class _Target:
    """Where things go: below a folder, or to exactly one name."""

    def __init__(self, storage: Storage, text: str, *, several: bool) -> None:
        self._to = place(text)
        if isinstance(self._to, ObjectUrl):
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

    def single(self, source: Place) -> Step:
        if not self.is_folder:
            return Step(source, self._to)
        return Step(source, self._inside(_name(source)))

    def folder(self, source: Place, inner: Iterable[tuple[Place, str]]) -> Iterator[Step]:
        """A whole folder keeps its name where the target exists, and gives it up where it does not."""
        prefix = f"{_name(source)}/" if self.is_folder and _name(source) else ""
        for where, relative in inner:
            yield Step(where, self._inside(prefix + relative))

    def _inside(self, relative: str) -> Place:
        if isinstance(self._to, ObjectUrl):
            return self._to.child(relative)
        target = self._to / relative
        # An object name is anybody's text; it must not climb out of the folder that was named.
        if ".." in Path(relative).parts or Path(relative).is_absolute():
            raise FailedPrecondition(
                f"The object name '{relative}' would land outside {self._to}.",
                hint="Copy that object by its own name: mlengine storage cp gs://BUCKET/OBJECT FILE",
            )
        return target


def _expand(storage: Storage, text: str) -> list[Place]:
    where = place(text)
    if isinstance(where, Path):
        if where.exists():
            return [where]
        found = [Path(path) for path in sorted(glob.glob(str(where), recursive=True))]  # noqa: PTH207 (may be absolute)
        if not found:
            raise NotFound(f"There is no file {where}.", hint=f"This folder is {Path.cwd()}.")
        return list(found)
    urls = [url for url, _ in matches(storage, where)]
    if not urls and not storage.bucket_exists(where.bucket):
        raise no_bucket(where.bucket)
    if not urls:
        raise NotFound(f"No object matches {where}.", hint=f"Look: mlengine storage ls gs://{where.bucket}")
    return list(urls)


def _below(storage: Storage, folder: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(folder, Path):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, path.relative_to(folder).as_posix()
        return
    prefix = _as_folder(folder).object
    for url, _ in tree(storage, folder):
        relative = url.object[len(prefix) :]
        if relative:
            yield url, relative


def _level(
    storage: Storage, bucket: str, prefix: str, parts: list[str]
) -> Iterator[tuple[ObjectUrl, Json | None]]:
    """Match one path component after the other, so that only folders that fit are listed."""
    while len(parts) > 1 and not _WILD.search(parts[0]):
        prefix += parts.pop(0) + "/"
    part, rest = parts[0], list(parts[1:])
    pattern = _pattern(prefix + part)
    listing = storage.list(ObjectUrl(bucket, prefix + _WILD.split(part)[0]))
    if not rest:
        for item in listing.objects:
            if pattern.fullmatch(item["name"]):
                yield ObjectUrl(bucket, item["name"]), item
    for folder in listing.prefixes:
        if not pattern.fullmatch(folder.rstrip("/")):
            continue
        if not rest or rest == [""]:
            yield ObjectUrl(bucket, folder), None
        else:
            yield from _level(storage, bucket, folder, list(rest))


def _pattern(wild: str) -> re.Pattern[str]:
    """A gsutil wildcard as a regular expression."""
    parts: list[str] = []
    for token in re.findall(r"\*\*|\*|\?|\[[^]]+]|.", wild, re.DOTALL):
        known = {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token)
        if known is None and len(token) > 1:
            known = "[" + token[1:-1].replace("\\", r"\\").replace("!", "^", 1) + "]"
        parts.append(known or re.escape(token))
    return re.compile("".join(parts), re.DOTALL)


def _is_folder(where: Place) -> bool:
    if isinstance(where, Path):
        return where.is_dir()
    return not where.object or where.object.endswith("/")


def _as_folder(url: ObjectUrl) -> ObjectUrl:
    return ObjectUrl(url.bucket, f"{url.object.rstrip('/')}/" if url.object else "")


def _name(where: Place) -> str:
    if isinstance(where, ObjectUrl):
        return where.object.rstrip("/").rpartition("/")[2]
    return where.name or where.resolve().name


def _distinct(steps: list[Step]) -> None:
    targets: dict[Place, Place] = {}
    for step in steps:
        if (other := targets.setdefault(step.target, step.source)) is not step.source:
            raise InvalidArgument(
                f"{shown(other)} and {shown(step.source)} would both become {shown(step.target)}."
            )
