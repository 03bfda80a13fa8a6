"""The descriptions of messages hold together."""

from __future__ import annotations

import pytest

from mlengine.web.discovery.fields import Field
from mlengine.web.discovery.schemas import ENUMS, MESSAGES, reachable, type_of

FIELDS = [(message, name) for message, fields in MESSAGES.items() for name in fields]


@pytest.mark.parametrize(("message", "name"), FIELDS)
def test_every_field_has_a_type_that_exists(message: str, name: str):
    type_ = type_of(MESSAGES[message][name])

    assert type_.scalar or type_.values or type_.name in MESSAGES


def test_every_enumeration_is_used():
    used = {type_of(MESSAGES[message][name]).name for message, name in FIELDS}

    assert set(ENUMS) <= used


def test_a_map_and_a_list_are_told_apart_from_what_is_in_them():
    type_ = type_of(Field("map<any>[]"))

    assert (type_.name, type_.is_map, type_.is_list) == ("any", True, True)


def test_a_type_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="'a b' is no type"):
        type_of(Field("a b"))


def test_a_message_brings_those_that_it_is_made_of():
    assert reachable(["ListModelsResponse", ""])[:3] == ["AcceleratorConfig", "AutoScaling", "ContainerPort"]
    assert "Job" not in reachable(["ListModelsResponse"])
