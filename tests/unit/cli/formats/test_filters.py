"""--filter against plain Python, and what is said of a filter that cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.cli.command import UsageError
from mlengine.cli.formats.filters import read_filter
from mlengine.clock import system_clock, to_text
from tests.unit.cli.formats.resources import JOB, RESOURCES


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("", True),
        ("state=SUCCEEDED", True),
        ("state=succeeded", True),
        ("state = SUCCEEDED", True),
        ("state=SUCC", False),
        ("state!=FAILED", True),
        ("state:SUCC", True),
        ("state:succ*", True),
        ("state:*EDED", True),
        ("state:*UCCEE", False),
        ("state:*UCCEE*", True),
        ("trainingInput.pythonModule:task*", True),
        ("trainingInput.pythonModule:ask*", False),
        ("trainingInput.pythonModule:*trainer", True),
        ("trainingInput.pythonModule:*train", False),
        ("labels:team", True),
        ("labels:a", True),
        ("labels:*", True),
        ("labels.team:*", True),
        ("labels.x:*", False),
        ("NOT labels.x:*", True),
        ("-labels.x:*", True),
        ("labels.'dense/Softmax:0'=odd", True),
        ("trainingInput.args:epochs", True),
        ("trainingInput.args=3", True),
        ("trainingOutput.trials.trialId=(8 9)", True),
        ("trainingOutput.trials.trialId>9", True),
        ("trainingOutput.trials.trialId>10", False),
        ("trainingOutput.consumedMLUnits<0.6", True),
        ("trainingOutput.consumedMLUnits=.50", True),
        ("createTime<2020-05-02", True),
        ("createTime>=2020-05-01T10:00:00Z", True),
        ("createTime>2020-05-01T10:00:00Z", False),
        ("createTime=2020-05-01T12:00:00+02:00", True),
        ("createTime<-P1Y", True),
        ("createTime<-P1Y2M", True),
        ("createTime>-P1M2DT3H4M5S", False),
        ("createTime<-P1D", True),
        ("createTime>-P1D", False),
        ("createTime.date('%Y')=2020", True),
        ("jobId.len()=7", True),
        ("jobId~^train_[0-9]$", True),
        ("jobId ~ '^TRAIN'", False),
        ("jobId!~x", True),
        ("nothing=x", False),
        ("nothing!=x", True),
        ("nothing<5", False),
        ("nothing=''", True),
        ("state:(FAILED SUCC)", True),
        ("state:(FAILED,CANCELLED)", False),
        ("state=(FAILED OR SUCCEEDED)", True),
        ("state=SUCCEEDED jobId:train", True),
        ("state=SUCCEEDED AND jobId:bp", False),
        ("state=FAILED OR jobId:train", True),
        ("(state=FAILED OR jobId:train) AND labels.team=a", True),
        ("labels.team=b (state=FAILED OR jobId:train)", False),
        # Terms side by side bind less than OR.
        ("labels.team=b state=FAILED OR jobId:train", False),
        ("NOT (state=FAILED OR jobId:bp)", True),
        ("NOT NOT state=SUCCEEDED", True),
        ("softmax", False),
        ("odd", True),
        ("trainer.task", True),
        ("'trainer task'", False),
        ("ANDROID", False),
    ],
)
def test_a_filter_is_true_of_a_job(text: str, true: bool):
    assert read_filter(text).test(JOB) is true


def test_an_age_counts_from_now():
    young = {"at": to_text(system_clock() - timedelta(hours=1))}

    assert read_filter("at>-PT2H").test(young)
    assert not read_filter("at>-PT30M").test(young)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("state=", "expected a value at character 7, found the end"),
        ("state= AND a=1", "expected a value at character 8, found 'A'"),
        ("=x", "expected a key at character 1, found '='"),
        ("a=1 AND", "expected a key at character 8, found the end"),
        ("AND a=1", "expected a term at character 1, found AND"),
        ("a=1 OR OR b=2", "expected a term at character 8, found OR"),
        ("(a=1", "expected ')' at character 5, found the end"),
        ("a=1)", "expected the end, or a term at character 4, found ')'"),
        ("a=1 AND b=2 OR c=3", "AND and OR together need parentheses (character 13)"),
        ("a:b*c", "a * is possible at the start or the end of a word only"),
        ("a~(", "a list in parentheses follows only : or =, not ~"),
        ("a~'('", "'(' is no regular expression"),
        ("a>(1 2)", "a list in parentheses follows only : or =, not >"),
        ("a:()", "expected a value at character 4"),
        ("a:(b AND c)", "in a list of values only OR is possible"),
        ("a.len()", "expected an operator"),
        ("a.lenn()=1", "there is no transform 'lenn()'"),
        ("a='x", "is never closed"),
        ("(" * 200 + "a=1" + ")" * 200, "nested more than 100 deep"),
        ("NOT " * 200 + "a=1", "nested more than 100 deep"),
    ],
)
def test_a_wrong_filter_is_told_with_its_place(text: str, said: str):
    with pytest.raises(UsageError) as caught:
        read_filter(text)

    assert caught.value.message.startswith("argument --filter: ")
    assert said in caught.value.message
    assert "^" in caught.value.hint


@given(st.text(alphabet="abAND OR NOT():=<>~!'\"-*.,", max_size=30), RESOURCES)
def test_any_text_is_a_filter_or_a_told_mistake(text: str, resource: dict):
    try:
        assert read_filter(text).test(resource) in (True, False)
    except UsageError as error:
        assert error.message.startswith("argument --filter")


# A second opinion: what terms mean, in plain Python, and a text for each that means the same.
FLAT = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(alphabet="ab1 -", max_size=4),
        "size": st.integers(-20, 20) | st.integers(-20, 20).map(str),
        "done": st.booleans(),
        "tags": st.lists(st.text(alphabet="ab", max_size=2), max_size=3),
    },
)
Meaning = Callable[[dict[str, Any]], bool]
NUMERIC = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__, "=": int.__eq__}


def contains(word: str) -> Meaning:
    return lambda resource: word in resource["name"].lower() if "name" in resource else False


def begins_word(word: str) -> Meaning:
    return lambda resource: any(
        part.startswith(word) for part in re.split("[ -]", resource.get("name", "\0"))
    )


def compared(sign: str, number: int) -> Meaning:
    return lambda resource: "size" in resource and bool(NUMERIC[sign](int(resource["size"]), number))


def tagged(tag: str) -> Meaning:
    return lambda resource: tag in resource.get("tags", [])


def exists(key: str) -> Meaning:
    return lambda resource: resource.get(key) not in (None, "", [])


LETTERS = st.text(alphabet="ab", min_size=1, max_size=2)
TERMS = st.one_of(
    LETTERS.map(lambda word: (f"name:{word}", contains(word))),
    LETTERS.map(lambda word: (f"name:{word}*", begins_word(word))),
    st.tuples(st.sampled_from(sorted(NUMERIC)), st.integers(-20, 20)).map(
        lambda pair: (f"size{pair[0]}{pair[1]}", compared(*pair))
    ),
    st.booleans().map(
        lambda true: (f"done={json.dumps(true)}", lambda resource: resource.get("done") is true)
    ),
    LETTERS.map(lambda tag: (f"tags=({tag} zz)", tagged(tag))),
    st.sampled_from(["name", "size", "tags"]).map(lambda key: (f"{key}:*", exists(key))),
)


def joined(word: str, both: Callable[[bool, bool], bool]) -> Callable[[tuple, tuple], tuple[str, Meaning]]:
    def join(left: tuple[str, Meaning], right: tuple[str, Meaning]) -> tuple[str, Meaning]:
        text = f"({left[0]}) {word} ({right[0]})"
        return text, lambda resource: both(left[1](resource), right[1](resource))

    return join


EXPRESSIONS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(joined("AND", lambda a, b: a and b), inner, inner),
        st.builds(joined("", lambda a, b: a and b), inner, inner),
        st.builds(joined("OR", lambda a, b: a or b), inner, inner),
        inner.map(lambda one: (f"NOT ({one[0]})", lambda resource: not one[1](resource))),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.lists(FLAT, max_size=6))
def test_a_filter_chooses_what_plain_python_chooses(expression: tuple[str, Meaning], resources: list):
    text, meaning = expression

    wanted = read_filter(text)

    assert [r for r in resources if wanted.test(r)] == [r for r in resources if meaning(r)]
