"""What a loaded model is to the worker, whatever its framework, and the three ways in which one fails.

The description of a model, which `describe` prints and a DESCRIBE frame answers, is plain JSON:

    framework    "tensorflow", "scikit-learn", "xgboost", "lightgbm", "keras", "pytorch", "onnx", "custom" (a
                 class of the user's), "container" (a server of the user's)
    signature    name of the signature that answers when a request names none; null if a request must name one
    signatures   names of all signatures
    instance     what one instance looks like: "row" (an object with one key per input, or a list with one
                 value per input in order), "tensor" (an object with one key per input, or the bare value
                 where there is one input), "text" (a string), "object" (an object with any keys), "any"
    named        whether rows may be objects
    inputs       one object per input:
                   name        as in training; the position as text where training knew no names
                   type        "number", "integer", "boolean", "string", "bytes" (a string, or an object
                               {"b64": …}), or "any" (a scalar of which nothing is known)
                   shape       of one instance, without the batch; null where a dimension varies; [] is scalar
                   categories  list of the values seen in training, or null
                   closed      whether a value outside `categories` is refused
                   nullable    whether null may be sent for a missing value
                   required    whether the key must be there
                   min, max, default, description
                               only where `schema.json` beside the model declares them
                   learnt      only where all this was guessed from the sample in `serving.json`: true
    outputs      one object per output: name ("" where a prediction is the bare value), type, shape (null
                 where not known)
    sample       an instance that the model should be able to answer, or null where none can be made up
    sure         whether types and shapes in `sample` are known rather than guessed

`inputs`, `outputs` and `sample` belong to `signature`, or to the first of `signatures` where that is null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any, NamedTuple, Protocol

Description = dict[str, Any]


class LoadFailed(Exception):
    """The model cannot serve. Spoken in the words of the contract, code 0.

    Args:
        detail: What is wrong, where, and what to do.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"Failed to load model: {self.detail} (Error code: 0)"


class Violation(NamedTuple):
    """One fault of a request: the field's path as in `instances[2].Age`, and the sentence about it."""

    field: str
    description: str


class Refused(Exception):
    """The request can never work with this model.

    Args:
        message: The first fault, and how many more there are.
        violations: The faults one by one, in order of the request.
    """

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations)


class BadOutput(Exception):
    """The model answered something that cannot be passed on."""


@dataclass(frozen=True)
class Rows:
    """Checked instances, in the form that the model takes.

    Attributes:
        count: Number of instances.
        key: Hashable; only rows with equal keys may be joined into one call.
        data: What the signature that made these rows understands.
    """

    count: int
    key: Any
    data: Any


@dataclass(frozen=True)
class RawInstances:
    """The instances of one request, and what the text of the request shows at a glance.

    Attributes:
        values: The instances as JSON values; never empty.
        booleans: Whether a true or false may be among them. Arrays of numbers need no search for one if not.
        extras: Other top-level keys of the request, and `signature_name`; only where the model takes them.
        rules: The version's `rules.Rules`; None for the default ones.
    """

    values: list[Any]
    booleans: bool = True
    extras: dict[str, Any] = field(default_factory=dict)
    rules: Any = None


class Signature(Protocol):
    """One way to ask a model."""

    name: str

    def decode(self, instances: RawInstances) -> Rows:
        """Check and convert. Raises Refused."""
        ...

    def join(self, parts: Sequence[Rows]) -> Rows:
        """Rows of several requests, all with the same key, one after the other."""
        ...

    def run(self, rows: Rows) -> Any:
        """Ask the model once. Raises Refused, BadOutput, or whatever the model raises."""
        ...

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """The answers for rows `start` to `stop` of what `run` returned, ready for JSON. Raises BadOutput."""
        ...


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        framework: As in the description.
        signatures: By name.
        default: The signature for requests that name none, if any.
        aliases: Further names that mean the default.
        ignores_unknown_keys: Whether keys beside `instances` in a request are passed over, as Google's
            TensorFlow serving did; its scikit-learn and XGBoost serving failed on them.
        describe: Builds the description for one signature, or for the default.
        samples: Instances to try before serving, made from what training left in the model.
        sure: Whether what made-up samples look like is known rather than guessed.
        passthrough: Answers bodies as they came, for models that are servers of their own (containers):
            for each body the HTTP status and the answer's body. Such a model has no signatures.
        takes_extras: Whether other top-level keys of a request are handed on as `RawInstances.extras`.
        source: The framework's own object, where somebody may want to look into it.
        rules: The version's `rules.Rules`, which go with every request; None for the default ones.
        explainer: The version's `explanation.Explainer`; None where it explains nothing.
    """

    framework: str
    signatures: dict[str, Signature]
    default: str | None
    aliases: tuple[str, ...]
    ignores_unknown_keys: bool
    describe: Callable[[], Description]
    samples: list[Any]
    sure: bool
    passthrough: Callable[[Sequence[bytes]], list[tuple[int, bytes]]] | None = None
    takes_extras: bool = False
    source: Any = None
    rules: Any = None
    explainer: Any = None

    @cached_property
    def description(self) -> Description:
        """What `describe` builds, kept."""
        return self.describe()

    @cached_property
    def number_shapes(self) -> Any:
        """See `arrays.number_shapes`."""
        from mlengine.serving.runtimes.arrays import number_shapes

        return number_shapes(self.description)

    def signature(self, name: str) -> Signature:
        """The signature that a request means. Raises Refused for an unknown one.

        Args:
            name: As in the request; empty where the request names none.
        """
        found = self.signatures.get(name)
        if found is not None:
            return found
        # A class of the user's own hears the name as a keyword and makes of it what it likes.
        if self.default is not None and (not name or name in self.aliases or self.takes_extras):
            return self.signatures[self.default]
        message = f"No signature found for signature key {name or 'serving_default'}."
        names = ", ".join(sorted(self.signatures))
        cure = f"This model has: {names}." if name else f"Name one of {names} with signature_name."
        hint = nearest(name, list(self.signatures))
        text = " ".join(part for part in (message, cure, hint) if part)
        raise Refused(text, [Violation("signature_name", text)])


def nearest(name: str, known: Sequence[str]) -> str:
    """A question naming the closest of `known`, or the empty string when nothing is close."""
    folded = [candidate for candidate in known if candidate.casefold().strip() == name.casefold().strip()]
    close = folded or get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""
