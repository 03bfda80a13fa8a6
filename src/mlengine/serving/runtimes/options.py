"""How a version wants to be served: the file `options.json` that the control plane lays into its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FILE = "options.json"
"""Its name in the version's folder."""

UNKNOWN_FIELDS = ("REJECT", "WARN", "IGNORE")
MISSING_FIELDS = ("DEFAULT", "NULL", "REJECT")
NON_FINITE = ("NULL", "TEXT", "REJECT")


class BadOptions(ValueError):
    """The file cannot be obeyed."""


@dataclass(frozen=True)
class Container:
    """A server of the user's own that answers for the version.

    Attributes:
        command: What to start.
        args: Arguments after it.
        env: Variables on top of the worker's own.
        port: Where it listens on this machine.
        predict_route: Path that takes predictions.
        health_route: Path that answers 200 once it can.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    port: int = 8080
    predict_route: str = "/predict"
    health_route: str = "/health"


@dataclass(frozen=True)
class Options:
    """Everything about serving that is not in the model itself. In the file the names are in camelCase.

    Attributes:
        max_batch_size: Most instances in one call of the model; a larger request is a matter of its own.
        max_latency_ms: How long the first request may wait for company; 0 never waits on purpose.
        unknown_fields: What happens to fields that the model does not have.
        missing_fields: What stands in for fields that a request leaves out.
        non_finite: How NaN and infinity in an answer are written.
        accelerate: Whether a faster form of the model may answer, where it gives the same answers.
        prediction_class: MODULE.CLASS of a custom prediction routine; empty for none.
        package_folders: Folders with the user's packages, to be imported from.
        container: The user's own server; None for none.
        explanation: Google's explanationConfig; None for none.
        model_name: Id of the model.
        version_name: Id of the version.
        project: Id of the project.
        storage_uri: Where the artefacts came from.
    """

    max_batch_size: int = 1024
    max_latency_ms: float = 0
    unknown_fields: str = "REJECT"
    missing_fields: str = "DEFAULT"
    non_finite: str = "NULL"
    accelerate: bool = True
    prediction_class: str = ""
    package_folders: tuple[str, ...] = ()
    container: Container | None = None
    explanation: dict[str, Any] | None = None
    model_name: str = ""
    version_name: str = ""
    project: str = ""
    storage_uri: str = ""

    def __post_init__(self) -> None:
        if self.max_batch_size < 1:
            raise BadOptions(f"maxBatchSize is {self.max_batch_size}; it must be at least 1.")
        if self.max_latency_ms < 0:
            raise BadOptions(f"maxLatencyMs is {self.max_latency_ms}; it must not be negative.")
        for name, known in (
            ("unknown_fields", UNKNOWN_FIELDS),
            ("missing_fields", MISSING_FIELDS),
            ("non_finite", NON_FINITE),
        ):
            if getattr(self, name) not in known:
                raise BadOptions(f"{_camel(name)} is {getattr(self, name)!r}; known: {', '.join(known)}.")


def read_options(folder: Path) -> Options:
    """The options in a version's folder; the defaults where it has none.

    Raises:
        BadOptions: a name or a value is none of ours.
    """
    file = folder / FILE
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Options()
    except ValueError as error:
        raise BadOptions(f"{file} is not JSON: {error}.") from error
    return options_from(given)


def options_from(given: dict[str, Any]) -> Options:
    """The options that a JSON object states. Raises BadOptions."""
    found = _named(Options, given)
    if found.get("container") is not None:
        container = _named(Container, found["container"])
        for name in ("command", "args"):
            container[name] = tuple(container.get(name) or ())
        found["container"] = Container(**container)
    found["package_folders"] = tuple(found.get("package_folders") or ())
    return Options(**found)


def _named(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    names = {_camel(item.name): item.name for item in fields(kind)}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise BadOptions(f"Unknown option {unknown[0]!r}. Known: {', '.join(sorted(names))}.")
    return {names[name]: value for name, value in given.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
