"""What each input of a table-like model takes, and the check of instances against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlengine.serving.runtimes.arrays import ArrayInstances
from mlengine.serving.runtimes.faults import Faults, listed, shown
from mlengine.serving.runtimes.model import Description, RawInstances, nearest
from mlengine.serving.runtimes.plan import Plan
from mlengine.serving.runtimes.rules import ABSENT, DEFAULT_RULES, Declared, Rules

_WANTED = {
    "number": "a number",
    "integer": "a whole number",
    "string": "a text in quotes",
    "boolean": "true or false",
    "any": "a value",
}


@dataclass
class Input:
    """One input column, as far as training left traces of it in the model.

    Attributes:
        name: As in training; the position as text where training knew no names.
        type: "number", "string", "boolean", or "any" where nothing is known.
        categories: The values seen in training, where the model keeps them.
        closed: Whether a value outside `categories` makes the model fail.
        nullable: Whether the model can work with a missing value here.
        required: Whether the model looks at this column at all.
        missing: What the model takes for a missing value in place of JSON's null.
        default: A value to try the model with: what an imputer would fill in, a mean, a category.
        low: Smallest number allowed.
        high: Largest number allowed.
        fallback: What stands in for a missing key; ABSENT where nothing does.
        optional: Whether a missing key is as good as null.
        declared: Whether `schema.json` speaks of this column, so that it is checked in any case.
    """

    name: str
    type: str = "any"
    categories: tuple[Any, ...] | None = None
    closed: bool = False
    nullable: bool = True
    required: bool = True
    missing: Any = math.nan
    default: Any = None
    low: float | None = None
    high: float | None = None
    fallback: Any = ABSENT
    optional: bool = False
    declared: bool = False

    @property
    def checked(self) -> bool:
        """Whether it matters what stands here."""
        return self.required or self.declared

    def under(self, declared: Declared | None) -> Input:
        """This column with what `schema.json` declares of it."""
        if declared is None:
            return self
        narrower = declared.type is not None and (
            self.type == "any" or (self.type, declared.type) == ("number", "integer")
        )
        return replace(
            self,
            type=declared.type if narrower and declared.type is not None else self.type,
            categories=self.categories if declared.categories is None else declared.categories,
            closed=self.closed or declared.categories is not None,
            nullable=self.nullable and declared.nullable is not False,
            required=self.required or declared.required is True,
            low=declared.low,
            high=declared.high,
            fallback=declared.default,
            optional=declared.required is False,
            declared=True,
        )

    def describe(self) -> Description:
        """This input as part of a model's description."""
        return {
            "name": self.name,
            "type": self.type,
            "shape": [],
            "categories": None if self.categories is None else list(self.categories),
            "closed": self.closed,
            "nullable": self.nullable,
            "required": self.required,
        }

    def wanted(self) -> str:
        """What to send: "a number, or null if it is unknown"."""
        if self.categories is not None and self.closed:
            what = f"one of {listed(self.categories)}"
        else:
            what = _WANTED[self.type]
        return f"{what}, or null if it is unknown" if self.nullable else what

    def fault(self, value: Any) -> str | None:
        """What is wrong with `value`, with the cure, or None if the model can take it."""
        if value is None:
            if self.nullable:
                return None
            return f"null is not allowed, since the model cannot work without it. Send {self.wanted()}."
        kind = type(value)
        if self.type in ("number", "integer"):
            if kind is not float and kind is not int:
                return self._not_a_number(value)
            if self.type == "integer" and value != value // 1:
                return f"{shown(value)} is not a whole number. Send {self.wanted()}."
            if self.low is not None and value < self.low:
                return f"{shown(value)} is below {shown(self.low)}, the smallest value allowed."
            if self.high is not None and value > self.high:
                return f"{shown(value)} is above {shown(self.high)}, the largest value allowed."
        elif self.type == "string":
            if kind is not str:
                return f"{_kind(value)}, but a text is needed. Send {self._quoted(value)}."
        elif self.type == "boolean":
            if kind is not bool:
                return f"{_kind(value)}, but true or false is needed. Send {self.wanted()}."
        elif kind is list or kind is dict:
            return f"{shown(value)} is not a single value. Send a number, a text, true, false or null."
        if self.closed and self.categories is not None and value not in self.categories:
            names = [category for category in self.categories if isinstance(category, str)]
            hint = nearest(value, names) if isinstance(value, str) else ""
            return f"{shown(value)} is not one of {listed(self.categories)}.{' ' if hint else ''}{hint}"
        return None

    def _not_a_number(self, value: Any) -> str:
        said = f"{_kind(value)}, but a number is needed."
        if value is True or value is False:
            return f"{said} Send 1 for true or 0 for false."
        if isinstance(value, str) and _is_number(value):
            return f"{said} Send {value.strip()} without quotes."
        return f"{said} Send {self.wanted()}."

    def _quoted(self, value: Any) -> str:
        text = shown(value)
        if self.categories is not None and not isinstance(value, (list, dict)) and text in self.categories:
            return f'"{text}" in quotes'
        return self.wanted()


class Table:
    """Checks instances that are rows: an object with one key per input, or a list with one value per input.

    Args:
        inputs: In the order of training.
        named: Whether training knew the names, so that objects can be understood.
    """

    def __init__(self, inputs: Sequence[Input], *, named: bool) -> None:
        self.inputs = list(inputs)
        self.named = named
        self._names = [column.name for column in inputs]
        self._rules: Rules | None = None
        self._obey(DEFAULT_RULES)

    def _obey(self, rules: Rules) -> None:
        """Prepare for `rules`, which hardly ever change between two requests."""
        self._rules = rules
        columns = [column.under(rules.declared.get(column.name)) for column in self.inputs]
        self._columns = columns
        self._plan = Plan(columns, rules)
        self._plain_numbers = all(
            column.type == "number" and not column.closed and column.checked and not column.declared
            for column in columns
        )
        nullable = all(column.nullable and _is_nan(column.missing) for column in columns)
        self._plain_types = {int, float, type(None)} if nullable else {int, float}

    def rows(self, instances: RawInstances) -> Any:
        """One list per instance, values in the order of the inputs. Raises Refused.

        A null has become what the model takes for a missing value (None where that is NaN and all inputs are
        numbers: NumPy makes NaN of it). Instances that came as one array of numbers stay one.
        """
        rules = instances.rules or DEFAULT_RULES
        if rules is not self._rules:
            self._obey(rules)
        if isinstance(instances, ArrayInstances) and self._plain_numbers:
            array = instances.arrays.get("")
            if array is not None and array.ndim == 2 and array.shape[1] == len(self._columns):
                return array
        faults = Faults()
        rows: list[Any] = []
        quick = self._plan.row
        for position, instance in enumerate(instances.values):
            if type(instance) is dict and self.named:
                row = quick(instance)
                if row is None:
                    row = self._from_object(position, instance, rules, faults)
            elif type(instance) is list:
                row = self._from_list(position, instance, faults)
            else:
                faults.add(position, "", self._neither(position, instance))
                continue
            rows.append(row)
        faults.raise_if_any()
        return rows

    def _from_object(
        self, position: int, instance: dict[str, Any], rules: Rules, faults: Faults
    ) -> list[Any]:
        """The long way: for rows that are seldom seen, and to say what is wrong with one."""
        row: list[Any] = []
        absent: list[Input] = []
        for column in self._columns:
            value = instance.get(column.name, ABSENT)
            if value is ABSENT:
                value = self._plan.stand_in(column)
                if value is ABSENT:
                    absent.append(column)
                    value = None
                elif not column.required and not column.declared:
                    row.append(column.missing)
                    continue
            sentence = column.fault(value) if column.checked and column not in absent else None
            if sentence is not None:
                words = f"Instance {position + 1}, field {column.name}: {sentence}"
                faults.add(position, f".{column.name}", words)
            row.append(column.missing if value is None else value)
        self._name_faults(position, instance, absent, rules, faults)
        return row

    def _name_faults(
        self, position: int, instance: dict[str, Any], absent: list[Input], rules: Rules, faults: Faults
    ) -> None:
        explained: set[str] = set()
        for name in instance:
            if name in self._names:
                continue
            if rules.unknown_fields != "REJECT":
                rules.passed_over(name)
                continue
            hint = nearest(name, [column.name for column in absent])
            explained.update(column.name for column in absent if hint == f"Did you mean '{column.name}'?")
            words = (
                f"Instance {position + 1}: unknown field '{name}'; the model was trained on "
                f"{listed(self._names)}. {hint or 'Remove it.'}"
            )
            faults.add(position, f".{name}", words)
        for column in absent:
            if column.name not in explained:
                words = f"Instance {position + 1}: field '{column.name}' is missing. Send {column.wanted()}."
                faults.add(position, f".{column.name}", words)

    def _from_list(self, position: int, instance: list[Any], faults: Faults) -> list[Any]:
        if len(instance) != len(self._columns):
            order = f", in this order: {listed(self._names)}" if self.named else ""
            words = (
                f"Instance {position + 1}: expected {len(self._columns)} "
                f"value{'' if len(self._columns) == 1 else 's'}, got {len(instance)}. "
                f"Send one value per feature{order}."
            )
            faults.add(position, "", words)
            return instance
        if self._plain_numbers and set(map(type, instance)) <= self._plain_types:
            return instance
        row: list[Any] = []
        for index, (column, value) in enumerate(zip(self._columns, instance, strict=True)):
            sentence = column.fault(value) if column.checked else None
            if sentence is not None:
                where = f"field {column.name}" if self.named else f"value {index + 1}"
                faults.add(position, f"[{index}]", f"Instance {position + 1}, {where}: {sentence}")
            row.append(column.missing if value is None else value)
        return row

    def _neither(self, position: int, instance: Any) -> str:
        count = len(self.inputs)
        row = f"a list of {count} value{'' if count == 1 else 's'}"
        if self.named:
            return (
                f"Instance {position + 1} is {shown(instance)}, but an object or a list is needed. Send an "
                f"object with the keys {listed(self._names)}, or {row} in this order."
            )
        if isinstance(instance, dict):
            return (
                f"Instance {position + 1} is an object, but the model was trained without feature names. "
                f"Send {row}."
            )
        return f"Instance {position + 1} is {shown(instance)}, but a list is needed. Send {row}."


def sample_of(table: Table, *, filler: Any = 0) -> Any:
    """An instance made of what training left behind, and of `filler` where it left nothing."""
    values = [_sample_value(column, filler) for column in table.inputs]
    if table.named:
        return {
            column.name: value for column, value in zip(table.inputs, values, strict=True) if column.required
        }
    return values


def _sample_value(column: Input, filler: Any) -> Any:
    if column.default is not None and column.fault(column.default) is None:
        return column.default
    if column.categories:
        return column.categories[0]
    if column.type == "number" and isinstance(filler, str):
        return 0
    return {"string": "", "boolean": False}.get(column.type, filler)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"{shown(value)} is text"
    if isinstance(value, bool):
        return f"{shown(value)} is a boolean"
    if isinstance(value, (int, float)):
        return f"{shown(value)} is a number"
    return f"{shown(value)} was sent"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
