"""How a message is described: its fields in one line each, from which both documents write theirs.

Names and types are those of Google's document, and a test holds them to it; the words are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlengine.web.discovery import job_messages, model_messages, shared_messages
from mlengine.web.discovery.fields import Field, Fields, Values, output
from mlengine.web.method import Json

MESSAGES: Mapping[str, Fields] = {
    **job_messages.MESSAGES,
    **model_messages.MESSAGES,
    **shared_messages.MESSAGES,
}
# What Google's messages do not have: in our OpenAPI page, not in the discovery document, which is Google's.
OWN_FIELDS: Mapping[str, Fields] = {
    "TrainingOutput": {
        "mlengine": output(
            "map<any>",
            "What this server tells beyond Google: the replicas with their shares of the machine, "
            "how often the job was started again, and for what it waits.",
        )
    },
    **model_messages.OWN_FIELDS,
}
OWN_VALUES: Mapping[str, Values] = model_messages.OWN_VALUES
ENUMS: Mapping[str, Values] = {**job_messages.ENUMS, **model_messages.ENUMS, **shared_messages.ENUMS}

_SCALARS: Mapping[str, Json] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "string", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "timestamp": {"type": "string", "format": "google-datetime"},
    "duration": {"type": "string", "format": "google-duration"},
    "fieldmask": {"type": "string", "format": "google-fieldmask"},
    "any": {"type": "any"},
}
_TYPE = re.compile(r"(map<)?([\w.]+)>?((?:\[\])?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """The type of a field, taken apart.

    Attributes:
        name: Of a scalar, an enumeration or a message.
        is_map: Texts to such values.
        is_list: A list of all that.
    """

    name: str
    is_map: bool
    is_list: bool

    @property
    def scalar(self) -> Json | None:
        """As the discovery document says it, if it is one."""
        return _SCALARS.get(self.name)

    @property
    def values(self) -> Values | None:
        """Of the enumeration, if it is one."""
        return ENUMS.get(self.name)


def type_of(field: Field) -> Type:
    """What `field.type` says."""
    match = _TYPE.fullmatch(field.type)
    if match is None:
        raise ValueError(f"{field.type!r} is no type of a field")
    return Type(name=match[2], is_map=bool(match[1]), is_list=bool(match[3]))


def reachable(roots: Iterable[str]) -> list[str]:
    """The messages that `roots` are made of, they themselves too, in order of their names."""
    found: set[str] = set()
    left = [name for name in roots if name]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _inside(name)
    return sorted(found)


def _inside(name: str) -> Iterator[str]:
    for field in MESSAGES[name].values():
        if (inner := type_of(field).name) in MESSAGES:
            yield inner
