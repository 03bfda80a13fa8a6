"""Rows against the inputs of a table-like model."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.runtimes.faults import MOST_VIOLATIONS
from mlengine.serving.runtimes.model import RawInstances, Refused
from mlengine.serving.runtimes.schema import Input, Table, sample_of

AGE = Input("age", type="number", default=30.5)
PORT = Input("port", type="string", categories=("C", "Q"), closed=True, nullable=False)
OLD = Input("old", type="boolean", nullable=False)
NOTE = Input("note", required=False)
TABLE = Table([AGE, PORT, OLD, NOTE], named=True)

GOOD = st.fixed_dictionaries(
    {
        "age": st.none() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
        "port": st.sampled_from(["C", "Q"]),
        "old": st.booleans(),
    },
    optional={"note": st.none() | st.text() | st.lists(st.integers())},
)


def verdict(*instances: Any, table: Table = TABLE) -> Refused:
    with pytest.raises(Refused) as refused:
        table.rows(RawInstances(list(instances)))
    return refused.value


@given(instances=st.lists(GOOD, min_size=1, max_size=5))
def test_good_rows_keep_their_values_and_null_becomes_what_the_model_takes_for_missing(
    instances: list[dict[str, Any]],
) -> None:
    rows = TABLE.rows(RawInstances(list(instances)))

    assert len(rows) == len(instances)
    for row, instance in zip(rows, instances, strict=True):
        for value, name in zip(row[:3], ("age", "port", "old"), strict=True):
            assert value == instance[name] or (instance[name] is None and math.isnan(value))


@given(
    instances=st.lists(st.tuples(GOOD, st.booleans()), min_size=1, max_size=8).filter(
        lambda pairs: any(bad for _, bad in pairs)
    )
)
def test_every_wrong_row_is_found_and_no_other(instances: list[tuple[dict[str, Any], bool]]) -> None:
    sent = [{**row, "port": "X"} if bad else row for row, bad in instances]

    refused = verdict(*sent)

    wrong = [position for position, (_, bad) in enumerate(instances) if bad]
    assert [violation.field for violation in refused.violations] == [f"instances[{n}].port" for n in wrong]
    assert refused.message.startswith(f"Instance {wrong[0] + 1}, field port: 'X' is not one of C, Q.")
    assert refused.message.endswith(" errors.") == (len(wrong) > 1)


def test_a_long_list_of_faults_is_cut_but_counted_whole() -> None:
    refused = verdict(*[{"age": "x", "port": "C", "old": True}] * 1000)

    assert len(refused.violations) == MOST_VIOLATIONS
    assert refused.message.endswith(" 999 more instances have errors.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"old": 1}, "1 is a number, but true or false is needed. Send true or false."),
        ({"old": None}, "null is not allowed, since the model cannot work without it. Send true or false."),
        ({"port": "c"}, "'c' is not one of C, Q. Did you mean 'C'?"),
        ({"port": {}}, "an object was sent, but a text is needed. Send one of C, Q."),
        (
            {"age": "1e999"},
            "'1e999' is text, but a number is needed. Send a number, or null if it is unknown.",
        ),
        ({"age": "x" * 50}, f"'{'x' * 40}…' is text, but a number is needed."),
    ],
)
def test_the_sentence_names_value_and_cure(change: dict[str, Any], sentence: str) -> None:
    assert sentence in verdict({"age": 1, "port": "C", "old": True, **change}).message


def test_a_number_sent_for_a_text_of_digits_is_told_to_wear_quotes() -> None:
    table = Table([Input("class", type="string", categories=("1", "2"), closed=True)], named=True)

    assert verdict({"class": 1}, table=table).message.endswith('Send "1" in quotes.')


def test_many_categories_are_not_listed_to_the_end() -> None:
    table = Table([Input("n", type="number", categories=tuple(range(100)), closed=True)], named=True)

    assert "18, 19 and 80 more." in verdict({"n": 1000}, table=table).message


def test_plain_numbers_are_taken_as_they_are_and_checked_all_the_same() -> None:
    strict = Table([Input(str(n), type="number", nullable=False) for n in range(3)], named=False)
    lenient = Table([Input(str(n), type="number") for n in range(3)], named=False)

    assert lenient.rows(RawInstances([[1, None, 2.5]])) == [[1, None, 2.5]]
    assert "value 2: null is not allowed" in verdict([1, None, 2.5], table=strict).message
    assert "value 3: true is a boolean" in verdict([1, 2, True], table=lenient).message


def test_a_sample_is_made_of_what_training_left_and_passes_the_check() -> None:
    sample = sample_of(TABLE)

    assert sample == {"age": 30.5, "port": "C", "old": False}
    assert TABLE.rows(RawInstances([sample]))[0][:3] == [30.5, "C", False]
