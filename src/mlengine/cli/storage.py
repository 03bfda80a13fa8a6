"""`mlengine storage …`: gsutil's verbs and its way of printing. Here: the list of all, making, removing."""

from __future__ import annotations

from argparse import Namespace

from mlengine.cli import storage_copy, storage_fsck, storage_look
from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.session import Session
from mlengine.errors import InvalidArgument, NotFound, Problem
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


def _rb_arguments(parser: Parser) -> None:
    parser.add_argument("urls", nargs="+", metavar="gs://BUCKET", help="empty buckets")


def _rb(arguments: Namespace, session: Session) -> int:
    for text in arguments.urls:
        _remove_buckets(session, _bucket_url(text))
    return 0


def _rm_arguments(parser: Parser) -> None:
    parser.add_argument("urls", nargs="+", metavar="gs://...", help="objects; wildcards too")
    parser.add_argument(
        "-r", "-R", "--recursive", action="store_true", help="all below a folder; a bucket with all in it"
    )
    parser.add_argument("-f", "--force", action="store_true", help="what is missing is no error")
    storage_copy.parallel_flag(parser)


def _rm(arguments: Namespace, session: Session) -> int:
    from mlengine.client.copying import Step
    from mlengine.client.patience import Patience
    from mlengine.client.storage import Storage
    from mlengine.client.transfers import Carried
    from mlengine.client.wildcards import shown

    found = []
    for text in arguments.urls:
        try:
            found += storage_look.objects(session, [text], recursive=arguments.recursive)
        except NotFound:
            if not arguments.force:
                raise
    steps = [Step(url, url) for url in dict.fromkeys(found)]

    def act(storage: Storage, step: Step) -> Carried:
        try:
            if isinstance(step.source, ObjectUrl):
                storage.delete(step.source, patience=Patience())
        except NotFound:
            if not arguments.force:
                raise
        return Carried()

    failed = storage_copy.work_off(
        session, steps, act, parallel=arguments.parallel, say=lambda step: f"Removing {shown(step.source)}..."
    )
    if failed:
        session.say(f"{failed} of {len(steps)} objects failed.")
        return 1
    for text in arguments.urls if arguments.recursive else ():
        url = storage_look.bucket_place(text)
        if not url.object and not (arguments.force and _missing(session, url)):
            _remove_buckets(session, url)
    return 0


def _remove_buckets(session: Session, typed: ObjectUrl) -> None:
    """Remove the bucket that was typed, or all that its wildcards name."""
    from mlengine.client.wildcards import matches

    found = [url.bucket for url, _ in matches(session.storage, ObjectUrl(typed.bucket))]
    if not found:
        raise NotFound(f"No bucket matches gs://{typed.bucket}.")
    for bucket in found:
        session.say(f"Removing gs://{bucket}/...")
        try:
            session.storage.delete_bucket(bucket)
        except Problem as problem:
            if problem.status != "ABORTED":
                raise
            raise type(problem)(
                f"The bucket gs://{bucket} is not empty.",
                hint=f"With all that is in it: mlengine storage rm -r gs://{bucket}",
                details=problem.details,
            ) from None


def _missing(session: Session, url: ObjectUrl) -> bool:
    from mlengine.client.wildcards import is_wild

    return not is_wild(url) and not session.storage.bucket_exists(url.bucket)


def _bucket_url(text: str) -> ObjectUrl:
    url = storage_look.bucket_place(text)
    if url.object.strip("/"):
        raise InvalidArgument(f"'{text}' names more than a bucket.", hint=f"Write gs://{url.bucket}")
    return url


COMMANDS = (
    Command(words="storage mb", summary="Make buckets.", arguments=_mb_arguments, run=_mb),
    Command(
        words="storage cp",
        summary="Copy files and objects.",
        arguments=storage_copy.cp_arguments,
        run=storage_copy.cp,
        detail=storage_copy.CP_DETAIL,
    ),
    Command(
        words="storage mv",
        summary="Move or rename files, objects and folders.",
        arguments=storage_copy.mv_arguments,
        run=storage_copy.mv,
        detail="Targets and wildcards as for cp. A source is removed once its copy is verified.",
    ),
    Command(
        words="storage rsync",
        summary="Make one folder like another.",
        arguments=storage_copy.rsync_arguments,
        run=storage_copy.rsync,
        detail="Copies what is missing or different: by size, then by time of change, else by CRC32C.",
    ),
    Command(
        words="storage ls",
        summary="List buckets and objects.",
        arguments=storage_look.ls_arguments,
        run=storage_look.ls,
    ),
    Command(
        words="storage stat",
        summary="Show what is known about objects.",
        arguments=storage_look.stat_arguments,
        run=storage_look.stat,
    ),
    Command(
        words="storage cat",
        summary="Print objects.",
        arguments=storage_look.cat_arguments,
        run=storage_look.cat,
    ),
    Command(words="storage rm", summary="Remove objects.", arguments=_rm_arguments, run=_rm),
    Command(words="storage rb", summary="Remove empty buckets.", arguments=_rb_arguments, run=_rb),
    Command(
        words="storage fsck",
        summary="Prove that the server has all it was given.",
        arguments=storage_fsck.fsck_arguments,
        run=storage_fsck.fsck,
        detail=storage_fsck.DETAIL,
    ),
)
