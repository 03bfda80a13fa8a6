"""The blocks of a script: which statements stand in which IF, loop or BEGIN."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlengine.tables.sql import parse
from mlengine.tables.sql.problems import InvalidQuery, Unsupported


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of a script: a statement (its words from `first` to `last`), or a block with parts.

    Attributes:
        word: SQL, DECLARE, SET, IF, LOOP, WHILE, REPEAT, FOR, BEGIN, BREAK, CONTINUE, RETURN, RAISE, EXECUTE, ASSERT.
        branches: Of IF: conditions (None for ELSE) and bodies. Of BEGIN: the handler's body, if there is one.
    """

    word: str
    first: int
    last: int
    body: tuple[Node, ...] = ()
    branches: tuple[tuple[tuple[int, int] | None, tuple[Node, ...]], ...] = ()
    name: str = ""


class Reader:
    """Reads the blocks of a script from its words."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.text, self.words = parse.tokens(sql)
        self.at = 0

    def all(self) -> tuple[Node, ...]:
        """The whole script."""
        nodes = self.block(())
        if self.at < len(self.words):
            self.fail()
        return nodes

    def upper(self, offset: int = 0) -> str:
        """The word here, in capitals; empty at the end and for quoted ones."""
        if self.at + offset >= len(self.words):
            return ""
        word = self.words[self.at + offset]
        return "" if word.token_type.name in ("STRING", "IDENTIFIER") else word.text.upper()

    def fail(self) -> InvalidQuery:
        """Raise: this word cannot stand here."""
        if self.at >= len(self.words):
            end = self.words[-1].end + 1 if self.words else 0
            raise InvalidQuery("Syntax error: Unexpected end of script", place=self.text.place(end))
        word = self.words[self.at]
        raise InvalidQuery(f"Syntax error: Unexpected {parse._kind(word)}", place=self.text.place(word.start))

    def expect(self, *words: str) -> None:
        """Go past these words."""
        for word in words:
            if self.upper() != word:
                self.fail()
            self.at += 1

    def block(self, ends: tuple[str, ...]) -> tuple[Node, ...]:
        """Statements up to one of the words that end this block."""
        nodes = []
        while self.at < len(self.words):
            if self.upper() == ";":
                self.at += 1
                continue
            if self.upper() in ends:
                break
            nodes.append(self.node())
            if self.at < len(self.words) and self.upper() != ";":
                self.fail()
        return tuple(nodes)

    def until(self, *ends: str) -> tuple[int, int]:
        """The words up to one of `ends` outside brackets and CASE."""
        first, depth, cases = self.at, 0, 0
        while self.at < len(self.words):
            word = self.upper()
            if depth == 0 and cases == 0 and word in ends:
                break
            if word in ("(", "["):
                depth += 1
            elif word in (")", "]"):
                depth -= 1
            elif word == "CASE":
                cases += 1
            elif word == "END" and cases:
                cases -= 1
            self.at += 1
        return first, self.at

    def node(self) -> Node:
        """One statement or block."""
        first, word = self.at, self.upper()
        second = self.upper(1)
        if word == "BEGIN" and second not in ("TRANSACTION", ";", ""):
            return self.begin(first)
        if word == "IF" and second != "":
            return self.if_(first)
        if word == "LOOP":
            self.at += 1
            body = self.block(("END",))
            self.expect("END", "LOOP")
            return Node("LOOP", first, self.at, body)
        if word == "WHILE":
            self.at += 1
            test = self.until("DO")
            self.expect("DO")
            body = self.block(("END",))
            self.expect("END", "WHILE")
            return Node("WHILE", *test, body)
        if word == "REPEAT":
            self.at += 1
            body = self.block(("UNTIL",))
            self.expect("UNTIL")
            test = self.until("END")
            self.expect("END", "REPEAT")
            return Node("REPEAT", *test, body)
        if word == "FOR":
            self.at += 1
            name = self.words[self.at].text if self.at < len(self.words) else ""
            self.at += 1
            self.expect("IN")
            query = self.until("DO")
            self.expect("DO")
            body = self.block(("END",))
            self.expect("END", "FOR")
            return Node("FOR", *query, body, name=name)
        if word == "CASE":
            return self.case(first)
        simple = {
            "DECLARE": "DECLARE",
            "SET": "SET",
            "BREAK": "BREAK",
            "LEAVE": "BREAK",
            "CONTINUE": "CONTINUE",
            "ITERATE": "CONTINUE",
            "RETURN": "RETURN",
            "RAISE": "RAISE",
            "EXECUTE": "EXECUTE",
            "ASSERT": "ASSERT",
        }.get(word)
        start = first
        for_unsupported = {
            "CALL": "CALL",
            "COMMIT": "COMMIT TRANSACTION",
            "ROLLBACK": "ROLLBACK TRANSACTION",
            "BEGIN": "BEGIN TRANSACTION",
            "BEGIN TRANSACTION": "BEGIN TRANSACTION",
            "EXPORT": "EXPORT DATA",
            "LOAD": "LOAD DATA",
            "GRANT": "GRANT",
            "REVOKE": "REVOKE",
        }
        if word in for_unsupported:
            raise Unsupported(for_unsupported[word], place=self.text.place(self.words[first].start))
        _, last = self.until(";")
        return Node(simple or "SQL", start, last)

    def begin(self, first: int) -> Node:
        """BEGIN … EXCEPTION WHEN ERROR THEN … END"""
        self.at += 1
        body = self.block(("EXCEPTION", "END"))
        branches: tuple[Any, ...] = ()
        if self.upper() == "EXCEPTION":
            self.expect("EXCEPTION", "WHEN", "ERROR", "THEN")
            branches = ((None, self.block(("END",))),)
        self.expect("END")
        return Node("BEGIN", first, self.at, body, branches)

    def if_(self, first: int) -> Node:
        """IF … THEN … ELSEIF … ELSE … END IF"""
        self.at += 1
        branches: list[tuple[tuple[int, int] | None, tuple[Node, ...]]] = []
        test = self.until("THEN")
        self.expect("THEN")
        branches.append((test, self.block(("ELSEIF", "ELSE", "END"))))
        while self.upper() == "ELSEIF":
            self.at += 1
            test = self.until("THEN")
            self.expect("THEN")
            branches.append((test, self.block(("ELSEIF", "ELSE", "END"))))
        if self.upper() == "ELSE":
            self.at += 1
            branches.append((None, self.block(("END",))))
        self.expect("END", "IF")
        return Node("IF", first, self.at, (), tuple(branches))

    def case(self, first: int) -> Node:
        """CASE WHEN … THEN statements … END CASE"""
        self.at += 1
        if self.upper() != "WHEN":
            raise Unsupported(
                "CASE with a search expression as a statement", place=self.text.place(self.words[first].start)
            )
        branches: list[tuple[tuple[int, int] | None, tuple[Node, ...]]] = []
        while self.upper() == "WHEN":
            self.at += 1
            test = self.until("THEN")
            self.expect("THEN")
            branches.append((test, self.block(("WHEN", "ELSE", "END"))))
        if self.upper() == "ELSE":
            self.at += 1
            branches.append((None, self.block(("END",))))
        self.expect("END", "CASE")
        return Node("IF", first, self.at, (), tuple(branches))
