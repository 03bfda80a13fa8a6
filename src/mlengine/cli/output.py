"""Results on standard output, in the format asked for: gcloud's tables, YAML, JSON, csv(...), value(...)."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlengine.cli.command import UsageError

if TYPE_CHECKING:
    from mlengine.cli.session import Session

_SPEC = re.compile(r"(?P<name>[a-z]+)(?P<quiet>\[no-heading\])?(?:\((?P<keys>.*)\))?", re.DOTALL)
_KEY = re.compile(r"[\w@./-]+(?:\[\d*\])*", re.UNICODE)
_FORMATS = ("json", "yaml", "table", "csv", "value")
# Known to gcloud; named in the refusal, so that nobody looks for a spelling mistake.
_OTHER_FORMATS = ("config", "diff", "disable", "flattened", "get", "list", "multi", "none", "object", "text")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        key: Dotted path into the resource ("defaultVersion.name").
        label: Its heading; "" for the key's last part in upper-case snake form.
        show: Makes text of the value.
    """

    key: str
    label: str = ""
    show: Callable[[Any], str] = lambda value: plain(value)

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.label or snake(self.key.rpartition(".")[2]).upper()


@dataclass(frozen=True, slots=True)
class _Spec:
    name: str
    columns: tuple[Column, ...]
    heading: bool


def show_list(session: Session, resources: Iterable[dict[str, Any]], columns: Sequence[Column]) -> None:
    """Print resources: as a table of `columns` unless --format says otherwise."""
    spec = _spec(session.format, columns) or _Spec("table", tuple(columns), True)
    found = list(resources)
    if spec.name == "json":
        _json(found)
    elif not found:
        session.say("Listed 0 items.")
    elif spec.name == "yaml":
        for resource in found:
            print("---")
            _yaml(_chosen(resource, spec))
    else:
        _rows(found, spec)


def show(
    session: Session, resource: dict[str, Any], *, columns: Sequence[Column] = (), only: bool = False
) -> None:
    """Print one resource as YAML unless --format says otherwise.

    Args:
        columns: The fields a table has; with `only` also those of the YAML.
    """
    spec = _spec(session.format, columns)
    if spec is None:
        _yaml(_chosen(resource, _Spec("yaml", tuple(columns), True)) if only else resource)
    elif spec.name == "json":
        _json(resource)
    elif spec.name == "yaml":
        _yaml(_chosen(resource, spec))
    else:
        _rows([resource], spec)


def rows(session: Session, resource: dict[str, Any], records: list[Any]) -> bool:
    """Print by --format a resource that is mainly a list of records; False when no format was asked for.

    csv(...) and value(...) name keys of the records, or of the resource.
    """
    keys = sorted({key for record in records if isinstance(record, dict) for key in record})
    spec = _spec(session.format, [Column(_quoted(key)) for key in keys])
    if spec is None:
        return False
    if spec.name == "json":
        _json(resource)
    elif spec.name == "yaml":
        _yaml(resource)
    elif any(column.key.split(".")[0] in resource for column in spec.columns):
        _rows([resource], spec)
    else:
        _rows([record for record in records if isinstance(record, dict)], spec)
    return True


def table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns, two blanks apart, by the width letters take on a screen; headings may be none."""
    cells = [[_one_line(cell) for cell in line] for line in (*([headings] if headings else []), *lines)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in cells
    )


def plain(value: Any) -> str:
    """A value as a cell shows it: text bare, lists and numbers as Python writes them, nothing for null."""
    return "" if value is None else value if isinstance(value, str) else str(value)


def basename(value: Any) -> str:
    """What stands behind the last slash."""
    return plain(value).rpartition("/")[2]


def local_time(value: Any) -> str:
    """A timestamp in the zone of this machine, to the second."""
    from mlengine.clock import from_text

    try:
        moment: datetime = from_text(str(value)).astimezone()
    except ValueError:
        return plain(value)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def snake(key: str) -> str:
    """`classIds` and `class ids` as `class_ids`; every other character is kept."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return re.sub(r"\s+", "_", text.strip()).lower()


def field(resource: Any, key: str) -> Any:
    """The value at a dotted path, None where the path breaks off; a key with dots in it is tried first."""
    if isinstance(resource, dict) and key.strip("'") in resource:
        return resource[key.strip("'")]
    for part in re.findall(r"[^.\[\]]+", key):
        if isinstance(resource, dict):
            resource = resource.get(part)
        elif isinstance(resource, list) and part.isdigit() and int(part) < len(resource):
            resource = resource[int(part)]
        else:
            return None
    return resource


def yaml_text(value: Any) -> str:
    """YAML as gcloud prints it: keys sorted, text that looks like a number or a date in single quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Apart from the shared one, so that our way with long text stays ours."""

        def ignore_aliases(self, _data: Any) -> bool:  # the same list twice is written twice
            return True

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
        style = "|" if "\n" in data else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(value, Dumper=Dumper, allow_unicode=True, default_flow_style=False, width=2**31)


def _spec(text: str, columns: Sequence[Column]) -> _Spec | None:
    text = text.strip()
    if text in ("", "default"):
        return None
    match = _SPEC.fullmatch(text)
    if not match or match["name"] not in _FORMATS:
        name = re.split(r"[\[(]", text)[0]
        known = name in _OTHER_FORMATS or name in _FORMATS
        what = (
            f"'{text}' is not available in this version of mlengine" if known else f"Unknown format '{text}'"
        )
        raise UsageError(
            f"argument --format: {what}.", hint="Formats: json, yaml, table(KEYS), csv(KEYS), value(KEYS)"
        )
    chosen = tuple(_column(key.strip(), columns) for key in (match["keys"] or "").split(",") if key.strip())
    if not chosen and match["name"] not in ("json", "yaml"):
        chosen = tuple(columns)
        if not chosen:
            raise UsageError(
                f"argument --format: Format [{match['name']}] requires a non-empty projection.",
                hint=f"Name the fields: --format '{match['name']}(name,state)'",
            )
    return _Spec(match["name"], chosen, match["quiet"] is None)


def _column(key: str, columns: Sequence[Column]) -> Column:
    for column in columns:
        if key in (column.key, column.key.strip("'")):
            return column
    bare = key.removesuffix(".basename()")
    if not _KEY.fullmatch(bare):
        raise UsageError(
            f"argument --format: '{key}' is not available in this version of mlengine.",
            hint="A key is a field's name, or a path like defaultVersion.name; .basename() may follow.",
        )
    return Column(bare, show=plain if bare == key else basename)


def _quoted(key: str) -> str:
    return f"'{key}'" if "." in key else key


def _chosen(resource: dict[str, Any], spec: _Spec) -> dict[str, Any]:
    """The resource, or only the fields that the format names."""
    if not spec.columns:
        return resource
    found: dict[str, Any] = {}
    for column in spec.columns:
        value = field(resource, column.key)
        if value is not None:
            inner = found
            *path, last = column.key.split(".")
            for part in path:
                inner = inner.setdefault(part, {})
            inner[last] = value if column.show is plain or not isinstance(value, str) else column.show(value)
    return found


def _rows(resources: list[dict[str, Any]], spec: _Spec) -> None:
    cells = [[column.show(field(resource, column.key)) for column in spec.columns] for resource in resources]
    if spec.name == "table":
        print(table([column.heading for column in spec.columns] if spec.heading else [], cells))
        return
    raw = [[_flat(resource, column) for column in spec.columns] for resource in resources]
    if spec.name == "value":
        print("\n".join("\t".join(line) for line in raw))
        return
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    if spec.heading:
        writer.writerow([column.heading.lower() for column in spec.columns])
    writer.writerows(raw)


def _flat(resource: dict[str, Any], column: Column) -> str:
    value = field(resource, column.key)
    return ";".join(map(str, value)) if isinstance(value, list) else column.show(value)


def _json(value: Any) -> None:
    print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def _yaml(value: Any) -> None:
    print(yaml_text(value), end="")


def _one_line(cell: str) -> str:
    return cell.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in unicodedata.normalize("NFC", text)
    )
