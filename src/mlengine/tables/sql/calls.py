"""A call of a function as its rule sees it, and the register of rules. What has no rule cannot be called."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlengine.errors import nearest
from mlengine.tables.sql.casts import coerce
from mlengine.tables.sql.kinds import NAMED, Type, array
from mlengine.tables.sql.problems import InvalidQuery, Place, Unsupported
from mlengine.tables.sql.values import Scope, Value

if TYPE_CHECKING:
    from mlengine.tables.sql.compiler import Compiler

Rule = Callable[["Call"], Value]


@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        nodes: The arguments' trees, without what follows them inside the brackets.
        named: Arguments given as `name => value`.
        order: ORDER BY inside the brackets.
        having: HAVING MAX or HAVING MIN: "max" or "min", and the tree.
        nulls: "IGNORE", "RESPECT", or empty.
        over: The window in DuckDB's SQL; None without OVER.
    """

    c: Compiler
    scope: Scope
    name: str
    place: Place | None
    nodes: list[Any]
    named: dict[str, Any] = field(default_factory=dict)
    distinct: bool = False
    nulls: str = ""
    order: tuple[Any, ...] = ()
    limit: Any = None
    having: tuple[str, Any] | None = None
    over: str | None = None
    _args: list[Value] | None = None

    @property
    def args(self) -> list[Value]:
        """The arguments."""
        if self._args is None:
            self._args = [self.c.value(node, self.scope) for node in self.nodes]
        return self._args

    def count(self, least: int, most: int | None = None) -> None:
        """Say so if there are too few or too many arguments."""
        if not least <= len(self.nodes) <= (least if most is None else most):
            self.refuse()

    def refuse(self, supported: str = "") -> InvalidQuery:
        """Raise what BigQuery says of arguments that fit no signature."""
        told = ", ".join(str(value.kind) for value in self.args)
        text = f"No matching signature for function {self.name} "
        text += f"for argument types: {told}" if told else "with no arguments"
        raise InvalidQuery(
            text + (f". Supported signature: {supported}" if supported else ""), place=self.place
        )

    def take(self, position: int, *kinds: Type) -> Value:
        """The argument at `position` as the first of `kinds` that it is or becomes by itself."""
        if position >= len(self.args):
            self.refuse()
        value = self.args[position]
        for kind in kinds:
            if value.kind.kind == kind.kind and kind.element is None:
                return value
        for kind in kinds:
            if (found := coerce(self.c, value, kind)) is not None:
                return found
        raise self.refuse(f"{self.name}({', '.join(map(str, kinds))})")

    def constant(self, position: int, what: str = "a literal or parameter") -> Any:
        """The argument at `position`, which has to be known now."""
        value = self.args[position]
        if not value.known:
            raise InvalidQuery(f"Argument {position + 1} to {self.name} must be {what}", place=self.place)
        return value.constant

    def plain(self) -> None:
        """Say so if the call has what only aggregates have."""
        if self.distinct or self.order or self.limit is not None or self.having or self.nulls:
            raise InvalidQuery(
                f"Function {self.name} does not take DISTINCT, ORDER BY, LIMIT or NULLS", place=self.place
            )
        if self.over is not None:
            raise InvalidQuery(f"Function {self.name} does not support an OVER clause", place=self.place)

    def aggregate(self, function: str, args: Sequence[str], *, keep: str = "", ordered: bool = True) -> str:
        """DuckDB's call of an aggregate, with what was written inside and after the brackets."""
        inside = ("DISTINCT " if self.distinct else "") + ", ".join(args)
        if ordered and self.order:
            inside += " ORDER BY " + self.ordering()
        text = f"{function}({inside})"
        keep = " AND ".join(part for part in (keep, self.c.keep) if part)
        if keep:
            text += f" FILTER (WHERE {keep})"
        return text if self.over is None else f"{text} OVER ({self.over})"

    def ordering(self) -> str:
        """The ORDER BY inside the brackets."""
        return ", ".join(self.c.order_key(item, self.scope) for item in self.order)


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule and what kind of function it is for: "scalar", "aggregate" or "analytic" (needs OVER)."""

    rule: Rule
    sort: str = "scalar"
    page: str = ""


RULES: dict[str, Entry] = {}


def rule(*names: str, sort: str = "scalar") -> Callable[[Rule], Rule]:
    """Register a rule under BigQuery's names."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = Entry(function, sort, function.__module__.rpartition(".")[2])
        return function

    return register


def simple(name: str, takes: str, gives: str, template: str, *, sort: str = "scalar") -> None:
    """Register a function whose arguments have fixed types: simple("LOWER", "STRING", "STRING", "lower({0})").

    A question mark ends the type of an argument that may be left out; `template` then has one for each count.
    """
    texts = takes.split()
    kinds = [tuple(_kind(one) for one in text.rstrip("?").split("|")) for text in texts]
    least = sum(not text.endswith("?") for text in texts)
    templates = template.split(" ;; ")
    result = _kind(gives) if gives != "SAME" else None
    signature = f"{name}({', '.join(text.rstrip('?').replace('|', ' or ') for text in texts)})"

    def apply(call: Call) -> Value:
        if sort == "scalar":
            call.plain()
        if not least <= len(call.nodes) <= len(kinds):
            call.refuse(signature)
        args = []
        for position in range(len(call.nodes)):
            try:
                args.append(call.take(position, *kinds[position]))
            except InvalidQuery as problem:
                if "No matching signature for function " + call.name not in problem.message:
                    raise
                call.refuse(signature)
        sql = templates[min(len(args) - least, len(templates) - 1)].format(*(arg.sql for arg in args))
        return Value(sql, result or args[0].kind.bare)

    RULES[name] = Entry(apply, sort, _caller())


def _caller() -> str:
    import sys

    return str(sys._getframe(2).f_globals["__name__"]).rpartition(".")[2]


def _kind(text: str) -> Type:
    if text.startswith("ARRAY<"):
        return array(_kind(text[6:-1]))
    return NAMED[text]


# What BigQuery has and we do not, so that the error can say which of the two it is.
ABSENT = {
    "SESSION_USER": "",
    "KEYS": "",
    "SEARCH": "",
    "VECTOR_SEARCH": "",
    "APPENDS": "",
    "CHANGES": "",
    "EXTERNAL_QUERY": "",
    "COLLATE": "",
    "CURRENT_USER": "",
    "JSON_ARRAY_APPEND": "",
    "JSON_ARRAY_INSERT": "",
    "JSON_CONTAINS": "",
    "HLL_COUNT": "",
    "KLL_QUANTILES": "",
    "GAP_FILL": "",
    "ERROR_MESSAGE": "",
    "RANGE": "",
    "RANGE_START": "",
    "RANGE_END": "",
    "RANGE_CONTAINS": "",
    "RANGE_OVERLAPS": "",
    "GENERATE_RANGE_ARRAY": "",
    "RANGE_SESSIONIZE": "",
    "BAG_OF_WORDS": "",
    "TF_IDF": "",
    "TEXT_ANALYZE": "",
    "COSINE_DISTANCE": "",
    "EUCLIDEAN_DISTANCE": "",
    "DLP_DETERMINISTIC_ENCRYPT": "",
    "JSON_FLATTEN": "",
}


def find(name: str, place: Place | None) -> Entry:
    """The rule of a function.

    Raises:
        Unsupported, InvalidQuery: there is none.
    """
    found = RULES.get(name.upper())
    if found is not None:
        return found
    upper = name.upper()
    if upper in ABSENT or upper.startswith(
        ("ST_", "S2_", "AEAD.", "KEYS.", "HLL_COUNT.", "ML.", "AI.", "KLL_")
    ):
        raise Unsupported(f"Function {upper}", place=place)
    hint = nearest(upper, tuple(RULES))
    said = "; " + hint.replace("'", "").rstrip() if hint else ""
    raise InvalidQuery(f"Function not found: {name}{said}", place=place)


__all__ = ["ABSENT", "RULES", "Call", "Entry", "Rule", "find", "replace", "rule", "simple"]
