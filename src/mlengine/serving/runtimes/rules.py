"""How a version treats its fields: the policies of its options, and what `schema.json` declares.

`schema.json` lies beside the model, and has one of two forms. Ours:

    {"inputs": [{"name": "Age", "type": "number", "min": 0, "max": 120, "categories": [...], "nullable": true,
                 "required": false, "default": 30, "description": "Years.", "baseline": 30}], "sample": {...}}

or the part of JSON Schema that says the same: `type` object, `properties` (with `type`, `minimum`,
`maximum`, `enum`, `default`, `description`), `required` and `examples`. Every key but a field's name may be
left out, any other key is refused by name, and so is whatever contradicts what the model itself tells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.model import Description, LoadFailed, nearest

FILE = "schema.json"
ABSENT: Any = object()
"""In place of a value that is not there, where null would be one."""
TYPES = ("number", "integer", "string", "boolean", "bytes", "any")

_OURS = (
    *("name", "type", "min", "max", "categories", "nullable", "required", "default", "description"),
    "baseline",
)
_JSON_SCHEMA = ("type", "minimum", "maximum", "enum", "default", "description", "title")
_TOP = ("inputs", "sample", "description")
_TOP_JSON_SCHEMA = ("$schema", "type", "properties", "required", "examples", "title", "description")


@dataclass(frozen=True)
class Declared:
    """What `schema.json` says of one input; None or ABSENT where it says nothing.

    Attributes:
        name: Of the input.
        type: One of TYPES.
        low: Smallest number allowed.
        high: Largest number allowed.
        categories: The only values allowed.
        nullable: Whether null may be sent.
        required: Whether the key must be there.
        default: What stands in for a missing key.
        description: For people.
        baseline: What explanations compare with.
    """

    name: str
    type: str | None = None
    low: float | None = None
    high: float | None = None
    categories: tuple[Any, ...] | None = None
    nullable: bool | None = None
    required: bool | None = None
    default: Any = ABSENT
    description: str = ""
    baseline: Any = ABSENT

    def described(self, known: Description) -> Description:
        """`known`, an input of a model's description, with what is declared on top."""
        said = dict(known)
        if self.type is not None:
            said["type"] = self.type
        if self.categories is not None:
            said |= {"categories": list(self.categories), "closed": True}
        for key, value in (("min", self.low), ("max", self.high), ("nullable", self.nullable)):
            if value is not None:
                said[key] = value
        if self.default is not ABSENT:
            said |= {"default": self.default, "required": False}
        elif self.required is not None:
            said["required"] = self.required
        if self.description:
            said["description"] = self.description
        return said

    def mended(self, value: Any) -> Any:
        """`value` of a made-up sample, or one that is allowed where it is not."""
        if self.categories is not None:
            return value if value in self.categories else self.categories[0]
        if self.default is not ABSENT:
            return self.default
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self.low is not None and value < self.low:
                return self.low
            if self.high is not None and value > self.high:
                return self.high
        return value


@dataclass(frozen=True, eq=False)
class Rules:
    """What holds for the fields of every request to a version.

    Attributes:
        unknown_fields: "REJECT", "WARN" or "IGNORE".
        missing_fields: "DEFAULT", "NULL" or "REJECT".
        non_finite: "NULL", "TEXT" or "REJECT": how NaN and infinity in an answer are written.
        max_batch_size: Most instances in one call of the model.
        model_name: For answers that name the model.
        version_name: For answers that name the version.
        declared: What `schema.json` says, by the name of the input.
        warned: How often each unknown field was passed over.
    """

    unknown_fields: str = "REJECT"
    missing_fields: str = "DEFAULT"
    non_finite: str = "NULL"
    max_batch_size: int = 1024
    model_name: str = ""
    version_name: str = ""
    declared: Mapping[str, Declared] = field(default_factory=dict)
    warned: dict[str, int] = field(default_factory=dict)

    def passed_over(self, name: str) -> None:
        """Count an unknown field, and say so in the log: the first time, the tenth, the hundredth, …"""
        if self.unknown_fields != "WARN":
            return
        if name not in self.warned and len(self.warned) >= _MOST_WARNED:
            return
        count = self.warned[name] = self.warned.get(name, 0) + 1
        if count == 10 ** (len(str(count)) - 1):
            times = "" if count == 1 else f" ({count} times so far)"
            sys.stderr.write(f"WARNING: unknown field '{name}' in a request was passed over{times}.\n")
            sys.stderr.flush()


_MOST_WARNED = 1000
DEFAULT_RULES = Rules()


@dataclass(frozen=True)
class SchemaFile:
    """A `schema.json`.

    Attributes:
        inputs: What it declares, in its order.
        sample: An instance, or ABSENT.
    """

    inputs: tuple[Declared, ...] = ()
    sample: Any = ABSENT


def schema_file(model_dir: Path) -> SchemaFile | None:
    """Read `schema.json`, if there is one. Raises LoadFailed."""
    path = model_dir / FILE
    if not path.is_file():
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LoadFailed(f"{path} is not JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise LoadFailed(f'{FILE} must hold an object such as {{"inputs": [{{"name": "Age"}}]}}.')
    if "properties" in schema:
        return _from_json_schema(schema)
    _only(schema, _TOP, FILE)
    entries = schema.get("inputs", [])
    if not isinstance(entries, list):
        raise LoadFailed(f"{FILE}: inputs must be a list of objects.")
    inputs = tuple(_from_ours(entry, f"{FILE}: inputs[{n}]") for n, entry in enumerate(entries))
    return SchemaFile(_distinct(inputs), schema.get("sample", ABSENT))


def _from_ours(entry: Any, where: str) -> Declared:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise LoadFailed(f"{where} must be an object with a name.")
    _only(entry, _OURS, where)
    declared = _declared(
        f"{FILE}: {entry['name']}",
        entry["name"],
        types=[entry["type"]] if "type" in entry else [],
        low=entry.get("min"),
        high=entry.get("max"),
        categories=entry.get("categories"),
        nullable=entry.get("nullable"),
        required=entry.get("required"),
        default=entry.get("default", ABSENT),
        description=entry.get("description", ""),
    )
    return replace(declared, baseline=entry.get("baseline", ABSENT))


def _from_json_schema(schema: dict[str, Any]) -> SchemaFile:
    _only(schema, _TOP_JSON_SCHEMA, FILE)
    if schema.get("type", "object") != "object" or not isinstance(schema["properties"], dict):
        raise LoadFailed(f"{FILE}: an instance is an object, so type must be object, with properties.")
    required = schema.get("required")
    if required is not None:
        if not isinstance(required, list):
            raise LoadFailed(f"{FILE}: required must be a list of names.")
        for name in required:
            if name not in schema["properties"]:
                raise LoadFailed(f"{FILE}: required names '{name}', which properties do not have.")
    inputs = []
    for name, entry in schema["properties"].items():
        where = f"{FILE}: {name}"
        if not isinstance(entry, dict):
            raise LoadFailed(f"{where} must be an object.")
        _only(entry, _JSON_SCHEMA, where)
        types = entry.get("type", [])
        types = list(types) if isinstance(types, list) else [types]
        nullable = "null" in types if types else None
        enum = entry.get("enum")
        if isinstance(enum, list) and None in enum:
            nullable, enum = True, [value for value in enum if value is not None]
        inputs.append(
            _declared(
                where,
                name,
                types=[kind for kind in types if kind != "null"],
                low=entry.get("minimum"),
                high=entry.get("maximum"),
                categories=enum,
                nullable=nullable,
                required=None if required is None else name in required,
                default=entry.get("default", ABSENT),
                description=entry.get("description", entry.get("title", "")),
            )
        )
    examples = schema.get("examples", [])
    if not isinstance(examples, list):
        raise LoadFailed(f"{FILE}: examples must be a list.")
    return SchemaFile(tuple(inputs), examples[0] if examples else ABSENT)


def _declared(
    where: str,
    name: str,
    *,
    types: Sequence[Any],
    low: Any,
    high: Any,
    categories: Any,
    nullable: Any,
    required: Any,
    default: Any,
    description: Any,
) -> Declared:
    if len(types) > 1:
        raise LoadFailed(f"{where}: a field has one type, and null beside it at most.")
    kind = types[0] if types else None
    if kind is not None and kind not in TYPES:
        hint = nearest(str(kind), TYPES) or f"Known: {', '.join(TYPES)}."
        raise LoadFailed(f"{where}: unknown type '{kind}'. {hint}")
    for word, bound in (("smallest", low), ("largest", high)):
        if bound is None:
            continue
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise LoadFailed(f"{where}: the {word} value must be a number.")
        if kind not in (None, "number", "integer"):
            raise LoadFailed(f"{where}: only numbers have a {word} value; this is a {kind}.")
    if low is not None and high is not None and low > high:
        raise LoadFailed(f"{where}: the smallest value {low} is above the largest, {high}.")
    if categories is not None and (not isinstance(categories, list) or not categories):
        raise LoadFailed(f"{where}: categories must be a list with at least one value.")
    if any(isinstance(value, (list, dict)) or value is None for value in categories or ()):
        raise LoadFailed(f"{where}: categories are texts, numbers, true or false. Say nullable for null.")
    for word, flag in (("nullable", nullable), ("required", required)):
        if flag is not None and not isinstance(flag, bool):
            raise LoadFailed(f"{where}: {word} must be true or false.")
    if required is True and default is not ABSENT:
        raise LoadFailed(f"{where}: what is required needs no default. Take one of them away.")
    if not isinstance(description, str):
        raise LoadFailed(f"{where}: the description must be a text.")
    kept = None if categories is None else tuple(categories)
    return Declared(name, kind, low, high, kept, nullable, required, default, description)


def _distinct(inputs: tuple[Declared, ...]) -> tuple[Declared, ...]:
    seen: set[str] = set()
    for one in inputs:
        if one.name in seen:
            raise LoadFailed(f"{FILE}: '{one.name}' is there twice.")
        seen.add(one.name)
    return inputs


def _only(given: dict[str, Any], known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            hint = nearest(key, known) or f"Known: {', '.join(known)}."
            raise LoadFailed(f"{where}: unknown key '{key}'. {hint}")
