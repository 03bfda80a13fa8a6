"""Two tables of methods in one server, when the paths of one begin with names that users choose.

Apart from `routing`, because no order of patterns could tell a bucket's name from a mistyped word of an API.
"""

from __future__ import annotations

import re

from starlette.types import Receive, Scope, Send

from mlengine.web.routing import Router

_WORD = re.compile(r"/([^/?]*)")
# Words of the API that have no method here yet: a name that worked today must not stop to one day.
_KEPT = frozenset(
    {
        "$discovery",
        "batch",
        "bigquery",
        "computeMetadata",
        "console",
        "discovery",
        "docs",
        "download",
        "healthz",
        "iam",
        "metrics",
        "oauth2",
        "openapi.json",
        "readyz",
        "resumable",
        "static",
        "storage",
        "token",
        "upload",
        "v1",
        "v1beta1",
        "v2",
        "v3",
    }
)


class Fork:
    """Sends a request to one of two routers by the first word of its path.

    Args:
        apis: Where words are fixed. Every word with which one of its paths begins is its own, and some more.
        names: Where the first word is a name. Gets what begins with any other word, if it knows the verb.
    """

    def __init__(self, apis: Router, names: Router) -> None:
        self.apis = apis
        self.names = names
        self._words = _KEPT | {_first_word(method.path) for method in apis.methods}
        self._verbs = {method.verb for method in names.methods}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.router(scope)(scope, receive, send)

    def router(self, scope: Scope) -> Router:
        """The one that a request is for."""
        path = (scope.get("raw_path") or scope.get("path", "").encode()).decode("latin-1")
        word = _first_word(path)
        is_name = word and word not in self._words and scope.get("method") in self._verbs
        return self.names if is_name else self.apis


def _first_word(path: str) -> str:
    match = _WORD.match(path)
    return match[1].partition(":")[0] if match else ""
