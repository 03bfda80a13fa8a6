"""The grammar of filters, which logs and lists share; what a comparison means, each says itself.

filter     = term { ["AND"] term }          side by side means AND
term       = factor { "OR" factor }         OR binds closer than AND, as in Google's
factor     = ["NOT" | "-"] ("(" filter ")" | comparison)
comparison = field ("=" | "!=" | ">" | ">=" | "<" | "<=" | ":") value
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from mlengine.errors import InvalidArgument, nearest

_LONGEST, _DEEPEST = 20_000, 50
_SPACE = re.compile(r"(?:\s+|--[^\n]*)*")
_WORD = re.compile(r"(AND|OR|NOT)(?![\w.])")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_FIELD = re.compile(r'[A-Za-z_]\w*(?:\.(?:[\w-]+|"[^"\\]*"))*')
_OPERATOR = re.compile(r"<=|>=|!=|=|<|>|:")
_BARE = re.compile(r'[^\s()"]+')

ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
T = TypeVar("T")


class Meaning(Protocol[T]):
    """What the parts of a filter become."""

    @property
    def fields(self) -> list[str]:
        """The fields that are known, for hints."""
        ...

    def field(self, spelled: str) -> str | None:
        """The known field that a spelling names; None if it is none."""
        ...

    def comparison(self, field: str, order: str, value: str) -> T:
        """One comparison.

        Raises:
            ValueError: such a field has no such value; the message says what is expected, and then a hint.
        """
        ...

    def every(self, parts: tuple[T, ...]) -> T:
        """All of them; without any, everything."""
        ...

    def some(self, parts: tuple[T, ...]) -> T:
        """At least one of them."""
        ...

    def negated(self, part: T) -> T:
        """Not that."""
        ...


def parse(text: str, meaning: Meaning[T]) -> T:
    """Read a filter; an empty one matches everything.

    Raises:
        InvalidArgument: naming the position and what is known.
    """
    if len(text) > _LONGEST:
        raise InvalidArgument(f"The filter is longer than {_LONGEST} characters.", field="filter")
    parser = _Parser(text, meaning)
    found = parser.conjunction(_DEEPEST)
    if parser.left():
        raise parser.wrong("a comparison, AND, OR or the end is expected")
    return found


class _Parser(Generic[T]):
    def __init__(self, text: str, meaning: Meaning[T]) -> None:
        self._text = text
        self._meaning = meaning
        self._at = 0

    def left(self) -> str:
        """What follows, behind white space and comments."""
        if match := _SPACE.match(self._text, self._at):
            self._at = match.end()
        return self._text[self._at : self._at + 1]

    def conjunction(self, depth: int) -> T:
        parts: list[T] = []
        while self.left() not in ("", ")"):
            if parts and self._take("AND") and self.left() in ("", ")"):
                raise self.wrong("a comparison is expected after AND")
            parts.append(self._disjunction(depth))
        return parts[0] if len(parts) == 1 else self._meaning.every(tuple(parts))

    def wrong(self, why: str, hint: str = "") -> InvalidArgument:
        """An error at the present position."""
        near = self._text[self._at : self._at + 30]
        return InvalidArgument(
            f"The filter cannot be read at character {self._at + 1} ('{near}'): {why}.",
            hint=hint or f"Known fields: {', '.join(self._meaning.fields)}.",
            field="filter",
        )

    def _disjunction(self, depth: int) -> T:
        parts = [self._factor(depth)]
        while self.left() and self._take("OR"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else self._meaning.some(tuple(parts))

    def _factor(self, depth: int) -> T:
        if depth == 0:
            raise self.wrong(f"it is nested more than {_DEEPEST} deep", "Write it with fewer parentheses.")
        first = self.left()
        if first == "-" or self._take("NOT"):
            self._at += first == "-"
            return self._meaning.negated(self._factor(depth - 1))
        if first != "(":
            return self._comparison()
        self._at += 1
        if self.left() == ")":
            raise self.wrong("a comparison or ')' is expected")
        inner = self.conjunction(depth - 1)
        if self.left() != ")":
            raise self.wrong("a comparison or ')' is expected")
        self._at += 1
        return inner

    def _comparison(self) -> T:
        match = _FIELD.match(self._text, self._at)
        spelled = match[0].replace('"', "") if match else ""
        field = self._meaning.field(spelled) if match else None
        if not match or field is None:
            raise self.wrong("a field is expected", nearest(spelled, self._meaning.fields))
        self._at = match.end()
        self.left()
        order = _OPERATOR.match(self._text, self._at)
        if not order:
            raise self.wrong("an operator is expected", "Use one of = != > >= < <= :")
        self._at = order.end()
        self.left()
        start = self._at
        value = self._value()
        try:
            return self._meaning.comparison(field, order[0], value)
        except ValueError as unfit:
            self._at = start
            raise self.wrong(*[str(word) for word in unfit.args]) from None

    def _value(self) -> str:
        if match := _STRING.match(self._text, self._at):
            self._at = match.end()
            return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), match[1])
        if match := _BARE.match(self._text, self._at):
            self._at = match.end()
            return match[0]
        raise self.wrong("a value is expected", 'Write it in double quotes: field="value".')

    def _take(self, word: str) -> bool:
        match = _WORD.match(self._text, self._at)
        if not match or match[1] != word:
            return False
        self._at = match.end()
        return True
