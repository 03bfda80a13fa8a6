"""Results on standard output: what a list or a resource becomes under --format, --filter and their like.

The language itself is in `formats`, which is loaded when something is printed and not before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlengine.cli.formats.projection import Format, Item
    from mlengine.cli.formats.tables import Style
    from mlengine.cli.session import Session

_SILENT_WHEN_EMPTY = ("json", "none", "disable")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a command's own table, where a program makes the text.

    Attributes:
        key: Path into the resource ("defaultVersion.name").
        label: Its heading; "" for the key's last part in upper-case snake form.
        show: Makes text of the value; None leaves it to the format.
    """

    key: str
    label: str = ""
    show: Callable[[Any], str] | None = None


# A command's own format: columns of a table, or a whole one as --format takes it.
Default = Sequence[Column] | str


def show_list(
    session: Session,
    resources: Iterable[dict[str, Any]],
    columns: Default,
    *,
    uri: Callable[[dict[str, Any]], str] | None = None,
) -> None:
    """Print resources by --format (else as `columns` say), after --flatten, --sort-by, --filter and --limit.

    Args:
        uri: What --uri prints of one; else its selfLink, or its name below the endpoint.

    Raises:
        UsageError: a flag is wrong; nothing was taken from `resources` then.
    """
    from mlengine.cli.formats.listing import Wanted

    form, listing = _format(session, columns), session.listing
    wanted = Wanted(
        filter=listing.filter, sort_by=listing.sort_by, flatten=session.listing.flatten, limit=listing.limit
    )
    if form.name == "disable":
        return
    found = list(wanted.of(resources, form, session.warn))
    if listing.uri:
        addresses = [text for resource in found if (text := _address(session, resource, uri))]
        if not addresses:
            session.say("Listed 0 items.")
        for address in addresses:
            print(address)
        return
    if not found:
        if form.name not in _SILENT_WHEN_EMPTY:
            session.say("Listed 0 items.")
        if form.name != "json":
            return
    pages = _pages(found, listing.page_size) if form.name == "table" else [found]
    for number, page in enumerate(pages):
        if number:
            print()
        _print(session, form, page, listed=True)


def show(session: Session, resource: dict[str, Any], *, columns: Default = (), only: bool = False) -> None:
    """Print one resource as YAML unless --format says otherwise.

    Args:
        columns: The fields a table has; with `only` also those of the YAML. Or a whole format.
    """
    from mlengine.cli.formats.listing import Wanted
    from mlengine.cli.formats.projection import Format

    form = _format(session, columns)
    if not isinstance(columns, str) and session.format.strip() in ("", "default"):
        form = Format("yaml", form.items if only else ())
    found = list(Wanted(flatten=session.listing.flatten).of([resource], form, session.warn))
    _print(session, form, found, listed=bool(session.listing.flatten))


def summarize(session: Session, job: dict[str, Any]) -> None:
    """Print a job as boxed tables: an overview, what went in, what came out, and the trials of a tuning."""
    from mlengine.cli.formats.projection import read_format
    from mlengine.cli.formats.summaries import summary

    if session.format:
        session.warn("--format is ignored when --summarize is present.")
    _print(session, read_format(summary(job)), [job], listed=False)


def rows(session: Session, resource: dict[str, Any], records: list[Any]) -> bool:
    """Print by --format a resource that is mainly a list of records; False when no format was asked for.

    csv(...), value(...) and the like name keys of the records, or of the resource.
    """
    if session.format.strip() in ("", "default"):
        return False
    from mlengine.cli.formats.keys import quoted

    keys = sorted({key for record in records if isinstance(record, dict) for key in record})
    form = _format(session, [Column(quoted(key)) for key in keys])
    of_the_whole = any(item.key.path.parts and item.key.path.parts[0] in resource for item in form.items)
    if of_the_whole or form.name not in ("csv", "get", "list", "table", "value"):
        _print(session, form, [resource], listed=False)
    else:
        _print(session, form, [record for record in records if isinstance(record, dict)], listed=True)
    return True


def table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns, two blanks apart, by the width letters take on a screen; headings may be none."""
    from mlengine.cli.formats.tables import plain_table

    return plain_table(headings, list(lines))


def plain(value: Any) -> str:
    """A value as a cell shows it: text bare, lists and numbers as Python writes them, nothing for null."""
    return "" if value is None else value if isinstance(value, str) else str(value)


def basename(value: Any) -> str:
    """What stands behind the last slash."""
    return plain(value).rpartition("/")[2]


def snake(key: str) -> str:
    """`classIds` and `class ids` as `class_ids`; every other character is kept."""
    from mlengine.cli.formats.projection import snake as snake_form

    return snake_form(key)


def yaml_text(value: Any) -> str:
    """YAML as gcloud prints it: keys sorted, text that looks like a number or a date in single quotes."""
    from mlengine.cli.formats.printers import yaml_text as text

    return text(value)


def _format(session: Session, columns: Default) -> Format:
    """What --format says, or the command's own."""
    from mlengine.cli.formats.projection import Format, read_format

    own = read_format(columns) if isinstance(columns, str) else Format("table", tuple(map(_item, columns)))
    return read_format(session.format, own) if session.format.strip() else own


def _item(column: Column) -> Item:
    from mlengine.cli.formats.keys import Key, read_key
    from mlengine.cli.formats.projection import Item
    from mlengine.cli.formats.scanner import Scanner
    from mlengine.cli.formats.transforms import Call

    path = read_key(Scanner(column.key, "--format")).path
    calls = (Call("", column.show),) if column.show else ()
    return Item(Key(path, calls), column.label)


def _address(session: Session, resource: dict[str, Any], uri: Callable[[dict[str, Any]], str] | None) -> str:
    if uri:
        return uri(resource)
    if link := resource.get("selfLink"):
        return str(link)
    name = str(resource.get("name") or "")
    return f"{session.endpoint}/v1/{name}" if name.startswith("projects/") else ""


def _pages(found: list[Any], size: int | None) -> Iterable[list[Any]]:
    if size is None:
        return [found]
    rest = iter(found)
    return iter(lambda: list(islice(rest, size)), [])


def _print(session: Session, form: Format, resources: Sequence[Any], *, listed: bool) -> None:
    from mlengine.cli.formats.printers import printed

    print(printed(form, resources, listed=listed, style=_style(session)), end="")


def _style(session: Session) -> Style:
    from mlengine.cli.formats.tables import Style

    environment = session.environment
    terminal = sys.stdout.isatty() and environment.get("TERM") != "dumb"
    return Style(
        colour=terminal and not environment.get("NO_COLOR"),
        lines=(sys.stdout.encoding or "").lower().replace("-", "").startswith("utf"),
    )
