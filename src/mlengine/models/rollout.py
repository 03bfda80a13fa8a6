"""Which versions answer for a model, and the way back: split, shadow, default, roll back. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.models.domain import Model, Served

# Of what answered once, and of the ways back.
_KEPT = 50


def with_default(model: Model, version: str, now: datetime) -> Model:
    """`model` with one version that answers all its requests when none is named."""
    shadow = {other: part for other, part in model.shadow.items() if other != version}
    return _served(replace(model, default_version=version, split={}, shadow=shadow), model, now)


def with_traffic(
    model: Model, split: Mapping[str, int], shadow: Mapping[str, float] | None, now: datetime
) -> Model:
    """`model` with its requests divided between versions.

    Args:
        split: Percent by version; a single version becomes the default. Empty leaves the split as it is.
        shadow: Fraction by version; None leaves it as it is.

    Raises:
        InvalidArgument: no whole numbers of percent that make 100, no fraction, or a version in both.
    """
    _check(split, shadow or {})
    divided = dict(split) or model.split
    copied = model.shadow if shadow is None else {name: part for name, part in shadow.items() if part}
    answering = divided or {model.default_version: 100}
    for name in copied:
        if name in answering:
            raise _wrong(
                "shadow",
                f"Version '{name}' answers requests already; a copy of them would come to it a second time.",
                hint="Leave it out of shadow, or out of split.",
            )
    if len(divided) == 1:
        return _served(
            replace(model, default_version=next(iter(divided)), split={}, shadow=copied), model, now
        )
    return _served(replace(model, split=divided, shadow=copied), model, now)


def rolled_back(model: Model, now: datetime, *, ready: frozenset[str]) -> Model:
    """`model` as it answered before its last change of default or split.

    Args:
        ready: Ids of versions that can answer; what needs another is passed over.

    Raises:
        FailedPrecondition: there is nothing to go back to.
    """
    before = list(model.before)
    present = (model.default_version, model.split)
    while before:
        last = before.pop()
        if (last.version, last.split) != present and {last.version, *last.split} <= ready:
            answering = last.split or {last.version: 100}
            shadow = {name: part for name, part in model.shadow.items() if name not in answering}
            back = replace(model, default_version=last.version, split=last.split, shadow=shadow)
            return replace(back, before=tuple(before), history=_noted(back, now))
    raise FailedPrecondition(
        f"Model '{model.name.model}' has no earlier version to go back to.",
        hint="Choose a default: mlengine versions set-default VERSION --model " + model.name.model,
        field="name",
    )


def without(model: Model, version: str) -> Model:
    """`model` after a version that had no traffic, or was its last, is gone."""
    before = tuple(past for past in model.before if version not in {past.version, *past.split})
    default = "" if model.default_version == version else model.default_version
    return replace(model, default_version=default, before=before)


def _served(changed: Model, before: Model, now: datetime) -> Model:
    """`changed` with its history, and with `before` as the next way back if something else answers now."""
    if (changed.default_version, changed.split) == (before.default_version, before.split):
        return changed
    way_back = before.before
    if before.default_version:
        way_back += (Served(version=before.default_version, split=before.split, since=now),)
    return replace(changed, history=_noted(changed, now), before=way_back[-_KEPT:])


def _noted(model: Model, now: datetime) -> tuple[Served, ...]:
    served = Served(version=model.default_version, split=model.split, since=now)
    return (*model.history, served)[-_KEPT:]


def _check(split: Mapping[str, int], shadow: Mapping[str, float]) -> None:
    for name, percent in split.items():
        if not 1 <= percent <= 100:
            raise _wrong("split", f"Version '{name}' is given {percent} %; a share is 1 to 100.")
    if split and sum(split.values()) != 100:
        raise _wrong("split", f"The shares make {sum(split.values())} % together, not 100.")
    for name, part in shadow.items():
        if not 0 <= part <= 1:
            raise _wrong("shadow", f"Version '{name}' is given {part:g}; a fraction is 0 to 1.")


def _wrong(field: str, sentence: str, hint: str = "") -> InvalidArgument:
    return InvalidArgument(sentence, hint=hint, field=field)
