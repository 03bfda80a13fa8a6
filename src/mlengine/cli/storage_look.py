"""`mlengine storage ls|stat|cat`: what is there, what is known about it, and what is in it."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session
from mlengine.cli.storage_progress import human
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound
from mlengine.names import ObjectUrl

if TYPE_CHECKING:
    from mlengine.client.wildcards import Match

_COLUMNS = (Column("name"), Column("size"), Column("updated"))
_BUCKET_COLUMNS = (Column("name"), Column("location"), Column("timeCreated", "CREATED"))
# gsutil's words for what is known about an object.
_FACTS = (
    ("Creation time", "timeCreated"),
    ("Update time", "updated"),
    ("Storage class", "storageClass"),
    ("Cache-Control", "cacheControl"),
    ("Content-Disposition", "contentDisposition"),
    ("Content-Encoding", "contentEncoding"),
    ("Content-Language", "contentLanguage"),
    ("Content-Length", "size"),
    ("Content-Type", "contentType"),
    ("Metadata", "metadata"),
    ("Component-Count", "componentCount"),
    ("Hash (crc32c)", "crc32c"),
    ("Hash (md5)", "md5Hash"),
    ("ETag", "etag"),
    ("Generation", "generation"),
    ("Metageneration", "metageneration"),
)


def ls_arguments(parser: Parser) -> None:
    """Those of `ls`."""
    parser.add_argument("urls", nargs="*", metavar="gs://...", help="default: all buckets; wildcards too")
    parser.add_argument("-l", "--long", action="store_true", help="with size in bytes and time")
    parser.add_argument(
        "-h",
        "--human-readable",
        action="store_true",
        help="sizes as 1.5 KiB",
    )
    parser.add_argument("-r", "-R", "--recursive", action="store_true", help="all below")


def stat_arguments(parser: Parser) -> None:
    """Those of `stat`."""
    parser.add_argument("urls", nargs="+", metavar="gs://...", help="objects; wildcards too")


def cat_arguments(parser: Parser) -> None:
    """Those of `cat`."""
    parser.add_argument("urls", nargs="+", metavar="gs://...", help="objects; wildcards too")
    parser.add_argument(
        "-r", dest="range", type=_range, metavar="RANGE", help="0-99, 100- or -5: only these bytes of each"
    )


def ls(arguments: Namespace, session: Session) -> int:
    """List."""
    if not arguments.urls or arguments.urls == ["gs://"]:
        return _buckets(arguments, session)
    if session.format:
        show_list(session, _listed(arguments, session), _COLUMNS)
        return 0
    listing = _Listing(session, arguments)
    for text in arguments.urls:
        found = _found(session, text)
        listing.show(found, several=len(found) > 1 or len(arguments.urls) > 1)
    if arguments.long:
        said = f" ({human(listing.bytes)})" if arguments.human_readable else ""
        print(f"TOTAL: {listing.objects} objects, {listing.bytes} bytes{said}")
    return 0


def stat(arguments: Namespace, session: Session) -> int:
    """Print what is known about objects."""
    from mlengine.client.wildcards import printable

    for url in objects(session, arguments.urls):
        item = session.storage.stat(url)
        if item is None:
            raise NotFound(f"There is no object {url}.")
        if session.format:
            show(session, item, columns=_COLUMNS)
            continue
        print(f"{printable(str(url))}:")
        for label, key in _FACTS:
            if item.get(key) not in (None, {}):
                if key == "metadata":
                    print("    Metadata:")
                    for name, value in sorted(item[key].items()):
                        print(f"        {printable(name) + ':':<19} {printable(value)}")
                else:
                    print(f"    {label + ':':<23} {printable(str(item[key]))}")
    return 0


def cat(arguments: Namespace, session: Session) -> int:
    """Print contents."""
    return print_objects(session, arguments.urls, arguments.range)


def print_objects(
    session: Session, texts: list[str], wanted: tuple[int | None, int | None] | None = None
) -> int:
    """Contents to standard output, checked, one after the other.

    Args:
        wanted: First and last byte; (None, 5) is the last five.
    """
    for url in objects(session, texts):
        if wanted is None:
            session.storage.download(url, sys.stdout.buffer.write)
        else:
            for piece in _stretch(session, url, *wanted):
                sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0


def objects(session: Session, texts: list[str], *, recursive: bool = False) -> list[ObjectUrl]:
    """What the URLs name, objects only.

    Raises:
        NotFound: one of them names none; nothing may be done then.
    """
    from mlengine.client.storage import no_bucket
    from mlengine.client.wildcards import is_wild, matches, tree

    found: list[ObjectUrl] = []
    for text in texts:
        typed = bucket_place(text)
        matched = matches(session.storage, typed)
        before = len(found)
        for url, item in matched:
            if item is not None:
                found.append(url)
            elif recursive:
                found += [inner for inner, _ in tree(session.storage, url)]
            elif url == typed and url.object and session.storage.stat(url):
                found.append(url)  # the marker of a folder, typed with its slash
        if len(found) == before and not (recursive and matched):
            named = not matched and not is_wild(ObjectUrl(typed.bucket))
            if named and not session.storage.bucket_exists(typed.bucket):
                raise no_bucket(typed.bucket)
            hint = "It is a folder: add -r" if matched and session.words.endswith("rm") else ""
            raise NotFound(f"No object matches {text}.", hint=hint)
    return list(dict.fromkeys(found))


def bucket_place(text: str) -> ObjectUrl:
    """A gs:// URL, and no path of this machine. Raises InvalidArgument."""
    from mlengine.client.wildcards import place

    where = place(text)
    if not isinstance(where, ObjectUrl):
        raise InvalidArgument(f"'{text}' is no bucket URL.", hint=f"Write gs://{text.strip('/')}")
    return where


class _Listing:
    """Prints matches as gsutil does, and counts them."""

    def __init__(self, session: Session, arguments: Namespace) -> None:
        self._session = session
        self._long = arguments.long
        self._human = arguments.human_readable
        self._recursive = arguments.recursive
        self.objects = self.bytes = 0
        self._blank = False  # whether a folder's heading needs an empty line before it

    def show(self, found: Iterable[Match], *, several: bool) -> None:
        """Objects first, then what is in each folder, under its name where there are several."""
        from mlengine.client.wildcards import tree

        folders = []
        for url, item in found:
            if item is None:
                folders.append(url)
            else:
                self._object(url, item)
        for folder in folders:
            if self._recursive:
                for url, item in tree(self._session.storage, folder, whole=True):
                    self._object(url, item)
                continue
            if several:
                self._heading(folder)
            listing = self._session.storage.list(folder)
            for item in listing.objects:
                self._object(ObjectUrl(folder.bucket, item["name"]), item)
            for prefix in listing.prefixes:
                self._line(ObjectUrl(folder.bucket, prefix), "", "")

    def _heading(self, folder: ObjectUrl) -> None:
        from mlengine.client.wildcards import printable

        print(("\n" if self._blank else "") + printable(str(folder)) + ":")
        self._blank = True

    def _object(self, url: ObjectUrl, item: dict[str, Any]) -> None:
        size = int(item.get("size", 0))
        self.objects += 1
        self.bytes += size
        time = str(item.get("updated") or item.get("timeCreated") or "")[:19]
        self._line(url, human(size) if self._human else str(size), time + "Z" if time else "")

    def _line(self, url: ObjectUrl, size: str, time: str) -> None:
        from mlengine.client.wildcards import printable

        self._blank = True
        print(f"{size:>10}  {time:>20}  {printable(str(url))}" if self._long else printable(str(url)))


def _buckets(arguments: Namespace, session: Session) -> int:
    if session.format:
        show_list(session, session.storage.buckets(), _BUCKET_COLUMNS)
        return 0
    for bucket in session.storage.buckets():
        if arguments.long:
            print(f"{'':10}  {str(bucket.get('timeCreated', ''))[:19] + 'Z':>20}  gs://{bucket['name']}/")
        else:
            print(f"gs://{bucket['name']}/")
    return 0


def _listed(arguments: Namespace, session: Session) -> Iterator[dict[str, Any]]:
    """All objects that a listing would show, whole."""
    from mlengine.client.wildcards import tree

    for text in arguments.urls:
        for url, item in _found(session, text):
            if item is not None:
                yield item
            elif arguments.recursive:
                yield from (inner for _, inner in tree(session.storage, url, whole=True))
            else:
                yield from session.storage.list(url).objects


def _found(session: Session, text: str) -> list[Match]:
    from mlengine.client.storage import no_bucket
    from mlengine.client.wildcards import is_wild, matches

    url = bucket_place(text)
    found = matches(session.storage, url)
    if found:
        return found
    if not is_wild(ObjectUrl(url.bucket)) and not session.storage.bucket_exists(url.bucket):
        raise no_bucket(url.bucket)
    raise NotFound(f"One or more URLs matched no objects: {url}.")


def _stretch(session: Session, url: ObjectUrl, first: int | None, last: int | None) -> Iterator[bytes]:
    from mlengine.client.downloading import pieces
    from mlengine.client.patience import Patience

    item = session.storage.stat(url)
    if item is None:
        raise NotFound(f"There is no object {url}.")
    if item.get("contentEncoding") == "gzip":
        raise FailedPrecondition(
            f"{url} is stored packed: a range of its bytes means nothing.",
            hint="Print the whole, and cut that: … | tail -c +101 | head -c 100",
        )
    size = int(item["size"])
    if first is None:
        start, end = max(0, size - (last or 0)), size
    else:
        start, end = first, size if last is None else min(last + 1, size)
    yield from pieces(session.storage.connection, url, item, start=start, end=end, patience=Patience())


def _range(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"(\d*)-(\d*)", text)
    if not match or match[1] == match[2] == "":
        raise ArgumentTypeError(f"'{text}' is no range. Write 0-99, 100- or -5.")
    first, last = (int(number) if number else None for number in match.groups())
    if first is not None and last is not None and last < first:
        raise ArgumentTypeError(f"The range {text} ends before it begins.")
    return first, last
