"""English and Korean: both complete, and every word that a source asks for is there."""

from __future__ import annotations

import re
from pathlib import Path

import mlengine.console
from tests.browser.conftest import Console

STATIC = Path(mlengine.console.__file__).parent / "static"
NAMES = sorted(path.name for path in (STATIC / "words").glob("*.js"))
SOURCES = [path for path in STATIC.rglob("*.js") if "vendor" not in path.parts and "words" not in path.parts]
_READ = """async (names) => Object.fromEntries(await Promise.all(
    names.map(async (name) => [name, (await import(`/console/words/${name}`)).default])))"""
# What is the same in every language: addresses, and pairs of key and value.
_BORROWED = re.compile(r"://|=")
_HANGUL = re.compile(r"[가-힣]")


def words(console: Console) -> dict[str, dict[str, dict[str, str]]]:
    console.page.goto(console.server.endpoint + "/console/index.html")
    found: dict[str, dict[str, dict[str, str]]] = console.page.evaluate(_READ, NAMES)
    return found


def test_every_word_is_there_in_both_languages_with_the_same_places(console: Console):
    for name, found in words(console).items():
        assert set(found) == {"en", "ko"}, name
        assert set(found["en"]) == set(found["ko"]), name
        for key, english in found["en"].items():
            korean = found["ko"][key]
            assert english.strip() and korean.strip(), f"{name}: {key}"
            assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", korean)), (
                f"{name}: {key}"
            )
            assert not _HANGUL.search(english), f"{name}: {key}"


def test_sentences_are_korean_in_korean(console: Console):
    left = [
        f"{name}: {key}"
        for name, found in words(console).items()
        for key, text in found["ko"].items()
        if text == found["en"][key] and len(text.split()) > 2 and not _BORROWED.search(text)
    ]

    assert left == []


def test_every_word_that_is_asked_for_is_there(console: Console):
    known = words(console)
    for path in SOURCES:
        text = path.read_text()
        used = re.findall(r"import (\w+) from '\.{1,2}/words/([\w.]+)'", text)
        if len(used) != 1 or used[0][0] != "words":
            continue
        asked = set(re.findall(r"(?<![\w.$])t\('([^']+)'", text))
        missing = asked - set(known[used[0][1]]["en"])
        assert missing == set(), f"{path.relative_to(STATIC)}: {used[0][1]} lacks {missing}"
