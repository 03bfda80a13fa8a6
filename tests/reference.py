"""The page docs/reference/methods.md, from the method table and from what tests say they call.

`python -m tests.reference` writes it; a test holds it to what it would write.
"""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from mlengine.app.application import Application
from mlengine.settings import read_settings
from mlengine.web.method import Method

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "methods.md"

_HEAD = """# Methods

Every method of the server, from its method table: `scripts/reference` writes this page. For tools there are
`/$discovery/rest?version=v1` (Google's clients) and `/openapi.json` on a running server, for people `/docs`.

## Cloud ML Engine: `ml` v1

Each is called by the named test through Google's own client, unmodified. Beside the query parameters given
here, every method takes the standard ones (`fields`, `prettyPrint`, `$.xgafv`, …).

| method | request | query | body → answer | tested by |
|---|---|---|---|---|
"""


@cache
def table() -> tuple[Method, ...]:
    """The rows of a whole server, wired and not started; their handlers must not be called.

    Without those for a GET that comes as POST with `x-http-method-override`: they are the same methods.
    """
    with tempfile.TemporaryDirectory() as folder:
        application = Application(read_settings({"data_dir": folder}, {}), tether=None)
        rows = application.router.apis.methods
        application.stop()
    return tuple(row for row in rows if not row.id.startswith("mlengine.override."))


def claims() -> Mapping[str, Sequence[str]]:
    """Of each method's id, the tests that are marked with it, as `file::test`."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test, id_ in marked(ast.parse(path.read_text())):
            found.setdefault(id_, []).append(f"{path.relative_to(ROOT)}::{test}")
    return found


def marked(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each test of a file with each id that it is marked with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for decorator in node.decorator_list:
                yield from ((node.name, id_) for id_ in _ids(decorator))


def page() -> str:
    """What the page should say."""
    tests = claims()
    ours = sorted((row for row in table() if row.id.startswith("ml.")), key=_order)
    others = sorted((row for row in table() if not row.id.startswith("ml.")), key=_order)
    lines = [_HEAD.rstrip()]
    lines += [f"{_cells(row)} {_links(tests.get(row.id, []))} |" for row in ours]
    for name, rows in groupby(others, key=lambda row: row.id.partition(".")[0]):
        lines += ["", f"## `{name}`", "", "| method | request | query | what it does |", "|---|---|---|---|"]
        lines += [_short(row) for row in rows]
    return "\n".join(lines) + "\n"


def _order(row: Method) -> tuple[str, str, str]:
    return row.id, row.path, row.verb


def _cells(row: Method) -> str:
    return f"| `{row.id}` | `{row.verb} {row.path}` | {_query(row)} | {row.request or '–'} → {row.response} |"


def _short(row: Method) -> str:
    return f"| `{row.id}` | `{row.verb} {row.path}` | {_query(row)} | {row.summary} |"


def _query(row: Method) -> str:
    return ", ".join(f"`{parameter.name}`" for parameter in row.parameters) or "–"


def _links(tests: Sequence[str]) -> str:
    """The first of them: one that passes is enough, and a page of all would be read by nobody."""
    if not tests:
        return "–"
    path, _, test = tests[0].partition("::")
    return f"[{test}](../../{path})"


def _ids(decorator: ast.expr) -> list[str]:
    if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.method"):
        return []
    return [ast.literal_eval(argument) for argument in decorator.args]


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
