"""Whether all that a trainer imports will be there: in Python, the runtime, its requirements, its own files.

Only what certainly happens can stop a job: an import at the top of a file that the entry module reaches. What
is caught, conditional or inside a function warns at most.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mlengine.errors import nearest
from mlengine.preflight.archive import Archive
from mlengine.preflight.distributions import DISTRIBUTION_OF, Target, modules_of, normal
from mlengine.preflight.findings import Finding
from mlengine.preflight.sources import (
    PYTHON2_NAMES,
    Import,
    When,
    defined,
    imports,
    python2_names,
    python2_prints,
    touches_path,
)
from mlengine.preflight.syntax import parse

_PYTHON2_MODULES = {
    "BaseHTTPServer": "http.server",
    "ConfigParser": "configparser",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "StringIO": "io",
    "__builtin__": "builtins",
    "cPickle": "pickle",
    "cStringIO": "io",
    "commands": "subprocess",
    "cookielib": "http.cookiejar",
    "httplib": "http.client",
    "itertools.izip": "zip",
    "sets": "the built-in set",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
}
# A trainer that installs packages itself.
_INSTALLS = re.compile(rb"\bpip\b[^\n]{0,40}\binstall\b")
# Modules that went away in the versions of today's runtimes, and what stands in their place.
_GONE = {
    "keras.backend.tensorflow_backend": "keras.backend",
    "pandas.io.data": "the package pandas-datareader",
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.grid_search": "sklearn.model_selection",
    "sklearn.learning_curve": "sklearn.model_selection",
    "tensorflow.contrib": "the core of TensorFlow 2, or tensorflow-addons",
    "tensorflow.examples": "tf.keras.datasets",
}


@dataclass
class Sources:
    """The Python files of all archives of a job, as one tree of modules.

    Attributes:
        archives: What was read.
        entry: The module to run.
        python: Of the runtime, as "3.11"; "" for any.
    """

    archives: Sequence[Archive]
    entry: str
    python: str = ""
    broken: dict[str, Finding] = field(default_factory=dict)

    @cached_property
    def files(self) -> Mapping[str, tuple[str, bytes]]:
        """File name and content by module."""
        return {
            module: (name, archive.contents[name])
            for archive in reversed(self.archives)
            for module, name in archive.modules.items()
            if name in archive.contents
        }

    @cached_property
    def top_level(self) -> frozenset[str]:
        """First parts of the names of all own modules."""
        return frozenset(name for archive in self.archives for name in archive.top_level)

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The trees of all files that can be read; the others are in `broken`."""
        found = {}
        for module, (name, content) in self.files.items():
            tree = parse(name, content, self.python)
            if isinstance(tree, Finding):
                self.broken[module] = tree
            else:
                found[module] = tree
        return found

    @cached_property
    def run(self) -> str:
        """The module whose file is run: `pkg.__main__` for a package."""
        main = f"{self.entry}.__main__"
        return main if self.is_package(self.entry) and main in self.files else self.entry

    def is_package(self, module: str) -> bool:
        """Whether it is a package with an `__init__.py`."""
        return module in self.files and self.files[module][0].endswith("__init__.py")

    def imports(self, module: str) -> list[Import]:
        """All imports of one of its files."""
        package = module if self.is_package(module) else module.rpartition(".")[0]
        return imports(self.trees[module], package=package, entry=module == self.run)

    @cached_property
    def reached(self) -> tuple[str, ...]:
        """Own modules that certainly are imported when the entry module is run."""
        done: list[str] = []
        waiting = [*_parents(self.run), self.run]
        while waiting:
            module = waiting.pop(0)
            if module in done or module not in self.files:
                continue
            done.append(module)
            if module not in self.trees:
                continue
            for found in self.imports(module):
                if found.when is When.ALWAYS:
                    names = [found.module, *(f"{found.module}.{name}" for name in found.names)]
                    waiting += [each for name in names for each in (*_parents(name), name)]
        return tuple(done)


def check_readable(sources: Sources) -> list[Finding]:
    """What Python cannot read; files that are not certainly run only warn."""
    reached = sources.reached  # which reads them, and fills `broken`
    return [_as(problem, lowered=module not in reached) for module, problem in sources.broken.items()]


def brought_along(module: str, sources: Sources, target: Target, requirements: Sequence[str]) -> bool:
    """Whether a module that no archive holds may come with the runtime or with what the archives require."""
    top = module.partition(".")[0]
    if top in sources.top_level:
        return False
    extra = any(normal(name) not in target.pinned for name in requirements)
    return extra or top in target.modules


def check_sources(sources: Sources, target: Target, requirements: Sequence[str]) -> list[Finding]:
    """Look at every own file: those that are certainly run stop the job, the others warn.

    Args:
        requirements: Distributions that the packages ask for, by name.
    """
    trees = sources.trees
    found = check_readable(sources)
    movable = any(touches_path(tree) for tree in trees.values()) or any(
        _INSTALLS.search(content) for _, content in sources.files.values()
    )
    extra = [name for name in requirements if normal(name) not in target.pinned]
    promised = {module for name in requirements for module in modules_of(name)}
    for module in trees:
        reached = module in sources.reached
        for each in _of_file(
            module, sources, target, promised=promised, guessing=bool(extra), movable=movable
        ):
            found.append(each if reached else _as(each, lowered=True))
        if reached:
            found += _old_names(sources.files[module][0], trees[module])
    return found


def _of_file(
    module: str, sources: Sources, target: Target, *, promised: set[str], guessing: bool, movable: bool
) -> Iterator[Finding]:
    name = sources.files[module][0]
    for found in sources.imports(module):
        if found.when is When.PERHAPS or not found.module:
            continue
        where, later = f"{name}:{found.line}", found.when is When.LATER
        top = found.module.partition(".")[0]
        if top in sources.top_level:
            for each in _own(found, where, sources):
                yield _as(each, lowered=later or movable)
        elif top in target.modules:
            if missing := _missing_cloud(found, target, promised):
                yield _as(
                    _absent(missing, module, where, sources, target), lowered=later or movable or guessing
                )
            if gone := _gone(found, target):
                yield _as(_gone_finding(gone, where, target), lowered=later)
        elif top in promised:
            continue
        else:
            yield _as(
                _absent(top, module, where, sources, target),
                lowered=later or movable or (guessing and top not in _PYTHON2_MODULES),
            )


def _own(found: Import, where: str, sources: Sources) -> Iterator[Finding]:
    """What is wrong with an import of one of the packages' own modules."""
    files, known = sources.files, list(sources.files)
    folders = {parent for name in files for parent in _parents(name)}
    native = any(
        name.endswith((".so", ".pyd", ".pyx", ".c")) for archive in sources.archives for name in archive.sizes
    )
    if found.module not in files and found.module not in folders:
        if not native:
            yield Finding(
                code="missing-own-module",
                message=f"The package holds no module '{found.module}'.",
                where=where,
                hint=nearest(found.module, known),
            )
        return
    tree = sources.trees.get(found.module)
    if found.module not in files:
        names: set[str] | None = set()
    elif tree is None or native:
        return
    else:
        names = defined(tree)
    if names is None:
        return
    below = {
        name.removeprefix(f"{found.module}.")
        for name in {*files, *folders}
        if name.startswith(f"{found.module}.")
    }
    for name in found.names:
        if name != "*" and name not in names and name not in below:
            yield Finding(
                code="missing-name",
                message=f"'{found.module}' defines no '{name}', so importing it fails.",
                where=where,
                hint=nearest(name, sorted(names | below)),
            )


def _missing_cloud(found: Import, target: Target, promised: set[str]) -> str:
    """The client library below `google.cloud` that nothing brings, or ""."""
    if target.runtime is None:
        return ""
    asked = [found.module] if found.module.count(".") >= 2 else [f"{found.module}.{n}" for n in found.names]
    for name in (".".join(each.split(".")[:3]) for each in asked if each.startswith("google.cloud.")):
        distribution = name.replace(".", "-").replace("_", "-")
        there = target.has_file(name)
        if not (distribution in target.pinned if there is None else there) and name not in promised:
            return name
    return ""


def _gone(found: Import, target: Target) -> str:
    """The module of `_GONE` that is asked for and not there, or ""."""
    asked = [found.module, *(f"{found.module}.{name}" for name in found.names)]
    for gone in _GONE:
        if any(name == gone or name.startswith(f"{gone}.") for name in asked) and not target.has_file(gone):
            return gone
    return ""


def _gone_finding(gone: str, where: str, target: Target) -> Finding:
    package = gone.partition(".")[0]
    version = (
        target.runtime.packages.get({"sklearn": "scikit-learn"}.get(package, package), "")
        if target.runtime
        else ""
    )
    return Finding(
        code="gone-module",
        message=f"{target.label} has {package} {version}".rstrip() + f", which no longer has {gone}.",
        where=where,
        hint=f"In its place: {_GONE[gone]}.",
    )


def _absent(top: str, module: str, where: str, sources: Sources, target: Target) -> Finding:
    """What to say of a name that nothing provides."""
    if top in _PYTHON2_MODULES:
        return Finding(
            code="python2-module",
            message=f"`{top}` is a module of Python 2; mlengine runs Python 3.",
            where=where,
            hint=f"It is {_PYTHON2_MODULES[top]} now.",
        )
    package = module if sources.is_package(module) else module.rpartition(".")[0]
    beside = f"{package}.{top}" if package else top
    if package and (beside in sources.files or any(name.startswith(f"{beside}.") for name in sources.files)):
        return Finding(
            code="sibling-import",
            message=f"`{top}` is a file of the package {package}; it cannot be imported by its bare name.",
            where=where,
            hint=f"Write: from {package} import {top}",
        )
    cloud = top.replace(".", "-").replace("_", "-") if top.startswith("google.") else top
    distribution = DISTRIBUTION_OF.get(top, cloud)
    return Finding(
        code="missing-import",
        message=f"{target.label} has no module '{top}', and the packages neither bring nor require it.",
        where=where,
        hint=f"Add '{distribution}' to install_requires in setup.py, or name its package in --packages.",
    )


def _old_names(name: str, tree: ast.Module) -> Iterator[Finding]:
    for line in python2_prints(tree):
        yield Finding(
            code="python2",
            message="`print >>` is the print statement of Python 2; mlengine runs Python 3.",
            where=f"{name}:{line}",
            hint="Write: print(..., file=sys.stderr)",
        )
    for old, line in python2_names(tree):
        yield Finding(
            code="python2-name",
            message=f"`{old}` is a name of Python 2; using it fails.",
            where=f"{name}:{line}",
            hint=f"Write {PYTHON2_NAMES[old]}.",
        )


def _as(finding: Finding, *, lowered: bool) -> Finding:
    from dataclasses import replace

    return replace(finding, lowered=True) if lowered else finding


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
