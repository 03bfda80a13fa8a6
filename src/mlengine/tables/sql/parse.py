"""BigQuery's grammar: SQLGlot's, with every function left as it was written.

SQLGlot would turn functions into its own shapes, which lose names, places and small differences of meaning; our
rules want them as BigQuery has them.
"""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import logging
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from mlengine.tables.sql.problems import InvalidQuery, Place, Unsupported

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token


@lru_cache(maxsize=1)
def _grammar() -> tuple[Any, Any]:
    from sqlglot import exp, parser
    from sqlglot.dialects.bigquery import BigQuery
    from sqlglot.errors import ErrorLevel
    from sqlglot.parsers.bigquery import BigQueryParser
    from sqlglot.tokenizer_core import TokenType

    kept = ("ARRAY", "CAST", "SAFE_CAST", "EXTRACT")
    ours = BigQueryParser.ID_VAR_TOKENS | {TokenType.PIVOT, TokenType.UNPIVOT}

    class Grammar(BigQueryParser):
        """Functions stay `Anonymous`, except those whose arguments have a grammar of their own."""

        SUPPORTS_IMPLICIT_UNNEST: ClassVar[Any] = False
        FUNCTIONS: ClassVar[Any] = {}
        FUNCTION_PARSERS: ClassVar[Any] = {name: BigQueryParser.FUNCTION_PARSERS[name] for name in kept}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[Any] = {
            "CASE": BigQueryParser.NO_PAREN_FUNCTION_PARSERS["CASE"],
            "ANY": BigQueryParser.NO_PAREN_FUNCTION_PARSERS["ANY"],
        }
        ID_VAR_TOKENS: ClassVar[Any] = ours

        def expression(self, instance: Any, token: Any = None, comments: Any = None) -> Any:
            made = super().expression(instance, token, comments)
            if token is None and self._prev and "start" not in made.meta:
                made.meta["near"] = self._prev.start
            return made

        def part(self, words: Any, sql: str, method: str) -> Any:
            """Parse words that are no whole statement."""
            name = "_parse_disjunction" if method == "_parse_assignment_or_query" else method
            return self._parse(lambda parser: getattr(parser, name)(), words, sql)[0]

        def _parse_unnest(self, with_alias: bool = True) -> Any:
            return parser.Parser._parse_unnest(self, with_alias=with_alias)

        def _parse_table(self, *args: Any, **named: Any) -> Any:
            table = super()._parse_table(*args, **named)
            if not isinstance(table, exp.Table):
                return table
            if not table.alias and table.args.get("version") and (alias := self._parse_table_alias()):
                table.set("alias", alias)
            if self._match_pair(TokenType.WITH, TokenType.OFFSET):  # FROM t, t.array AS x WITH OFFSET AS n
                self._match(TokenType.ALIAS)
                place = self._parse_id_var(any_token=False, tokens=self.UNNEST_OFFSET_ALIAS_TOKENS)
                table.set("offset", place or exp.to_identifier("offset"))
            return table

    # It would tell our log what it does not read; we tell the user.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

    # The words of scripting are ours to read: SQLGlot would swallow all that follows them.
    scripting = (
        "BEGIN",
        "BEGIN TRANSACTION",
        "LOOP",
        "WHILE",
        "REPEAT",
        "ELSEIF",
        "EXCEPTION",
        "EXPORT",
        "DECLARE",
        "CALL",
        "EXECUTE",
    )

    class Dialect(BigQuery):
        """BigQuery with all words of a script as words."""

        class Tokenizer(BigQuery.Tokenizer):
            COMMANDS: ClassVar[Any] = set()
            KEYWORDS: ClassVar[Any] = {
                key: kind for key, kind in BigQuery.Tokenizer.KEYWORDS.items() if key not in scripting
            }

    dialect = Dialect()
    return dialect, lambda: Grammar(dialect=dialect, error_level=ErrorLevel.IMMEDIATE)


class Text:
    """A script, and where in it a sign stands."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._lines = [0]
        for place, sign in enumerate(sql):
            if sign == "\n":
                self._lines.append(place + 1)

    def place(self, start: int) -> Place:
        """Line and column, from 1 on."""
        line = bisect_right(self._lines, start)
        return line, start - self._lines[line - 1] + 1


@lru_cache(maxsize=256)
def tokens(sql: str) -> tuple[Text, tuple[Token, ...]]:
    """The words of a script."""
    from sqlglot.errors import TokenError

    text = Text(sql)
    dialect, _ = _grammar()
    try:
        return text, tuple(dialect.tokenize(sql))
    except TokenError as problem:
        raise InvalidQuery(_unclosed(sql, str(problem)), place=text.place(max(len(sql) - 1, 0))) from None


@lru_cache(maxsize=1024)
def _parse(sql: str, first: int, last: int) -> Any:
    from sqlglot.errors import ParseError

    text, words = tokens(sql)
    piece = list(words[first:last])
    _, make = _grammar()
    parser = make()
    try:
        found = parser.parse(piece, sql)
    except ParseError as problem:
        _refuse(text, piece)
        raise InvalidQuery(*_unexpected(problem, text, piece)) from None
    except RecursionError:
        raise InvalidQuery("The query is nested too deeply", place=text.place(piece[0].start)) from None
    if len(found) != 1 or found[0] is None:
        raise InvalidQuery("Syntax error: Unexpected end of statement", place=text.place(piece[-1].start))
    return found[0]


def statement(sql: str, first: int, last: int | None) -> Any:
    """The tree of the words `first` to `last` of a script. It is shared: nobody may change it."""
    return _parse(sql, first, len(tokens(sql)[1]) if last is None else last)


@lru_cache(maxsize=1024)
def expression(sql: str, first: int, last: int) -> Any:
    """The tree of words that are one expression."""
    return _part(sql, first, last, "_parse_assignment_or_query")


@lru_cache(maxsize=256)
def data_type(sql: str, first: int, last: int) -> Any:
    """The tree of words that are a type."""
    return _part(sql, first, last, "_parse_types")


def _part(sql: str, first: int, last: int, method: str) -> Any:
    from sqlglot.errors import ParseError

    text, words = tokens(sql)
    piece = list(words[first:last])
    if not piece:
        raise InvalidQuery("Syntax error: Unexpected end of script", place=text.place(max(len(sql) - 1, 0)))
    parser = _grammar()[1]()
    try:
        found = parser.part(piece, sql, method)
    except ParseError as problem:
        raise InvalidQuery(*_unexpected(problem, text, piece)) from None
    if found is None:
        raise InvalidQuery(f"Syntax error: Unexpected {_kind(piece[0])}", place=text.place(piece[0].start))
    return found


def _refuse(text: Text, words: list[Token]) -> None:
    """Say by name what has a grammar of its own that we do not read."""
    for at, word in enumerate(words[:-3]):
        if word.text.upper() in ("ML", "AI") and words[at + 1].text == "." and words[at + 3].text == "(":
            name = f"{word.text}.{words[at + 2].text}".upper()
            raise Unsupported(f"Function {name}", place=text.place(word.start))


def _unexpected(problem: Any, text: Text, words: list[Token]) -> tuple[str]:
    told = problem.errors[0] if problem.errors else {}
    highlight = told.get("highlight") or ""
    before = told.get("start_context") or ""
    at = -1
    if highlight:
        line, column = told.get("line") or 1, told.get("col") or 1
        at = next(
            (w.start for w in words if w.line == line and w.col == column), text.sql.find(before + highlight)
        )
    if at < 0:
        at = words[-1].start
    last = words[-1]
    line, column = text.place(at)
    if at >= last.start and (told.get("description") or "").startswith(("Expected", "Required")):
        end_line, end_column = text.place(last.end + 1)
        return (f"Syntax error: Unexpected end of script at [{end_line}:{end_column}]",)
    word = next((w for w in words if w.start == at), last)
    return (f"Syntax error: Unexpected {_kind(word)} at [{line}:{column}]",)


def _kind(word: Token) -> str:
    kind = word.token_type.name
    if kind in ("VAR", "IDENTIFIER"):
        return f"identifier {word.text}" if kind == "VAR" else f"identifier `{word.text}`"
    if kind == "STRING":
        return f'string literal "{word.text}"'
    if kind == "NUMBER":
        return (
            f'integer literal "{word.text}"'
            if word.text.isdigit()
            else f'floating point literal "{word.text}"'
        )
    return f"keyword {word.text.upper()}" if word.text.isalpha() else f'"{word.text}"'


def _unclosed(sql: str, told: str) -> str:
    if "Missing" in told:
        return (
            "Syntax error: Unclosed string literal"
            if any(q in told for q in "'\"")
            else "Syntax error: Unclosed literal"
        )
    return f"Syntax error: Illegal input character near {sql[-20:]!r}"
