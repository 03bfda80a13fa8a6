"""What wildcards name, in buckets and on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.client import wildcards
from mlengine.client.storage import Storage
from mlengine.client.wildcards import matches, paths, place, printable
from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl
from tests.unit.client.small_server import SmallServer

NAMES = (
    "a.csv", "b.csv", "a[1].csv", "a1.csv", "a?c", "abc", "d/a.csv", "d/e/a.csv", "d/e/b.txt", "f*", "fx/y",
    "한글/1.csv",
)  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("a.csv", {"a.csv"}),
        ("*.csv", {"a.csv", "b.csv", "a1.csv", "a[1].csv"}),
        ("?.csv", {"a.csv", "b.csv"}),
        ("[ab].csv", {"a.csv", "b.csv"}),
        ("[!a].csv", {"b.csv"}),
        ("[^a-a].csv", {"b.csv"}),
        ("**/a.csv", {"d/a.csv", "d/e/a.csv"}),
        ("d/**", {"d/a.csv", "d/e/a.csv", "d/e/b.txt"}),
        ("d/*", {"d/a.csv", "d/e/"}),
        ("*/e/*.txt", {"d/e/b.txt"}),
        ("*/", {"d/", "fx/", "한글/"}),
        ("한*/?.csv", {"한글/1.csv"}),
        ("f*", {"f*", "fx/"}),
        ("f*/*", {"fx/y"}),
        ("nothing*", set()),
        # Exactly what is typed, where that exists.
        ("a[1].csv", {"a[1].csv"}),
        ("a?c", {"a?c"}),
        ("d", {"d/"}),
        ("", {""}),
    ],
)
def test_wildcards_name_what_gsutil_takes_them_for(
    server: SmallServer, storage: Storage, typed: str, found: set[str]
):
    server.buckets["bkt"] = dict.fromkeys(NAMES, b"")

    assert {url.object for url, _ in matches(storage, ObjectUrl("bkt", typed))} == found


def test_wildcards_name_buckets_too(server: SmallServer, storage: Storage):
    server.buckets |= {"data-1": {"x": b""}, "data-2": {"x": b""}, "other": {"x": b""}}

    url = place("gs://data-*/x")

    assert isinstance(url, ObjectUrl)
    assert [str(found) for found, _ in matches(storage, url)] == ["gs://data-1/x", "gs://data-2/x"]


def test_a_range_that_makes_no_sense_is_refused(server: SmallServer, storage: Storage):
    server.buckets["bkt"] = {}

    with pytest.raises(InvalidArgument, match="makes no sense"):
        matches(storage, ObjectUrl("bkt", "[z-a]"))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("*.csv", {"a.csv"}),
        ("d/*", {"d/a.csv", "d/e"}),
        ("d/**", {"d/a.csv", "d/.hidden", "d/e/b.txt", "d/e/[1]"}),
        ("**.csv", {"a.csv", "d/a.csv"}),
        ("d/e/[1]", {"d/e/[1]"}),
        ("d/[", set()),
        ("no/**", set()),
    ],
)
def test_wildcards_name_files_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, found: set[str]
):
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name in ("a.csv", "d/a.csv", "d/.hidden", "d/e/b.txt", "d/e/[1]"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)

    assert {str(path) for path in paths(Path(typed))} == found
    assert {os.path.relpath(path) for path in paths(tmp_path / typed)} == found


@given(st.text(min_size=1))
def test_the_pattern_of_a_name_without_wildcards_fits_that_name_alone(name: str):
    plain = "".join(letter for letter in name if letter not in "*?[")

    fits = wildcards._pattern(plain)

    assert fits.fullmatch(plain)
    assert not fits.fullmatch(plain + "x")


@given(st.text(alphabet="*?[]!^-ab/&~|\\", max_size=12))
def test_any_heap_of_wildcards_is_a_pattern_or_is_refused(wild: str):
    try:
        wildcards._pattern(wild)
    except InvalidArgument as problem:
        assert "[" in wild
        assert "makes no sense" in problem.message


@given(st.text())
def test_what_is_printed_of_a_name_stays_on_its_line(name: str):
    shown = printable(name)

    assert len(shown.splitlines()) <= 1
    assert all(letter.isprintable() for letter in shown)
