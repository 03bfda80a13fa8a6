"""The rows of the method table, and what a handler gets and gives.

One row feeds the router, the reference and the tests; a handler is plain sync code and knows no framework.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlengine.errors import InvalidArgument

Json = dict[str, Any]


class Disconnected(Exception):
    """The client has left in the middle of its request; what came is not the whole."""


_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, as a handler sees it.

    Attributes:
        path: The values of the path's `{variables}`, percent-decoded.
        verb: The HTTP method.
        target: Path and query as they came, still encoded; what a signature is about.
        query: Query parameters; of a repeated one the last.
        headers: Header fields, names in small letters.
        base_url: Scheme and authority the client used ("http://127.0.0.1:8080"), without a final slash.
        body: The pieces of the request body, each at most 1 MiB or so; can be consumed once, before the
            handler returns.
    """

    path: Mapping[str, str]
    verb: str = "GET"
    target: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    base_url: str = "http://localhost"
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def at(self, path: Mapping[str, str]) -> Call:
        """The same call, with these values of the path's variables."""
        # `dataclasses.replace` takes four times as long, and every request comes by here.
        return Call(
            path=path,
            verb=self.verb,
            target=self.target,
            query=self.query,
            headers=self.headers,
            base_url=self.base_url,
            body=self.body,
        )

    def read(self, *, limit: int = 16 << 20) -> bytes:
        """The whole body.

        Raises:
            InvalidArgument: it is longer than `limit` bytes.
        """
        pieces: list[bytes] = []
        size = 0
        for piece in self.body:
            size += len(piece)
            if size > limit:
                raise InvalidArgument(f"The request body is larger than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def json(self) -> Json:
        """The body as a JSON object; an empty body is an empty object.

        Raises:
            InvalidArgument: not UTF-8, not JSON (with the position), or not an object.
        """
        raw = self.read()
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw, parse_constant=_no_number)
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"The request body is not UTF-8: byte {error.start}.") from None
        except RecursionError:
            raise InvalidArgument("The request body is nested too deeply.") from None
        except json.JSONDecodeError as error:
            raise InvalidArgument(
                f"The request body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
            ) from None
        except ValueError as error:  # a number of more digits than Python reads, or none that JSON knows
            raise InvalidArgument(f"The request body is not JSON: {error}.") from None
        # Both come as escapes only; no database keeps the first, no UTF-8 the second.
        if b"\\u" in raw and (bad := next(filter(_UNKEEPABLE.search, _texts(value)), None)) is not None:
            raise InvalidArgument(
                f"The request body has a NUL character or half a surrogate pair in {bad!r}."
            )
        if not isinstance(value, dict):
            raise InvalidArgument(f"The request body must be a JSON object, not {_kind(value)}.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is more than a JSON object with status 200.

    Attributes:
        content: A JSON object, bytes, or pieces of bytes to stream. Pieces with a `descriptor` are
            those of an open file from its position on, which the kernel sends without our reading them.
        length: Length of a streamed content in bytes, when known.
    """

    content: Json | bytes | Iterator[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json; charset=UTF-8"
    length: int | None = None


Handler = Callable[[Call], Json | Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter of a method, as the discovery document tells it.

    Attributes:
        kind: "string", "integer" or "boolean".
        format: "int32", "google-fieldmask" or the like; empty for none.
    """

    name: str
    kind: str = "string"
    format: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One documented method of the API.

    Attributes:
        id: The discovery id ("ml.projects.jobs.cancel").
        verb: The HTTP method.
        path: Template: `{name}` is one component without a colon, `{name+}` one component that may hold
            any character but an unescaped slash (object names), `{name*}` the rest of the path.
        summary: One line for the reference.
        request: Name of the schema of its body ("Job"); empty if it takes none.
        response: Name of the schema of its answer; empty if nobody has described it.
        parameters: What its query may say, beside what every method takes.
    """

    id: str
    verb: str
    path: str
    handler: Handler
    summary: str
    request: str = ""
    response: str = ""
    parameters: tuple[Parameter, ...] = ()


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _texts(value: object) -> Iterator[str]:
    """Every string in `value`, keys too."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            left += item


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "something else")
