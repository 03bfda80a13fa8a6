"""How wide text stands on a screen, and keeping a cell from doing more than standing there."""

from __future__ import annotations

import unicodedata

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Data may hold sequences that would recolour or rewrite somebody's terminal.
_CONTROLS = {code: _NAMED.get(chr(code), f"\\x{code:02x}") for code in (*range(32), *range(127, 160))}


def width(text: str) -> int:
    """The columns that `text` takes: two for Korean letters, none for marks set upon others."""
    if text.isascii():
        return len(text)
    return sum(map(_letter, unicodedata.normalize("NFC", text)))


def one_line(text: str) -> str:
    """The text with line breaks and other control characters written out."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def padded(text: str, columns: int, align: str = "left") -> str:
    """The text with blanks around it, `columns` wide."""
    blanks = max(0, columns - width(text))
    before = blanks if align == "right" else blanks // 2 if align == "center" else 0
    return " " * before + text + " " * (blanks - before)


def _letter(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
