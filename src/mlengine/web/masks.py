"""`updateMask`: which fields a patch may change, and what it says about the others."""

from __future__ import annotations

from collections.abc import Mapping

from mlengine.errors import InvalidArgument, nearest
from mlengine.web.fields import camel
from mlengine.web.method import Parameter

UPDATE_MASK = Parameter(
    name="updateMask", format="google-fieldmask", summary="The fields to change, with commas between them."
)


def update_mask(
    query: Mapping[str, str], *, allowed: tuple[str, ...], refused: Mapping[str, str] | None = None
) -> frozenset[str]:
    """The fields of the request's `updateMask`, in lowerCamelCase; both spellings are read.

    Args:
        allowed: What can be changed ("description", "defaultVersion.name").
        refused: What else the API knows, and why it cannot be changed here; tells the parts of it, too.

    Raises:
        InvalidArgument: no mask, or a field in it that is not allowed.
    """
    can = f"It may name {', '.join(allowed)}."
    asked = [path.strip() for path in query.get("updateMask", "").split(",") if path.strip()]
    if not asked:
        raise InvalidArgument("The updateMask is missing.", hint=can, field="update_mask")
    found: set[str] = set()
    for path in asked:
        name = ".".join(map(camel, path.split(".")))
        why = next((why for field, why in (refused or {}).items() if f"{name}.".startswith(f"{field}.")), "")
        if why:
            raise InvalidArgument(f"{path[:100]} cannot be changed: {why}", field="update_mask")
        if name not in allowed:
            raise InvalidArgument(
                f"The updateMask names '{path[:100]}', which cannot be changed. {can}",
                hint=nearest(name, allowed),
                field="update_mask",
            )
        found.add(name)
    return frozenset(found)
