"""Whether Python 3 can read a file, and what of Python 2 it is where it cannot."""

from __future__ import annotations

import ast
import re
import warnings

from mlengine.preflight.findings import Finding

_PRINT = re.compile(r"print\s+(.*)")


def parse(name: str, content: bytes, python: str = "") -> ast.Module | Finding:
    """The file's tree, or why there is none.

    Args:
        name: The file, for the finding.
        python: Of the runtime, as "3.11"; "" for any that reads it.
    """
    version = tuple(int(part) for part in python.split(".")[:2]) if python else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content, name, feature_version=version)  # type: ignore[arg-type]
    except SyntaxError as error:
        return _finding(name, content, error)
    except ValueError as error:
        return Finding(code="syntax", message=f"Python cannot read this: {error}.", where=name)
    except (RecursionError, MemoryError):
        return Finding(code="syntax", message="Python cannot read this: it is nested too deep.", where=name)


def _finding(name: str, content: bytes, error: SyntaxError) -> Finding:
    where = f"{name}:{error.lineno or 1}"
    message = error.msg or ""
    if "codec can't decode" in message or "unknown encoding" in message or "Non-UTF-8" in message:
        return Finding(
            code="encoding",
            message=f"Python cannot read this: {message.removeprefix('(unicode error) ')}.",
            where=name,
            hint="Save it as UTF-8, or name its encoding in the first line: # -*- coding: cp949 -*-",
        )
    # Not `error.text`: Python reads that from a file of this name, which may be another one.
    text = _line(content, error.lineno).strip()
    if old := _python2(message, text):
        what, cure = old
        return Finding(
            code="python2",
            message=f"`{text}` is {what} of Python 2; mlengine runs Python 3.",
            where=where,
            hint=cure,
        )
    shown = f"\n    {text}" if text else ""
    return Finding(
        code="syntax", message=f"Python cannot read this: {message}.{shown}", where=where, hint=_cure(text)
    )


def _python2(message: str, text: str) -> tuple[str, str] | None:
    """What of Python 2 the line is, and how to write it now."""
    if "Missing parentheses in call to 'print'" in message:
        found = _PRINT.search(text)
        return "the print statement", f"Write: print({found[1].strip() if found else '...'})"
    if re.match(r"print\s*>>", text):
        return "the print statement", "Write: print(..., file=sys.stderr)"
    if "Missing parentheses in call to 'exec'" in message:
        return "the exec statement", "Write: exec(...)"
    if re.match(r"except\s+[\w.]+\s*,\s*\w+\s*:", text):
        return "the old form of except", "Write: " + re.sub(r"\s*,\s*(\w+)\s*:", r" as \1:", text)
    if "multiple exception types must be parenthesized" in message:
        return "the old form of except", "Write: except ERROR as NAME:"
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
    if re.search(r"\bur['\"]", text):
        return "a ur'...' string", "Write r'...'."
    if re.search(r"(lambda\s*|def\s+\w+\s*\([^)]*)\(\s*\w+\s*,", text):
        return "a tuple among the parameters", "Take one parameter, and unpack it inside."
    return None


def _cure(text: str) -> str:
    if re.match(r"(<<<<<<<|=======|>>>>>>>)", text):
        return "It is left over from a merge: keep one of the two sides."
    if re.search(r"\basync\s*=|\.async\b|\bawait\s*=", text):
        return "`async` and `await` are words of the language since Python 3.7: use another name."
    if re.match(r"[!%]\w+", text):
        return "It is a notebook's command, not Python: remove the line."
    return ""


def _line(content: bytes, number: int | None) -> str:
    lines = content.decode(errors="replace").splitlines()
    return lines[number - 1] if number and number <= len(lines) else ""
