"""What can be known to fail before anything is sent: looked at in the archives that would be sent."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

from mlengine.client.packaging import contents, opened
from mlengine.errors import InvalidArgument, nearest

_PRINT = re.compile(r"print\s+(.*)")


def check_sources(archive: Path) -> None:
    """See that every Python file in a source archive can be read by Python 3.

    Raises:
        InvalidArgument: one cannot; with file and line, and the cure where it is Python 2.
    """
    with opened(archive) as files:
        for name, content in files:
            if name.endswith(".py"):
                check_source(name, content)


def check_module(module: str, archives: list[Path], *, package: Path | None, own_setup: bool) -> None:
    """See that `python -m MODULE` will find something in one of `archives`.

    Args:
        package: The folder the first archive was built from, if it was.
        own_setup: Whether the user's own setup.py decided what goes in.

    Raises:
        InvalidArgument: no such module; the nearest one is offered.
    """
    names = [name for archive in archives for name in contents(archive)]
    modules = sorted(set(_modules(names)))
    wanted = module.replace(".", "/")
    if module in modules:
        return
    if package and own_setup and (package.parent / f"{wanted}.py").is_file():
        raise InvalidArgument(
            f"{wanted}.py exists, but {package.parent / 'setup.py'} does not pack it.",
            hint="Let its `packages` name it: packages=find_packages()",
        )
    if f"{wanted}/__init__.py" in names:
        inside = [name for name in modules if name.startswith(module + ".")]
        raise InvalidArgument(
            f"'{module}' is a package and cannot be run; --module-name needs a module in it.",
            hint=f"One of: {', '.join(inside[:5])}" if inside else "",
        )
    last = module.rpartition(".")[2]
    same = [name for name in modules if name.rpartition(".")[2] == last]
    hint = f"Did you mean '{same[0]}'?" if same else nearest(module, modules)
    raise InvalidArgument(
        f"The package holds no module '{module}', so `python -m {module}` would fail.",
        hint=hint or (f"It holds: {', '.join(modules[:10])}" if modules else "It holds no module at all."),
    )


def _modules(names: list[str]) -> list[str]:
    """Dotted names of what can be run, as they are called once installed."""
    packages = {name.rpartition("/")[0] for name in names if name.endswith("/__init__.py")}
    found = []
    for name in names:
        if not name.endswith(".py") or name.endswith("__init__.py") or name == "setup.py":
            continue
        parts = name.removesuffix(".py").removesuffix("/__main__").split("/")
        # `src/trainer/task.py` is trainer.task: what lies above the outermost package is only a place.
        outermost = next((n for n in range(1, len(parts) + 1) if "/".join(parts[:n]) in packages), 1)
        found.append(".".join(parts[outermost - 1 :]))
    return found


def check_source(name: str, content: bytes) -> None:
    """See that Python 3 can read one file. Raises InvalidArgument as `check_sources`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A tree and no code: what is read is never run, and what only warns is no error.
            compile(content, name, "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        where = f"{name}:{error.lineno or 1}"
        text = (error.text or _line(content, error.lineno)).strip()
        old = _python2(error.msg or "", text)
        if old:
            what, cure = old
            raise InvalidArgument(
                f"{where}: `{text}` is {what} of Python 2; mlengine runs Python 3.", hint=cure
            ) from None
        raise InvalidArgument(
            f"{where}: Python cannot read this: {error.msg}." + (f"\n    {text}" if text else "")
        ) from None
    except ValueError as error:
        raise InvalidArgument(f"{name}: Python cannot read this: {error}.") from None


def _python2(message: str, text: str) -> tuple[str, str] | None:
    """What of Python 2 the line is, and how to write it now."""
    if "Missing parentheses in call to 'print'" in message:
        found = _PRINT.search(text)
        return "the print statement", f"Write: print({found[1].strip() if found else '...'})"
    if "Missing parentheses in call to 'exec'" in message:
        return "the exec statement", "Write: exec(...)"
    if re.match(r"except\s+[\w.]+\s*,\s*\w+\s*:", text):
        return "the old form of except", "Write: " + re.sub(r"\s*,\s*(\w+)\s*:", r" as \1:", text)
    if re.match(r"raise\s+[\w.]+\s*,", text):
        return "the old form of raise", "Write: " + re.sub(r"\s*,\s*(.+)", r"(\1)", text)
    if "<>" in text:
        return "the operator <>", "Write != instead."
    if "leading zeros in decimal integer literals" in message:
        return "an octal number", "Write 0o in front of its digits."
    if re.search(r"\b\d+L\b", text):
        return "a long integer", "Leave out the L."
    if "`" in text:
        return "a backtick", "Write repr(...)."
    return None


def _line(content: bytes, number: int | None) -> str:
    lines = content.decode(errors="replace").splitlines()
    return lines[number - 1] if number and number <= len(lines) else ""
