"""The query parameters that every method of Google's APIs takes, and those that a method does not know.

Apart from the methods, which see only what is their own, in the spelling of the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mlengine.errors import InvalidArgument, nearest
from mlengine.web.discovery.schemas import MESSAGES, OWN_FIELDS, type_of
from mlengine.web.fields import camel
from mlengine.web.method import Call, Json, Method, Parameter, Reply
from mlengine.web.partial import Mask, masked, parse_mask

# Left in the query, for whoever looks at them.
_CREDENTIALS = ("access_token", "oauth_token")
_TOLERATED = ("key", "quotaUser", "uploadType", "upload_protocol")
_STANDARD = ("$.xgafv", "alt", "callback", "fields", "prettyPrint", *_CREDENTIALS, *_TOLERATED)
_PREFIX = "ml."


def with_standard_parameters(methods: Iterable[Method]) -> list[Method]:
    """The rows; those of `ml` know the standard parameters and refuse what they do not know."""
    return [_wrapped(method) if method.id.startswith(_PREFIX) else method for method in methods]


def _wrapped(method: Method) -> Method:
    known = [parameter.name for parameter in method.parameters]

    def handler(call: Call) -> Json | Reply:
        query = _understood(call.query, known)
        own = {name: value for name, value in query.items() if name in known or name in _CREDENTIALS}
        for parameter in method.parameters:
            _check_flag(parameter, own.get(parameter.name, ""))
        pretty = _standard(query)
        mask = parse_mask(query["fields"]) if query.get("fields", "").strip() else {}
        if mask and method.response == "HttpBody":
            raise InvalidArgument(
                "What a model answers is passed on whole; fields cannot choose from it.",
                hint="Leave fields out.",
                field="fields",
            )
        _check_mask(mask, method.response, "")
        answer = method.handler(replace(call, query=own))
        return answer if not mask and pretty else _finished(answer, mask, pretty=pretty)

    return replace(method, handler=handler)


def _understood(query: Mapping[str, str], known: list[str]) -> dict[str, str]:
    """The query in the table's spelling; both spellings of a method's own parameters are read.

    Raises:
        InvalidArgument: a parameter that nobody knows.
    """
    found: dict[str, str] = {}
    for name, value in query.items():
        bare = name.removeprefix("$")
        if name in _STANDARD:
            found[name] = value
        elif bare in _STANDARD:
            found[bare] = value
        elif (spelled := ".".join(map(camel, name.split(".")))) in known:
            if spelled in found:
                raise InvalidArgument(f"The query has '{spelled}' in both spellings.", field=spelled)
            found[spelled] = value
        else:
            raise InvalidArgument(
                f"Unknown query parameter '{name[:100]}'.",
                hint=nearest(name, [*known, *_STANDARD]) or _known_ones(known),
                field=name[:100],
            )
    return found


def _check_flag(parameter: Parameter, value: str) -> None:
    if parameter.kind == "boolean" and value.lower() not in ("", "true", "false"):
        raise InvalidArgument(f"{parameter.name} is true or false, not '{value[:40]}'.", field=parameter.name)


def _known_ones(known: list[str]) -> str:
    return f"This method takes {', '.join(known)}." if known else "This method takes none of its own."


def _standard(query: Mapping[str, str]) -> bool:
    """Whether the answer shall be laid out for people.

    Raises:
        InvalidArgument: a standard parameter asks for something that is not done here.
    """
    alt = query.get("alt", "")
    if alt not in ("", "json"):
        raise InvalidArgument(
            f"alt={alt[:40]} is not available: answers are JSON.",
            hint="Use alt=json, or leave it out.",
            field="alt",
        )
    if query.get("callback"):
        raise InvalidArgument(
            "callback (JSONP) is not available: a page of another origin must not read answers.",
            hint="Leave it out.",
            field="callback",
        )
    if query.get("$.xgafv", "2") not in ("", "1", "2"):
        raise InvalidArgument("$.xgafv, the version of the error format, is 1 or 2.", field="$.xgafv")
    pretty = query.get("prettyPrint", "").lower()
    if pretty not in ("", "true", "false", "1", "0"):
        raise InvalidArgument(f"prettyPrint is true or false, not '{pretty[:40]}'.", field="prettyPrint")
    return pretty not in ("false", "0")


def _check_mask(mask: Mask, message: str, path: str) -> None:
    """Refuse what `fields` selects and the answer can never have."""
    fields = MESSAGES.get(message)
    if fields is None:
        return
    for name, below in mask.items():
        if name == "*" or name in OWN_FIELDS.get(message, {}):
            continue
        if name not in fields:
            raise InvalidArgument(
                f"Invalid field selection '{(path + name)[:100]}': a {message} has no '{name[:100]}'.",
                hint=nearest(camel(name), list(fields)) or f"It has {', '.join(fields)}.",
                field="fields",
            )
        type_ = type_of(fields[name])
        if below and not type_.is_map and type_.name not in MESSAGES:
            raise InvalidArgument(
                f"Invalid field selection '{(path + name)[:100]}': it has no parts.", field="fields"
            )
        if not type_.is_map:
            _check_mask(below, type_.name, f"{path}{name}/")


def _finished(answer: Json | Reply, mask: Mask, *, pretty: bool) -> Reply:
    reply = answer if isinstance(answer, Reply) else Reply(content=answer)
    if not isinstance(reply.content, dict):
        return reply
    content = masked(reply.content, mask)
    if pretty:
        return replace(reply, content=content)
    dense = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return replace(reply, content=dense.encode())
