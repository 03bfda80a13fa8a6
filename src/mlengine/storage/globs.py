"""Patterns of object names, as `matchGlob` has them.

    *       any characters but a slash          [a-z]   one character of a set, [!a-z] one outside; no slash
    **      any characters                      {a,b}   one of several patterns
    ?       one character but a slash           \\*      the character itself

Not regular expressions: with those, a pattern of many stars can take hours for one name. Here the time for a
name only grows with its length times that of the pattern.
"""

from __future__ import annotations

from collections.abc import Callable

from mlengine.errors import InvalidArgument

_LONGEST = 1024  # characters of a pattern
_DEEPEST = 10  # braces within braces
_MOST_STEPS = 20_000  # remembered; then they are worked out anew

_Test = Callable[[str], bool]
_States = frozenset[int]


class Glob:
    """A pattern for whole names.

    Attributes:
        literal: What all names begin with that are like it.

    Raises:
        InvalidArgument: the pattern cannot be read.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > _LONGEST:
            raise InvalidArgument(f"matchGlob has {len(pattern)} characters; {_LONGEST} are allowed.")
        self._pattern = pattern
        self.literal = _literal(pattern)
        # State n: the characters that lead on to another state, and those to be in at the same time.
        self._steps: list[list[tuple[_Test, int]]] = []
        self._free: list[list[int]] = []
        self._closed: dict[int, _States] = {}
        start = self._state()
        self._end, _ = self._sequence(start, 0, depth=0)
        self._start = self._closure(start)
        self._known: dict[tuple[_States, str], _States] = {}

    def matches(self, name: str) -> bool:
        """Whether the whole name is like the pattern."""
        states = self._start
        for character in name:
            key = (states, character)
            following = self._known.get(key)
            if following is None:
                following = self._after(states, character)
                if len(self._known) >= _MOST_STEPS:
                    self._known.clear()
                self._known[key] = following
            states = following
            if not states:
                return False
        return self._end in states

    def _after(self, states: _States, character: str) -> _States:
        reached: set[int] = set()
        for state in states:
            for test, to in self._steps[state]:
                if test(character):
                    reached |= self._closure(to)
        return frozenset(reached)

    def _closure(self, state: int) -> _States:
        if state not in self._closed:
            found, left = {state}, [state]
            while left:
                for to in self._free[left.pop()]:
                    if to not in found:
                        found.add(to)
                        left.append(to)
            self._closed[state] = frozenset(found)
        return self._closed[state]

    def _state(self) -> int:
        self._steps.append([])
        self._free.append([])
        return len(self._steps) - 1

    def _sequence(self, state: int, at: int, *, depth: int) -> tuple[int, int]:
        """Read on from `at`, within braces to a comma or their end; the last state, and where it stopped."""
        text = self._pattern
        while at < len(text) and not (depth and text[at] in ",}"):
            if text.startswith("**", at):
                while text.startswith("*", at):
                    at += 1
                self._steps[state].append((_any, state))
                state = self._through(state)
            elif text[at] == "*":
                self._steps[state].append((_no_slash, state))
                state = self._through(state)
                at += 1
            elif text[at] == "{":
                state, at = self._braces(state, at, depth=depth + 1)
            else:
                test, at = self._one(at)
                to = self._state()
                self._steps[state].append((test, to))
                state = to
        return state, at

    def _through(self, state: int) -> int:
        # Of its own: what comes next must not lead back into the star.
        to = self._state()
        self._free[state].append(to)
        return to

    def _braces(self, state: int, at: int, *, depth: int) -> tuple[int, int]:
        if depth > _DEEPEST:
            raise self._wrong(at, "the braces are nested too deeply")
        opened, end = at, self._state()
        while True:
            begin = self._state()
            self._free[state].append(begin)
            last, at = self._sequence(begin, at + 1, depth=depth)
            self._free[last].append(end)
            if at >= len(self._pattern):
                raise self._wrong(opened, "this brace is never closed")
            if self._pattern[at] == "}":
                return end, at + 1

    def _one(self, at: int) -> tuple[_Test, int]:
        text = self._pattern
        if text[at] == "?":
            return _no_slash, at + 1
        if text[at] == "[":
            return self._set(at)
        if text[at] == "\\":
            if at + 1 >= len(text):
                raise self._wrong(at, "nothing follows the backslash")
            at += 1
        return text[at].__eq__, at + 1

    def _set(self, at: int) -> tuple[_Test, int]:
        text, opened = self._pattern, at
        at += 1
        inverted = text[at : at + 1] in ("!", "^")
        at += inverted
        ranges: list[tuple[str, str]] = []
        # A bracket that comes first is one of the set.
        while at < len(text) and (text[at] != "]" or not ranges):
            at += text[at] == "\\"
            first = last = text[at : at + 1]
            at += 1
            if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("]", ""):
                at += 1 + (text[at + 1] == "\\")
                last = text[at : at + 1]
                at += 1
            if first > last:
                raise self._wrong(opened, f"{first}-{last} is no range")
            ranges.append((first, last))
        if at >= len(text):
            raise self._wrong(opened, "this bracket is never closed")

        def test(character: str) -> bool:
            found = any(first <= character <= last for first, last in ranges)
            return character != "/" and found is not inverted

        return test, at + 1

    def _wrong(self, at: int, reason: str) -> InvalidArgument:
        return InvalidArgument(
            f"matchGlob cannot be read at character {at + 1}: {reason}.",
            hint="Write a backslash before a character that stands for itself.",
        )


def _any(_character: str) -> bool:
    return True


def _no_slash(character: str) -> bool:
    return character != "/"


def _literal(pattern: str) -> str:
    found, at = "", 0
    while at < len(pattern) and pattern[at] not in "*?[{":
        at += pattern[at] == "\\"
        found += pattern[at : at + 1]
        at += 1
    return found
