"""Patterns of names, against examples, and against the plainest matcher there is: try everything."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.storage.globs import Glob


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("a", ["a"], ["", "aa", "A", "b"]),
        ("*", ["", "a", "a.txt", "한"], ["a/b", "/"]),
        ("**", ["", "a", "a/b", "a/b/c"], []),
        ("*.csv", [".csv", "a.csv"], ["a/b.csv", "a.csv/", "a.csvx"]),
        ("**.csv", ["a.csv", "a/b.csv"], ["a.txt"]),
        (
            "data/**/*.csv",
            ["data/a/b.csv", "data/a/b/c.csv", "data//c.csv"],
            ["data/a.csv", "x/data/a/b.csv"],
        ),
        ("data/**", ["data/", "data/a", "data/a/b"], ["data", "datax"]),
        ("?", ["a", "한", "\n"], ["", "/", "ab"]),
        ("part-???", ["part-001"], ["part-1", "part-0001", "part-0/1"]),
        ("[a-c]x", ["ax", "bx", "cx"], ["dx", "x", "a-x"]),
        ("[!a-c]", ["d", "-"], ["a", "/"]),
        ("[]x]", ["]", "x"], ["a"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[\\]]", ["]"], ["\\"]),
        ("{a,bc}", ["a", "bc"], ["b", "abc", ""]),
        ("{a,}b", ["ab", "b"], ["a"]),
        ("x{1,2{3,4}}y", ["x1y", "x23y", "x24y"], ["x2y", "x34y"]),
        ("{**/,}*.{csv,tsv}", ["a.csv", "a/b.tsv", "a/b/c.csv"], ["a.txt", "a/b.csvx"]),
        ("\\*", ["*"], ["a"]),
        ("a,b}", ["a,b}"], []),
        ("*a*b*", ["ab", "xaxbx"], ["ba", "a/b"]),
    ],
)
def test_a_pattern_fits_whole_names(pattern: str, fitting: list[str], others: list[str]) -> None:
    glob = Glob(pattern)

    assert [name for name in [*fitting, *others] if glob.matches(name)] == fitting
    assert all(name.startswith(glob.literal) for name in fitting)


@pytest.mark.parametrize(
    "pattern", ["[a", "[", "{a,b", "{a{b}", "\\", "[b-a]", "x" * 1025, "{" * 11 + "}" * 11]
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="matchGlob"):
        Glob(pattern)


def test_a_pattern_made_to_take_for_ever_does_not() -> None:
    glob = Glob("*a" * 30 + "**b" * 30 + "{*x,*y}" * 30)
    began = time.process_time()

    assert not glob.matches("ab" * 512)

    assert time.process_time() - began < 5


def plain(pattern: str, name: str) -> bool:
    """Whether a pattern of `a`, `/`, `*`, `**` and `?` fits: all ways are tried."""
    if not pattern:
        return not name
    if pattern.startswith("**"):
        return any(plain(pattern[2:], name[at:]) for at in range(len(name) + 1))
    if pattern[0] == "*":
        ends = (at for at in range(len(name) + 1) if "/" not in name[:at])
        return any(plain(pattern[1:], name[at:]) for at in ends)
    fits = bool(name) and (name[0] == pattern[0] or (pattern[0] == "?" and name[0] != "/"))
    return fits and plain(pattern[1:], name[1:])


@given(pattern=st.text(alphabet="a/*?", max_size=6), name=st.text(alphabet="ab/", max_size=6))
def test_a_pattern_fits_what_the_plainest_matcher_finds(pattern: str, name: str) -> None:
    assert Glob(pattern).matches(name) == plain(pattern, name)
