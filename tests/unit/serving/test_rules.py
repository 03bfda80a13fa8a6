"""Field policies and schema.json: each has its effect, and what could have none is refused when loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.governing import governed, refuse_container_rules
from mlengine.serving.runtimes.model import LoadFailed, Model, RawInstances, Refused
from mlengine.serving.runtimes.options import Options
from mlengine.serving.runtimes.rules import Rules
from mlengine.serving.runtimes.schema import Input, Table
from mlengine.serving.worker.batch import Answerer

from .small_models import AGE, OLD, PORT, table_model, tensor_model, text_model

JACK = {"Age": 22, "Embarked": "S", "Old": False}
SCHEMA = {
    "inputs": [
        {"name": "Age", "type": "integer", "min": 0, "max": 120, "description": "Years."},
        {"name": "Embarked", "categories": ["C", "S"], "default": "S"},
    ]
}
JSON_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "Age": {"type": ["integer", "null"], "minimum": 0, "maximum": 120, "description": "Years."},
        "Embarked": {"type": "string", "enum": ["C", "S"], "default": "S"},
    },
}


def load(model: Model, folder: Path, schema: Any = None, **options: Any) -> Model:
    if schema is not None:
        (folder / "schema.json").write_text(json.dumps(schema))
    return governed(model, Options(**options), folder)


def said(model: Model, *instances: Any) -> Any:
    """The predictions, or the message of the refusal."""
    ((status, body, *_),) = Answerer(model).answer([(PREDICT, json.dumps({"instances": instances}).encode())])
    answer = json.loads(body)
    return answer["predictions"] if status == 200 else answer["error"]["message"]


def test_unknown_fields_are_refused_passed_over_or_passed_over_and_counted_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict, loose, warning = (
        load(table_model(), tmp_path, unknown_fields=policy) for policy in ("REJECT", "IGNORE", "WARN")
    )

    assert said(strict, JACK | {"Cabin": "C85"}).startswith("Instance 1: unknown field 'Cabin'")
    assert said(loose, JACK | {"Cabin": "C85"}) == [46.0]
    assert capsys.readouterr().err == ""
    for _ in range(6):
        assert said(warning, JACK | {"Cabin": "C85"}, JACK | {"Cabin": "C86"}) == [46.0, 46.0]
    assert capsys.readouterr().err == (
        "WARNING: unknown field 'Cabin' in a request was passed over.\n"
        "WARNING: unknown field 'Cabin' in a request was passed over (10 times so far).\n"
    )
    assert warning.rules.warned == {"Cabin": 12}


@pytest.mark.parametrize("schema", [SCHEMA, JSON_SCHEMA])
def test_missing_fields_get_their_default_null_or_a_refusal(tmp_path: Path, schema: Any) -> None:
    filling, nulling, strict = (
        load(table_model(), tmp_path, schema, missing_fields=policy)
        for policy in ("DEFAULT", "NULL", "REJECT")
    )
    ageless, portless = {"Embarked": "C", "Old": False}, {"Age": 22, "Old": False}

    assert said(filling, portless) == [46.0]
    assert said(filling, ageless).startswith("Instance 1: field 'Age' is missing. Send a whole number")
    assert said(nulling, ageless) == [None]
    assert said(nulling, portless).startswith("Instance 1, field Embarked: null is not allowed")
    assert said(strict, portless).startswith("Instance 1: field 'Embarked' is missing. Send one of C, S")


@pytest.mark.parametrize("schema", [SCHEMA, JSON_SCHEMA])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Age": -1}, "Instance 2, field Age: -1 is below 0, the smallest value allowed."),
        ({"Age": 121}, "Instance 2, field Age: 121 is above 120, the largest value allowed."),
        ({"Age": 1.5}, "Instance 2, field Age: 1.5 is not a whole number."),
        ({"Embarked": "Q"}, "Instance 2, field Embarked: 'Q' is not one of C, S."),
        ({"Embarked": "s"}, "Instance 2, field Embarked: 's' is not one of C, S. Did you mean 'S'?"),
    ],
)
def test_what_schema_json_declares_is_enforced(
    tmp_path: Path, schema: Any, change: dict[str, Any], sentence: str
) -> None:
    model = load(table_model(), tmp_path, schema)

    assert said(model, JACK, JACK | change).startswith(sentence)


def test_the_description_tells_what_is_declared_and_samples_obey_it(tmp_path: Path) -> None:
    schema = {"inputs": [{"name": "Age", "min": 18, "description": "Years."}]}

    model = load(table_model(), tmp_path, schema)

    age = model.describe()["inputs"][0]
    assert (age["min"], age["description"], age["type"]) == (18, "Years.", "number")
    assert model.describe()["sample"]["Age"] == model.samples[0]["Age"] == 18


def test_declared_ranges_and_defaults_hold_for_tensors_too(tmp_path: Path) -> None:
    schema = {
        "inputs": [{"name": "x", "min": 0, "max": 9}, {"name": "z", "default": 1, "categories": [1, 2]}]
    }

    model = load(tensor_model(names=2), tmp_path, schema, unknown_fields="IGNORE")

    assert said(model, {"x": [1, 2, 3], "odd": 1}) == [{"y": [3, 5, 7]}]
    assert (
        said(model, {"x": [1, 2, 10]})
        == "Instance 1, input x: 10.0 at [2] is above 9, the largest value allowed."
    )
    assert said(model, {"x": [1, 2, 3], "z": 3}) == "Instance 1, input z: 3.0 is not one of 1, 2."


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ([], "schema.json must hold an object"),
        ({"inputs": [{"name": "Agee"}]}, "the model has no input 'Agee'. Did you mean 'Age'?"),
        (
            {"inputs": [{"name": "Age", "type": "string"}]},
            "is said to be a string, but the model takes a number",
        ),
        ({"inputs": [{"name": "Age", "type": "nubmer"}]}, "unknown type 'nubmer'. Did you mean 'number'?"),
        ({"inputs": [{"name": "Age", "least": 1}]}, "unknown key 'least'"),
        ({"inputs": [{"name": "Age", "min": 3, "max": 2}]}, "the smallest value 3 is above the largest, 2"),
        ({"inputs": [{"name": "Embarked", "nullable": True}]}, "the model cannot work without it"),
        ({"inputs": [{"name": "Embarked", "min": 1}]}, "only numbers have a smallest or largest value"),
        ({"inputs": [{"name": "Embarked", "required": False}]}, "Give a default."),
        ({"inputs": [{"name": "Embarked", "default": "X"}]}, "the model does not take 'X'"),
        ({"inputs": [{"name": "Embarked", "categories": ["S", "X"]}]}, "the model does not take 'X'"),
        ({"inputs": [{"name": "Age"}, {"name": "Age"}]}, "'Age' is there twice"),
        ({"properties": {"Age": {"type": "number", "pattern": "x"}}}, "unknown key 'pattern'"),
        ({"properties": {"Age": {}}, "required": ["Old"]}, "required names 'Old'"),
    ],
)
def test_a_schema_that_contradicts_itself_or_the_model_is_refused(
    tmp_path: Path, schema: Any, sentence: str
) -> None:
    with pytest.raises(LoadFailed) as failed:
        load(table_model(), tmp_path, schema)

    assert sentence in str(failed.value)


@pytest.mark.parametrize(
    ("model", "options", "name"),
    [
        (tensor_model(), {"missing_fields": "NULL"}, "missingFields NULL"),
        (
            Model("x", {}, None, (), False, lambda: {"instance": "any", "inputs": []}, [], False),
            {"unknown_fields": "WARN"},
            "unknownFields WARN",
        ),
    ],
)
def test_a_policy_that_could_have_no_effect_is_refused_by_name(
    tmp_path: Path, model: Model, options: dict[str, Any], name: str
) -> None:
    with pytest.raises(LoadFailed, match=name):
        load(model, tmp_path, **options)


def test_a_container_takes_no_policies_and_no_schema(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="nonFinite TEXT can have no effect"):
        refuse_container_rules(Options(non_finite="TEXT"), tmp_path)
    refuse_container_rules(Options(), tmp_path)
    (tmp_path / "schema.json").write_text("{}")
    with pytest.raises(LoadFailed, match=r"schema\.json can have no effect"):
        refuse_container_rules(Options(), tmp_path)


def test_schema_json_gives_fields_to_a_model_that_tells_none(tmp_path: Path) -> None:
    seen: list[Any] = []
    plain = text_model()
    signature: Any = plain.signatures["serving_default"]
    signature.decode = lambda instances: (
        seen.extend(instances.values) or (_ for _ in ()).throw(Refused("seen"))
    )
    model = Model(
        "custom", {"predict": signature}, "predict", (), True,
        lambda: {"instance": "any", "inputs": [], "named": False}, [], False, takes_extras=True,
    )  # fmt: skip

    served = load(model, tmp_path, SCHEMA, unknown_fields="IGNORE")

    assert said(served, {"Age": 3, "odd": 1}) == "seen"
    assert seen == [{"Age": 3, "Embarked": "S"}]
    assert said(served, {"Age": 300}).startswith("Instance 1, field Age: 300 is above 120")
    assert [one["name"] for one in served.describe()["inputs"]] == ["Age", "Embarked"]


def test_serving_json_teaches_the_fields_of_a_model_that_tells_none(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text('{"sample": {"a": 1, "b": "x", "c": true}}')
    model = Model("custom", {}, None, (), True, lambda: {"instance": "any", "inputs": []}, [], False)

    inputs = load(model, tmp_path).describe()["inputs"]

    assert [(one["name"], one["type"]) for one in inputs] == [
        ("a", "number"),
        ("b", "string"),
        ("c", "boolean"),
    ]


FIELD = st.sampled_from(["Age", "Embarked", "Old", "Cabin"])
VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(-1, 1)
    | st.sampled_from(["C", "X"])
    | st.just([])
)


@given(
    instances=st.lists(st.dictionaries(FIELD, VALUE), min_size=1, max_size=6),
    unknown=st.sampled_from(["REJECT", "IGNORE"]),
    missing=st.sampled_from(["DEFAULT", "NULL", "REJECT"]),
)
def test_the_quick_way_through_the_checks_gives_the_verdict_of_the_long_one(
    instances: list[dict[str, Any]], unknown: str, missing: str
) -> None:
    rules = Rules(unknown_fields=unknown, missing_fields=missing)
    columns = [AGE, PORT, OLD, Input("Cabin", required=False)]

    def verdict(*, quick: bool) -> Any:
        table = Table(columns, named=True)
        if not quick:
            table._obey(rules)
            table._plan.row = lambda _: None  # type: ignore[method-assign]
        try:
            return [list(map(repr, row)) for row in table.rows(RawInstances(instances, rules=rules))]
        except Refused as refused:
            return refused.violations

    assert verdict(quick=True) == verdict(quick=False)
