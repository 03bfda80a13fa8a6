"""What the path of a request asks to be predicted, in each of the languages with paths of their own.

Apart from `routes`, which knows the versions; here are only spellings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from mlengine.serving.messages import EXPLAIN, INFER, PREDICT, TF_SERVING

_VERBS = {"predict": PREDICT, "explain": EXPLAIN}
# Query parameters that change nothing about a prediction. With others, the control plane tells what is wrong.
_IDLE = frozenset(
    {
        "access_token",
        "alt=",
        "alt=json",
        "callback=",
        "fields=",
        "key",
        "oauth_token",
        "prettyPrint",
        "quotaUser",
        "uploadType",
        "upload_protocol",
    }
)
# The label that TensorFlow Serving's clients give to what is used unless somebody says otherwise.
_DEFAULT_LABEL = "stable"
_NUMBER = re.compile(r"\d+", re.ASCII)


class Target(NamedTuple):
    """What is asked.

    Attributes:
        kind: PREDICT, EXPLAIN, TF_SERVING or INFER.
        model: PROJECT/MODEL.
        version: As it was named; empty for whichever the model's traffic goes to.
    """

    kind: int
    model: str
    version: str


def read(target: bytes, *, numbers: Mapping[str, str], foreign: Mapping[str, str]) -> Target | None:
    """What a request target (path, query string) asks a worker; None for what is none of theirs.

    Args:
        target: As it came.
        numbers: Projects by their numbers.
        foreign: PROJECT/MODEL by the name that paths without a project give it.
    """
    path, _, query = target.decode("latin-1").partition("?")
    if query and not all(map(_is_idle, query.split("&"))):
        return None
    # Split first: an encoded slash belongs to a name, and no name of ours has one.
    names = [unquote(part) for part in path.split("/")]
    if any("/" in name or not name for name in names[1:]) or names[-1].startswith(":"):
        return None
    last, _, verb = names[-1].rpartition(":")
    match names[1:-1]:
        case ["v1", "projects", project, "models"] if verb in _VERBS:
            return Target(_VERBS[verb], _own(project, last, numbers), "")
        case ["v1", "projects", project, "models", model, "versions"] if verb in _VERBS:
            return Target(_VERBS[verb], _own(project, model, numbers), last)
        case ["v1", "models"] if verb == "predict" and last in foreign:
            return Target(TF_SERVING, foreign[last], "")
        case ["v1", "models", model, "versions"] if verb == "predict" and model in foreign:
            return Target(TF_SERVING, foreign[model], last)
        case ["v1", "models", model, "labels"] if verb == "predict" and model in foreign:
            return Target(TF_SERVING, foreign[model], "" if last == _DEFAULT_LABEL else last)
        case ["v2", "models", model] if names[-1] == "infer" and model in foreign:
            return Target(INFER, foreign[model], "")
        case ["v2", "models", model, "versions", version] if names[-1] == "infer" and model in foreign:
            return Target(INFER, foreign[model], version)
    return None


def spellings(version: str) -> tuple[str, ...]:
    """The ids that a version named like this in a foreign path may have; the likeliest first.

    TensorFlow Serving's versions are numbers, and an id here begins with a letter.
    """
    return (version, f"v{version}", f"V{version}") if _NUMBER.fullmatch(version) else (version,)


def _own(project: str, model: str, numbers: Mapping[str, str]) -> str:
    return f"{numbers.get(project, project)}/{model}"


def _is_idle(parameter: str) -> bool:
    name, _, value = unquote(parameter.replace("+", " ")).partition("=")
    value = value.strip()
    name = name.removeprefix("$")
    return not name or name in _IDLE or f"{name}={value}" in _IDLE or (name == ".xgafv" and value in "12")
