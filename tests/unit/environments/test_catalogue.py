"""Which runtime version a request means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.environments.catalogue import LEGACY, LOCKS, RUNTIMES, legacy, pins, resolve, runtimes
from mlengine.environments.lockfile import read_lock
from mlengine.errors import InvalidArgument

SKLEARN, TENSORFLOW, ESTIMATOR = "2026.11-sklearn", "2026.11-tensorflow", "2026.11-estimator"
SIBLINGS = [name for name in RUNTIMES if name not in (SKLEARN, ESTIMATOR)]


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


def test_an_old_number_is_told_what_it_runs_on_now() -> None:
    found = resolve("1.8", python_version="3.5")

    assert found.runtime.name == ESTIMATOR
    assert found.notes[0].startswith(
        "Runtime version 1.8 (TensorFlow 1.8, Python 3.5/2.7) is retired; this runs on 2026.11-estimator: "
        "Python 3.11, TensorFlow 2.15.1, tf.estimator 2.15.0, Keras 2.15.0, "
    )
    assert found.notes[1].startswith("Python 3.5 is retired; this runs on Python 3.11.")


@pytest.mark.parametrize("number", LEGACY)
@pytest.mark.parametrize("framework", ["", "TENSORFLOW", "SCIKIT_LEARN", "XGBOOST"])
def test_numbers_of_1_mean_the_estimator_those_of_2_today_s_tensorflow_and_small_models_the_small_one(
    number: str, framework: str
) -> None:
    of_tensorflow = ESTIMATOR if number.startswith(("0.", "1.")) else TENSORFLOW

    assert resolve(number, framework=framework).runtime.name == (
        SKLEARN if framework in ("SCIKIT_LEARN", "XGBOOST") else of_tensorflow
    )


@pytest.mark.parametrize(("number", "said"), [("2.1", True), ("2.11", True), ("1.15", False), ("", False)])
def test_jobs_of_the_time_of_keras_2_are_told_that_they_get_it(number: str, said: bool) -> None:
    assert any("TF_USE_LEGACY_KERAS=1" in note for note in resolve(number).notes) is said
    assert not any("KERAS" in note for note in resolve(number, framework="TENSORFLOW").notes)


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


@pytest.mark.parametrize("name", SIBLINGS)
def test_what_the_small_runtime_has_the_others_have_in_the_same_version(name: str) -> None:
    small, large = (pins(RUNTIMES[each].lock_file) for each in (SKLEARN, name))

    assert {each: large.get(each) for each in small} == small


@pytest.mark.parametrize("name", [TENSORFLOW, "2026.11-torch"])
def test_the_full_runtime_has_all_of_the_others_in_the_same_versions(name: str) -> None:
    part, full = (pins(RUNTIMES[each].lock_file) for each in (name, "2026.11-full"))

    assert {each: full.get(each) for each in part} == part


def test_models_are_pickled_by_the_same_libraries_in_every_runtime() -> None:
    versions = [
        [pins(runtime.lock_file)[name] for name in ("scikit-learn", "xgboost-cpu", "lightgbm", "joblib")]
        for runtime in runtimes()
    ]

    assert versions == versions[:1] * len(versions)


def test_the_runtime_of_old_trainers_is_from_before_numpy_2_and_pandas_3() -> None:
    old = RUNTIMES[ESTIMATOR].packages

    assert (old["tensorflow"], old["keras"], old["numpy"][:2], old["pandas"][:2]) == (
        "2.15.1",
        "2.15.0",
        "1.",
        "2.",
    )


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_lock_pins_all_that_its_runtime_promises_and_names_no_index(name: str, system: str) -> None:
    text = RUNTIMES[name].lock_file.read_text()
    promised = (LOCKS / f"{name}.in").read_text() + (LOCKS / "base.in").read_text()
    names = re.findall(r"^([a-z][\w-]+)(?![^\n]*sys_platform)", promised, re.MULTILINE)

    locked = pins(RUNTIMES[name].lock_file, system=system)

    assert {"pandas", "six", "google-cloud-storage"} <= set(names)
    assert set(names) <= set(locked)
    assert ("xgboost-cpu" if system == "linux" else "xgboost") in locked
    assert not [each for each in locked if each.startswith(("nvidia", "triton", "cuda"))]
    assert "://" not in text


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_every_package_of_a_lock_has_its_hashes(name: str, system: str) -> None:
    pinned = read_lock(RUNTIMES[name].lock_file.read_text(), system=system)

    assert len(pinned) > 50
    assert [pin.name for pin in pinned if not pin.hashes] == []


@pytest.mark.parametrize(
    ("framework", "runtime"),
    [
        ("PYTORCH", "2026.11-torch"),
        ("ONNX", "2026.11-sklearn"),
        ("lightgbm", "2026.11-sklearn"),
        ("KERAS", "2026.11-tensorflow"),
        ("CUSTOM", "2026.11-tensorflow"),
    ],
)
def test_a_model_of_any_framework_has_a_runtime_that_can_serve_it(framework: str, runtime: str) -> None:
    assert resolve("", framework=framework).runtime.name == runtime
    assert resolve("2.11", framework=framework).runtime.name == runtime


def test_the_bare_alias_means_pytorch_s_runtime_for_a_model_of_pytorch() -> None:
    assert resolve("2026.11", framework="pytorch").runtime.name == "2026.11-torch"
