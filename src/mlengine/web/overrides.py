"""`X-HTTP-Method-Override`: a GET too long for its URL comes as a POST, its query in the body.

Apart from routing, which goes by the verb of the request line alone. Google's clients do so past 2,048
characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from mlengine.errors import InvalidArgument, NotFound
from mlengine.web.method import Call, Json, Method, Reply

_HEADER = "x-http-method-override"
_FORM = "application/x-www-form-urlencoded"
_PREFIX = "ml."


def with_overrides(methods: Iterable[Method]) -> list[Method]:
    """The rows, and of `ml` one for POST at every path, which does what the header says.

    Each of the others is called as it stands in the table: wrap them in what looks at credentials before.
    """
    rows = list(methods)
    paths: dict[str, list[Method]] = {}
    for row in rows:
        if row.id.startswith(_PREFIX):
            paths.setdefault(row.path, []).append(row)
    posts = {path: _post(found) for path, found in paths.items()}
    kept = [row for row in rows if not (row.path in posts and row.verb == "POST")]
    return [*kept, *posts.values()]


def _post(rows: Sequence[Method]) -> Method:
    """The row for POST at the path that all `rows` have."""
    verbs = {row.verb: row for row in rows}
    own = verbs.get("POST")

    def handler(call: Call) -> Json | Reply:
        asked = call.headers.get(_HEADER, "").upper() or "POST"
        row = verbs.get(asked)
        if row is None:
            path = call.target.partition("?")[0]
            raise NotFound(
                f"{asked[:20]} is no verb of {path[:200]}.", hint=f"Use {' or '.join(sorted(verbs))}."
            )
        return row.handler(call if row is own else _as(asked, call))

    if own is not None:
        return replace(own, handler=handler)
    one = rows[0]
    return replace(one, id=f"mlengine.override.{one.id}", verb="POST", handler=handler)


def _as(verb: str, call: Call) -> Call:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return replace(call, verb=verb)
    try:
        more = dict(parse_qsl(call.read(limit=1 << 20).decode(), keep_blank_values=True))
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"The query in the body is not UTF-8: byte {error.start}.") from None
    return replace(call, verb=verb, query={**call.query, **more}, body=iter(()))
