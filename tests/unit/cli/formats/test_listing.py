"""--flatten, --sort-by, --filter and --limit, in this order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.cli.command import UsageError
from mlengine.cli.formats.listing import Wanted
from mlengine.cli.formats.projection import Format, read_format
from tests.unit.cli.formats.resources import RESOURCES

JOBS = [
    {"jobId": "b", "n": "10", "tags": ["x", "y"]},
    {"jobId": "a", "n": "9", "tags": []},
    {"jobId": "c", "labels": {"k": "v"}},
]


JSON = Format("json")


def ids(wanted: Wanted, form: Format = JSON, warnings: list[str] | None = None) -> list[str]:
    found = wanted.of(JOBS, form, ([] if warnings is None else warnings).append)
    return [job["jobId"] for job in found]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["jobId"], "abc"),
        (["~jobId"], "cba"),
        (["n"], "cab"),
        (["~n"], "bac"),
        (["tags.len()", "~jobId"], "cab"),
    ],
)
def test_sort_by_puts_nothing_first_and_numbers_by_size(keys: list[str], found: str):
    assert "".join(ids(Wanted(sort_by=keys))) == found


def test_a_format_may_ask_for_an_order_and_sort_by_wins():
    form = read_format("table(jobId:sort=1:reverse)")

    assert ids(Wanted(), form) == ["c", "b", "a"]
    assert ids(Wanted(sort_by=["jobId"]), form) == ["a", "b", "c"]


def test_the_first_of_several_orders_counts_most():
    form = read_format("table(jobId:sort=2,tags.len():sort=1)")

    assert ids(Wanted(), form) == ["a", "c", "b"]


def test_the_limit_counts_what_the_filter_left():
    assert ids(Wanted(filter="jobId!=b", limit=1)) == ["a"]


def test_flatten_makes_a_record_of_every_element():
    found = list(Wanted(flatten=["tags[]"]).of(JOBS, Format("json"), [].append))

    assert [job.get("tags") for job in found] == ["x", "y", [], None]
    assert JOBS[0]["tags"] == ["x", "y"], "the resources themselves stay as they are"


def test_what_is_flattened_can_be_filtered_and_limited():
    wanted = Wanted(flatten=["tags"], filter="tags=y", limit=1)

    assert [job["tags"] for job in wanted.of(JOBS, Format("json"), [].append)] == ["y"]


def test_keys_that_no_resource_has_are_told_with_the_nearest():
    warnings: list[str] = []

    assert ids(Wanted(filter="jobid=a OR labels.k=v OR zzz=1", sort_by=["wxyz"]), warnings=warnings) == ["c"]
    assert warnings == [
        "The following sort keys were not present in any resource : wxyz",
        "The following filter keys were not present in any resource : jobid, zzz. Did you mean 'jobId'?",
    ]


def test_without_resources_nothing_is_called_unknown():
    warnings: list[str] = []

    assert list(Wanted(filter="a=1").of([], Format("json"), warnings.append)) == []
    assert warnings == []


def test_no_more_is_taken_than_the_limit_needs():
    taken = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal taken
        while True:
            taken += 1
            yield {"n": taken}

    found = list(Wanted(filter="n>2", limit=3).of(endless(), Format("json"), [].append))

    assert ([job["n"] for job in found], taken) == ([3, 4, 5], 5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"sort_by": ["a b"]}, "argument --sort-by: expected the end of the key at character 3"),
        ({"sort_by": ["~"]}, "argument --sort-by: expected a key"),
        ({"flatten": ["a[0]"]}, "argument --flatten: it takes the keys of lists"),
        ({"flatten": ["a.len()"]}, "argument --flatten: it takes the keys of lists"),
        ({"filter": "a="}, "argument --filter: expected a value"),
    ],
)
def test_wrong_flags_are_told_before_anything_is_taken(flags: dict, said: str):
    with pytest.raises(UsageError) as caught:
        Wanted(**flags)

    assert said in caught.value.message


@given(st.lists(RESOURCES, max_size=8), st.sampled_from(["name", "~size", "state"]), st.integers(1, 9))
def test_any_resources_are_sorted_and_none_is_lost(resources: list, key: str, limit: int):
    found = list(Wanted(sort_by=[key]).of(resources, Format("json"), [].append))
    first = list(Wanted(sort_by=[key], limit=limit).of(resources, Format("json"), [].append))

    assert sorted(map(id, found)) == sorted(map(id, resources))
    assert first == found[:limit]
