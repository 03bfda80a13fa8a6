from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.web.fields import Fields, etag, generation_of, stamp


@given(st.integers(0, 2**64 - 1))
def test_a_generation_comes_back_from_its_etag(generation: int) -> None:
    assert generation_of(etag(generation)) == generation
    assert len(base64.b64decode(etag(generation), validate=True)) == 8


@given(st.text(max_size=30))
def test_any_text_is_an_etag_of_ours_or_refused(text: str) -> None:
    try:
        generation = generation_of(text)
    except ValueError:
        return

    assert etag(generation) == text


@pytest.mark.parametrize("body", [{"jobId": "a"}, {"job_id": "a"}])
def test_both_spellings_of_a_field_are_read(body: dict[str, str]) -> None:
    fields = Fields(body, path="job")

    assert fields.text("jobId") == "a"
    fields.done()


def test_a_field_in_both_spellings_at_once_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'jobId' and 'job_id' are the same field"):
        Fields({"jobId": "a", "job_id": "b"}, path="job")


def test_null_is_absence() -> None:
    fields = Fields(dict.fromkeys(["text", "flag", "number", "texts", "labels", "inner"]), path="")

    assert (fields.text("text", "x"), fields.flag("flag"), fields.number("number", 3)) == ("x", False, 3)
    assert (fields.texts("texts"), fields.labels("labels"), fields.inner("inner")) == ((), {}, None)
    fields.done()


def test_an_unknown_field_is_refused_with_its_path_and_the_nearest_name() -> None:
    fields = Fields({"packageUri": []}, path="job.training_input")
    fields.texts("packageUris")

    with pytest.raises(InvalidArgument) as refused:
        fields.done()

    assert refused.value.message == "Unknown field 'packageUri'."
    assert refused.value.hint == "Did you mean 'packageUris'?"
    assert refused.value.field == "job.training_input.package_uri"


@pytest.mark.parametrize("value", [None, False, 0, "0", "", [], {}])
def test_a_field_of_later_is_fine_with_a_default_value(value: object) -> None:
    fields = Fields({"workerCount": value}, path="")

    fields.absent("workerCount")
    fields.done()


@pytest.mark.parametrize("value", [True, 1, "1", "x", ["x"], {"x": 1}])
def test_a_field_of_later_is_refused_when_it_is_set(value: object) -> None:
    with pytest.raises(InvalidArgument, match="workerCount is not available"):
        Fields({"workerCount": value}, path="").absent("workerCount")


@pytest.mark.parametrize(
    ("value", "number"), [(5, 5), ("5", 5), ("-12", -12), (0, 0), ("9007199254740993", 2**53 + 1)]
)
def test_an_int64_is_read_from_a_number_and_from_a_string(value: object, number: int) -> None:
    assert Fields({"count": value}, path="").number("count") == number


@pytest.mark.parametrize("value", [True, 1.5, "", "1.0", "five", [1], "1" * 30])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match="count must be a whole number"):
        Fields({"count": value}, path="").number("count")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", 5),
        ("flag", "true"),
        ("flag", 1),
        ("texts", "a"),
        ("texts", [1]),
        ("labels", ["a"]),
        ("labels", {"a": 1}),
        ("inner", "a"),
        ("inner", [{}]),
        ("choice", 3),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_path(kind: str, value: object) -> None:
    fields = Fields({"someField": value}, path="job")
    more = (["A"],) if kind == "choice" else ()

    with pytest.raises(InvalidArgument) as refused:
        getattr(fields, kind)("someField", *more)

    assert refused.value.field == "job.some_field"


def test_a_word_that_is_no_choice_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match=r"'basic' is not one of BASIC, CUSTOM. Did you mean 'BASIC'\?"):
        Fields({"scaleTier": "basic"}, path="").choice("scaleTier", ["BASIC", "CUSTOM"])


def test_an_inner_object_tells_the_whole_path() -> None:
    inner = Fields({"trainingInput": {"oops": 1}}, path="job").inner("trainingInput")
    assert inner

    with pytest.raises(InvalidArgument) as refused:
        inner.done()

    assert refused.value.field == "job.training_input.oops"


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"team": "vision", "a-b_c": "1", "größe": "groß", "color": ""},
        {f"key{number}": "x" for number in range(64)},
        {"a" * 63: "b" * 63},
    ],
)
def test_labels_are_small_letters_and_digits(labels: dict[str, str]) -> None:
    assert Fields({"labels": labels}, path="job").labels("labels") == labels


@pytest.mark.parametrize(
    "labels",
    [
        {"": "x"},
        {"Team": "x"},
        {"1st": "x"},
        {"-a": "x"},
        {"team": "Vision"},
        {"team": "a b"},
        {"a" * 64: "x"},
        {"a": "b" * 64},
        {"a/b": "x"},
        {f"key{number}": "x" for number in range(65)},
        {"a": 1},
        ["a"],
    ],
)
def test_other_labels_are_refused(labels: object) -> None:
    with pytest.raises(InvalidArgument, match="labels") as refused:
        Fields({"labels": labels}, path="job").labels("labels")

    assert refused.value.field == "job.labels"
    assert len(str(refused.value)) < 500


def test_what_is_accepted_without_effect_is_listed_with_its_whole_path() -> None:
    warnings: list[str] = []
    fields = Fields({"inner": {"network": "n"}, "empty": False}, path="job", warnings=warnings)
    inner = fields.inner("inner")
    assert inner
    inner.unused("network", "has no effect")
    fields.unused("empty", "has no effect")
    fields.done()

    assert warnings == ["job.inner.network has no effect"]


def test_a_stamp_differs_for_another_generation_and_for_another_resource_of_the_name() -> None:
    born = datetime(2026, 11, 2, tzinfo=UTC)
    stamps = {stamp(1, born), stamp(2, born), stamp(1, born + timedelta(milliseconds=1))}

    assert len(stamps) == 3
    assert all(generation_of(etag(found)) == found for found in stamps)
