"""What --format says, taken apart: `table[box,title="T"](name.basename():label=ID, state:sort=1)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlengine.cli.formats.keys import Key, read_key
from mlengine.cli.formats.scanner import Scanner
from mlengine.cli.formats.transforms import Call
from mlengine.errors import nearest

_WORD = re.compile(r"[A-Za-z][\w-]*")
_BARE = re.compile(r"[^,()\[\]:'\"\s]+")
_ALIGN = ("left", "center", "right")
# format -> the attributes that change something in it.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "csv": ("heading", "separator", "delimiter", "terminator", "quote"),
    "default": (),
    "disable": (),
    "flattened": ("separator", "pad"),
    "get": ("separator", "delimiter", "terminator", "quote"),
    "json": (),
    "list": ("title", "compact"),
    "multi": ("separator",),
    "none": (),
    "object": ("separator", "terminator"),
    "table": ("box", "all-box", "heading", "title", "pad"),
    "text": ("separator", "pad"),
    "value": ("separator", "delimiter", "terminator", "quote"),
    "yaml": (),
}
# Of gcloud, but for what this command has not: settings in files, and two resources to compare.
_OTHERS = ("config", "diff")
_SWITCHES = ("all-box", "box", "compact", "heading", "pad", "quote")
_NEEDS_KEYS = ("csv", "get", "multi", "table", "value")
_OF_A_KEY = ("align", "format", "label", "optional", "reverse", "sort")
_OWN_CALLS = ("csv", "list", "table", "value")
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Item:
    """One key of a projection, and how it is shown.

    Attributes:
        label: Its heading; "" for the key's last name in snake form.
        sort: Its place among the keys that the resources are put in order by; 0 for none.
        reverse: That order is turned round.
        optional: A table leaves the column out when no resource has the key.
        format: Its value is shown by this, below the table.
    """

    key: Key
    label: str = ""
    sort: int = 0
    reverse: bool = False
    optional: bool = False
    align: str = "left"
    format: Format | None = None

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.label or snake(self.key.path.name).upper()


@dataclass(frozen=True, slots=True)
class Format:
    """A whole --format.

    Attributes:
        name: One of `FORMATS`.
        attributes: What stood in brackets; a switch is True or False.
    """

    name: str
    items: tuple[Item, ...] = ()
    attributes: Mapping[str, str | bool] = field(default_factory=dict)

    def text(self, attribute: str, default: str) -> str:
        """An attribute that is text."""
        value = self.attributes.get(attribute, default)
        return value if isinstance(value, str) else default

    def on(self, attribute: str, default: bool = False) -> bool:
        """Whether a switch is on."""
        return bool(self.attributes.get(attribute, default))


def snake(key: str) -> str:
    """`classIds` and `class ids` as `class_ids`; every other character is kept."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key)
    return re.sub(r"\s+", "_", text.strip()).lower()


def read_format(text: str, default: Format | None = None, *, flag: str = "--format") -> Format:
    """The format that `text` asks for; `default` is the command's own, whose labels and keys count here too.

    Raises:
        UsageError: with the place that is wrong.
    """
    scan = Scanner(text, flag)
    form = _format(scan, default, depth=0)
    if not scan.ended():
        raise scan.wrong("the end")
    return form


def _format(scan: Scanner, default: Format | None, *, depth: int) -> Format:
    if depth > _DEEPEST:
        raise scan.error("formats in formats go too deep.")
    scan.blanks()
    start = scan.position
    name = scan.match(_WORD)
    if not name:
        raise scan.wrong("the name of a format")
    if name not in FORMATS:
        what = "is not available here" if name in _OTHERS else "is unknown"
        close = nearest(name, list(FORMATS))
        raise scan.error(
            f"format '{name}' {what}.", at=start, hint=f"{close} Formats: {', '.join(FORMATS)}".strip()
        )
    if name == "default":
        form = default or Format("yaml")
        scan.blanks()
        return form
    attributes: dict[str, str | bool] = {}
    items: tuple[Item, ...] | None = None
    while not scan.ended():
        if scan.take("["):
            attributes |= _attributes(scan, name)
        elif items is None and scan.take("("):
            items = _items(scan, depth=depth)
        elif not scan.blanks():
            break
    if default:
        items = _inherited(name, items, default)
        if name == "table" and default.name == "table":
            attributes = {**default.attributes, **attributes}
    if not items and name in _NEEDS_KEYS:
        raise scan.error(
            f"Format [{name}] requires a non-empty projection.",
            at=start,
            hint=f"Name the fields: --format '{name}(name,state)'",
        )
    return Format(name, items or (), attributes)


def _inherited(name: str, items: tuple[Item, ...] | None, default: Format) -> tuple[Item, ...] | None:
    """The keys with the labels that the command's own format has for them, and for text its transforms."""
    plain = {item.key.path: item for item in default.items if item.format is None}
    if items is None:
        if name == "get":
            return tuple(replace(item, key=Key(item.key.path)) for item in plain.values())
        return (
            default.items
            if name in ("table", default.name)
            else tuple(plain.values())
            if name in _NEEDS_KEYS
            else None
        )
    found = []
    for item in items:
        own = plain.get(item.key.path)
        if own:
            calls: tuple[Call, ...] = item.key.calls or (own.key.calls if name in _OWN_CALLS else ())
            item = replace(item, key=Key(item.key.path, calls), label=item.label or own.label)
        found.append(item)
    return tuple(found)


def _attributes(scan: Scanner, name: str) -> dict[str, str | bool]:
    """What stands in brackets, after the first one."""
    found: dict[str, str | bool] = {}
    scan.blanks()
    while not scan.take("]"):
        start = scan.position
        attribute, value = _attribute(scan)
        # The form without a hyphen is of gcloud's first years.
        off = attribute.startswith("no")
        bare = attribute.removeprefix("no-") if attribute.startswith("no-") else attribute
        if attribute == "noheading":
            bare = "heading"
        known = FORMATS[name]
        if bare not in known:
            takes = f"It takes: {', '.join(known)}" if known else "It takes none."
            raise scan.error(
                f"{name} has no attribute '{attribute}' (character {start + 1}).",
                at=start,
                hint=nearest(bare, list(known)) or takes,
            )
        found[bare] = _setting(scan, bare, value, off=off, start=start)
        scan.blanks()
        if not scan.take(",") and not scan.at("]"):
            raise scan.wrong("',' or ']'")
        scan.blanks()
    return found


def _setting(scan: Scanner, name: str, value: str | None, *, off: bool, start: int) -> str | bool:
    if name == "pad" and value is not None:
        if not value.isdecimal() or int(value) > 100:
            raise scan.error(f"pad is a number up to 100, not '{value}'.", at=start)
        return value
    if name in _SWITCHES:
        if value not in (None, "true", "false"):
            raise scan.error(f"{name} takes no value: {name}, or no-{name}.", at=start)
        return (value != "false") != off
    if value is None:
        raise scan.error(f'{name} needs a value: {name}="…".', at=start)
    return value


def _attribute(scan: Scanner) -> tuple[str, str | None]:
    name = scan.match(_WORD)
    if not name:
        raise scan.wrong("the name of an attribute")
    if not scan.take("="):
        return name, None
    value = scan.quoted()
    if value is None:
        value = scan.match(_BARE)
    return name, value


def _items(scan: Scanner, *, depth: int) -> tuple[Item, ...]:
    """The keys in parentheses, after the first one."""
    found: list[Item] = []
    scan.blanks()
    while not scan.take(")"):
        found.append(_item(scan, depth=depth))
        scan.blanks()
        if not scan.take(",") and not scan.at(")"):
            raise scan.wrong("',' or ')'")
        scan.blanks()
    return tuple(found)


def _item(scan: Scanner, *, depth: int) -> Item:
    given: dict[str, Any] = {"key": read_key(scan)}
    while scan.take(":"):
        start = scan.position
        name, value = _attribute(scan)
        off = name.startswith("no-")
        name = name.removeprefix("no-")
        if name not in _OF_A_KEY:
            raise scan.error(
                f"a key has no attribute '{name}' (character {start + 1}).",
                at=start,
                hint=nearest(name, list(_OF_A_KEY)) or f"It has: {', '.join(_OF_A_KEY)}",
            )
        if name in ("optional", "reverse"):
            if value not in (None, "true", "false"):
                raise scan.error(f"{name} takes no value.", at=start)
            given[name] = (value != "false") != off
        elif off or value is None:
            raise scan.error(f"{name} needs a value: :{name}=… (character {start + 1}).", at=start)
        elif name == "sort":
            if not value.isdecimal():
                raise scan.error(f"sort is a number from 1 on, not '{value}'.", at=start)
            given[name] = int(value)
        elif name == "align":
            if value not in _ALIGN:
                raise scan.error(f"align is one of {', '.join(_ALIGN)}, not '{value}'.", at=start)
            given[name] = value
        elif name == "format":
            inner = Scanner(value, f"{scan.flag}, in the format of {given['key'].path}")
            given[name] = _format(inner, None, depth=depth + 1)
            if not inner.ended():
                raise inner.wrong("the end")
        else:
            given[name] = value
    return Item(**given)
