"""The page for people: every method on one sheet, without anything from outside."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby

from mlengine.web.discovery.document import TITLE
from mlengine.web.discovery.openapi import tag
from mlengine.web.method import Method

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid #8884; padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top }
code { font-size: .9em; overflow-wrap: anywhere }
:root { color-scheme: light dark }
"""


def html(methods: Iterable[Method], *, version: str) -> bytes:
    """The page, in UTF-8."""
    rows = sorted(methods, key=lambda row: (tag(row), row.path, row.verb))
    groups = [(name, list(same)) for name, same in groupby(rows, key=tag)]
    contents = " · ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name, _ in groups)
    tables = "".join(_table(name, same) for name, same in groups)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{TITLE}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{TITLE} {escape(version)}</h1>"
        '<p>For tools: <a href="/openapi.json">OpenAPI</a>, '
        '<a href="/$discovery/rest?version=v1">discovery document</a>.</p>'
        f"<p>{contents}</p>{tables}</html>\n"
    ).encode()


def _table(name: str, rows: Iterable[Method]) -> str:
    return (
        f'<h2 id="{escape(name)}">{escape(name)}</h2>'
        "<table><tr><th>Method<th>Request<th>What it does<th>Query<th>Body<th>Answer</tr>"
        + "".join(_row(row) for row in rows)
        + "</table>"
    )


def _row(row: Method) -> str:
    query = ", ".join(parameter.name for parameter in row.parameters)
    cells = [
        escape(row.id.rpartition(".")[2]),
        f"<code>{row.verb} {escape(row.path)}</code>",
        escape(row.summary),
        *(f"<code>{escape(text)}</code>" if text else "" for text in (query, row.request, row.response)),
    ]
    return f"<tr>{''.join(f'<td>{cell}' for cell in cells)}</tr>"
