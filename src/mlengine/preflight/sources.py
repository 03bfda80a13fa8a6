"""What a Python file imports, when, and which names it defines: read from its tree, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class When(StrEnum):
    """How sure it is that an import happens, and that its failure matters."""

    ALWAYS = "always"
    LATER = "later"  # inside a function: probably, but not at once
    PERHAPS = "perhaps"  # caught, or behind a condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module.

    Attributes:
        module: Absolute ("trainer.model"), once the dots of a relative one are resolved.
        names: What is taken from it by `from module import …`; empty for `import module`.
        line: Where it stands.
        relative: Whether it was written with dots.
    """

    module: str
    names: tuple[str, ...]
    line: int
    when: When
    relative: bool = False


def imports(tree: ast.Module, *, package: str, entry: bool = False) -> list[Import]:
    """All imports of a file.

    Args:
        package: The package that relative imports start from.
        entry: Whether it is the module that is run, so that `if __name__ == "__main__"` holds.
    """
    return list(_walk(tree.body, When.ALWAYS, package, entry=entry))


def _walk(body: list[ast.stmt], when: When, package: str, *, entry: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module=alias.name, names=(), line=node.lineno, when=when)
        elif isinstance(node, ast.ImportFrom):
            yield Import(
                module=_absolute(node, package),
                names=tuple(alias.name for alias in node.names),
                line=node.lineno,
                when=when,
                relative=bool(node.level),
            )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            later = When.PERHAPS if when is When.PERHAPS else When.LATER
            yield from _walk(node.body, later, package, entry=entry)
        elif isinstance(node, ast.ClassDef):
            yield from _walk(node.body, when, package, entry=entry)
        elif isinstance(node, ast.If):
            holds = entry and _is_main_guard(node.test)
            yield from _walk(node.body, when if holds else When.PERHAPS, package, entry=entry)
            yield from _walk(node.orelse, When.PERHAPS, package, entry=entry)
        elif isinstance(node, ast.Try | ast.TryStar):
            guarded = any(_catches_imports(handler.type) for handler in node.handlers)
            yield from _walk(node.body, When.PERHAPS if guarded else when, package, entry=entry)
            for handler in node.handlers:
                yield from _walk(handler.body, When.PERHAPS, package, entry=entry)
            yield from _walk(node.orelse, When.PERHAPS if guarded else when, package, entry=entry)
            yield from _walk(node.finalbody, when, package, entry=entry)
        elif isinstance(node, ast.With | ast.AsyncWith):
            swallows = any("suppress" in ast.dump(item.context_expr) for item in node.items)
            yield from _walk(node.body, When.PERHAPS if swallows else when, package, entry=entry)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            yield from _walk([*node.body, *node.orelse], When.PERHAPS, package, entry=entry)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                yield from _walk(case.body, When.PERHAPS, package, entry=entry)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - node.level + 1]
    if node.level > len(parts):
        return ""
    return ".".join([*kept, *([node.module] if node.module else [])])


def _is_main_guard(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and any(
            isinstance(part, ast.Name) and part.id == "__name__" for part in (test.left, *test.comparators)
        )
        and isinstance(test.ops[0], ast.Eq)
    )


def _catches_imports(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    known = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")
    return any(not isinstance(name, ast.Name) or name.id in known for name in names)


def defined(tree: ast.Module) -> set[str] | None:
    """Names that the module has once it is imported; None when they cannot be told."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return None
        if isinstance(node, ast.Name):
            if node.id in ("globals", "vars", "locals", "exec", "setattr"):
                return None
            if isinstance(node.ctx, ast.Store):
                found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Attribute) and node.attr in ("modules", "__dict__"):
            return None  # sys.modules[__name__] = …
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.Global):
            found |= set(node.names)
    return None if "__getattr__" in found else found | {"__doc__", "__file__", "__name__", "__path__"}


def touches_path(tree: ast.Module) -> bool:
    """Whether it may change where modules are looked for."""
    return any(
        (
            isinstance(node, ast.Attribute)
            and node.attr in ("path", "meta_path", "path_hooks")
            and isinstance(node.value, ast.Name)
            and node.value.id in ("sys", "site")
        )
        or (isinstance(node, ast.Attribute) and node.attr == "addsitedir")
        for node in ast.walk(tree)
    )


def uses_parser(tree: ast.Module) -> str:
    """What reads the command line there: "argparse", another way by name, or ""."""
    other = ""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if "argparse" in names:
            return "argparse"
        for name in names:
            if name in ("absl.flags", "absl.app", "click", "fire", "docopt", "typer", "optparse", "getopt"):
                other = other or name
        if isinstance(node, ast.Attribute) and node.attr == "argv":
            other = other or "sys.argv"
        if isinstance(node, ast.Attribute) and node.attr == "flags":
            other = other or "flags of absl"
    return other


def python2_names(tree: ast.Module) -> list[tuple[str, int]]:
    """Built-in names of Python 2 that are used and not defined here, with their lines."""
    if (own := defined(tree)) is None:
        return []
    parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in PYTHON2_NAMES and node.id not in own | parameters:
            found.setdefault(node.id, node.lineno)
    return list(found.items())


def python2_prints(tree: ast.Module) -> list[int]:
    """Lines with `print >>FILE, …`: Python 3 can read them, and fails when it runs them."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.RShift)
        and isinstance(node.left, ast.Name)
        and node.left.id == "print"
    ]


PYTHON2_NAMES = {
    "xrange": "range",
    "raw_input": "input",
    "unicode": "str",
    "basestring": "str",
    "unichr": "chr",
    "execfile": "exec",
    "reduce": "functools.reduce",
}
