"""What TensorFlow Serving and Open Inference ask about models; their paths carry no project.

To be wired with one callable, `Look`: `look(model, version)` gives the model of this name in the server's
first project, with all its versions, or with the named one only. It raises NotFound for what is not there. A
version named by digits alone, as theirs are, means ours with a `v` before them where there is none of that
very name (`spellings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlengine.errors import NotFound, Problem
from mlengine.models.domain import State
from mlengine.web.envelope import http_code
from mlengine.web.method import Call, Handler, Json, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A version, as these protocols see it.

    Attributes:
        version: Its id.
        state: Of the version.
        description: What its model told of itself (`schema` of the version); None while it is not known.
        error: Why it failed; empty where it did not.
    """

    version: str
    state: State
    description: Mapping[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model with the versions that were asked for.

    Attributes:
        model: Its id.
        default: The id of its default version; empty while there is none.
        versions: In the order of their making.
    """

    model: str
    default: str
    versions: tuple[Known, ...]

    def one(self) -> Known:
        """The version that is meant where one answer is wanted. Raises NotFound."""
        for known in self.versions:
            if known.version == self.default or len(self.versions) == 1:
                return known
        raise NotFound(f"The model {self.model} has no default version.")


Look = Callable[[str, str], Found]


def spellings(version: str) -> tuple[str, ...]:
    """The ids that a version named like this may have, the likeliest first."""
    return (version, f"v{version}", f"V{version}") if version.isdigit() else (version,)


def described(found: Found) -> tuple[Known, Mapping[str, Any]]:
    """The version that is meant and its description. Raises NotFound while that is not known."""
    known = found.one()
    if known.description is None:
        raise NotFound(
            f"The version {known.version} of {found.model} is {known.state.value}; "
            f"what it takes is not known yet."
        )
    return known, known.description


def in_their_words(handle: Callable[[Call], Json | Reply]) -> Handler:
    """The handler, with the errors of these protocols: one text."""

    def handler(call: Call) -> Json | Reply:
        try:
            return handle(call)
        except Problem as problem:
            return Reply(content={"error": str(problem)}, status=http_code(problem))

    return handler
