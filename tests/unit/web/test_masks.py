from __future__ import annotations

import pytest

from mlengine.errors import InvalidArgument
from mlengine.web.masks import update_mask

ALLOWED = ("description", "labels", "defaultVersion.name", "etag")
REFUSED = {"autoScaling": "there is one worker.", "regions": "everything runs here."}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("description", {"description"}),
        ("labels,description", {"labels", "description"}),
        (" labels , etag ", {"labels", "etag"}),
        ("default_version.name", {"defaultVersion.name"}),
        ("defaultVersion.name,description", {"defaultVersion.name", "description"}),
    ],
)
def test_both_spellings_of_a_path_are_read(text: str, fields: set[str]) -> None:
    assert update_mask({"updateMask": text}, allowed=ALLOWED) == fields


@pytest.mark.parametrize("query", [{}, {"updateMask": ""}, {"updateMask": " , "}])
def test_a_patch_without_a_mask_is_refused_with_what_it_may_name(query: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match=r"missing\. It may name description, labels"):
        update_mask(query, allowed=ALLOWED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("descripton", "Did you mean 'description'"),
        ("*", "cannot be changed"),
        ("labels.team", "cannot be changed"),
        ("auto_scaling.min_nodes", "there is one worker"),
        ("description,regions", "everything runs here"),
    ],
)
def test_a_path_that_cannot_be_changed_is_refused_with_why(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        update_mask({"updateMask": text}, allowed=ALLOWED, refused=REFUSED)

    assert words in str(refused.value)
    assert refused.value.field == "update_mask"
