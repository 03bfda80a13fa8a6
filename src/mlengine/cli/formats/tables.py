"""Tables: columns two blanks apart, or lines drawn around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlengine.cli.formats.transforms import Coloured
from mlengine.cli.formats.width import one_line, padded, width

_CODES = {"red": "31", "green": "32", "yellow": "33", "blue": "34"}
_ASCII, _LINES = "+++++++++-|", "┌┬┐├┼┤└┴┘─│"


@dataclass(frozen=True, slots=True)
class Style:
    """What the screen can show."""

    colour: bool = False
    lines: bool = False


def plain_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    aligns: Sequence[str] = (),
    title: str = "",
    pad: int = 2,
    style: Style = Style(),
) -> str:
    """Columns `pad` blanks apart, without blanks at the ends of lines; no headings, no such line."""
    lines = [*([headings] if headings else []), *rows]
    if not lines:
        return title
    cells = [[one_line(cell) for cell in line] for line in lines]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    aligns = aligns or ["left"] * len(widths)
    printed = []
    for raw, line in zip(lines, cells, strict=True):
        columns = [
            _coloured(source, padded(cell, size, align), style)
            for source, cell, size, align in zip(raw, line, widths, aligns, strict=True)
        ]
        printed.append((" " * pad).join(columns).rstrip())
    if title:
        whole = sum(widths) + pad * (len(widths) - 1)
        printed.insert(0, padded(one_line(title), whole, "center").rstrip())
    return "\n".join(printed)


def boxed_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    aligns: Sequence[str] = (),
    title: str = "",
    every_row: bool = False,
    style: Style = Style(),
) -> str:
    """The same within lines; a cell of several lines keeps them."""
    count = len(headings) or max((len(row) for row in rows), default=0)
    if not count:
        return title
    parts = [[[one_line(line) for line in re.split(r"\r?\n", cell)] for cell in row] for row in rows]
    widths = [width(one_line(heading)) for heading in headings] or [0] * count
    for row in parts:
        widths = [max(size, *map(width, cell)) for size, cell in zip(widths, row, strict=True)]
    missing = width(one_line(title)) - (sum(widths) + 3 * (count - 1))
    for place in range(max(0, missing)):
        widths[place % count] += 1
    aligns = aligns or ["left"] * count
    glyphs = _LINES if style.lines else _ASCII
    left, cross, right, dash, bar = glyphs[3], glyphs[4], glyphs[5], glyphs[9], glyphs[10]

    def rule(start: str, between: str, end: str) -> str:
        return start + between.join(dash * (size + 2) for size in widths) + end

    def line(cells: Sequence[str]) -> str:
        return bar + bar.join(f" {cell} " for cell in cells) + bar

    printed = []
    if title:
        whole = sum(widths) + 3 * count - 1
        printed += [
            glyphs[0] + dash * whole + glyphs[2],
            bar + padded(one_line(title), whole, "center") + bar,
        ]
        printed.append(rule(left, glyphs[1], right))
    else:
        printed.append(rule(*glyphs[:3]))
    if headings:
        named = zip(headings, widths, strict=True)
        printed.append(line([padded(one_line(heading), size, "center") for heading, size in named]))
        if rows:
            printed.append(rule(left, cross, right))
    for number, (raw, row) in enumerate(zip(rows, parts, strict=True)):
        if number and every_row:
            printed.append(rule(left, cross, right))
        for height in range(max(map(len, row))):
            texts = [cell[height] if height < len(cell) else "" for cell in row]
            shown = zip(raw, texts, widths, aligns, strict=True)
            printed.append(line([_coloured(source, padded(t, s, a), style) for source, t, s, a in shown]))
    printed.append(rule(*glyphs[6:9]))
    return "\n".join(printed)


def _coloured(source: str, cell: str, style: Style) -> str:
    """The colour goes around the letters only, so that the blanks at a line's end can go."""
    if not style.colour or not isinstance(source, Coloured) or not cell.strip():
        return cell
    letters = cell.strip()
    before, _, after = cell.partition(letters)
    return f"{before}\x1b[{_CODES[source.colour]}m{letters}\x1b[0m{after}"
