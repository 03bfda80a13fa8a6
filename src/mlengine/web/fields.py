"""Reading JSON bodies field by field: both spellings, the right type, nothing dropped in silence."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mlengine.errors import InvalidArgument, nearest

_MOST_LABELS, _LONGEST_LABEL = 64, 63
_SMALL, _NUMBER = ("Ll", "Lo"), "N"
_NOTHING: tuple[object, ...] = (None, False, 0, "0", "", [], {})
_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Fields:
    """A JSON object whose fields are taken one by one; `done` refuses what nobody took.

    Keys are accepted in lowerCamelCase and in snake_case, as Google's parser does; null is absence.

    Args:
        body: The object.
        path: Where it stands in the request, in snake_case ("job.training_input"); "" for the request itself.
        warnings: Gets a sentence for each field that is accepted without effect; inner objects share it.

    Raises:
        InvalidArgument: a field is there in both spellings.
    """

    def __init__(self, body: Mapping[str, Any], *, path: str, warnings: list[str] | None = None) -> None:
        self._path = path
        self._warnings = [] if warnings is None else warnings
        self._left: dict[str, tuple[str, Any]] = {}
        self._known: list[str] = []
        for key, value in body.items():
            if (other := self._left.get(camel(key))) is not None:
                raise InvalidArgument(f"'{other[0]}' and '{key}' are the same field.", field=self.spell(key))
            self._left[camel(key)] = (key, value)

    def text(self, name: str, default: str = "") -> str:
        """A string field."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, f"must be a string, not {shown(value)}.")
        return value

    def flag(self, name: str) -> bool:
        """A boolean field; absent is false."""
        value = self._take(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(name, f"must be true or false, not {shown(value)}.")
        return value

    def number(self, name: str, default: int = 0) -> int:
        """An integer field; int64 travels as a string, and is accepted as both."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, f"must be a whole number, not {shown(value)}.")
        return value

    def fraction(self, name: str, default: float = 0.0) -> float:
        """A number from 0 to 1."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.wrong(name, f"must be a number from 0 to 1, not {shown(value)}.")
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, f"must be a list of strings, not {shown(value)}.")
        return tuple(value)

    def labels(self, name: str) -> dict[str, str]:
        """A map from strings to strings, as labels may be."""
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self.wrong(name, f"must be an object of strings, not {shown(value)}.")
        if len(value) > _MOST_LABELS:
            raise self.wrong(name, f"holds {len(value)} labels; {_MOST_LABELS} are allowed.")
        for key, text in value.items():
            if not (_is_label(key) and key and unicodedata.category(key[0]) in _SMALL and _is_label(text)):
                raise self.wrong(
                    name,
                    f"holds {shown({key: text})}: keys and values are small letters, digits, '_' and '-', "
                    f"at most {_LONGEST_LABEL}, and a key begins with a letter.",
                )
        return dict(value)

    def inner(self, name: str) -> Fields | None:
        """A nested object."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, f"must be an object, not {shown(value)}.")
        return Fields(value, path=self.spell(name), warnings=self._warnings)

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(name, f"must be a list of objects, not {shown(value)}.")
        return [
            Fields(item, path=f"{self.spell(name)}[{place}]", warnings=self._warnings)
            for place, item in enumerate(value)
        ]

    def numbers(self, name: str) -> dict[str, float] | None:
        """A map from texts to numbers; None when it is absent."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(
            isinstance(item, int | float) and not isinstance(item, bool) for item in value.values()
        ):
            raise self.wrong(name, f"must be an object of numbers, not {shown(value)}.")
        return dict(value)

    def has(self, name: str) -> bool:
        """Whether a field is there, with a value."""
        return self._left.get(name, ("", None))[1] is not None

    def choice(self, name: str, choices: Iterable[str], default: str = "") -> str:
        """One of some words."""
        value = self.text(name)
        known = list(choices)
        if not value:
            return default
        if value not in known:
            raise self.wrong(
                name, f"'{value[:100]}' is not one of {', '.join(known)}.", hint=nearest(value.upper(), known)
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
            raise self.wrong("etag", f"'{value[:40]}' is no etag of ours.") from None

    def ignore(self, *names: str) -> None:
        """Drop output-only fields that clients send back with a resource they have read."""
        for name in names:
            self._take(name)

    def absent(self, *names: str, hint: str = "Leave it out.") -> None:
        """Refuse fields of the API that nothing here would honour, unless they carry a default value."""
        for name in names:
            if self._take(name) not in _NOTHING:
                raise self.wrong(name, "is not available in this version of mlengine.", hint=hint)

    def unused(self, name: str, why: str) -> None:
        """Accept a field without effect, and have the answer say so; `why` goes on after its name."""
        if self._take(name) not in _NOTHING:
            self.warn(name, why)

    def warn(self, name: str, why: str) -> None:
        """Have the answer say something about a field that is accepted; `why` goes on after its name."""
        self._warnings.append(f"{self.spell(name)} {why}")

    def done(self) -> None:
        """Refuse whatever is left.

        Raises:
            InvalidArgument: naming the field and the nearest known one.
        """
        for key, _ in self._left.values():
            raise InvalidArgument(
                f"Unknown field '{key[:100]}'.", hint=nearest(camel(key), self._known), field=self.spell(key)
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


def nothing(body: Mapping[str, Any]) -> None:
    """The body of a method that takes no field; anything in it is refused."""
    Fields(body, path="").done()


def stamp(generation: int, born: datetime) -> int:
    """A generation that is not taken for the same one of an earlier resource of this name."""
    return (int(born.timestamp() * 1000) & 0xFFFF_FFFF) << 32 | generation & 0xFFFF_FFFF


def etag(generation: int) -> str:
    """A generation, or the stamp of one, as Google's clients need it: strictly valid base64."""
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


def camel(key: str) -> str:
    """A field's name in lowerCamelCase, however it came."""
    head, *rest = key.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def shown(value: object) -> str:
    """A value that somebody sent, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _is_label(text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and all(
        letter in "_-"
        or unicodedata.category(letter) in _SMALL
        or unicodedata.category(letter).startswith(_NUMBER)
        for letter in text
    )
