"""One statement on its way to DuckDB: what is known of tables, parameters and names, and who turns what.

`expressions`, `query` and `relations` hold the turning itself; `rules` that of functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlengine.tables.schema import TableReference
from mlengine.tables.sql.plan import Catalogue, Described
from mlengine.tables.sql.problems import InvalidQuery, Place, Unsupported
from mlengine.tables.sql.values import Scope, Value
from mlengine.tables.types import quoted

if TYPE_CHECKING:
    from mlengine.tables.sql.kinds import Type
    from mlengine.tables.sql.parse import Text
    from mlengine.tables.sql.query import Query

Turn = Callable[["Compiler", Any, Scope], Value]
NODES: dict[str, Turn] = {}


def node(*names: str) -> Callable[[Turn], Turn]:
    """Register who turns trees of these classes of SQLGlot's."""

    def register(function: Turn) -> Turn:
        for name in names:
            NODES[name] = function
        return function

    return register


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A user's own function: CREATE TEMP FUNCTION. A type of None is ANY TYPE."""

    name: str
    parameters: tuple[tuple[str, Type | None], ...]
    body: Any
    text: Text
    returns: Type | None


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What all statements of a script share."""

    catalogue: Catalogue
    project: str
    default: TableReference | None
    named: Mapping[str, Value]
    positional: Sequence[Value]
    variables: dict[str, Value]
    functions: dict[str, Function]
    temporary: dict[str, TableReference]
    system: dict[str, Value]
    now: datetime


class Compiler:
    """Turns one statement. Fresh for each, because it counts names and gathers what is read."""

    def __init__(self, around: Surroundings, text: Text) -> None:
        self.around = around
        self.text = text
        self.reads: dict[str, TableReference] = {}
        self.safe = 0
        self.keep = ""
        self.span: tuple[str, int, int] = (text.sql, 0, len(text.sql))
        self._aliases: dict[TableReference, str] = {}
        self._count = 0
        self._placeholders = 0
        self._depth = 0
        self._views = 0
        self._calls = 0

    def value(self, tree: Any, scope: Scope) -> Value:
        """An expression."""
        turn = NODES.get(type(tree).__name__)
        if turn is None:
            raise Unsupported(words(tree), place=self.place(tree))
        self._depth += 1
        if self._depth > 150:
            raise InvalidQuery("The expression is nested too deeply", place=self.place(tree))
        before = len(scope.loose)
        try:
            made = turn(self, tree, scope)
        finally:
            self._depth -= 1
        if tree.args.get("negate") is True:
            made = Value(f"(NOT {made.sql})", made.kind)
        if len(scope.loose) > before and (made.sql in scope.grouped or made.kind.kind == "NULL"):
            del scope.loose[before:]
        return made

    def query(self, tree: Any, scope: Scope | None) -> Query:
        """A query."""
        from mlengine.tables.sql.query import query

        return query(self, tree, scope)

    def order_key(self, tree: Any, scope: Scope) -> str:
        """One key of an ORDER BY."""
        from mlengine.tables.sql.query import order_key

        return order_key(self, tree, scope)

    def name(self, prefix: str) -> str:
        """A name that nothing else in this statement has."""
        self._count += 1
        return f"{prefix}{self._count}"

    def guard(self, bad: str, message: str, good: str) -> str:
        """`good`, unless `bad`: then an error, or NULL where SAFE was said."""
        otherwise = "NULL" if self.safe else f"error({message})"
        return f"CASE WHEN {bad} THEN {otherwise} ELSE {good} END"

    def attempt(self, sql: str) -> str:
        """`sql`, with NULL for DuckDB's own errors where SAFE was said."""
        volatile = any(word in sql for word in ("error(", "SELECT ", "random()", " OVER ("))
        return f"TRY({sql})" if self.safe and not volatile else sql

    def place(self, tree: Any) -> Place | None:
        """Where a tree begins."""
        from sqlglot import exp

        if not isinstance(tree, exp.Expr):
            return None
        starts = [found.meta["start"] for found in tree.walk() if found._meta and "start" in found._meta]
        if not starts:
            starts = [found.meta["near"] for found in tree.walk() if found._meta and "near" in found._meta]
        return self.text.place(min(starts)) if starts else None

    def read(self, reference: TableReference) -> str:
        """The name under which a stored table is read."""
        if reference not in self._aliases:
            alias = f"t{len(self._aliases) + 1}"
            self._aliases[reference] = alias
            self.reads[alias] = reference
        return quoted(self._aliases[reference])

    def resolve(self, parts: Sequence[str], place: Place | None) -> TableReference:
        """The table that a name of one to three parts means."""
        around = self.around
        if len(parts) == 1:
            if found := around.temporary.get(parts[0]):
                return found
            if around.default is None:
                raise InvalidQuery(
                    f'Table "{parts[0]}" must be qualified with a dataset (e.g. dataset.table)', place=place
                )
            return TableReference(
                project=around.default.project, dataset=around.default.dataset, table=parts[0]
            )
        project = around.project if len(parts) == 2 else parts[0]
        dataset, table = parts[-2:]
        if dataset.upper() == "_SESSION" and table in around.temporary:
            return around.temporary[table]
        return TableReference(project=project, dataset=dataset, table=table)

    def described(self, reference: TableReference, place: Place | None) -> Described:
        """The table itself."""
        if reference.partition or "$" in reference.table:
            raise Unsupported("Reading a partition by a table decorator", place=place)
        return self.around.catalogue.find(reference)

    def enter_view(self, place: Place | None) -> None:
        """Count the views inside one another."""
        self._views += 1
        if self._views > 16:
            raise InvalidQuery("Views are nested more than 16 deep", place=place)

    def leave_view(self) -> None:
        """Go back up."""
        self._views -= 1

    def query_text(self) -> str:
        """The part of the statement that is a query, to its end, as it was written."""
        from sqlglot.tokenizer_core import TokenType

        from mlengine.tables.sql import parse

        sql, first, last = self.span
        _, found = parse.tokens(sql)
        own = [word for word in found if first <= word.start < last]
        depth = 0
        for at, word in enumerate(own):
            if word.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET):
                depth += 1
            elif word.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET):
                depth -= 1
            elif depth == 0 and word.token_type is TokenType.ALIAS:
                return sql[own[at + 1].start : last]
        return sql[first:last]

    def enter_function(self, place: Place | None) -> None:
        """Count the users' functions inside one another."""
        self._calls += 1
        if self._calls > 50:
            raise InvalidQuery("Functions call one another more than 50 deep", place=place)

    def leave_function(self) -> None:
        """Go back up."""
        self._calls -= 1

    def placeholder(self, place: Place | None) -> Value:
        """The next positional parameter."""
        if self._placeholders >= len(self.around.positional):
            raise InvalidQuery(
                "Number of query parameters is less than the number of positional parameters in the query",
                place=place,
            )
        self._placeholders += 1
        return self.around.positional[self._placeholders - 1]


_WORDS = {
    "Lateral": "LATERAL",
    "AtTimeZone": "AT TIME ZONE",
    "ILike": "ILIKE",
    "SimilarTo": "SIMILAR TO",
    "JSONExtract": "The operator ->",
    "JSONExtractScalar": "The operator ->>",
    "Lambda": "A lambda expression",
    "NetFunc": "This NET function",
    "Predict": "ML.PREDICT",
    "Collate": "COLLATE",
    "Command": "This statement",
    "Glob": "GLOB",
    "RegexpLike": "RLIKE",
    "Overlaps": "OVERLAPS",
    "NationalString": "N'…'",
}


def words(tree: Any) -> str:
    """What a tree is, in a user's words."""
    name = type(tree).__name__
    if name in _WORDS:
        return _WORDS[name]
    spaced = "".join(f" {sign.lower()}" if sign.isupper() and at else sign for at, sign in enumerate(name))
    return f"The construct '{spaced}'"
