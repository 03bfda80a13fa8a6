"""From the method table to the handler of a request.

Our own small matcher, because Google's paths carry `:verbs` and percent-encoded slashes that a
general router decodes too early.
"""

from __future__ import annotations

import logging
import re
import traceback
import uuid
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote

from mlengine.errors import Internal, NotFound, Problem, nearest
from mlengine.web.envelope import envelope, http_code
from mlengine.web.method import Call, Disconnected, Method, Reply

_LOG = logging.getLogger(__name__)
_VARIABLE = re.compile(r"\{(\w+)([+*]?)\}")
_VALUES = {"": r"[^/:]+", "+": r"[^/]+", "*": r".+"}
_AT_ONCE = 1 << 20  # bytes of an answer that is sent as a whole


class Router:
    """Finds the method of a request and runs its handler.

    Args:
        methods: The whole table. Paths are tried from the most literal to the least, so that
            `jobs/{job}:cancel` wins over `jobs/{job}`.
    """

    def __init__(self, methods: Iterable[Method]) -> None:
        self.methods = tuple(sorted(methods, key=_specificity))
        # By the first word of the path; under "" those whose first word is a variable.
        self._patterns: dict[str, list[tuple[re.Pattern[str], Method]]] = {}
        compiled = [(_first_word(method.path), _compile(method.path), method) for method in self.methods]
        for word in {word for word, _, _ in compiled} | {""}:
            found = [(pattern, method) for own, pattern, method in compiled if own in (word, "")]
            self._patterns[word] = found

    def find(self, verb: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method for `verb` and the still encoded `path`, and the decoded path variables.

        Raises:
            NotFound: no method has such a path; or there are methods, but for other verbs.
        """
        verbs: list[str] = []
        for pattern, method in self._patterns.get(_first_word(path)) or self._patterns[""]:
            if not (match := pattern.fullmatch(path)):
                continue
            if method.verb == verb:
                variables = {key: unquote(value) for key, value in match.groupdict().items()}
                # No name of ours has a NUL, and no database can even be asked for one.
                if any("\0" in value for value in variables.values()):
                    break
                return method, variables
            verbs.append(method.verb)
        if verbs:
            raise NotFound(f"{verb} is no verb of {path}.", hint=f"Use {' or '.join(sorted(set(verbs)))}.")
        literals = sorted({_VARIABLE.sub("NAME", method.path) for method in self.methods})
        raise NotFound(f"There is nothing at {path}.", hint=nearest(path, literals))

    def answer(self, call: Call) -> Reply:
        """What the method answers that `call` is for; of `call.path`, nothing needs to be known yet.

        Raises:
            Disconnected: the client has left.
        """
        try:
            method, variables = self.find(call.verb, call.target.partition("?")[0])
            return _handled(method, call.at(variables))
        except Problem as problem:
            return Reply(content=envelope(problem), status=http_code(problem))
        except Disconnected:
            raise
        except Exception:
            # The traceback stays here; the caller gets the number that finds it.
            number = uuid.uuid4().hex[:12]
            _LOG.error(
                "Request %s %s failed, number %s\n%s", call.verb, call.target, number, traceback.format_exc()
            )
            ours = Internal(
                f"The server made a mistake (number {number}).", hint="Its log has the traceback."
            )
            return Reply(content=envelope(ours), status=500)


def _handled(method: Method, call: Call) -> Reply:
    """What the handler answers; short streams are read at once, so that a failure can still be told."""
    reply = method.handler(call)
    if not isinstance(reply, Reply):
        return Reply(content=reply)
    content = reply.content
    if isinstance(content, dict | bytes) or reply.length is None or reply.length > _AT_ONCE:
        return reply
    if hasattr(content, "descriptor"):
        return reply  # a file that is open
    # An empty content has its type and length said, too.
    fields = {"content-type": reply.media_type, "content-length": str(reply.length), **reply.headers}
    return replace(reply, content=b"".join(content), headers=fields)


def _first_word(path: str) -> str:
    """Up to where a path may go on in different ways; "" for a variable."""
    word = path[1:].partition("/")[0].partition(":")[0]
    return "" if "{" in word else word


def _compile(template: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    for match in _VARIABLE.finditer(template):
        parts += [re.escape(template[position : match.start()]), f"(?P<{match[1]}>{_VALUES[match[2]]})"]
        position = match.end()
    return re.compile("".join([*parts, re.escape(template[position:])]))


def _specificity(method: Method) -> tuple[int, int, int, str]:
    wildcards = [kind for _, kind in _VARIABLE.findall(method.path)]
    # A `{rest*}` last of all, then fewer variables first, then custom verbs before plain paths.
    return (wildcards.count("*"), len(wildcards), -method.path.count(":"), method.path)
