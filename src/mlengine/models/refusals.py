"""When a change of models and versions is refused, and what to do instead. Apart from the verbs that ask."""

from __future__ import annotations

from sqlalchemy import Connection

from mlengine.errors import Conflict, FailedPrecondition
from mlengine.models import store
from mlengine.models.domain import Model, State, Version
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
