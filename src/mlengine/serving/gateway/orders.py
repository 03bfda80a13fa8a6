"""The order `routes` of the control plane, read and checked whole before anything changes.

Apart from `routes`, which carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.serving.gateway.pool import Terms
from mlengine.serving.gateway.settings import GatewaySettings

_WHOLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOrder:
    """Where the traffic of a model goes.

    Attributes:
        split: Version ids to per cent of the requests that name no version.
        shadow: Version ids to the fraction of these requests of which they get copies.
    """

    split: Mapping[str, int]
    shadow: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesOrder:
    """The whole table.

    Attributes:
        versions: By PROJECT/MODEL/VERSION.
        models: By PROJECT/MODEL.
        foreign: PROJECT/MODEL by the name in paths that carry no project.
    """

    versions: Mapping[str, Terms]
    models: Mapping[str, ModelOrder]
    foreign: Mapping[str, str]


def read_routes(order: Mapping[str, Any], settings: GatewaySettings) -> RoutesOrder:
    """The order; `settings` say what it leaves out.

    Raises:
        InvalidArgument: An entry has another shape than it should.
    """
    versions = {
        _name(name, parts=3, field="versions"): _terms(value, settings, f"versions.{name}")
        for name, value in _object(order.get("versions"), "versions").items()
    }
    models = {
        _name(name, parts=2, field="models"): _model(value, f"models.{name}")
        for name, value in _object(order.get("models", {}), "models").items()
    }
    foreign = _object(order.get("foreign", {}), "foreign")
    for name, model in foreign.items():
        if not isinstance(name, str) or not name:
            raise InvalidArgument(f"{name!r} is no name of a model.", field="foreign")
        _name(model, parts=2, field=f"foreign.{name}")
    return RoutesOrder(versions=versions, models=models, foreign=dict(foreign))


def _terms(value: object, settings: GatewaySettings, field: str) -> Terms:
    said = _object(value, field)
    sockets = said.get("sockets")
    if not isinstance(sockets, list) or not all(isinstance(path, str) and path for path in sockets):
        raise InvalidArgument("The sockets need to be a list of paths.", field=f"{field}.sockets")
    return Terms(
        sockets=tuple(dict.fromkeys(sockets)),
        nodes=_number(said, "nodes", len(sockets), field, whole=True),
        queue_limit=_number(said, "queueLimit", settings.queue_limit, field, above=0, whole=True),
        queue_bytes=settings.queue_bytes,
        deadline_seconds=_number(said, "deadlineSeconds", settings.deadline_seconds, field, above=0),
        wake_seconds=_number(said, "wakeSeconds", settings.wake_seconds, field, above=0),
        log_fraction=_fraction(said.get("logFraction", 0.0), f"{field}.logFraction"),
    )


def _model(value: object, field: str) -> ModelOrder:
    said = _object(value, field)
    split = _object(said.get("split"), f"{field}.split")
    weights = split.values()
    if not all(type(weight) is int and weight >= 0 for weight in weights) or sum(weights) != _WHOLE:
        raise InvalidArgument(
            f"The split needs whole numbers with the sum {_WHOLE}: {dict(split)!r}.", field=f"{field}.split"
        )
    shadow = _object(said.get("shadow", {}), f"{field}.shadow")
    fractions = {name: _fraction(part, f"{field}.shadow.{name}") for name, part in shadow.items()}
    return ModelOrder(split=dict(split), shadow=fractions)


def _object(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"An object is needed here, not {value!r}.", field=field)
    return value


def _name(name: object, *, parts: int, field: str) -> str:
    shape = "PROJECT/MODEL/VERSION" if parts == 3 else "PROJECT/MODEL"
    names = name.split("/") if isinstance(name, str) else []
    if len(names) != parts or not all(each and each.isprintable() for each in names):
        raise InvalidArgument(f"{name!r} is not of the form {shape}.", field=field)
    return "/".join(names)


def _number(
    said: Mapping[str, Any], key: str, default: Any, field: str, *, above: float = -1, whole: bool = False
) -> Any:
    value = said.get(key, default)
    fits: Callable[[Any], bool] = lambda each: type(each) is int or (not whole and type(each) is float)  # noqa: E731
    if not fits(value) or not above < value < float("inf"):
        raise InvalidArgument(f"{value!r} is no number that makes sense here.", field=f"{field}.{key}")
    return value


def _fraction(value: object, field: str) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:  # type: ignore[operator]
        raise InvalidArgument(f"A fraction is a number from 0 to 1, not {value!r}.", field=field)
    return float(value)  # type: ignore[arg-type]
