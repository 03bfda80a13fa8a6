"""What of a file Python 3 cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.preflight.findings import Finding
from mlengine.preflight.syntax import parse


def test_the_line_shown_is_of_the_file_that_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Python itself would show the second line of a file of that name below this folder.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.py").write_text("another\nfile\n")

    found = parse("task.py", b"import os\nprint 'x'\n")

    assert isinstance(found, Finding)
    assert "`print 'x'`" in found.message
    assert found.hint == "Write: print('x')"


def test_words_of_newer_pythons_are_not_known_to_older_ones():
    assert isinstance(parse("t.py", b"type X = int\n", "3.11"), Finding)


@pytest.mark.parametrize("content", [b"\0", b"x = (" * 5000, "x = '\u00e9'".encode("latin-1"), b"x = 1L\n"])
def test_whatever_it_is_it_is_a_finding_and_no_crash(content: bytes):
    assert isinstance(parse("t.py", content), Finding)


def test_warnings_are_none_of_our_business():
    assert not isinstance(parse("t.py", b"x = '\\d'\nassert (x, 1)\n"), Finding)
