"""What a file imports, when, and what it defines."""

from __future__ import annotations

import ast

import pytest

from mlengine.preflight.archive import Archive
from mlengine.preflight.distributions import Target, standard_library
from mlengine.preflight.imports import Sources, check_sources
from mlengine.preflight.sources import When, defined, imports


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("import x", When.ALWAYS),
        ("class A:\n    import x", When.ALWAYS),
        ("with open('f'):\n    import x", When.ALWAYS),
        ("try:\n    import x\nfinally:\n    pass", When.ALWAYS),
        ("try:\n    import x\nexcept KeyError:\n    pass", When.ALWAYS),
        ("if __name__ == '__main__':\n    import x", When.ALWAYS),
        ("def f():\n    import x", When.LATER),
        ("try:\n    import x\nexcept ImportError:\n    pass", When.PERHAPS),
        ("try:\n    import x\nexcept (KeyError, ModuleNotFoundError):\n    pass", When.PERHAPS),
        ("try:\n    import x\nexcept:\n    pass", When.PERHAPS),
        ("try:\n    y\nexcept NameError:\n    import x", When.PERHAPS),
        ("try:\n    def f():\n        import x\nexcept ImportError:\n    pass", When.PERHAPS),
        ("import typing\nif typing.TYPE_CHECKING:\n    import x", When.PERHAPS),
        ("if __name__ == '__main__':\n    pass\nelse:\n    import x", When.PERHAPS),
        ("for y in z:\n    import x", When.PERHAPS),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    import x", When.PERHAPS),
        ("match y:\n    case 1:\n        import x", When.PERHAPS),
    ],
)
def test_an_import_is_told_by_how_sure_it_is(text: str, when: When):
    found = {each.module: each.when for each in imports(ast.parse(text), package="t", entry=True)}

    assert found["x"] is when


def test_the_main_guard_of_another_file_does_not_hold():
    tree = ast.parse("if __name__ == '__main__':\n    import x")

    assert imports(tree, package="t")[0].when is When.PERHAPS


def test_dots_are_resolved():
    tree = ast.parse("from . import a\nfrom .b import c\nfrom ..d import e\nfrom .... import f")

    assert [each.module for each in imports(tree, package="t.inner")] == ["t.inner", "t.inner.b", "t.d", ""]


def test_names_are_told_or_given_up():
    tree = ast.parse(
        "import os.path\nfrom x import y as z\nA = B, *C = 1, 2\ndef d(): pass\nclass E: pass\n"
        "try:\n    pass\nexcept KeyError as f:\n    pass\nfor g in ():\n    pass\n(h := 1)\n"
    )

    assert {"os", "z", "A", "B", "C", "d", "E", "f", "g", "h"} <= (defined(tree) or set())
    for unknown in ("from x import *", "globals()['a'] = 1", "def __getattr__(n): pass", "exec('a = 1')"):
        assert defined(ast.parse(unknown)) is None


def test_only_files_that_are_reached_can_stop_a_job():
    texts = {
        "t/__init__.py": "",
        "t/task.py": "from t import model\n",
        "t/model.py": "import gone_one\n",
        "t/plot.py": "import gone_two\n",
    }
    contents = {name: text.encode() for name, text in texts.items()}
    archive = Archive("t.tar.gz", {name: len(text) for name, text in contents.items()}, contents)

    found = check_sources(Sources([archive], "t.task"), Target("This Python", "3.11"), ())

    assert [(each.where, each.lowered) for each in found] == [("t/model.py:1", False), ("t/plot.py:1", True)]


def test_the_library_is_that_of_the_runtimes_python():
    assert "distutils" in standard_library("3.11")
    assert "distutils" not in standard_library("3.12")
    assert "cgi" in standard_library("3.12")
    assert "cgi" not in standard_library("3.13")
