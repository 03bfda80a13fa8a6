"""Instances out of files as people write them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.client.instances import _json_lines, read, renumbered, slices
from mlengine.errors import InvalidArgument

ROWS = [{"Pclass": 3, "Sex": "male"}, {"Pclass": 1, "Sex": "여성"}]


def found(tmp_path: Path, text: str | bytes, kind: str = "json-instances"):
    path = tmp_path / "instances"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(str(path), kind)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_one_value_a_line_is_read_with_any_line_end_and_a_bom(tmp_path: Path, end: str):
    text = "\ufeff" + (end or "\n").join(json.dumps(row) for row in ROWS) + end

    instances = found(tmp_path, text)

    assert instances.values == ROWS
    assert instances.notes == ()


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_in_place_of_lines_is_understood_and_said(tmp_path: Path, indent: int | None):
    instances = found(tmp_path, json.dumps(ROWS, indent=indent))

    assert instances.values == ROWS
    assert instances.notes == ("read as a JSON array of 2 instances",)


def test_a_line_that_is_a_list_of_numbers_is_one_instance(tmp_path: Path):
    assert found(tmp_path, "[1, 2]\n").values == [[1, 2]]
    assert found(tmp_path, "[[1, 2], [3, 4]]\n").values == [[[1, 2], [3, 4]]]


def test_objects_spread_over_lines_are_understood(tmp_path: Path):
    text = "\n".join(json.dumps(row, indent=2) for row in ROWS)

    assert found(tmp_path, text).values == ROWS
    assert found(tmp_path, json.dumps(ROWS[0], indent=2)).values == ROWS[:1]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_request_among_the_lines_is_understood(tmp_path: Path, indent: int | None):
    request = {"instances": ROWS, "signature_name": "s"}

    instances = found(tmp_path, json.dumps(request, indent=indent))

    assert instances.values == ROWS
    assert instances.signature == "s"
    assert "whole request" in instances.notes[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n\n{"a": 2}\n', ["line 2", "empty"]),
        ('{"a": 1}\n{"a": 2}\n\n', ["line 3", "empty"]),
        ('{"a": 1}\n{a: 2}\n', ["line 2", "column 2", "{a: 2}"]),
        ("{'a': 1}\n", ["line 1", "double quotes"]),
        ('{"a": 1},\n{"a": 2}\n', ["line 1", "comma"]),
        ("3,male,22\n", ["line 1", "--text-instances"]),
        ('{"a": NaN}\n', ["line 1", "NaN is no JSON number"]),
        ("", ["no instance"]),
        ("[]\n\n[]", ["line 2"]),
    ],
)
def test_what_is_wrong_is_named_by_line_with_the_cure(tmp_path: Path, text: str, words: list[str]):
    with pytest.raises(InvalidArgument) as caught:
        found(tmp_path, text)

    for word in words:
        assert word in str(caught.value)


def test_bytes_that_are_no_utf_8_are_named_by_line(tmp_path: Path):
    with pytest.raises(InvalidArgument, match="line 2: not UTF-8"):
        found(tmp_path, b'{"a": 1}\n\xff\xfe\n')


def test_a_file_that_cannot_be_read_is_named_with_the_folder(tmp_path: Path):
    with pytest.raises(InvalidArgument, match=r"missing\.json cannot be read.*This folder is"):
        read(str(tmp_path / "missing.json"), "json-instances")


def test_text_lines_are_strings(tmp_path: Path):
    assert found(tmp_path, "a,1\nb,2\n", "text-instances").values == ["a,1", "b,2"]


def test_a_request_keeps_instances_and_signature_and_names_the_rest(tmp_path: Path):
    instances = found(
        tmp_path, json.dumps({"instances": [1], "extra": 2, "signature_name": "x"}), "json-request"
    )

    assert (instances.values, instances.signature) == ([1], "x")
    assert "left out: extra" in instances.notes[0]
    for text, words in (("[1]", "an array"), ("{}", "is missing"), ('{"instances": 1}', "is no list")):
        with pytest.raises(InvalidArgument, match=words):
            found(tmp_path, text, "json-request")


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]\n")))

    assert read("-", "json-instances").values == [[1]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.lists(JSON, min_size=2, max_size=20))
def test_any_values_written_a_line_each_come_back(values: list):
    text = "".join(json.dumps(value) + "\n" for value in values)

    assert _json_lines(text, "x").values == values


@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_slices_hold_everything_once_and_in_order(values: list[int], size: int):
    cut = list(slices(values, size))

    assert [value for _, part in cut for value in part] == values
    assert all(values[before : before + len(part)] == part for before, part in cut)
    assert all(len(part) <= size for _, part in cut)


def test_an_instance_of_a_slice_is_named_as_in_the_file():
    moved = renumbered(InvalidArgument("Instance 3, field A: 'X' is wrong.", hint="As instance 1 is."), 200)

    assert moved.message == "Instance 203, field A: 'X' is wrong."
    assert moved.hint == "As instance 201 is."
