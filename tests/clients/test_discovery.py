"""Our discovery document against the one that Google's client ships: the same methods, parameters, messages.

Compared are facts alone; the words are ours, and must not be Google's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient
import pytest

from mlengine.web.discovery.document import discovery_document
from tests.reference import table

SHIPPED = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "ml.v1.json"
# By the path of the fact, with the reason. One that is not needed any more fails the test.
EXCEPTIONS: Mapping[str, str] = {
    "rootUrl": "clients shall send requests here",
    "baseUrl": "clients shall send requests here",
    "mtlsRootUrl": "clients shall send requests here",
    "title": "our name",
    "documentationLink": "Google's pages are not about us",
    "icons/x16": "Google's pictures",
    "icons/x32": "Google's pictures",
    "ownerDomain": "Google is not the owner",
    "ownerName": "Google is not the owner",
}
WORDS = {"description", "enumDescriptions"}


def facts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf by its path, without what is said in words."""
    if not isinstance(value, dict):
        yield path, value
        return
    for key, item in value.items():
        if key in WORDS and isinstance(item, (str, list)):
            continue
        yield from facts(item, f"{path}/{key}" if path else key)
    if not value:
        yield path, {}


def sentences(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from sentences(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in WORDS and isinstance(item, (str, list)):
                yield from [item] if isinstance(item, str) else item
            else:
                yield from sentences(item)


def methods_of(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from methods_of(inner)


def messages_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from messages_of(item)


@cache
def googles() -> dict[str, Any]:
    """The shipped document, without studies, which we do not have yet.

    Of most fields that only the server writes, it says so in words; here `readOnly` says it of all.
    """
    document: dict[str, Any] = json.loads(SHIPPED.read_text())
    del document["resources"]["projects"]["resources"]["locations"]["resources"]["studies"]
    left = [*messages_of(document["resources"]), "GoogleCloudMlV1__OperationMetadata"]
    used: set[str] = set()
    while left:
        name = left.pop()
        if name not in used:
            used.add(name)
            left += messages_of(document["schemas"][name])
    document["schemas"] = {name: document["schemas"][name] for name in sorted(used)}
    for message in document["schemas"].values():
        for field in message.get("properties", {}).values():
            if field.get("description", "").startswith("Output only."):
                field["readOnly"] = True
    return document


@cache
def ours() -> dict[str, Any]:
    return discovery_document(table(), "http://here:1")


def by_id(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {method["id"]: method for method in methods_of(document)}


def same(mine: Any, theirs: Any) -> None:
    assert dict(facts(mine)) == dict(facts(theirs))


def test_we_have_all_of_googles_methods_and_no_others():
    assert set(by_id(ours())) == set(by_id(googles()))


@pytest.mark.parametrize("id_", sorted(by_id(googles())))
def test_a_method_has_googles_path_parameters_and_messages(id_: str):
    same(by_id(ours())[id_], by_id(googles())[id_])


def test_we_have_all_of_googles_messages_and_no_others():
    assert set(ours()["schemas"]) == set(googles()["schemas"])


@pytest.mark.parametrize("name", sorted(googles()["schemas"]))
def test_a_message_has_googles_fields_types_and_values(name: str):
    same(ours()["schemas"][name], googles()["schemas"][name])


def test_all_else_is_as_googles_but_for_the_named_exceptions():
    mine, theirs = (
        dict(facts({key: item for key, item in document.items() if key not in ("schemas", "resources")}))
        for document in (ours(), googles())
    )
    differing = {path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path)}

    assert differing == set(EXCEPTIONS)


def test_every_value_of_an_enumeration_is_explained():
    for message in ours()["schemas"].values():
        for field in message["properties"].values():
            described = field.get("items", field)
            assert len(described.get("enum", [])) == len(described.get("enumDescriptions", []))


def test_no_sentence_is_googles():
    theirs = {sentence.strip(" .").lower() for sentence in sentences(googles())}
    mine = {sentence for sentence in sentences(ours()) if len(sentence.split()) > 2}

    assert {sentence for sentence in mine if sentence.strip(" .").lower() in theirs} == set()
