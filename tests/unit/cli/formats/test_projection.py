"""--format taken apart, and what is said when it cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.cli.command import UsageError
from mlengine.cli.formats.keys import read_key
from mlengine.cli.formats.projection import read_format
from mlengine.cli.formats.scanner import Scanner
from tests.unit.cli.formats.resources import JOB, show

OWN = read_format("table[title=T](name.basename():label=ID, state:label=STATUS, at.date(tz=UTC))")


def value(key: str, resource: object = JOB) -> object:
    return read_key(Scanner(key, "--format")).value(resource)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("jobId", "train_1"),
        ("job_id", "train_1"),
        ("trainingInput.args[0]", "--epochs"),
        ("trainingInput.args[-1]", "3"),
        ("trainingInput.args[7]", None),
        ("trainingInput.args[]", ["--epochs", "3"]),
        ("trainingOutput.trials[].trialId", ["10", "9"]),
        ("trainingOutput.trials.trialId", ["10", "9"]),
        ("trainingOutput.trials[].hyperparameters.lr", ["0.1"]),
        ("labels.'x.y'", "dots"),
        ('labels."dense/Softmax:0"', "odd"),
        ("labels['x.y']", "dots"),
        ("jobId.state", None),
        ("nothing.at.all", None),
        ("@", JOB),
    ],
)
def test_a_key_leads_to(key: str, found: object):
    assert value(key) == found


@given(st.text(min_size=1, max_size=10))
def test_any_name_can_be_quoted(name: str):
    from mlengine.cli.formats.keys import quoted

    assert value(quoted(name), {name: 1}) == 1


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", 1, "expected the name of a format at character 1, found the end"),
        ("tabel(name)", 1, "format 'tabel' is unknown"),
        ("config", 1, "format 'config' is not available here"),
        ("table", 1, "Format [table] requires a non-empty projection"),
        ("table(name", 11, "expected ',' or ')' at character 11, found the end"),
        ("table(name,,state)", 12, "expected a key at character 12, found ','"),
        ("table(name) x", 13, "expected the end at character 13, found 'x'"),
        ("table[boxx](name)", 7, "table has no attribute 'boxx' (character 7)"),
        ("json[box]", 6, "json has no attribute 'box'"),
        ("csv[separator](a)", 5, "separator needs a value"),
        ("table[pad=x](a)", 7, "pad is a number up to 100, not 'x'"),
        ("table(name:labl=X)", 12, "a key has no attribute 'labl' (character 12)"),
        ("table(name:label)", 12, "label needs a value"),
        ("table(name:sort=x)", 12, "sort is a number from 1 on"),
        ("table(name:align=up)", 12, "align is one of left, center, right"),
        ("table(name.basenam())", 12, "there is no transform 'basenam()' (character 12)"),
        ("table(basename())", 7, "'basename()' at character 7 has nothing to work on"),
        ("table(a.len().b)", 15, "after a transform no key may follow"),
        ("table(a.date(zone=x))", 14, "date() takes format, tz, undefined"),
        ("table(a.date(tz=Mars))", 14, "there is no time zone 'Mars'"),
        ("table(a.segment(x))", 17, "'x' is no whole number"),
        ("table(a.sub('('))", 13, "is no regular expression"),
        ("table(a.len(1))", 13, "len() takes nothing"),
        ("table(a.list(separator=',',separator=';'))", 28, "separator is given twice"),
        ("table('a)", 7, "the quote ' at character 7 is never closed"),
        ("table(a[x])", 9, "expected a number or ']' at character 9, found 'x'"),
        ("table(한국어,,b)", 11, "expected a key at character 11"),
    ],
)
def test_a_wrong_format_is_told_with_its_place(text: str, place: int, said: str):
    with pytest.raises(UsageError) as caught:
        read_format(text)

    assert said in caught.value.message
    assert caught.value.message.startswith("argument --format: ")
    shown, mark, *_ = caught.value.hint.splitlines()
    assert shown == f"  {text}".rstrip("\n")
    if text.isascii():
        assert mark == " " * (place + 1) + "^"
    else:
        assert mark.index("^") == place + 1 + 3, "each of the three letters is two columns wide"


def test_the_nearest_spelling_is_offered():
    for text, meant in (
        ("tabel(a)", "table"),
        ("table(a.basenam())", "basename"),
        ("table(a:labl=b)", "label"),
    ):
        with pytest.raises(UsageError) as caught:
            read_format(text)
        assert f"Did you mean '{meant}'?" in caught.value.hint


def test_an_error_in_a_format_within_names_the_key():
    with pytest.raises(UsageError, match="--format, in the format of a: expected ',' or"):
        read_format("table(a:format='table(b')")


@given(st.text(alphabet="table(),[]=:'\"ab.\\ csv한", max_size=30))
def test_any_text_is_a_format_or_a_told_mistake(text: str):
    try:
        read_format(text)
    except UsageError as error:
        assert error.message.startswith("argument --format")


def test_labels_and_transforms_of_the_commands_own_format_are_taken_over():
    form = read_format("csv(state,name,other)", OWN)

    assert [item.heading for item in form.items] == ["STATUS", "ID", "OTHER"]
    assert [item.key.value({"name": "a/b"}) for item in form.items] == [None, "b", None]


def test_a_transform_of_ones_own_wins_and_get_takes_none():
    assert read_format("value(name.len())", OWN).items[0].key.value({"name": "a/b"}) == 3
    assert read_format("get(name)", OWN).items[0].key.value({"name": "a/b"}) == "a/b"
    assert read_format("json(name)", OWN).items[0].key.value({"name": "a/b"}) == "a/b"


def test_without_keys_the_commands_own_are_taken():
    assert len(read_format("csv", OWN).items) == 3
    assert len(read_format("table[box]", OWN).items) == 3
    assert read_format("table[box]", OWN).text("title", "") == "T"
    assert read_format("json", OWN).items == ()
    assert read_format("default", OWN) == OWN


def test_attributes_may_stand_on_either_side():
    assert show("table[no-heading](jobId)", JOB) == show("table(jobId)[no-heading]", JOB) == "train_1\n"
