"""Names, schemas and types of tables."""

from __future__ import annotations

import pytest

from mlengine.errors import InvalidArgument
from mlengine.tables.cells import selected
from mlengine.tables.domain import check_schema, same_shape, widened
from mlengine.tables.schema import Field
from mlengine.tables.types import column_type, field_of

N, S = Field(name="i", type="INTEGER"), Field(name="s", type="STRING")
R = Field(name="r", type="RECORD", mode="REPEATED", fields=(N, S))


@pytest.mark.parametrize("field", [N, S, R, Field(name='odd"name', type="RECORD", fields=(R, N))])
def test_a_type_goes_to_duckdb_and_back(field: Field) -> None:
    again = field_of(field.name, column_type(field))

    assert (again.type, again.mode, again.fields) == (field.type, field.mode, field.fields)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("DECIMAL(38,9)", "NUMERIC"),
        ("DECIMAL(38,18)", "BIGNUMERIC"),
        ("DECIMAL(10,2)", "NUMERIC"),
        ("HUGEINT", "INTEGER"),
        ("ENUM('a', 'b')", "STRING"),
        ("TIMESTAMP", "DATETIME"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP"),
    ],
)
def test_types_of_results_are_bigquerys(kind: str, found: str) -> None:
    assert field_of("x", kind).type == found


@pytest.mark.parametrize("kind", ["MAP(VARCHAR, INTEGER)", "INTEGER[][]", "UNION(a INTEGER)"])
def test_what_bigquery_has_not_is_refused(kind: str) -> None:
    with pytest.raises(InvalidArgument, match="x"):
        field_of("x", kind)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ((N, Field(name="I", type="STRING")), "already exists"),
        ((Field(name="_PARTITIONTIME", type="TIMESTAMP"),), "Invalid field name"),
        ((Field(name="r", type="RECORD"),), "has no schema"),
        ((Field(name="a b", type="STRING"),), "Invalid field name"),
        ((Field(name="v", type="INTERVAL", mode="REPEATED"),), "cannot be kept"),
    ],
)
def test_bad_schemas_are_refused(schema: tuple[Field, ...], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_schema(schema)


def test_columns_are_added_at_the_end_and_relaxed() -> None:
    required = Field(name="i", type="INTEGER", mode="REQUIRED")

    assert widened((required,), (S, N), add=True, relax=True, name="t") == (N, S)
    with pytest.raises(InvalidArgument, match="Cannot add required"):
        widened((S,), (S, required), add=True, relax=True, name="t")
    with pytest.raises(InvalidArgument, match="changed mode"):
        widened((required,), (N,), add=True, relax=False, name="t")


def test_rows_fit_a_schema_with_more_columns_only_at_its_end() -> None:
    assert same_shape((N,), (N, S))
    assert not same_shape((N, S), (S, N))
    assert not same_shape((R,), (Field(name="r", type="RECORD", mode="REPEATED", fields=(N,)),))


def test_nested_fields_can_be_selected() -> None:
    (found,) = selected((N, R), "r.s")

    assert (found.name, found.fields) == ("r", (S,))
    with pytest.raises(InvalidArgument, match=r"No such field: r\.x"):
        selected((R,), "r.x")
