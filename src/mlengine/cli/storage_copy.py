"""`mlengine storage cp|mv|rsync`: what they say while contents move, and how a run of many files ends."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlengine.cli.command import UsageError
from mlengine.cli.grammar import Parser
from mlengine.cli.session import Session
from mlengine.cli.storage_progress import Display
from mlengine.errors import InvalidArgument, Problem

if TYPE_CHECKING:
    from mlengine.client.copying import Step
    from mlengine.client.storage import Storage
    from mlengine.client.trackers import Trackers
    from mlengine.client.transfers import Carried, Carrier, Crew

_THREADS = 8
# So many files are copied several at a time without being asked to.
_MANY = 10

CP_DETAIL = (
    "A target with a final slash, a bucket, and a folder or prefix that exists are copied into; any other "
    "target is the new name. A folder (-r) keeps its name in a target that exists, and becomes the target "
    "where it does not. A single - is standard input or output. Wildcards: * and ? stop at a slash, ** does "
    "not, [a-z] is one character. An interrupted copy goes on when the same line is typed again."
)


def cp_arguments(parser: Parser) -> None:
    """Those of `cp`."""
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="files, folders or gs:// URLs; - is standard input"
    )
    parser.add_argument("target", metavar="TARGET", help="where to: a name, or a folder with a final slash")
    parser.add_argument("-r", "-R", "--recursive", action="store_true", help="folders too")
    _no_clobber_flag(parser)
    parallel_flag(parser)


def mv_arguments(parser: Parser) -> None:
    """Those of `mv`."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="files, folders or gs:// URLs")
    parser.add_argument("target", metavar="TARGET", help="where to: a name, or a folder with a final slash")
    _no_clobber_flag(parser)
    parallel_flag(parser)


def rsync_arguments(parser: Parser) -> None:
    """Those of `rsync`."""
    parser.add_argument("source", metavar="SOURCE", help="a folder, here or gs://")
    parser.add_argument("target", metavar="TARGET", help="the folder that is to become like it")
    parser.add_argument("-r", "-R", "--recursive", action="store_true", help="with the folders in it")
    parser.add_argument("-d", dest="delete", action="store_true", help="remove what only the target has")
    parser.add_argument("-c", dest="checksum", action="store_true", help="compare contents, not times")
    parser.add_argument("-n", "--dry-run", action="store_true", help="only print what would be done")
    parallel_flag(parser)


def parallel_flag(parser: Parser) -> None:
    """-m, as gsutil has it before the command's name."""
    parser.add_argument(
        "-m", "--parallel", action="store_true", help=f"{_THREADS} at a time, as from {_MANY} on anyhow"
    )


def cp(arguments: Namespace, session: Session) -> int:
    """Copy."""
    if "-" in (*arguments.sources, arguments.target):
        return _through(arguments, session)
    return _copy(arguments, session, recursive=arguments.recursive, move=False)


def mv(arguments: Namespace, session: Session) -> int:
    """Copy, and remove each source once its copy is verified."""
    if "-" in (*arguments.sources, arguments.target):
        raise UsageError("Standard input and output cannot be moved.")
    code = _copy(arguments, session, recursive=True, move=True)
    for text in arguments.sources:
        if code == 0 and not text.startswith("gs://"):
            _prune(Path(text.removeprefix("file://")))
    return code


def rsync(arguments: Namespace, session: Session) -> int:
    """Make one folder like another."""
    from mlengine.client import mirroring
    from mlengine.client.transfers import Carried
    from mlengine.client.wildcards import shown

    mirror = mirroring.plan(
        session.storage,
        arguments.source,
        arguments.target,
        recursive=arguments.recursive,
        delete=arguments.delete,
        checksum=arguments.checksum,
        omit=session.say,
    )
    if arguments.dry_run:
        for step in mirror.copies:
            print(f"Would copy {shown(step.source)} to {shown(step.target)}")
        for step in mirror.removals:
            print(f"Would remove {shown(step.target)}")
        return 0

    def retime(storage: Storage, step: Step) -> Carried:
        mirroring.retime(storage, step)
        return Carried()

    def remove(storage: Storage, step: Step) -> Carried:
        if isinstance(step.target, Path):
            step.target.unlink(missing_ok=True)
        else:
            generation = str((step.item or {}).get("generation", ""))
            storage.delete(step.target, generation=generation, patience=carrier.patience())
        return Carried()

    carrier = _carrier(session, mirror.copies, keep_time=True)
    failed = carry_all(session, mirror.copies, carrier, parallel=arguments.parallel)
    work_off(session, mirror.retimed, retime, parallel=arguments.parallel)
    if failed and mirror.removals:
        session.warn("Nothing is removed, for not everything was copied.")
    elif mirror.removals:
        failed += work_off(
            session,
            mirror.removals,
            remove,
            parallel=arguments.parallel,
            say=lambda step: f"Removing {shown(step.target)}",
        )
    changed = len(mirror.copies) + len(mirror.removals)
    return _summary(session, changed, failed)


def work_off(
    session: Session,
    steps: list[Step],
    act: Callable[[Storage, Step], Carried],
    *,
    parallel: bool,
    say: Callable[[Step], str] | None = None,
) -> int:
    """Do something small to each of many things; how many of them failed, each with its line."""
    display = Display(session, files=len(steps))

    def told(storage: Storage, step: Step) -> Carried:
        if say:
            display.line(say(step))
        return act(storage, step)

    return _run(session, steps, _crew(session, steps, parallel=parallel), told, display)


def carry_all(session: Session, steps: list[Step], carrier: Carrier, *, parallel: bool) -> int:
    """Copy or move everything; how many failed, each with its line."""
    from mlengine.client.wildcards import shown

    crew = _crew(session, steps, parallel=parallel)
    display = Display(session, total=sum(step.size for step in steps), files=len(steps))
    numbers = {id(step): number for number, step in enumerate(steps)}
    word = "Moving" if carrier.move else "Copying"

    def act(storage: Storage, step: Step) -> Carried:
        number = numbers[id(step)]

        def tell(position: int, carried: int) -> None:
            crew.check()
            display.at(number, position, carried)

        display.line(f"{word} {shown(step.source)} to {shown(step.target)}")
        done = carrier.carry(storage, step, tell)
        display.ended(number)
        if done.skipped:
            display.line(f"Skipping existing item: {shown(step.target)}")
        else:
            found = f"; {done.found} were there from an earlier run" if done.found else ""
            session.info(f"{shown(step.target)}: {done.sent} bytes transferred{found}.")
        return done

    return _run(session, steps, crew, act, display)


def _copy(arguments: Namespace, session: Session, *, recursive: bool, move: bool) -> int:
    from mlengine.client import copying

    steps = copying.plan(
        session.storage, arguments.sources, arguments.target, recursive=recursive, omit=session.say
    )
    carrier = _carrier(session, steps, only_new=arguments.no_clobber, move=move)
    failed = carry_all(session, steps, carrier, parallel=arguments.parallel)
    return _summary(session, len(steps), failed) if steps else 1


def _carrier(session: Session, steps: list[Step], **options: Any) -> Carrier:
    from mlengine.client.transfers import Carrier

    def trouble(problem: Problem) -> None:
        session.warn(f"{problem.message} Trying again for a minute.")

    return Carrier(
        trackers=_trackers(session),
        taken=frozenset(step.target for step in steps if isinstance(step.target, Path)),
        trouble=trouble,
        **options,
    )


def _crew(session: Session, steps: list[Step], *, parallel: bool) -> Crew:
    from mlengine.client.storage import Storage
    from mlengine.client.transfers import Crew

    threads = _THREADS if parallel or len(steps) >= _MANY else 1
    return Crew(lambda: Storage(session.connect(), session.project), threads)


def _run(
    session: Session,
    steps: list[Step],
    crew: Crew,
    act: Callable[[Storage, Step], Carried],
    display: Display,
) -> int:
    """How many failed. One alone fails with its own problem."""
    from mlengine.client.patience import PASSING

    failed = ended = 0
    try:
        with closing(crew.work(steps, act)) as results:
            for one in results:
                ended += 1
                if one.problem is None:
                    continue
                if len(steps) == 1:
                    raise one.problem
                failed += 1
                where = f"mlengine.{session.words.replace(' ', '.')}"
                display.line(f"ERROR: ({where}) {one.problem.message}")
                if one.problem.hint:
                    display.line(one.problem.hint)
                if isinstance(one.problem, PASSING):
                    failed += len(steps) - ended  # nobody answers: the others would wait in vain as well
                    break
    except KeyboardInterrupt:
        display.line("\nWhat is finished stays; type the same line again to go on.")
        raise
    finally:
        display.close()
    return failed


def _summary(session: Session, count: int, failed: int) -> int:
    if failed:
        session.say(f"{failed} of {count} objects failed. Type the same line again to go on.")
        return 1
    session.say(f"Operation completed over {count} objects.")
    return 0


def _through(arguments: Namespace, session: Session) -> int:
    """Standard input into an object, or objects to standard output."""
    from mlengine.client.patience import Patience
    from mlengine.client.transfers import content_type
    from mlengine.client.uploading import Upload
    from mlengine.client.wildcards import place, shown
    from mlengine.names import ObjectUrl

    if arguments.target == "-":
        from mlengine.cli.storage_look import print_objects

        return print_objects(session, arguments.sources)
    target = place(arguments.target)
    if arguments.sources != ["-"] or not isinstance(target, ObjectUrl):
        raise InvalidArgument("Standard input alone can be copied, to one object.")
    if not target.object or target.object.endswith("/"):
        raise InvalidArgument(
            "What comes from standard input needs a name.", hint=f"Like gs://{target.bucket}/NAME"
        )
    display = Display(session)
    display.line(f"Copying from standard input to {shown(target)}")
    upload = Upload(
        session.storage.connection,
        target,
        resource={"contentType": content_type(target.object)},
        only_new=arguments.no_clobber,
        patience=Patience(tell=lambda problem: session.warn(f"{problem.message} Trying again for a minute.")),
        tell=lambda position, carried: display.at(0, position, carried),
    )
    try:
        upload.stream(sys.stdin.buffer)
    finally:
        display.close()
    return _summary(session, 1, 0)


def _trackers(session: Session) -> Trackers:
    from mlengine.client.trackers import Trackers
    from mlengine.environments.builder import default_cache_dir

    return Trackers(default_cache_dir(session.environment) / "transfers")


def _prune(folder: Path) -> None:
    """Remove the folders that a move has emptied."""
    if not folder.is_dir() or folder.is_symlink() or folder.name in ("", ".."):
        return
    for base, _, _ in os.walk(folder, topdown=False):
        if not any(Path(base).iterdir()):
            Path(base).rmdir()


def _no_clobber_flag(parser: Parser) -> None:
    parser.add_argument(
        "-n", "--no-clobber", action="store_true", help="leave what exists at the target as it is"
    )
