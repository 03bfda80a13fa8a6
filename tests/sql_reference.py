"""Writes docs/reference/sql.md from the rules and from the conformance list, which it runs."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mlengine.tables.sql import functions  # noqa: F401  (registers the rules)
from mlengine.tables.sql.calls import ABSENT, RULES
from tests.conformance.sql.cases import TITLES, read
from tests.conformance.sql.engine import Engine
from tests.conformance.sql.test_list import mistake

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "sql.md"
PAGES = {
    "numbers": "Mathematics and bits",
    "conditions": "Conditions",
    "strings": "Strings",
    "regexps": "Regular expressions",
    "hashes": "Hashes and encodings",
    "arrays": "Arrays",
    "structs": "Structs",
    "dates": "Dates",
    "times": "Timestamps",
    "formats": "Formatting and parsing",
    "intervals": "Intervals",
    "json": "JSON",
    "aggregates": "Aggregates",
    "windows": "Windows",
}
HEAD = """# SQL

<!-- Written by scripts/reference from the rules and the conformance list. Do not edit. -->

Queries are BigQuery's (GoogleSQL). They are read, checked against the tables' schemas and turned into DuckDB's SQL;
what is not supported is refused by name, with its place: `… is not supported at [1:8]`. Nothing is passed on
unread: a function without a rule does not exist, so a query cannot reach files, the network or settings.

## What is checked

Each case is a query with the result, or the error, that BigQuery documents. `tests/conformance/sql/list` has them all.

"""


def page() -> str:
    """The whole page."""
    engine = Engine()
    lines, gaps, total, good = [], [], 0, 0
    for category, title in TITLES.items():
        cases = read(category)
        passed = sum(not mistake(engine, case) for case in cases)
        lines.append(f"| {title} | {len(cases)} | {passed} | {100 * passed / len(cases):.1f} % |")
        gaps += [(title, case) for case in cases if case.gap]
        total, good = total + len(cases), good + passed
    table = "| Category | Cases | Pass | Rate |\n|---|---:|---:|---:|\n" + "\n".join(lines)
    table += f"\n| **All** | **{total}** | **{good}** | **{100 * good / total:.1f} %** |\n"
    known = "".join(f"- {title}: `{case.sql.splitlines()[0]}`: {case.gap}.\n" for title, case in gaps)
    listed = functions_of()
    refused = ", ".join(f"`{name}`" for name in sorted(set(ABSENT) - set(RULES)))
    return (
        HEAD + table + "\n## Known gaps\n\n" + known + "\n" + NOTES + "\n## Functions\n\n"
        "Any of them can be called as `SAFE.name(…)`. Special forms: `CAST`, `SAFE_CAST`, `EXTRACT`, `ARRAY(…)`, `IF`.\n\n"
        + listed
        + "### Refused by name\n\n"
        + refused
        + " and all functions of `ST_`, `ML.`, `AI.`, `KEYS.` and `HLL_COUNT.`.\n"
    )


def functions_of() -> str:
    """All functions, by kind."""
    by_page: dict[str, list[str]] = defaultdict(list)
    for name, entry in RULES.items():
        by_page[entry.page].append(name)
    return "".join(
        f"### {PAGES[key]}\n\n" + ", ".join(f"`{name}`" for name in sorted(by_page[key])) + "\n\n"
        for key in PAGES
    )


NOTES = """## Differences

- BIGNUMERIC has 38 digits, 18 of them behind the point; what does not fit is an error.
- APPROX_ functions are exact. RAND and TABLESAMPLE choose anew on each run.
- Formats of FORMAT_DATE and its family, JSON paths and PERCENTILE points are literals or parameters.
- ARRAY(SELECT … FROM UNNEST(…)) keeps the order of the array, which BigQuery does not promise.
- Refused by name: functions in JavaScript, CREATE FUNCTION without TEMP, procedures (CALL), transactions,
  EXPORT DATA, LOAD DATA, GRANT, materialized views, table functions, geography, RANGE, COLLATE, ML.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
