"""Puts a loaded model under the rules of its version, and refuses rules that could have no effect on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.artefact import serving_settings
from mlengine.serving.runtimes.model import (
    Description,
    LoadFailed,
    Model,
    RawInstances,
    Refused,
    Rows,
    Signature,
    nearest,
)
from mlengine.serving.runtimes.options import Options
from mlengine.serving.runtimes.rules import ABSENT, FILE, Declared, Rules, SchemaFile, schema_file
from mlengine.serving.runtimes.schema import Input, Table

_COMPATIBLE = {("number", "integer"), ("string", "bytes"), ("bytes", "string")}
_LOOSE = ("object", "any")


def governed(model: Model, options: Options, model_dir: Path) -> Model:
    """`model` with the version's rules, what `schema.json` declares, and a description that says so.

    Args:
        model: As its adapter made it.
        options: Of the version.
        model_dir: Its artefacts.

    Raises:
        LoadFailed: a policy can have no effect, or `schema.json` contradicts the model.
    """
    schema = schema_file(model_dir)
    description = model.describe()
    _refuse_idle_policies(description, options, schema)
    rules = Rules(
        unknown_fields=options.unknown_fields,
        missing_fields=options.missing_fields,
        non_finite=options.non_finite,
        max_batch_size=options.max_batch_size,
        model_name=options.model_name,
        version_name=options.version_name,
        declared={} if schema is None else {one.name: one for one in schema.inputs},
    )
    if schema is None:
        learnt = _learnt(description, model_dir)
        return replace(model, rules=rules, describe=_telling(model, learnt) if learnt else model.describe)
    loose = description["instance"] in _LOOSE
    if loose and schema.inputs:
        described = [_input_of(one).describe() for one in schema.inputs]
        signatures = {name: Checked(inner, schema.inputs) for name, inner in model.signatures.items()}
        model = replace(model, signatures=dict(signatures))
    else:
        described = description["inputs"]
        _compare(schema, description)
    samples = [_mended(sample, schema, described) for sample in model.samples]
    if schema.sample is not ABSENT:
        samples = [schema.sample]
    by_name = rules.declared
    told: Description = {
        "inputs": [
            by_name[one["name"]].described(one) if one["name"] in by_name else one for one in described
        ],
        "sample": samples[0] if samples else description.get("sample"),
    }
    if loose and schema.inputs:
        told |= {"named": True}
    found = replace(model, rules=rules, samples=samples, describe=_telling(model, told))
    _try_declared(found, schema, model.samples)
    return found


class Checked:
    """A signature of a model that tells nothing of its fields, behind the checks that `schema.json` declares.

    Args:
        inner: The signature.
        declared: The fields of an instance.
    """

    def __init__(self, inner: Signature, declared: Sequence[Declared]) -> None:
        self.name = inner.name
        self.join = inner.join
        self.run = inner.run
        self.predictions = inner.predictions
        self._inner = inner
        self._names = [one.name for one in declared]
        self._table = Table([_input_of(one) for one in declared], named=True)

    def decode(self, instances: RawInstances) -> Rows:
        """Check, fill in what is missing, and hand objects on. Raises Refused."""
        rows = self._table.rows(instances)
        values = [dict(zip(self._names, row, strict=True)) for row in rows]
        return self._inner.decode(RawInstances(values, instances.booleans, instances.extras, instances.rules))


def _input_of(declared: Declared) -> Input:
    return Input(declared.name, type=declared.type or "any", missing=None)


def _telling(model: Model, more: Mapping[str, Any]) -> Any:
    describe = model.describe
    return lambda: {**describe(), **more}


def refuse_container_rules(options: Options, model_dir: Path) -> None:
    """Raise LoadFailed for rules that could have no effect on a server of the user's own."""
    fields = Options()
    for name, given, usual in (
        ("unknownFields", options.unknown_fields, fields.unknown_fields),
        ("missingFields", options.missing_fields, fields.missing_fields),
        ("nonFinite", options.non_finite, fields.non_finite),
    ):
        if given != usual:
            raise LoadFailed(
                f"{name} {given} can have no effect: a container reads and writes its requests itself. "
                f"Leave {name} out."
            )
    if options.explanation is not None:
        raise LoadFailed(
            "explanationConfig can have no effect: a container answers its requests itself. Leave it out."
        )
    if (model_dir / FILE).is_file():
        raise LoadFailed(f"{FILE} can have no effect: a container checks its requests itself. Take it away.")


def _refuse_idle_policies(description: Description, options: Options, schema: SchemaFile | None) -> None:
    kind = description["instance"]
    fields = bool(description.get("inputs")) or (schema is not None and bool(schema.inputs))
    nameless = kind == "text" or (kind == "row" and not description["named"])
    for name, given, usual in (
        ("unknownFields", options.unknown_fields, "REJECT"),
        ("missingFields", options.missing_fields, "DEFAULT"),
    ):
        if given == usual or (nameless and given == "REJECT"):
            continue  # in a list nothing can be missing
        if nameless:
            what = "are texts" if kind == "text" else "are lists, in which no value has a name"
            raise LoadFailed(
                f"{name} {given} can have no effect: instances of this model {what}. Leave it out."
            )
        if not fields:
            raise LoadFailed(
                f"{name} {given} can have no effect: the model does not tell its fields. Put a {FILE} beside "
                f"it, or leave {name} out."
            )
        if given == "NULL" and kind == "tensor":
            raise LoadFailed(
                "missingFields NULL can have no effect: a tensor cannot be null. Give the inputs a default "
                f"in {FILE} and choose DEFAULT."
            )


def _compare(schema: SchemaFile, description: Description) -> None:
    """Raise LoadFailed where the file says what the model does not bear."""
    inputs = {one["name"]: one for one in description["inputs"]}
    if description["instance"] == "text" and schema.inputs:
        raise LoadFailed(f"{FILE}: instances of this model are texts, which have no fields.")
    for one in schema.inputs:
        known = inputs.get(one.name)
        if known is None:
            hint = nearest(one.name, list(inputs)) or f"It has: {', '.join(inputs)}."
            raise LoadFailed(f"{FILE}: the model has no input '{one.name}'. {hint}")
        where = f"{FILE}: {one.name}"
        kinds = (known["type"], one.type)
        if one.type not in (None, known["type"]) and known["type"] != "any" and kinds not in _COMPATIBLE:
            raise LoadFailed(f"{where} is said to be a {one.type}, but the model takes a {known['type']}.")
        if one.nullable and not known["nullable"]:
            raise LoadFailed(f"{where} is said to be nullable, but the model cannot work without it.")
        if known["type"] not in ("number", "integer", "any") and (one.low, one.high) != (None, None):
            raise LoadFailed(f"{where}: only numbers have a smallest or largest value.")
        for value in (one.default, *(one.categories or ())) if known["closed"] else ():
            if value is not ABSENT and value not in known["categories"]:
                raise LoadFailed(f"{where}: the model does not take {value!r}; it was trained without it.")
        nothing = one.required is False and one.default is ABSENT
        if nothing and known["required"] and not (known["nullable"] and one.nullable is not False):
            raise LoadFailed(
                f"{where} need not be there, but the model cannot work without it. Give a default."
            )
        if (
            description["instance"] == "row"
            and not description["named"]
            and (one.default is not ABSENT or one.required is not None)
        ):
            raise LoadFailed(f"{where}: in a list nothing can be missing; leave required and default out.")


def _try_declared(model: Model, schema: SchemaFile, samples: Sequence[Any]) -> None:
    """Raise LoadFailed for a default or a category that would be refused in a request."""
    if model.default is None:
        return
    signature = model.signature("")

    def refused(instance: Any) -> str:
        try:
            signature.decode(RawInstances([instance], True, {}, model.rules))
        except Refused as error:
            return error.message
        return ""

    good = [one for one in (*model.samples, *samples) if isinstance(one, dict) and not refused(one)]
    if not good:
        return  # the golden prediction says it better
    sample = good[0]
    for one in schema.inputs:
        for value in (one.default, *(one.categories or ())):
            why = "" if value is ABSENT else refused({**sample, one.name: value})
            if why:
                raise LoadFailed(f"{FILE}: {one.name}: the model does not take {value!r}. {why}")


def _mended(sample: Any, schema: SchemaFile, inputs: Sequence[Description]) -> Any:
    declared = {one.name: one for one in schema.inputs}
    if isinstance(sample, dict):
        return {
            name: declared[name].mended(value) if name in declared else value
            for name, value in sample.items()
        }
    if isinstance(sample, list) and len(sample) == len(inputs):
        names = [one["name"] for one in inputs]
        return [
            declared[name].mended(value) if name in declared else value
            for name, value in zip(names, sample, strict=True)
        ]
    return sample


def _learnt(description: Description, model_dir: Path) -> Description:
    """What the sample in `serving.json` shows of fields that the model does not tell; for people only."""
    given = serving_settings(model_dir).samples
    if not given or description.get("inputs") or not isinstance(given[0], dict):
        return {}
    inputs = [
        {**Input(name, type=_type_of(value)).describe(), "learnt": True} for name, value in given[0].items()
    ]
    return {"inputs": inputs, "named": True}


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "any"
