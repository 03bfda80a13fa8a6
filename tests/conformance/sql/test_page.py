"""The page about SQL is what the rules and the list say."""

from __future__ import annotations

from tests.conformance.sql.cases import TITLES, every
from tests.sql_reference import PAGE, functions_of


def test_the_page_counts_all_cases_and_names_all_functions() -> None:
    text = PAGE.read_text(encoding="utf-8")
    cases = every()
    good = sum(not case.gap for case in cases)

    assert f"| **All** | **{len(cases)}** | **{good}** |" in text, "run scripts/reference"
    assert functions_of() in text, "run scripts/reference"


def test_every_category_has_cases_and_at_least_97_in_100_pass() -> None:
    cases = every()

    assert {case.category for case in cases} == set(TITLES)
    assert len(cases) >= 400
    assert sum(bool(case.gap) for case in cases) <= 0.03 * len(cases)
