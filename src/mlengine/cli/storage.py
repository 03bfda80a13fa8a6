"""`mlengine storage …`: gsutil's verbs and its way of printing."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.session import Session
from mlengine.client import copying
from mlengine.client.copying import place
from mlengine.errors import InvalidArgument, NotFound
from mlengine.names import ObjectUrl


def _mb_arguments(parser: Parser) -> None:
    parser.add_argument("urls", nargs="+", metavar="gs://BUCKET", help="buckets to make")
    parser.add_argument("-l", "--location", default="", metavar="REGION", help="kept with the bucket")


def _mb(arguments: Namespace, session: Session) -> int:
    for text in arguments.urls:
        url = _bucket_url(text)
        session.say(f"Creating gs://{url.bucket}/...")
        session.storage.create_bucket(url.bucket, location=arguments.location)
    return 0


def _cp_arguments(parser: Parser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="files, folders or gs:// URLs; * is understood"
    )
    parser.add_argument("target", metavar="TARGET", help="where to: a name, or a folder with a final slash")
    parser.add_argument("-r", "-R", "--recursive", action="store_true", help="folders too")


def _cp(arguments: Namespace, session: Session) -> int:
    def omit(name: str) -> None:
        session.say(f'Omitting directory "{name}". (Did you mean to do cp -r?)')

    steps = copying.plan(
        session.storage, arguments.sources, arguments.target, recursive=arguments.recursive, omit=omit
    )
    for step in steps:
        session.say(f"Copying {copying.shown(step.source)} to {copying.shown(step.target)}")
        copying.run(session.storage, step)
    session.say(f"Operation completed over {len(steps)} objects.")
    return 0 if steps else 1


def _ls_arguments(parser: Parser) -> None:
    parser.add_argument("urls", nargs="*", metavar="gs://...", help="default: all buckets")
    parser.add_argument("-l", "--long", action="store_true", help="with size in bytes and time")
    parser.add_argument("-r", "-R", "--recursive", action="store_true", help="all below")


def _ls(arguments: Namespace, session: Session) -> int:
    if not arguments.urls:
        for bucket in session.storage.buckets():
            print(f"gs://{bucket['name']}/")
        return 0
    listed: list[dict[str, Any]] = []
    for text in arguments.urls:
        url = _gs(text)
        found = copying.matches(session.storage, url)
        if not found:
            if not session.storage.bucket_exists(url.bucket):
                from mlengine.client.storage import no_bucket

                raise no_bucket(url.bucket)
            raise NotFound(f"One or more URLs matched no objects: {url}.")
        listed += _print_matches(found, arguments, session, several=len(found) > 1 or len(arguments.urls) > 1)
    if arguments.long:
        total = sum(int(item.get("size", 0)) for item in listed)
        print(f"TOTAL: {len(listed)} objects, {total} bytes")
    return 0


def _print_matches(
    found: Iterable[tuple[ObjectUrl, dict[str, Any] | None]],
    arguments: Namespace,
    session: Session,
    *,
    several: bool,
) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    folders = []
    for url, item in found:
        if item is None:
            folders.append(url)
        else:
            listed.append(item)
            _print_object(url, item, long=arguments.long)
    for number, folder in enumerate(folders):
        if arguments.recursive:
            for url, item in copying.tree(session.storage, folder):
                listed.append(item)
                _print_object(url, item, long=arguments.long)
            continue
        if several:
            print(("\n" if number or listed else "") + f"{folder}:")
        listing = session.storage.list(folder)
        for item in listing.objects:
            listed.append(item)
            _print_object(ObjectUrl(folder.bucket, item["name"]), item, long=arguments.long)
        for prefix in listing.prefixes:
            print(
                f"{'':33}gs://{folder.bucket}/{prefix}"
                if arguments.long
                else f"gs://{folder.bucket}/{prefix}"
            )
    return listed


def _print_object(url: ObjectUrl, item: dict[str, Any], *, long: bool) -> None:
    if long:
        time = str(item.get("updated") or item.get("timeCreated") or "")[:19]
        print(f"{item.get('size', ''):>10}  {time + 'Z' if time else '':>19}  {url}")
    else:
        print(url)


def _cat_arguments(parser: Parser) -> None:
    parser.add_argument("urls", nargs="+", metavar="gs://...", help="objects; * is understood")


def _cat(arguments: Namespace, session: Session) -> int:
    for url in _objects(arguments.urls, session):
        session.storage.download(url, sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
    return 0


def _rm_arguments(parser: Parser) -> None:
    parser.add_argument("urls", nargs="+", metavar="gs://...", help="objects; * is understood")
    parser.add_argument(
        "-r", "-R", "--recursive", action="store_true", help="all below a folder; the bucket stays"
    )


def _rm(arguments: Namespace, session: Session) -> int:
    for url in _objects(arguments.urls, session, recursive=arguments.recursive):
        session.say(f"Removing {url}...")
        session.storage.delete(url)
    return 0


def _objects(texts: list[str], session: Session, *, recursive: bool = False) -> list[ObjectUrl]:
    """What the URLs name, objects only; nothing is returned unless all of them name something."""
    found: list[ObjectUrl] = []
    for text in texts:
        matched = copying.matches(session.storage, _gs(text))
        for url, item in matched:
            if item is not None:
                found.append(url)
            elif recursive:
                found += [inner for inner, _ in copying.tree(session.storage, url)]
        if not matched or (not recursive and all(item is None for _, item in matched)):
            hint = "It is a folder: add -r" if matched and "rm" in session.words else ""
            raise NotFound(f"No object matches {text}.", hint=hint)
    return list(dict.fromkeys(found))


def _gs(text: str) -> ObjectUrl:
    where = place(text)
    if not isinstance(where, ObjectUrl):
        raise InvalidArgument(f"'{text}' is no bucket URL.", hint=f"Write gs://{text.strip('/')}")
    return where


def _bucket_url(text: str) -> ObjectUrl:
    url = _gs(text)
    if url.object.strip("/"):
        raise InvalidArgument(f"'{text}' names more than a bucket.", hint=f"Write gs://{url.bucket}")
    return url


COMMANDS = (
    Command(words="storage mb", summary="Make buckets.", arguments=_mb_arguments, run=_mb),
    Command(words="storage cp", summary="Copy files and objects.", arguments=_cp_arguments, run=_cp),
    Command(words="storage ls", summary="List buckets and objects.", arguments=_ls_arguments, run=_ls),
    Command(words="storage cat", summary="Print objects.", arguments=_cat_arguments, run=_cat),
    Command(words="storage rm", summary="Remove objects.", arguments=_rm_arguments, run=_rm),
)
