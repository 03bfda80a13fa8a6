"""The list of queries with BigQuery's documented results, run through our translation in a DuckDB in memory."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from typing import Any

import pytest

from mlengine.errors import Problem
from tests.conformance.sql.cases import Case, every
from tests.conformance.sql.engine import Engine


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def _marked(case: Case) -> Any:
    marks = [pytest.mark.xfail(strict=True, reason=case.gap)] if case.gap else []
    return pytest.param(case, id=str(case), marks=marks)


@pytest.mark.parametrize("case", [_marked(case) for case in every()])
def test_a_query_gives_what_bigquery_documents(engine: Engine, case: Case) -> None:
    told = mistake(engine, case)

    assert not told, told


def mistake(engine: Engine, case: Case) -> str:
    """What is wrong with our answer; empty if nothing is."""
    engine.clear()
    try:
        rows, schema = engine.run(case.sql, case.parameters)
    except (Problem, RuntimeError) as problem:
        said = problem.message if isinstance(problem, Problem) else str(problem)
        if case.error and case.error in said:
            return ""
        return f"{case.sql}\nwanted {case.error or case.rows}\n   got the error {said}"
    if case.error:
        return f"{case.sql}\nwanted the error {case.error}\n   got {rows}"
    types = ", ".join(("ARRAY<" + f.type + ">") if f.repeated else f.type for f in schema)
    if case.types and types != case.types:
        return f"{case.sql}\nwanted the types {case.types}\n   got {types}"
    wanted = case.rows or []
    ours, theirs = (
        (rows, wanted) if not case.any_order else (sorted(rows, key=repr), sorted(wanted, key=repr))
    )
    return "" if _same(ours, theirs) else f"{case.sql}\nwanted {wanted}\n   got {rows}"


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, int | float) and not isinstance(theirs, bool):
        return ours == theirs or abs(ours - theirs) <= 1e-12 * max(abs(ours), abs(theirs))
    if isinstance(ours, bool) != isinstance(theirs, bool):
        return False
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(_same(ours[key], theirs[key]) for key in ours)
    return type(ours) is type(theirs) and bool(ours == theirs)
