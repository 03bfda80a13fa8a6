"""Resources as text, one way for each format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mlengine.cli.formats.keys import Part, apply, camel, quoted
from mlengine.cli.formats.projection import Format, Item
from mlengine.cli.formats.tables import Style, boxed_table, plain_table
from mlengine.cli.formats.transforms import Coloured, text_of
from mlengine.cli.formats.width import one_line, padded, width

_INDENT = "    "


def printed(form: Format, resources: Sequence[Any], *, listed: bool, style: Style) -> str:
    """The text, ending in a line break unless it is empty.

    Args:
        listed: Whether these are a list's, so that one of them alone still looks like a list.
    """
    return _PRINTERS[form.name](form, resources, listed, style)


def yaml_text(value: Any) -> str:
    """YAML as gcloud prints it: keys sorted, text that looks like a number or a date in single quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Apart from the shared one, so that our way with long text stays ours."""

        def ignore_aliases(self, _data: Any) -> bool:  # the same list twice is written twice
            return True

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
        # YAML takes these for ends of lines, too; in double quotes they are escaped.
        odd = any(sign in data for sign in "\x85\u2028\u2029")
        style = '"' if odd else "|" if "\n" in data else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=style)

    Dumper.add_representer(str, text)
    Dumper.add_representer(Coloured, text)
    return yaml.dump(value, Dumper=Dumper, allow_unicode=True, default_flow_style=False, width=2**31)


def chosen(resource: Any, form: Format) -> Any:
    """The resource, or of it only what the format's keys name, in its own shape."""
    if not form.items or not isinstance(resource, (dict, list)):
        return resource
    found: Any = None
    for item in form.items:
        found = _merged(found, _pruned(resource, item.key.path.parts, item))
    return {} if found is None else found


def _pruned(value: Any, parts: tuple[Part, ...], item: Item) -> Any:
    if not parts:
        return apply(item.key.calls, value)
    part, rest = parts[0], parts[1:]
    if isinstance(value, list):
        if isinstance(part, int):
            return [_pruned(value[part], rest, item)] if -len(value) <= part < len(value) else None
        inner = parts if isinstance(part, str) else rest
        if not inner and item.key.calls:
            return apply(item.key.calls, value)
        return [_pruned(each, inner, item) for each in value]
    if not isinstance(value, dict) or not isinstance(part, str):
        return None
    name = part if part in value else camel(part)
    below = _pruned(value[name], rest, item) if value.get(name) is not None else None
    return None if below is None else {name: below}


def _merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        both = {name: _merged(first.get(name), second.get(name)) for name in first | second}
        return {name: value for name, value in both.items() if value is not None}
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        return [_merged(one, other) for one, other in zip(first, second, strict=True)]
    return first if second is None else second


def _json(form: Format, resources: Sequence[Any], listed: bool, _style: Style) -> str:
    import json

    values = [chosen(resource, form) for resource in resources]
    whole = values if listed else values[0] if values else None
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _yaml(form: Format, resources: Sequence[Any], listed: bool, _style: Style) -> str:
    start = "---\n" if listed else ""
    return "".join(start + yaml_text(chosen(resource, form)) for resource in resources)


def _table(form: Format, resources: Sequence[Any], _listed: bool, style: Style) -> str:
    columns = [(item, [item.key.value(resource) for resource in resources]) for item in _columns(form)]
    columns = [(item, column) for item, column in columns if not item.optional or any(map(_there, column))]
    shown = [item for item, _ in columns]
    headings = [item.heading for item in shown] if form.on("heading", True) else []
    rows = [[_cell(column[place]) for _, column in columns] for place in range(len(resources))]
    aligns = [item.align for item in shown]
    title = form.text("title", "")
    if form.on("box") or form.on("all-box"):
        text = boxed_table(
            headings, rows, aligns=aligns, title=title, every_row=form.on("all-box"), style=style
        )
    else:
        pad = int(form.text("pad", "2"))
        text = plain_table(headings, rows, aligns=aligns, title=title, pad=pad, style=style)
    return (text + "\n" if shown or title else "") + "".join(
        _INDENT + line + "\n" for inner in _below(form, resources, style) for line in inner.splitlines()
    )


def _columns(form: Format) -> list[Item]:
    return [item for item in form.items if item.format is None]


def _there(value: Any) -> bool:
    return value is not None and value != ""


def _below(form: Format, resources: Sequence[Any], style: Style) -> Iterator[str]:
    """What keys with a format of their own print, resource by resource."""
    for resource in resources:
        for item in form.items:
            if item.format is not None and (value := item.key.value(resource)) is not None:
                records = value if isinstance(value, list) else [value]
                if records:
                    yield printed(item.format, records, listed=isinstance(value, list), style=style)


def _cell(value: Any) -> str:
    return value if isinstance(value, Coloured) else text_of(value)


def _csv(form: Format, resources: Sequence[Any], _listed: bool, _style: Style) -> str:
    separator, end = form.text("separator", ","), form.text("terminator", "\n")
    quote = form.on("quote")
    lines = []
    if form.on("heading", True):
        lines.append([item.heading.lower() for item in _columns(form)])
    lines += [_flat_row(form, resource) for resource in resources]
    return "".join(separator.join(_csv_cell(cell, separator, quote) for cell in line) + end for line in lines)


def _csv_cell(cell: str, separator: str, quote: bool) -> str:
    odd = '"' in cell or "\n" in cell or "\r" in cell or (separator and separator in cell)
    return '"' + cell.replace('"', '""') + '"' if quote or odd else cell


def _value(form: Format, resources: Sequence[Any], _listed: bool, _style: Style) -> str:
    separator, end = form.text("separator", "\t"), form.text("terminator", "\n")
    quote = form.on("quote")
    lines = (
        separator.join(_csv_cell(cell, "", True) if quote else cell for cell in _flat_row(form, resource))
        for resource in resources
    )
    return "".join(line + end for line in lines)


def _flat_row(form: Format, resource: Any) -> list[str]:
    delimiter = form.text("delimiter", ";")
    return [_flat(item.key.value(resource), delimiter) for item in _columns(form)]


def _flat(value: Any, delimiter: str) -> str:
    if isinstance(value, list):
        return delimiter.join(map(text_of, value))
    if isinstance(value, dict):
        return delimiter.join(f"{name}={text_of(inner)}" for name, inner in sorted(value.items()))
    return text_of(value)


def _flattened(form: Format, resources: Sequence[Any], listed: bool, _style: Style) -> str:
    separator = form.text("separator", ": ")
    text = ""
    for resource in resources:
        pairs = [(name, value) for name, value in _pairs("", chosen(resource, form)) if name]
        widest = max((width(name) + width(separator) for name, _ in pairs), default=0)
        text += "---\n" if listed else ""
        for name, value in pairs:
            before = padded(name + separator, widest) if form.on("pad", True) else name + separator
            text += f"{before}{one_line(text_of(value))}".rstrip() + "\n"
    return text


def _pairs(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values of a resource, each with the key that leads there."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _pairs(f"{name}.{quoted(key)}" if name else quoted(key), value[key])
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _pairs(f"{name}[{place}]", item)
    else:
        yield name, value


def _list(form: Format, resources: Sequence[Any], _listed: bool, _style: Style) -> str:
    bullet = "- " if form.on("compact") else " - "
    text = f"{form.text('title', '')}\n" if form.text("title", "") else ""
    for resource in resources:
        if form.items:
            lines = [text_of(item.key.value(resource)) for item in _columns(form)]
        elif isinstance(resource, dict):
            lines = [f"{name}: {text_of(value)}" for name, value in _pairs("", resource)]
        else:
            lines = [text_of(resource)]
        text += bullet + ("\n" + " " * len(bullet)).join(map(one_line, lines)) + "\n"
    return text


def _multi(form: Format, resources: Sequence[Any], _listed: bool, style: Style) -> str:
    separator = form.text("separator", "")
    parts = []
    for resource in resources:
        for item in form.items:
            value = item.key.value(resource)
            if value is not None:
                many = isinstance(value, list)
                records = value if many else [value]
                parts.append(printed(item.format or Format("yaml"), records, listed=many, style=style))
    return f"{separator}\n".join(parts) if separator else "".join(parts)


def _object(form: Format, resources: Sequence[Any], _listed: bool, _style: Style) -> str:
    end = form.text("terminator", "\n")
    return form.text("separator", "").join(f"{chosen(resource, form)}{end}" for resource in resources)


def _nothing(_form: Format, _resources: Sequence[Any], _listed: bool, _style: Style) -> str:
    return ""


_PRINTERS: Mapping[str, Callable[[Format, Sequence[Any], bool, Style], str]] = {
    "csv": _csv,
    "disable": _nothing,
    "flattened": _flattened,
    "get": _value,
    "json": _json,
    "list": _list,
    "multi": _multi,
    "none": _nothing,
    "object": _object,
    "table": _table,
    "text": _flattened,
    "value": _value,
    "yaml": _yaml,
}
