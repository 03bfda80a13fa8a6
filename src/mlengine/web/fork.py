"""Two tables of methods in one server, when the paths of one begin with names that users choose.

Apart from `routing`, because no order of patterns could tell a bucket's name from a mistyped word of an API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlengine.web.method import Call, Reply
    from mlengine.web.routing import Router

_WORD = re.compile(r"/([^/?]*)")
# Words of the API that have no method here yet: a name that worked today must not stop to one day.
API_WORDS = frozenset(
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
        "tensorboard",
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
        self._words = API_WORDS | {_first_word(method.path) for method in apis.methods}
        self._verbs = {method.verb for method in names.methods}

    def answer(self, call: Call) -> Reply:
        """What the right one answers."""
        return self.router(call.verb, call.target).answer(call)

    def router(self, verb: str, target: str) -> Router:
        """The one that a request is for."""
        word = _first_word(target)
        is_name = word and word not in self._words and verb in self._verbs
        return self.names if is_name else self.apis


def _first_word(path: str) -> str:
    match = _WORD.match(path)
    return match[1].partition(":")[0] if match else ""
