"""Scripts: DECLARE, IF, loops, exceptions. Control flow is ours; only statements reach the engine."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlengine.errors import Problem
from mlengine.tables.sql import ddl, dml, parse
from mlengine.tables.sql.blocks import Node, Reader
from mlengine.tables.sql.casts import assign, coerce
from mlengine.tables.sql.compiler import Compiler, Surroundings
from mlengine.tables.sql.constants import evaluate
from mlengine.tables.sql.constructors import type_of
from mlengine.tables.sql.kinds import INT64, STRING, Type
from mlengine.tables.sql.operators import condition
from mlengine.tables.sql.plan import Kind, Outcome, Statement, Steps
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.select import select
from mlengine.tables.sql.values import NOTHING, Scope, Value, typed

_MOST_STEPS = 1_000_000


class _Failed(Exception):
    """A statement failed; an EXCEPTION handler may take it."""

    def __init__(self, problem: str, cause: Problem | None = None, told: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.cause, self.told = problem, cause, told


class _Jump(Exception):
    """BREAK, CONTINUE or RETURN."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


Running = Generator[Statement, Outcome, None]


@dataclass(slots=True)
class Interpreter:
    """Runs the blocks of one script."""

    sql: str
    around: Surroundings
    reader: Reader
    steps: int = 0
    errors: list[str] = field(default_factory=list)
    positional: int = 0

    def run(self, nodes: Sequence[Node]) -> Steps:
        """All statements, each when its turn comes."""
        try:
            yield from self.block(nodes)
        except _Jump as jump:
            if jump.word != "RETURN":
                raise InvalidQuery(f"{jump.word} is only allowed inside a loop") from None
        except _Failed as failed:
            if failed.cause is not None:
                raise failed.cause from None
            if not failed.told:
                raise InvalidQuery(failed.problem) from None

    def block(self, nodes: Sequence[Node]) -> Running:
        """Statements one after the other."""
        for node in nodes:
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise InvalidQuery(f"The script ran more than {_MOST_STEPS} statements")
            yield from self.one(node)

    def one(self, node: Node) -> Running:
        """One statement or block."""
        if node.word == "IF":
            for test, body in node.branches:
                if test is None or (yield from self.truth(*test)):
                    yield from self.block(body)
                    return
        elif node.word in ("LOOP", "WHILE", "REPEAT"):
            yield from self.loop(node)
        elif node.word == "FOR":
            yield from self.each(node)
        elif node.word == "BEGIN":
            yield from self.guarded(node)
        elif node.word in ("BREAK", "CONTINUE", "RETURN"):
            raise _Jump(node.word)
        else:
            yield from {
                "DECLARE": self.declare,
                "SET": self.assign,
                "RAISE": self.raise_,
                "EXECUTE": self.execute,
                "ASSERT": self.assertion,
            }.get(node.word, self.statement)(node)

    def loop(self, node: Node) -> Running:
        """LOOP, WHILE and REPEAT."""
        while True:
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise InvalidQuery(f"The script ran more than {_MOST_STEPS} statements")
            if node.word == "WHILE" and not (yield from self.truth(node.first, node.last)):
                return
            try:
                yield from self.block(node.body)
            except _Jump as jump:
                if jump.word == "BREAK":
                    return
                if jump.word == "RETURN":
                    raise
            if node.word == "REPEAT" and (yield from self.truth(node.first, node.last)):
                return

    def each(self, node: Node) -> Running:
        """FOR row IN (query) DO"""
        c = self.compiler()
        tree = self.tree(node.first, node.last)
        made = c.query(tree.this if type(tree).__name__ == "Subquery" else tree, None)
        outcome = yield from self.send(Statement(kind=Kind.EXPRESSION, sql=made.sql, reads=c.reads), node)
        names = tuple((column.name, typed(Value("", column.kind)).kind) for column in made.columns)
        kind = Type("STRUCT", fields=names)
        from mlengine.tables.sql.values import structure

        before = self.around.variables.get(node.name.casefold())
        for row in outcome.rows:
            parts = tuple(
                Value(f"CAST({text} AS {of.sql})", of) for text, (_, of) in zip(row, names, strict=True)
            )
            self.around.variables[node.name.casefold()] = structure(kind, parts)
            try:
                yield from self.block(node.body)
            except _Jump as jump:
                if jump.word == "BREAK":
                    break
                if jump.word == "RETURN":
                    raise
        self.around.variables.pop(node.name.casefold(), None)
        if before is not None:
            self.around.variables[node.name.casefold()] = before

    def guarded(self, node: Node) -> Running:
        """BEGIN … EXCEPTION … END; what is declared inside ends with it."""
        outer = dict(self.around.variables)
        try:
            yield from self.block(node.body)
        except (_Failed, Problem) as failed:
            if not node.branches:
                raise
            text = failed.problem if isinstance(failed, _Failed) else failed.message
            self.around.system["error.message"] = Value(_text(text), STRING)
            self.around.system["error.statement_text"] = Value("CAST(NULL AS VARCHAR)", STRING)
            self.errors.append(text)
            yield from self.block(node.branches[0][1])
            self.errors.pop()
        finally:
            inner = self.around.variables
            for name in [name for name in inner if name not in outer]:
                del inner[name]

    def compiler(self) -> Compiler:
        """A fresh one."""
        return Compiler(self.around, self.reader.text)

    def tree(self, first: int, last: int) -> Any:
        """The tree of some words."""
        return parse.statement(self.sql, first, last)

    def expression(self, first: int, last: int) -> Any:
        """The tree of words that are an expression."""
        return parse.expression(self.sql, first, last)

    def send(self, statement: Statement, node: Node) -> Generator[Statement, Outcome, Outcome]:
        """Let the engine run a statement."""
        words = self.reader.words
        start, end = words[node.first].start, words[node.last - 1].end + 1
        line, column = self.reader.text.place(start)
        outcome = yield replace(statement, line=line, column=column, text=self.sql[start:end])
        if outcome.problem:
            raise _Failed(outcome.problem, told=True)
        self.around.system["row_count"] = Value(f"{outcome.affected}::BIGINT", INT64)
        return outcome

    def truth(self, first: int, last: int) -> Generator[Statement, Outcome, bool]:
        """Whether a condition holds."""
        c = self.compiler()
        sql = f"SELECT {condition(c, self.expression(first, last), Scope(), 'Condition')} AS v"
        outcome = yield from self.send(
            Statement(kind=Kind.EXPRESSION, sql=sql, reads=c.reads), Node("", first, last)
        )
        return bool(outcome.truths and outcome.truths[0][0])

    def compute(
        self, values: Sequence[Value], c: Compiler, node: Node
    ) -> Generator[Statement, Outcome, list[Value]]:
        """What expressions are now."""
        if all(value.known and value.literal for value in values):
            return list(values)
        listed = ", ".join(f"{value.sql} AS v{at}" for at, value in enumerate(values))
        outcome = yield from self.send(
            Statement(kind=Kind.EXPRESSION, sql=f"SELECT {listed}", reads=c.reads), node
        )
        return [
            Value(f"CAST({text} AS {value.kind.sql})", value.kind)
            for text, value in zip(outcome.rows[0], values, strict=True)
        ]

    def declare(self, node: Node) -> Running:
        """DECLARE a, b TYPE DEFAULT value"""
        words = self.reader.words
        at, names = node.first + 1, []
        while True:
            names.append(words[at].text)
            at += 1
            if at < node.last and words[at].text == ",":
                at += 1
                continue
            break
        default = next((i for i in range(at, node.last) if words[i].text.upper() == "DEFAULT"), node.last)
        c = self.compiler()
        place = self.reader.text.place(words[node.first].start)
        for name in names:
            if name.casefold() in self.around.variables:
                raise InvalidQuery(f"Variable '{name}' redeclaration is not allowed", place=place)
        kind = None
        if default > at:
            kind = type_of(c, parse.data_type(self.sql, at, default))
        value = NOTHING
        if default < node.last:
            value = c.value(self.expression(default + 1, node.last), Scope())
        elif kind is None:
            raise InvalidQuery("DECLARE needs a type or DEFAULT", place=place)
        value = typed(value) if kind is None else assign(c, value, kind, names[0], place)
        [made] = yield from self.compute([value], c, node)
        for name in names:
            self.around.variables[name.casefold()] = replace(made, literal=False)

    def assign(self, node: Node) -> Running:
        """SET name = value, SET (a, b) = (1, 2)"""
        words = self.reader.words
        equals = next((i for i in range(node.first, node.last) if words[i].text == "="), -1)
        if equals < 0:
            self.reader.at = node.last
            self.reader.fail()
        names = [word.text for word in words[node.first + 1 : equals] if word.text not in ("(", ")", ",")]
        if names[:2] == ["@", "@"]:
            raise Unsupported(
                "SET @@" + "".join(names[2:]), place=self.reader.text.place(words[node.first].start)
            )
        c = self.compiler()
        value = c.value(self.expression(equals + 1, node.last), Scope())
        from mlengine.tables.sql.values import field_of

        place = self.reader.text.place(words[node.first].start)
        if words[node.first + 1].text == "(":
            if value.kind.kind != "STRUCT" or len(value.kind.fields) != len(names):
                raise InvalidQuery("SET needs as many values as variables", place=place)
            values = [field_of(value, at) for at in range(len(names))]
        else:
            values = [value]
        goals = []
        for name, one in zip(names, values, strict=True):
            known = self.around.variables.get(name.casefold())
            if known is None:
                raise InvalidQuery(f"Undeclared variable: {name}", place=place)
            made = coerce(c, one, known.kind)
            if made is None:
                raise InvalidQuery(
                    f"Cannot coerce expression of type {one.kind} to type {known.kind} of variable {name}",
                    place=place,
                )
            goals.append(made)
        computed = yield from self.compute(goals, c, node)
        for name, made in zip(names, computed, strict=True):
            self.around.variables[name.casefold()] = replace(made, literal=False)

    def raise_(self, node: Node) -> Running:
        """RAISE, RAISE USING MESSAGE = text"""
        words = self.reader.words
        equals = next((i for i in range(node.first, node.last) if words[i].text == "="), -1)
        if equals < 0:
            if not self.errors:
                raise InvalidQuery(
                    "Cannot RAISE without USING MESSAGE outside an EXCEPTION block",
                    place=self.reader.text.place(words[node.first].start),
                )
            raise _Failed(self.errors[-1])
        c = self.compiler()
        [made] = yield from self.compute([c.value(self.expression(equals + 1, node.last), Scope())], c, node)
        raise _Failed(str(made.constant if made.known else evaluate(made.sql)))

    def assertion(self, node: Node) -> Running:
        """ASSERT condition AS 'what is wrong'"""
        words, last = self.reader.words, node.last
        said = "Assertion failed"
        if (
            node.last - node.first > 3
            and words[last - 2].text.upper() == "AS"
            and words[last - 1].token_type.name == "STRING"
        ):
            said, last = words[last - 1].text, last - 2
        c = self.compiler()
        test = condition(c, self.expression(node.first + 1, last), Scope(), "ASSERT")
        sql = f"SELECT CASE WHEN {test} THEN true ELSE error({_text(said)}) END AS v"
        yield from self.send(Statement(kind=Kind.ASSERT, sql=sql, reads=c.reads), node)

    def execute(self, node: Node) -> Running:
        """EXECUTE IMMEDIATE text INTO variables USING values"""
        words = self.reader.words
        place = self.reader.text.place(words[node.first].start)
        marks = [
            i
            for i in range(node.first + 2, node.last)
            if words[i].text.upper() in ("INTO", "USING") and words[i].token_type.name != "STRING"
        ]
        ends = [*marks, node.last]
        c = self.compiler()
        value = c.value(self.expression(node.first + 2, ends[0]), Scope())
        if value.kind.kind != "STRING":
            raise InvalidQuery(f"EXECUTE IMMEDIATE needs a STRING, not {value.kind}", place=place)
        [made] = yield from self.compute([value], c, node)
        text = made.constant if made.known else evaluate(made.sql)
        if text is None:
            raise InvalidQuery("EXECUTE IMMEDIATE of NULL", place=place)
        into: list[str] = []
        named: dict[str, Value] = {}
        positional: list[Value] = []
        for mark, end in zip(marks, ends[1:], strict=True):
            if words[mark].text.upper() == "INTO":
                into = [word.text for word in words[mark + 1 : end] if word.text != ","]
                continue
            tree = parse.statement(
                f"SELECT {self.sql[words[mark + 1].start : words[end - 1].end + 1]}", 0, None
            )
            for item in tree.expressions:
                one = c.value(item.this if type(item).__name__ == "Alias" else item, Scope())
                if type(item).__name__ == "Alias":
                    named[item.alias.casefold()] = one
                else:
                    positional.append(one)
        reader = Reader(str(text))
        inner = Interpreter(
            str(text),
            replace(
                self.around,
                named={**self.around.named, **named},
                positional=positional or self.around.positional,
            ),
            reader,
            errors=self.errors,
        )
        nodes = reader.all()
        if len(nodes) != 1 or nodes[0].word != "SQL":
            raise InvalidQuery("EXECUTE IMMEDIATE takes exactly one SQL statement", place=place)
        if not into:
            yield from inner.block(nodes)
            return
        c = inner.compiler()
        made_query = c.query(inner.tree(nodes[0].first, nodes[0].last), None)
        outcome = yield from inner.send(
            Statement(kind=Kind.EXPRESSION, sql=made_query.sql, reads=c.reads), nodes[0]
        )
        if len(outcome.rows) > 1:
            raise InvalidQuery("EXECUTE IMMEDIATE INTO cannot return more than one row", place=place)
        for at, name in enumerate(into):
            known = self.around.variables.get(name.casefold())
            if known is None:
                raise InvalidQuery(f"Undeclared variable: {name}", place=place)
            told = outcome.rows[0][at] if outcome.rows else "NULL"
            self.around.variables[name.casefold()] = Value(f"CAST({told} AS {known.kind.sql})", known.kind)

    def statement(self, node: Node) -> Running:
        """A statement of SQL."""
        c = self.compiler()
        c._placeholders = self.positional
        tree = self.tree(node.first, node.last)
        c.span = (self.sql, self.reader.words[node.first].start, self.reader.words[node.last - 1].end + 1)
        made = translate(c, tree)
        self.positional = c._placeholders
        yield from self.send(made, node)


_OTHERS = {
    "Insert": dml.insert,
    "Update": dml.update,
    "Delete": dml.delete,
    "Merge": dml.merge,
    "Create": ddl.create,
    "Drop": ddl.drop,
    "TruncateTable": ddl.truncate,
    "Alter": ddl.alter,
}


def translate(c: Compiler, tree: Any) -> Statement:
    """One statement."""
    kind = type(tree).__name__
    if kind in ("Select", "Union", "Intersect", "Except", "Subquery"):
        return select(c, tree)
    rule = _OTHERS.get(kind)
    if rule is None:
        raise Unsupported(f"The statement {tree.sql('bigquery').split()[0].upper()}", place=c.place(tree))
    return rule(c, tree)


def _text(text: str) -> str:
    from mlengine.tables.types import literal

    return literal(text)
