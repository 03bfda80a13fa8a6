"""`mlengine runtimes`: listed, described, built and removed without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlengine.environments import resolve, runtimes
from mlengine.environments.catalogue import pins
from tests.unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty one."""
    monkeypatch.setenv("MLENGINE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_list_shows_each_with_python_packages_and_whether_it_is_built(run: Run) -> None:
    header, *rows = run("runtimes", "list").out.splitlines()

    assert header.split() == ["NAME", "PYTHON", "PACKAGES", "BUILT", "SIZE"]
    assert [row.split()[:2] for row in rows] == [[runtime.name, "3.11"] for runtime in runtimes()]
    assert all(row.split()[-1] == "no" for row in rows)


def test_a_description_holds_the_whole_lock(run: Run) -> None:
    done = run("runtimes", "describe", "1.15", "--format", "json")

    said = json.loads(done.out)
    assert said["name"] == "2026.11-estimator"
    assert said["lock"]["packages"] == pins(resolve("1.15").runtime.lock_file)
    assert len(said["lock"]["sha256"]) == 64
    assert "Runtime version 1.15" in done.err


def test_a_slip_in_the_last_name_is_told_before_the_first_is_built(run: Run, cache: Path) -> None:
    done = run("runtimes", "build", "2026.11-sklearn", "2026.11-sklearm")

    assert done.code == 1
    assert "Did you mean '2026.11-sklearn'?" in done.err
    assert not cache.exists()


def test_what_is_not_built_is_removed_without_harm_and_named_once(run: Run) -> None:
    done = run("runtimes", "remove", "1.8", "1.15", "--quiet")

    assert done.code == 0
    assert done.err.count("The runtime 2026.11-estimator is not built on this machine.") == 1


def test_what_is_removed_is_said(run: Run, cache: Path) -> None:
    left = cache / "environments" / "2026.11-sklearn-0123456789ab"
    left.mkdir(parents=True)

    done = run("runtimes", "remove", "2026.11-sklearn", "--quiet")

    assert f"Removed {left}." in done.err
    assert not left.exists()
