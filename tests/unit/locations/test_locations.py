"""Locations: Google's regions, all of them this machine."""

from __future__ import annotations

from typing import Any

import pytest

from mlengine.errors import InvalidArgument, NotFound
from mlengine.locations.methods import methods
from mlengine.locations.service import LocationService
from mlengine.regions import REGIONS
from mlengine.web.method import Call


def ask(method: str, *accelerators: str, location: str = "", **query: str) -> Any:
    rows = {row.id: row for row in methods(LocationService(lambda: accelerators))}
    path = {"project": "local", "location": location}
    return rows[f"ml.projects.locations.{method}"].handler(Call(path=path, query=query))


def test_a_location_tells_what_this_machine_is_good_for() -> None:
    assert ask("get", "NVIDIA_TESLA_T4", location="us-central1") == {
        "name": "projects/local/locations/us-central1",
        "capabilities": [
            {"type": "TRAINING", "availableAccelerators": ["NVIDIA_TESLA_T4"]},
            {"type": "ONLINE_PREDICTION"},
        ],
    }
    assert ask("get", location="us-central1")["capabilities"][0] == {"type": "TRAINING"}


def test_a_list_shows_every_location_once() -> None:
    first = ask("list", pageSize="8")
    second = ask("list", pageSize="8", pageToken=first["nextPageToken"])
    names = [location["name"].rpartition("/")[2] for location in first["locations"] + second["locations"]]

    assert tuple(names) == REGIONS
    assert "nextPageToken" not in second


@pytest.mark.parametrize(
    ("name", "words"), [("us-centrl1", "'us-central1'"), ("mars", "There are asia-east1")]
)
def test_an_unknown_location_is_answered_with_those_that_are_there(name: str, words: str) -> None:
    with pytest.raises(NotFound) as missing:
        ask("get", location=name)

    assert words in str(missing.value)


def test_a_token_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not from this list"):
        ask("list", pageToken="am9icwph")
