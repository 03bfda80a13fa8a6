"""What a path or a gs:// URL with wildcards names: gsutil's rules.

`*` and `?` stop at a slash and `**` does not; `[a-z]` and `[!a-z]` are one character. A name without `*`
that exists exactly as it is typed is that one: `data[1].csv` needs no quoting.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlengine.client.http import Json
from mlengine.client.storage import Storage, folder
from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl

Place = Path | ObjectUrl
Match = tuple[ObjectUrl, Json | None]
"""An object with its resource, or a folder with None."""

_WILD = re.compile(r"[*?\[]")


def place(text: str) -> Place:
    """A gs:// URL or a local path; `file://` is understood. Raises InvalidArgument."""
    if not text.startswith("gs://"):
        return Path(text.removeprefix("file://"))
    bucket, _, name = text[5:].partition("/")
    return ObjectUrl(bucket, name) if _WILD.search(bucket) else ObjectUrl.parse(text)


def shown(where: Place) -> str:
    """`where` as gsutil writes it, on one line whatever the name holds."""
    return printable(str(where) if isinstance(where, ObjectUrl) else f"file://{where}")


def printable(text: str) -> str:
    """`text` with control characters spelled out: a name must not move the cursor or end the line."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def is_wild(where: Place) -> bool:
    """Whether the bucket or the path holds wildcards."""
    return bool(_WILD.search(str(where).removeprefix("gs://")))


def matches(storage: Storage, url: ObjectUrl) -> list[Match]:
    """What a URL with or without wildcards names: objects with their resource, folders with None."""
    if not _WILD.search(url.bucket):
        return _in_bucket(storage, url)
    pattern = _pattern(url.bucket)
    names = [name for bucket in storage.buckets() if pattern.fullmatch(name := str(bucket["name"]))]
    return [match for name in names for match in _in_bucket(storage, ObjectUrl(name, url.object))]


def tree(storage: Storage, below: ObjectUrl, *, whole: bool = False) -> Iterator[tuple[ObjectUrl, Json]]:
    """Every object below a folder, by name; `whole` as in `Storage.tree`."""
    for item in storage.tree(folder(below), whole=whole):
        yield ObjectUrl(below.bucket, item["name"]), item


def paths(pattern: Path) -> list[Path]:
    """The files and folders of this machine that a path with or without wildcards names.

    Where `**` occurs, files only, hidden ones among them.
    """
    if os.path.lexists(pattern):
        return [pattern]
    text = str(pattern)
    if "**" not in text:
        # glob.glob, for pathlib's own cannot begin at an absolute path
        return [Path(found) for found in sorted(glob.glob(text))]  # noqa: PTH207
    fixed = Path(text[: _first_wild(text)] + "x").parent
    fits = _pattern(text)
    found = (Path(base) / name for base, _, names in os.walk(fixed) for name in names)
    return sorted(path for path in found if fits.fullmatch(str(path)))


def _in_bucket(storage: Storage, url: ObjectUrl) -> list[Match]:
    wild = bool(_WILD.search(url.object))
    if "*" not in url.object:
        exact = storage.stat(url) if url.object and not url.object.endswith("/") else None
        if exact:
            return [(url, exact)]
    if not wild:
        if not url.object or storage.is_folder(url):
            return [(folder(url), None)]
        return []
    if "**" in url.object:
        fits = _pattern(url.object)
        below = storage.tree(ObjectUrl(url.bucket, url.object[: _first_wild(url.object)]), whole=True)
        return [
            (ObjectUrl(url.bucket, item["name"]), item)
            for item in below
            if fits.fullmatch(item["name"]) and not item["name"].endswith("/")
        ]
    return list(_level(storage, url.bucket, "", url.object.split("/")))


def _level(storage: Storage, bucket: str, prefix: str, parts: list[str]) -> Iterator[Match]:
    """Match one path component after the other, so that only folders that fit are listed."""
    while len(parts) > 1 and not _WILD.search(parts[0]):
        prefix += parts.pop(0) + "/"
    part, rest = parts[0], list(parts[1:])
    fits = _pattern(part)
    # What is before belongs to the listing: its wildcards were matched, and its text may hold more of them.
    listing = storage.list(ObjectUrl(bucket, prefix + (part[: _first_wild(part)])))
    if not rest:
        for item in listing.objects:
            name = item["name"][len(prefix) :]
            if name and fits.fullmatch(name):
                yield ObjectUrl(bucket, item["name"]), item
    for below in listing.prefixes:
        if not fits.fullmatch(below[len(prefix) : -1]):
            continue
        if not rest or rest == [""]:
            yield ObjectUrl(bucket, below), None
        else:
            yield from _level(storage, bucket, below, list(rest))


def _first_wild(text: str) -> int:
    """Where the first wildcard stands; the length when there is none."""
    found = _WILD.search(text)
    return found.start() if found else len(text)


def _pattern(wild: str) -> re.Pattern[str]:
    """A gsutil wildcard as a regular expression. Raises InvalidArgument for a range like [z-a]."""
    parts: list[str] = []
    for token in re.findall(r"\*\*|\*|\?|\[[!^]?\]?[^]]*\]|.", wild, re.DOTALL):
        known = {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token)
        if known is None and len(token) > 1:
            negated = token[1] in "!^"
            # Only the hyphen keeps a meaning between the brackets.
            inner = re.sub(r"[^\w-]", lambda letter: re.escape(letter[0]), token[2 if negated else 1 : -1])
            known = f"[{'^/' if negated else ''}{inner}]" if inner else None
        parts.append(known or re.escape(token))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise InvalidArgument(f"The wildcard {wild} makes no sense: {error.msg}.") from None
