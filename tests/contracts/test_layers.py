"""Packages over a runtime: those that fit share it, those that do not get an environment of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlengine.environments import Builder, Runtime, for_model, make_layers
from mlengine.environments.lockfile import read_lock
from mlengine.errors import FailedPrecondition

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def tiny(tmp_path: Path) -> Runtime:
    """A runtime that is built in a second; what it has depends on nothing."""
    lock = tmp_path / "tiny.txt"
    lock.write_text("idna==3.10\nsix==1.17.0\nwheel==0.45.1\n")
    return Runtime(name="tiny", python=PYTHON, summary="", lock_file=lock, packages={"six": "1.17.0"})


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "cache")


def wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    """A wheel with one module."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    files = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD")))
    return path


def trainer(folder: Path, *requires: str) -> Path:
    return wheel(folder, "trainer", "0.1", *requires)


def versions(python: Path, names: Sequence[str]) -> list[str]:
    code = f"import json, importlib.metadata as m; print(json.dumps([m.version(n) for n in {names!r}]))"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(said.stdout)
    return found


def test_packages_that_fit_lie_over_the_runtime_itself(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    layers = make_layers(builder, tiny, tmp_path / "job", [trainer(tmp_path, "six>=1.10")], print)

    assert (layers.runtime, layers.notes) == (tiny, ())
    assert layers.overlay.runtime == builder.directory(tiny)
    assert versions(layers.overlay.python, ["six", "trainer"]) == ["1.17.0", "0.1"]


def test_the_lock_of_a_job_names_all_that_it_can_import_and_the_hash_of_its_package(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    archive = trainer(tmp_path, "six", "iniconfig")

    text = make_layers(builder, tiny, tmp_path / "job", [archive], print).lock()

    pins = {pin.name: pin for pin in read_lock(text, system=sys.platform)}
    assert text.startswith(f"# Python {PYTHON}, runtime tiny\n")
    assert set(pins) == {"idna", "iniconfig", "six", "trainer", "wheel"}
    assert pins["six"].version == "1.17.0"
    assert len(pins["trainer"].hashes) == 1
    assert pins["trainer"].hashes[0].startswith("sha256:")


def test_a_conflict_gets_an_environment_with_what_is_needed_and_all_else_as_it_was(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    layers = make_layers(
        builder, tiny, tmp_path / "job", [trainer(tmp_path, "six<1.17", "iniconfig==2.0.0")], print
    )

    assert versions(layers.overlay.python, ["six", "idna", "wheel", "iniconfig", "trainer"]) == [
        "1.16.0",
        "3.10",
        "0.45.1",
        "2.0.0",
        "0.1",
    ]
    assert layers.notes == (
        "The package trainer 0.1 needs six<1.17, but the runtime tiny has 1.17.0: this job gets an "
        "environment of its own, tiny with six 1.16.0 in place of 1.17.0. A model it saves may load only "
        "with the same versions.",
    )
    pins = {pin.name: pin for pin in read_lock(layers.lock(), system=sys.platform)}
    assert pins["six"].version == "1.16.0"
    assert pins["six"].hashes
    assert builder.is_built(tiny)


def test_the_next_job_with_the_same_needs_shares_the_environment(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    archive = trainer(tmp_path, "six<1.17")
    first = make_layers(builder, tiny, tmp_path / "one", [archive], print)
    lines = list[str]()

    second = make_layers(builder, tiny, tmp_path / "two", [archive], lines.append)

    assert lines == []
    assert second.overlay.runtime == first.overlay.runtime
    assert second.notes == first.notes
    assert list(second.overlay.runtime.glob("lib/python3.*/site-packages/__pycache__/six.*.pyc"))


def test_what_is_fetched_is_an_older_one_where_the_newest_does_not_fit_the_runtime(
    tiny: Runtime, builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    wheel(index, "helper_of_this_test", "1.0", "six>=1.10")
    wheel(index, "helper_of_this_test", "2.0", "six>=2")
    monkeypatch.setenv("UV_FIND_LINKS", str(index))
    archive = trainer(tmp_path, "helper-of-this-test")

    layers = make_layers(builder, tiny, tmp_path / "job", [archive], print)

    assert (layers.runtime, layers.notes) == (tiny, ())
    assert versions(layers.overlay.python, ["helper-of-this-test", "six"]) == ["1.0", "1.17.0"]


def test_environments_made_for_jobs_go_with_their_runtime(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    own = make_layers(builder, tiny, tmp_path / "job", [trainer(tmp_path, "six<1.17")], print).overlay.runtime

    gone = builder.remove(tiny)

    assert own in gone
    assert builder.directory(tiny) in gone
    assert not list((tmp_path / "cache" / "environments").glob("tiny*.txt"))


def test_needs_that_no_versions_meet_are_told_with_the_conflict_and_the_resolvers_words(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    with pytest.raises(FailedPrecondition) as failure:
        make_layers(builder, tiny, tmp_path / "job", [trainer(tmp_path, "six<0.0.1")], print)

    assert (
        "The package trainer 0.1 needs six<0.0.1, but the runtime tiny has 1.17.0." in failure.value.message
    )
    assert "No other versions fit together either" in failure.value.message
    assert "six<0.0.1" in failure.value.message.partition("uv said:")[2]


def test_a_model_s_packages_share_an_environment_that_is_made_once(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    said: list[str] = []
    archive = trainer(tmp_path, "six>=1.10", "iniconfig==2.0.0")

    python = for_model(builder, tiny, [archive], said.append)
    told = list(said)
    again = for_model(builder, tiny, [archive], said.append)

    assert versions(python, ["six", "trainer", "iniconfig"]) == ["1.17.0", "0.1", "2.0.0"]
    assert again == python
    assert said == told
    assert any(line.startswith("Installed trainer 0.1, iniconfig 2.0.0 on tiny in ") for line in told)
    assert for_model(builder, tiny, [], print) == builder.interpreter(tiny)


def test_a_model_s_packages_with_other_contents_get_another_environment(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    before = for_model(builder, tiny, [trainer(tmp_path)], print)

    after = for_model(builder, tiny, [trainer(tmp_path, "six")], print)

    assert before != after


def test_a_model_s_environment_is_made_again_when_the_one_below_is_gone(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    archive = trainer(tmp_path, "six<1.17")
    python = for_model(builder, tiny, [archive], print)
    below = json.loads((python.parents[1] / "complete.json").read_text())["below"]
    shutil.rmtree(below)

    assert for_model(builder, tiny, [archive], print) == python
    assert versions(python, ["six"]) == ["1.16.0"]


def test_a_model_s_package_that_needs_what_no_index_has_is_named_with_what_uv_said(
    tiny: Runtime, builder: Builder, tmp_path: Path
) -> None:
    with pytest.raises(FailedPrecondition, match=r"(?s)trainer-0.1-py3.*uv said:.*iniconfig==99"):
        for_model(builder, tiny, [trainer(tmp_path, "iniconfig==99", "six")], print)

    assert for_model(builder, tiny, [trainer(tmp_path)], print).exists()


def test_models_environments_go_with_their_runtime(tiny: Runtime, builder: Builder, tmp_path: Path) -> None:
    python = for_model(builder, tiny, [trainer(tmp_path)], print)

    builder.remove(tiny)

    assert not python.exists()
