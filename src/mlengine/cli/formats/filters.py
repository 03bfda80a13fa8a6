"""--filter: an expression that is true of a resource or not.

term:   KEY:WORD  KEY=VALUE  KEY!=VALUE  KEY<VALUE  KEY~PATTERN  KEY!~PATTERN  KEY:(A B)  -TERM  WORD
and:    term AND term          or:    term OR term          both by juxtaposition: or or
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlengine.cli.command import UsageError
from mlengine.cli.formats.keys import Key, read_key
from mlengine.cli.formats.moments import moment, stamp
from mlengine.cli.formats.scanner import Scanner
from mlengine.cli.formats.transforms import pattern, text_of

Test = Callable[[Any], bool]

_OPERATOR = re.compile(r"!=|!~|<=|>=|[:=<>~]")
_OPERAND = re.compile(r"[^\s()'\"]+")
_LISTED = re.compile(r"[^\s(),'\"]+")
_WORD = re.compile(r"[^\s()]+")
_LOGICAL = re.compile(r"(AND|OR|NOT)(?![\w.:=<>~!])")
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TRUTHS = {"true": 1.0, "false": 0.0}
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Filter:
    """An expression that has been read.

    Attributes:
        test: Whether it is true of a resource.
        keys: Those that the expression asks for.
    """

    test: Test
    keys: tuple[Key, ...]


def read_filter(text: str) -> Filter:
    """The filter that `text` means. Raises UsageError, with the place that is wrong."""
    scan = Scanner(text, "--filter")
    scan.blanks()
    if scan.ended():
        return Filter(lambda _resource: True, ())
    keys: list[Key] = []
    test = _expression(scan, keys, 0)
    if not scan.ended():
        raise scan.wrong("the end, or a term")
    return Filter(test, tuple(keys))


def _expression(scan: Scanner, keys: list[Key], depth: int) -> Test:
    """Terms up to a closing parenthesis or the end. AND and OR in one group must be told apart by others."""
    if depth > _DEEPEST:
        raise scan.error(f"parentheses are nested more than {_DEEPEST} deep.")
    groups: list[Test] = []
    logic = ""
    while True:
        terms = [_negatable(scan, keys, depth)]
        joined = ""
        while word := _logical(scan, "AND", "OR"):
            if logic and word != logic:
                raise scan.error(
                    f"AND and OR together need parentheses (character {scan.position - len(word) + 1}).",
                    at=scan.position - len(word),
                    hint="Like (a=1 AND b=2) OR c=3",
                )
            logic = joined = word
            terms.append(_negatable(scan, keys, depth))
        groups.append(_any(terms) if joined == "OR" else _all(terms))
        scan.blanks()
        if scan.ended() or scan.at(")"):
            return groups[0] if len(groups) == 1 else _all(groups)


def _negatable(scan: Scanner, keys: list[Key], depth: int) -> Test:
    scan.blanks()
    if depth > _DEEPEST:
        raise scan.error(f"NOT and parentheses are nested more than {_DEEPEST} deep.")
    if _logical(scan, "NOT") or (scan.at("-") and scan.take("-")):
        inner = _negatable(scan, keys, depth + 1)
        return lambda resource: not inner(resource)
    here = scan.position
    if word := _logical(scan, "AND", "OR"):
        raise scan.error(f"expected a term at character {here + 1}, found {word}.", at=here)
    if scan.take("("):
        test = _expression(scan, keys, depth + 1)
        if not scan.take(")"):
            raise scan.wrong("')'")
        return test
    return _term(scan, keys)


def _term(scan: Scanner, keys: list[Key]) -> Test:
    start = scan.position
    problem: UsageError | None = None
    key: Key | None = None
    try:
        key = read_key(scan)
    except UsageError as error:
        problem = error
    after = scan.position
    if key is not None:
        scan.blanks()
        here = scan.position
        sign = scan.match(_OPERATOR)
        if sign:
            keys.append(key)
            scan.blanks()
            return _comparison(scan, key, sign, here)
        if key.calls:
            raise scan.wrong("an operator (one of : = != < <= > >= ~ !~)")
    # No operator: a word that may stand anywhere in the resource.
    scan.position = start
    word = scan.quoted()
    if word is None:
        word = scan.match(_WORD)
        if not word or (problem is not None and (scan.at("(") or _OPERATOR.search(word))):
            raise problem or scan.wrong("a term")
        scan.position = max(scan.position, after)
    wanted = _folded(word)
    return lambda resource: any(wanted in _folded(text_of(leaf)) for leaf in _leaves(resource))


def _comparison(scan: Scanner, key: Key, sign: str, at: int) -> Test:
    here = scan.position
    operands = _operands(scan, sign, at)
    if sign in ("~", "!~"):
        try:
            wanted = pattern(operands[0])
        except ValueError as problem:
            raise scan.error(f"{problem} (character {here + 1}).", at=here) from None
        found = _matcher(lambda value: wanted.search(text_of(value)) is not None)
        missing = False
    elif sign == ":":
        tests = [_has(scan, operand, here) for operand in operands]
        found = _matcher(lambda value: any(test(value) for test in tests), inside=True)
        missing = False
    elif sign in _ORDERS:
        found, missing = _matcher(_ordered(_ORDERS[sign], operands[0])), False
    else:
        equal = [_equal(operand) for operand in operands]
        found, missing = _matcher(lambda value: any(test(value) for test in equal)), "" in operands
    negated = sign in ("!=", "!~")

    def test(resource: Any) -> bool:
        value = key.value(resource)
        return (missing if value is None else found(value)) != negated

    return test


def _operands(scan: Scanner, sign: str, at: int) -> list[str]:
    if scan.at("("):
        if sign not in (":", "="):
            raise scan.error(f"a list in parentheses follows only : or =, not {sign}.", at=at)
        scan.take("(")
        found = []
        while True:
            scan.match(re.compile(r"[\s,]*"))
            if scan.take(")"):
                break
            if _logical(scan, "OR"):
                continue
            if _logical(scan, "AND", "NOT"):
                raise scan.error(
                    "in a list of values only OR is possible.", hint="Like key:a AND key:b, or NOT key:a"
                )
            found.append(_operand(scan, _LISTED))
        if not found:
            raise scan.wrong("a value", at=scan.position - 1)
        return found
    here = scan.position
    if _logical(scan, "AND", "OR", "NOT"):
        raise scan.wrong("a value", at=here)
    return [_operand(scan, _OPERAND)]


def _operand(scan: Scanner, bare: re.Pattern[str]) -> str:
    quoted = scan.quoted()
    if quoted is not None:
        return quoted
    found = scan.match(bare)
    if not found:
        raise scan.wrong("a value")
    return found


def _matcher(test: Test, *, inside: bool = False) -> Test:
    """Of a list: any element; with `inside`, of a mapping: any key or value."""

    def found(value: Any) -> bool:
        if isinstance(value, list):
            return any(found(item) for item in value)
        if isinstance(value, dict) and inside:
            return any(test(item) for item in (*value, *value.values()))
        return test(value)

    return found


def _has(scan: Scanner, operand: str, at: int) -> Test:
    """`word` is in the value; `word*` begins one of its words, `*word` ends one; `*`: there is a value."""
    if operand == "*":
        return lambda value: value not in (None, "", [], {})
    before, after = operand.startswith("*"), operand.endswith("*") and len(operand) > 1
    bare = operand[1 if before else 0 : -1 if after else None]
    if "*" in bare:
        raise scan.error("a * is possible at the start or the end of a word only.", at=at)
    wanted = _folded(bare)
    number = _number(bare)
    pattern = re.compile(
        ("" if before == after else r"\w*" if before else r"(?<!\w)")
        + re.escape(wanted)
        + (r"(?!\w)" if before and not after else "")
    )
    return lambda value: (
        (number is not None and _number(value) == number)
        or pattern.search(_folded(text_of(value))) is not None
    )


def _equal(operand: str) -> Test:
    number, when, wanted = _number(operand), moment(operand), _folded(operand)

    def test(value: Any) -> bool:
        if number is not None and (own := _number(value)) is not None:
            return own == number
        if when is not None and (then := stamp(value)) is not None:
            return then == when
        return _folded(text_of(value)) == wanted

    return test


def _ordered(compare: Callable[[Any, Any], bool], operand: str) -> Test:
    number, when = _number(operand), moment(operand)

    def test(value: Any) -> bool:
        if number is not None and (own := _number(value)) is not None:
            return compare(own, number)
        if when is not None and (then := stamp(value)) is not None:
            return compare(then, when)
        return value is not None and compare(text_of(value), operand)

    return test


def _number(value: Any) -> float | None:
    """Numbers, numbers as text (as the API writes those of 64 bits), and true and false; else None."""
    if isinstance(value, str):
        value = _TRUTHS.get(value.lower(), value)
    if not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if found == found else None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _logical(scan: Scanner, *words: str) -> str:
    """One of `words` if it comes next, after blanks; "" if not, and then nothing is passed over."""
    start = scan.position
    scan.blanks()
    found = scan.match(_LOGICAL)
    if found not in words:
        scan.position = start
        return ""
    return found


def _all(tests: list[Test]) -> Test:
    return lambda resource: all(test(resource) for test in tests)


def _any(tests: list[Test]) -> Test:
    return lambda resource: any(test(resource) for test in tests)
