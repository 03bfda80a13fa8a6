"""What versions take, by URL; and how protocols whose paths carry no project find them."""

from __future__ import annotations

from typing import Any

import pytest

from mlengine.errors import FailedPrecondition, NotFound
from mlengine.models.description_methods import looking, methods
from mlengine.models.domain import State
from mlengine.web.method import Call
from tests.unit.models.house import House

TOLD = {
    "framework": "scikit-learn",
    "signature": "predict",
    "signatures": ["predict"],
    "instance": "row",
    "named": False,
    "inputs": [
        {"name": "0", "type": "number", "shape": [], "categories": None, "nullable": False, "required": True}
    ],
    "outputs": [{"name": "", "type": "number", "shape": []}],
    "sample": [1.0],
}


def ask(house: House, method_id: str, **path: str) -> Any:
    rows = {row.id: row for row in methods(house.service, project="local", server_version="1")}
    return rows[f"mlengine.{method_id}"].handler(Call(path={"project": "local", "model": "titanic", **path}))


def told(house: House, version_id: str) -> None:
    house.asked(version_id)
    house.service.ready(house.version(version_id), TOLD)


def test_what_a_version_takes_is_told_to_people_and_tools(house: House) -> None:
    house.model()
    told(house, "v1")

    assert ask(house, "versions.schema", version="v1") == TOLD
    path = "/v1/projects/local/models/titanic/versions/v1:predict"
    assert list(ask(house, "versions.openapi", version="v1")["paths"]) == [path]
    assert path in ask(house, "versions.samples", version="v1")["curl"]
    assert ask(house, "openInference.version", version="v1")["inputs"][0]["shape"] == [-1, 1]


@pytest.mark.parametrize("what", ["schema", "openapi", "samples"])
def test_before_it_is_ready_a_version_has_nothing_to_tell(house: House, what: str) -> None:
    house.model()
    house.asked("v1")
    with pytest.raises(FailedPrecondition, match="is CREATING; what it takes is not known yet"):
        ask(house, f"versions.{what}", version="v1")

    house.service.fail(house.version("v1"), "Bad pickle.")

    with pytest.raises(FailedPrecondition, match=r"is FAILED; .* Bad pickle\."):
        ask(house, f"versions.{what}", version="v1")


def test_other_protocols_find_all_versions_or_the_named_one_by_its_digits_too(house: House) -> None:
    house.model()
    told(house, "v2")
    told(house, "v1")
    house.failed("v3", "Bad.")
    look = looking(house.service, "local")

    whole = look("titanic", "")
    assert whole.default == "v2"
    assert [(known.version, known.state) for known in whole.versions] == [
        ("v2", State.READY),
        ("v1", State.READY),
        ("v3", State.FAILED),
    ]
    assert [known.version for known in look("titanic", "1").versions] == ["v1"]
    assert look("titanic", "v3").versions[0].error == "Bad."
    for model, version in (("titanic", "9"), ("titanik", "")):
        with pytest.raises(NotFound):
            look(model, version)
