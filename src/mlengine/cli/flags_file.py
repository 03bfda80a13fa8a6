"""`--flags-file`: flags read from a YAML file, put into the line as if they had been typed there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlengine.cli.command import UsageError

_FLAG = "--flags-file"


def expand(arguments: list[str]) -> list[str]:
    """The line with each --flags-file replaced by the flags in it; the line itself when there is none.

    Raises:
        UsageError: a file cannot be read, holds no flags, or names itself.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*_expanded(arguments[:end], ()), *arguments[end:]]


def _expanded(tokens: list[str], above: tuple[str, ...]) -> list[str]:
    line: list[str] = []
    rest = iter(tokens)
    for token in rest:
        flag, equals, value = token.partition("=")
        if flag != _FLAG:
            line.append(token)
            continue
        path = value if equals else next(rest, "")
        if not path:
            raise UsageError(f"argument {_FLAG}: expected one argument")
        if path in above:
            raise UsageError(f"argument {_FLAG}: {path} names itself.")
        line += _expanded(_read(path), (*above, path))
    return line


def _read(path: str) -> list[str]:
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"argument {_FLAG}: {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"argument {_FLAG}: {path} is no YAML: {error}") from None
    groups = found if isinstance(found, list) else [found]
    tokens: list[str] = []
    for group in groups:
        if not isinstance(group, dict):
            raise UsageError(
                f"argument {_FLAG}: {path} holds no flags.", hint="A flag a line: --region: us-central1"
            )
        for name, value in group.items():
            tokens += _typed(path, str(name), value)
    return tokens


def _typed(path: str, name: str, value: Any) -> list[str]:
    if not name.startswith("-"):
        raise UsageError(
            f"argument {_FLAG}: '{name}' in {path} is no flag.", hint=f"With its hyphens: --{name}: …"
        )
    if value is None or value is True:
        return [name]
    if value is False:
        return [f"--no-{name[2:]}"]
    if isinstance(value, list):
        value = ",".join(map(_plain, value))
    elif isinstance(value, dict):
        value = ",".join(f"{key}={_plain(inner)}" for key, inner in value.items())
    return [f"{name}={_plain(value)}"]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
