"""What lets generated requests get further than a name that nobody has: loaded by schemathesis's own command.

Half of them ask for what is there, and half of the bodies are good ones with one field exchanged.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import schemathesis

# Names that are there, names that may be deleted, and good bodies; written by the test.
GROUND = json.loads(Path(os.environ["MLENGINE_TEST_GROUND"]).read_text())


def chance(*values: object) -> int:
    """A number that depends on what was generated alone, so that a run can be run again."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


@schemathesis.hook
def map_case(_context: Any, case: Any) -> Any:
    takes_away = case.method == "DELETE" or "/moveTo/" in case.path
    names = GROUND["names"] | (GROUND["spare"] if takes_away else {})
    for name, value in dict(case.path_parameters or {}).items():
        if name == "project":
            case.path_parameters[name] = GROUND["project"]
        elif name in names and (number := chance(name, value)) % 2:
            case.path_parameters[name] = names[name][number // 2 % len(names[name])]
    label = f"{case.method} {case.path}"
    if label in GROUND["bodies"] and isinstance(case.body, dict) and (number := chance(case.body)) % 2:
        case.body = exchanged(GROUND["bodies"][label], case.body, number // 2)
        if label in GROUND["ids"]:
            case.body.setdefault(GROUND["ids"][label], f"made_{number:x}")
    if label in GROUND["queries"] and chance(case.query) % 2:
        case.query = dict(case.query or {}) | GROUND["queries"][label]
    return case


def exchanged(good: dict[str, Any], generated: dict[str, Any], number: int) -> dict[str, Any]:
    """`good` with one field of `generated`, at some depth."""
    result = dict(good)
    if generated:
        key = sorted(generated, key=str)[number % len(generated)]
        inner, old = generated[key], good.get(key)
        both = isinstance(inner, dict) and isinstance(old, dict)
        result[key] = exchanged(old, inner, number // 7) if both else inner
    return result


@schemathesis.check
def answer_is_readable(_context: Any, response: Any, _case: Any) -> None:
    """JSON is JSON, and a refusal says why in it."""
    kind = (response.headers.get("content-type") or [""])[0]
    if "json" in kind:
        answer = json.loads(response.content, parse_constant=no_number)
        assert response.status_code < 400 or answer["error"], "a refusal without a reason"
    else:
        assert response.status_code < 400 or not response.content, f"a refusal as {kind}"


def no_number(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")
