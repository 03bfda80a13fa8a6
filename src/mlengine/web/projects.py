"""The project in a path: an id, or a number in its place, becomes the id before anybody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlengine.web.method import Call


def in_project(call: Call, id_of: Callable[[str], str]) -> Call:
    """The call, with its `{project}` as an id.

    Args:
        id_of: The id of the project that an id or a number means.

    Raises:
        NotFound: there is no such project.
    """
    asked = call.path["project"]
    found = id_of(asked)
    return call if found == asked else replace(call, path={**call.path, "project": found})
