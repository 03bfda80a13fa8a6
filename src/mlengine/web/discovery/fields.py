"""One field of a message. Apart, because the tables of messages and their reader both need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    Attributes:
        type: "string", "int64", "timestamp" and the like, or the name of a message or an enumeration;
            "map<string>" is a map from texts, "Job[]" a list.
        about: In our words, where the name is not enough.
        output: Only the server writes it.
    """

    type: str
    about: str = ""
    output: bool = False


Fields = Mapping[str, Field]
Values = Mapping[str, str]


def output(type_: str, about: str = "") -> Field:
    """A field that only the server writes."""
    return Field(type_, about, output=True)
