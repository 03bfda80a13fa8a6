"""The page about runtime versions says what the locks say."""

from __future__ import annotations

from mlengine.environments.catalogue import LEGACY, runtimes
from tests.runtimes_reference import PAGE, page


def test_the_page_is_what_the_catalogue_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/reference"


def test_the_page_names_every_runtime_and_every_number() -> None:
    text = page()

    assert all(f"| `{runtime.name}` |" in text for runtime in runtimes())
    assert all(f" {number}," in text or f", {number} |" in text for number in LEGACY)
