"""Which runtime version a request means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.environments.catalogue import LEGACY, LOCKS, RUNTIMES, legacy, pins, resolve, runtimes
from mlengine.errors import InvalidArgument

SKLEARN, TENSORFLOW = "2026.11-sklearn", "2026.11-tensorflow"


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_answers_to_its_own_name_without_a_word(name: str) -> None:
    found = resolve(name)

    assert (found.runtime.name, found.requested, found.notes) == (name, name, ())


@pytest.mark.parametrize(
    ("framework", "name"),
    [
        ("SCIKIT_LEARN", SKLEARN),
        ("scikit-learn", SKLEARN),
        ("XGBOOST", SKLEARN),
        ("TENSORFLOW", TENSORFLOW),
        ("", TENSORFLOW),
    ],
)
def test_the_framework_decides_the_default_and_a_note_tells_how_to_pin_it(framework: str, name: str) -> None:
    found = resolve("", framework=framework)

    assert found.runtime.name == name
    assert found.notes[0].startswith(f"No runtime version was given; this runs on {name}: Python 3.11")
    assert found.notes[0].endswith(f"Pin it with --runtime-version {name}.")


def test_the_name_without_its_suffix_is_the_tensorflow_one() -> None:
    assert resolve("2026.11").runtime.name == TENSORFLOW


def test_an_old_number_runs_on_the_tensorflow_runtime_and_is_told_what_that_holds() -> None:
    tensorflow = RUNTIMES[TENSORFLOW].packages["tensorflow"]

    found = resolve("1.8", python_version="3.5")

    assert found.runtime.name == TENSORFLOW
    assert found.notes[0].startswith(
        "Runtime version 1.8 (TensorFlow 1.8, Python 3.5/2.7) is retired; this runs on 2026.11-tensorflow: "
        f"Python 3.11, TensorFlow {tensorflow}, "
    )
    assert found.notes[1].startswith("Python 3.5 is retired; this runs on Python 3.11.")


def test_what_never_was_a_runtime_version_is_refused_with_the_nearest_and_the_list() -> None:
    for absent in ("1.3", "2.0", "2.10"):
        assert legacy(absent) is None

    with pytest.raises(InvalidArgument) as refusal:
        resolve("2026.11-sklearm")

    assert refusal.value.hint == f"Did you mean '{SKLEARN}'? List them with: mlengine runtimes list"
    assert refusal.value.field == "runtime_version"


@pytest.mark.parametrize(
    ("requested", "python", "valid"),
    [
        ("2.1", "2.7", "3.7"),
        ("1.14", "3.7", "3.5 and 2.7"),
        ("1.15", "3.5", "3.7 and 2.7"),
        ("1.2", "3.5", "2.7"),
        ("1.8", "3.6", "3.5 and 2.7"),
    ],
)
def test_a_python_that_an_old_number_never_had_is_refused_naming_those_it_had(
    requested: str, python: str, valid: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"it was offered with {re.escape(valid)}") as refusal:
        resolve(requested, python_version=python)

    assert refusal.value.field == "python_version"


@pytest.mark.parametrize("requested", ["", "2026.11", SKLEARN])
@pytest.mark.parametrize("python", ["2.7", "3.7", "3.12", "three"])
def test_runtimes_of_ours_come_with_their_own_python_only(requested: str, python: str) -> None:
    with pytest.raises(InvalidArgument, match=f"has Python 3.11, not {python}"):
        resolve(requested, python_version=python)


@given(st.sampled_from(sorted({*LEGACY, *RUNTIMES, "", "2026.11"})))
def test_every_known_version_runs_with_the_python_it_really_gets(requested: str) -> None:
    found = resolve(requested, python_version="3.11")

    assert found.runtime.python == "3.11"
    assert not any("Python 3.11 is retired" in note for note in found.notes)


@given(st.text(max_size=20))
def test_any_text_is_either_known_or_refused_in_words(requested: str) -> None:
    try:
        found = resolve(requested)
    except InvalidArgument as refusal:
        assert requested.strip() in refusal.message
    else:
        assert found.runtime in runtimes()


def test_what_two_runtimes_share_has_one_version_in_both() -> None:
    small, large = (pins(RUNTIMES[name].lock_file) for name in (SKLEARN, TENSORFLOW))

    assert {name: large.get(name) for name in small} == small


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_lock_pins_all_that_its_runtime_promises_and_names_no_index(name: str, system: str) -> None:
    text = RUNTIMES[name].lock_file.read_text()
    promised = (LOCKS / "2026.11-sklearn.in").read_text()
    names = re.findall(r"^([\w-]+)(?![^\n]*sys_platform)", promised, re.MULTILINE)

    locked = pins(RUNTIMES[name].lock_file, system=system)

    assert "scikit-learn" in names
    assert set(names) <= set(locked)
    assert ("xgboost-cpu" if system == "linux" else "xgboost") in locked
    assert "://" not in text
