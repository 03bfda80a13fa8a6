"""When a change of models and versions is refused, and what to do instead. Apart from the verbs that ask."""

from __future__ import annotations

from sqlalchemy import Connection

from mlengine.errors import Conflict, FailedPrecondition, InvalidArgument
from mlengine.models import store
from mlengine.models.domain import MissingFields, Model, Settings, State, UnknownFields, Version
from mlengine.names import VersionName
from mlengine.web.fields import stamp


def must_be(found: Model | Version, known: int | None, noun: str) -> None:
    """Refuse a change by somebody who knows another state than this."""
    if known is not None and known != stamp(found.generation, found.created):
        raise Conflict(
            f"{noun} has changed since its etag was read.",
            hint="Read it again, and send the etag it has now.",
            field="etag",
        )


def must_be_ready(version: Version, purpose: str = "be the default") -> None:
    if version.state is not State.READY:
        raise FailedPrecondition(
            f"Version '{version.name.version}' is {version.state}; only a READY one can {purpose}.",
            hint=version.error_message,
            field="name",
        )


def must_have_effect(version: Version, settings: Settings) -> None:
    """Refuse policies that the model of `version` would be refused with when it is loaded the next time.

    The worker decides on them when a version is made; what it told then of the model decides here.

    Raises:
        InvalidArgument: one of `settings` that changes can have no effect.
    """
    said, usual = version.schema, Settings()
    nameless = said.get("instance") == "text" or (said.get("instance") == "row" and not said.get("named"))
    for name in ("unknown_fields", "missing_fields", "non_finite"):
        given = getattr(settings, name)
        if given in (getattr(version.settings, name), getattr(usual, name)):
            continue
        why = ""
        if version.container:
            why = "a container reads and writes its requests itself"
        elif name == "non_finite" or (nameless and given in (UnknownFields.REJECT, MissingFields.REJECT)):
            continue
        elif nameless:
            why = "the values of this model's instances have no names"
        elif not said.get("inputs"):
            why = "the model does not tell its fields"
        elif given is MissingFields.NULL and said.get("instance") == "tensor":
            why = "a tensor cannot be null"
        if why:
            first, _, rest = name.partition("_")
            field = first + rest.capitalize()
            raise InvalidArgument(
                f"{field} {given.value} can have no effect: {why}.",
                hint=f"Leave it at {getattr(usual, name).value}.",
                field=f"version.mlengine.{name}",
            )


def must_have_no_share(model: Model, version: str) -> None:
    """Refuse to take a version away that requests still come to."""
    change = f"mlengine models set-traffic {model.name.model}"
    if percent := model.split.get(version):
        raise FailedPrecondition(
            f"Version '{version}' answers {percent} % of the requests of model '{model.name.model}'.",
            hint=f"Give its share to others first: {change} --split VERSION=100",
            field="name",
        )
    if part := model.shadow.get(version):
        raise FailedPrecondition(
            f"Version '{version}' gets copies of {part:.0%} of the requests of model '{model.name.model}'.",
            hint=f"End that first: {change} --clear-shadow",
            field="name",
        )


def must_be_last(db: Connection, default: VersionName) -> None:
    """Refuse to take a default version away while there are others."""
    others = [
        found
        for found in store.page_versions(db, default.parent, after="", limit=100)
        if found.name != default
    ]
    if not others:
        return
    hint = f"It can go when it is the last one: delete {others[0].name.version} first."
    ready = [other.name.version for other in others if other.state is State.READY]
    if ready:
        verb = f"mlengine versions set-default {ready[0]} --model {default.parent.model}"
        hint = f"Make another the default first: {verb}"
    raise FailedPrecondition(
        f"Version '{default.version}' is the default of model '{default.parent.model}'.",
        hint=hint,
        field="name",
    )
