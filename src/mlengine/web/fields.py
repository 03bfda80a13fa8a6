"""Reading JSON bodies field by field: both spellings, the right type, nothing dropped in silence."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlengine.errors import InvalidArgument, nearest

_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Fields:
    """A JSON object whose fields are taken one by one; `done` refuses what nobody took.

    Keys are accepted in lowerCamelCase and in snake_case, as Google's parser does; null is absence.

    Args:
        body: The object.
        path: Where it stands in the request, in snake_case ("job.training_input"); "" for the request itself.

    Raises:
        InvalidArgument: a field is there in both spellings.
    """

    def __init__(self, body: Mapping[str, Any], *, path: str) -> None:
        self._path = path
        self._left: dict[str, tuple[str, Any]] = {}
        self._known: list[str] = []
        for key, value in body.items():
            if (other := self._left.get(_camel(key))) is not None:
                raise InvalidArgument(f"'{other[0]}' and '{key}' are the same field.", field=self.spell(key))
            self._left[_camel(key)] = (key, value)

    def text(self, name: str, default: str = "") -> str:
        """A string field."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, f"must be a string, not {value!r}.")
        return value

    def flag(self, name: str) -> bool:
        """A boolean field; absent is false."""
        value = self._take(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(name, f"must be true or false, not {value!r}.")
        return value

    def number(self, name: str, default: int = 0) -> int:
        """An integer field; int64 travels as a string, and is accepted as both."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, f"must be a whole number, not {value!r}.")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, f"must be a list of strings, not {value!r}.")
        return tuple(value)

    def labels(self, name: str) -> dict[str, str]:
        """A map from strings to strings."""
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self.wrong(name, f"must be an object of strings, not {value!r}.")
        return dict(value)

    def inner(self, name: str) -> Fields | None:
        """A nested object."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, f"must be an object, not {value!r}.")
        return Fields(value, path=self.spell(name))

    def choice(self, name: str, choices: Iterable[str], default: str = "") -> str:
        """One of some words."""
        value = self.text(name)
        known = list(choices)
        if not value:
            return default
        if value not in known:
            raise self.wrong(
                name, f"'{value}' is not one of {', '.join(known)}.", hint=nearest(value.upper(), known)
            )
        return value

    def etag(self) -> int | None:
        """The generation that the client's etag stands for; None when it sent none."""
        value = self.text("etag")
        if not value:
            return None
        try:
            return generation_of(value)
        except ValueError:
            raise self.wrong("etag", f"'{value}' is no etag of ours.") from None

    def ignore(self, *names: str) -> None:
        """Drop output-only fields that clients send back with a resource they have read."""
        for name in names:
            self._take(name)

    def absent(self, *names: str) -> None:
        """Refuse fields of the API that nothing here would honour, unless they carry a default value."""
        for name in names:
            value = self._take(name)
            if value not in (None, False, 0, "0", "", [], {}):
                raise self.wrong(name, "is not available in this version of mlengine.", hint="Leave it out.")

    def done(self) -> None:
        """Refuse whatever is left.

        Raises:
            InvalidArgument: naming the field and the nearest known one.
        """
        for key, _ in self._left.values():
            raise InvalidArgument(
                f"Unknown field '{key}'.", hint=nearest(_camel(key), self._known), field=self.spell(key)
            )

    def wrong(self, name: str, sentence: str, hint: str = "") -> InvalidArgument:
        """An error about field `name`; `sentence` goes on after the name."""
        return InvalidArgument(f"{name} {sentence}", hint=hint, field=self.spell(name))

    def spell(self, name: str) -> str:
        """The full path of field `name` in snake_case."""
        snake = _UPPER.sub(lambda match: "_" + match[1].lower(), name)
        return f"{self._path}.{snake}" if self._path else snake

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._left.pop(name, ("", None))[1]


def etag(generation: int) -> str:
    """A generation as Google's clients need it: strictly valid base64."""
    return base64.b64encode(generation.to_bytes(8, "big")).decode()


def generation_of(text: str) -> int:
    """The generation behind an etag.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error
    if len(raw) != 8:
        raise ValueError(text)
    return int.from_bytes(raw, "big")


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
