"""The URLs of models and versions, and why a prediction found no worker."""

from __future__ import annotations

import pytest

from mlengine.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from mlengine.models.methods import methods
from mlengine.web.method import Call, Json
from tests.unit.models.house import TITANIC, House

# Predictions that found no worker


def test_why_a_prediction_found_no_worker_is_told_in_each_state(house: House) -> None:
    explain = house.service.explain_unserved
    assert isinstance(explain(TITANIC, ""), NotFound)
    house.model()

    empty = explain(TITANIC, "")
    assert isinstance(empty, FailedPrecondition)
    assert "has no version yet" in str(empty)
    assert isinstance(explain(TITANIC, "v9"), NotFound)

    house.asked("v1")
    assert isinstance(explain(TITANIC, "v1"), Unavailable)
    assert isinstance(explain(TITANIC, ""), Unavailable)

    house.service.fail(house.version("v1"), "ValueError: bad pickle")
    failed = explain(TITANIC, "")
    assert isinstance(failed, FailedPrecondition)
    assert "ValueError: bad pickle" in str(failed)

    house.ready("v2")
    assert isinstance(explain(TITANIC, ""), Unavailable)
    house.service.delete_version(TITANIC.version("v1"))
    gone = explain(TITANIC, "v1")
    assert isinstance(gone, NotFound)
    assert "is being deleted" in str(gone)


# The URLs


def call(house: House, method_id: str, path: dict[str, str], body: bytes = b"", nth: int = 0) -> Json:
    rows = [row for row in methods(house.service, house.clock) if row.id == f"ml.projects.{method_id}"]
    answer = rows[nth].handler(Call(path={"project": "local"} | path, body=iter([body])))
    assert isinstance(answer, dict)
    return answer


def test_the_way_of_a_model_by_its_urls(house: House) -> None:
    model, version = {"model": "titanic"}, {"model": "titanic", "version": "v1"}
    created = call(house, "models.create", {}, b'{"name": "titanic"}')
    assert created["name"] == "projects/local/models/titanic"

    operation = call(
        house, "models.versions.create", model, b'{"name": "v1", "deploymentUri": "gs://box/sk/"}'
    )
    assert operation["name"].startswith("projects/local/operations/create_titanic_v1-")
    house.service.ready(house.version("v1"))

    assert call(house, "models.get", model)["defaultVersion"]["name"].endswith("/versions/v1")
    assert call(house, "models.list", {})["models"][0]["defaultVersion"]["isDefault"] is True
    assert call(house, "models.versions.get", version)["deploymentUri"] == "gs://box/sk"
    assert len(call(house, "models.versions.list", model)["versions"]) == 1
    assert call(house, "models.versions.setDefault", version, b"{}")["isDefault"] is True
    assert "done" not in call(house, "models.versions.delete", version)
    house.service.gone(house.version("v1"))
    assert call(house, "models.versions.list", model) == {}
    assert call(house, "models.delete", model)["done"] is True
    assert call(house, "models.list", {}) == {}


@pytest.mark.parametrize(
    ("nth", "path"), [(0, {"model": "titanic"}), (1, {"model": "titanic", "version": "v1"})]
)
def test_a_prediction_that_comes_here_is_answered_with_why(
    house: House, nth: int, path: dict[str, str]
) -> None:
    house.model()
    house.failed("v1", "ValueError: bad pickle")

    with pytest.raises(FailedPrecondition, match="bad pickle"):
        call(house, "predict", path, b'{"instances": []}', nth)


def test_a_url_with_a_name_that_cannot_be_is_refused(house: House) -> None:
    with pytest.raises(InvalidArgument, match="'titanic_1' would do"):
        call(house, "models.get", {"model": "titanic-1"})
