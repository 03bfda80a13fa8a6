"""Reading an expression from left to right, and saying where it is wrong and what was expected there."""

from __future__ import annotations

import re

from mlengine.cli.command import UsageError
from mlengine.cli.formats.width import width

_BLANKS = re.compile(r"\s*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
# So much of a long expression is shown on either side of the place that is wrong.
_SHOWN = 40


class Scanner:
    """A text and a place in it.

    Args:
        flag: The flag that the text came with; errors name it ("--format").
    """

    def __init__(self, text: str, flag: str) -> None:
        self.text = text
        self.flag = flag
        self.position = 0

    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.position >= len(self.text)

    def blanks(self) -> bool:
        """Go over blanks; whether there were any."""
        before = self.position
        match = _BLANKS.match(self.text, before)
        self.position = match.end() if match else before
        return self.position > before

    def at(self, literal: str) -> bool:
        """Whether `literal` comes next."""
        return self.text.startswith(literal, self.position)

    def take(self, literal: str) -> bool:
        """Go over `literal` if it comes next; whether it did."""
        if not self.at(literal):
            return False
        self.position += len(literal)
        return True

    def need(self, literal: str) -> None:
        """Go over `literal`. Raises UsageError if something else comes next."""
        if not self.take(literal):
            raise self.wrong(f"'{literal}'")

    def match(self, pattern: re.Pattern[str]) -> str:
        """Go over what `pattern` matches; "" if it does not."""
        found = pattern.match(self.text, self.position)
        if not found:
            return ""
        self.position = found.end()
        return found[0]

    def quoted(self) -> str | None:
        """The text between quotes of either kind, None if no quote comes next; a backslash keeps a quote."""
        if self.ended() or self.text[self.position] not in "'\"":
            return None
        start, quote = self.position, self.text[self.position]
        self.position += 1
        letters: list[str] = []
        while not self.ended():
            letter = self.text[self.position]
            self.position += 1
            if letter == quote:
                return "".join(letters)
            if letter == "\\" and not self.ended():
                following = self.text[self.position]
                # Any other backslash stays: a pattern such as \d+ is quoted to protect its blanks.
                if following in "'\"\\":
                    letter = following
                    self.position += 1
                elif following in _ESCAPES:
                    letter = _ESCAPES[following]
                    self.position += 1
            letters.append(letter)
        raise self.error(f"the quote {quote} at character {start + 1} is never closed.", at=start)

    def wrong(self, expected: str, *, at: int | None = None) -> UsageError:
        """The error that something else than `expected` stands here."""
        place = self.position if at is None else at
        found = f"'{self.text[place]}'" if place < len(self.text) else "the end"
        return self.error(f"expected {expected} at character {place + 1}, found {found}.", at=place)

    def error(self, what: str, *, at: int | None = None, hint: str = "") -> UsageError:
        """An error with the expression and a mark below the place."""
        place = self.position if at is None else at
        start, end = max(0, place - _SHOWN), place + _SHOWN
        before = re.sub(r"\s", " ", self.text[start:place])
        shown = before + re.sub(r"\s", " ", self.text[place:end])
        marked = f"  {shown}\n  {' ' * width(before)}^"
        return UsageError(f"argument {self.flag}: {what}", hint=f"{marked}\n{hint}" if hint else marked)
