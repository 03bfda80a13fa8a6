"""The packages behind `mlengine init`: copied as they are, each learns from real files without an edit."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas
import pytest

from mlengine.environments.builder import Builder, default_cache_dir
from mlengine.environments.catalogue import resolve

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "src" / "mlengine" / "templates"
RIDES = ROOT / "examples" / "taxifare" / "data"

# Template, the runtime its README names, what it saves, and what keeps the test short.
KINDS = [
    pytest.param("sklearn", "2026.11-sklearn", "model.joblib", [], id="sklearn"),
    pytest.param("xgboost", "2026.11-sklearn", "model.bst", [], id="xgboost"),
    pytest.param("keras", "2026.11-tensorflow", "saved_model.pb", ["--epochs", "12"], id="keras"),
]


def _load_data_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "template_data", TEMPLATES / "sklearn" / "trainer" / "data.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["template_data"] = module
    spec.loader.exec_module(module)
    return module


data = _load_data_module()


@pytest.fixture(scope="module")
def passengers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("titanic")
    script = str(ROOT / "examples" / "fetch_data.py")
    subprocess.run([sys.executable, script, "titanic", "--to", str(folder)], check=True, timeout=240)
    return folder


def _train(
    template: str, runtime: str, folder: Path, arguments: list[str], *, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Copy the template, and run it as a job would: as a module, in the environment of its runtime."""
    python = Builder(default_cache_dir(os.environ)).build(resolve(runtime).runtime)
    shutil.copytree(TEMPLATES / template, folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), "-m", "trainer.task", *arguments, "--job-dir", "output"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == code, done.stderr
    return done


def _table(**columns: list[object]) -> pandas.DataFrame:
    return pandas.DataFrame(columns)


@pytest.mark.parametrize(("template", "runtime", "saved", "short"), KINDS)
def test_a_fresh_copy_learns_who_survived(
    template: str, runtime: str, saved: str, short: list[str], tmp_path: Path, passengers: Path
) -> None:
    files = ["--train-files", str(passengers / "train.csv"), "--eval-files", str(passengers / "eval.csv")]

    done = _train(template, runtime, tmp_path / "copy", [*files, "--target", "Survived", *short])

    metrics = json.loads((tmp_path / "copy/output/metrics.json").read_text())
    # Who guesses that nobody survived is right for 0.61 of them.
    assert metrics["accuracy"] > 0.78
    assert f"Holdout accuracy: {metrics['accuracy']:.4g} (n=179)" in done.stdout
    assert "Target Survived: one of 0, 1." in done.stdout
    assert "PassengerId: left out, it numbers the rows" in done.stdout
    assert "Embarked: one of C, Q, S" in done.stdout
    assert (tmp_path / "copy/output/model" / saved).is_file()


@pytest.mark.parametrize(("template", "runtime", "saved", "short"), KINDS)
def test_a_fresh_copy_learns_what_a_ride_costs(
    template: str, runtime: str, saved: str, short: list[str], tmp_path: Path
) -> None:
    files = ["--train-files", str(RIDES / "*train*"), "--eval-files", str(RIDES / "*valid*")]

    done = _train(template, runtime, tmp_path / "copy", [*files, "--target", "fare", *short])

    metrics = json.loads((tmp_path / "copy/output/metrics.json").read_text())
    # The mean fare alone would be off by 9.8 dollars.
    assert metrics["rmse"] < 7
    assert f"Holdout rmse: {metrics['rmse']:.4g} (n=600)" in done.stdout
    assert (tmp_path / "copy/output/model" / saved).is_file()
    assert not (tmp_path / "copy/output/model/serving.json").exists()


def test_a_target_that_no_file_has_is_refused_with_the_columns_there_are(tmp_path: Path) -> None:
    files = ["--train-files", str(RIDES / "*train*"), "--eval-files", str(RIDES / "*valid*")]

    done = _train("sklearn", "2026.11-sklearn", tmp_path / "copy", [*files, "--target", "price"], code=1)

    assert done.stderr.startswith("There is no column price; the files have fare, trip_start_month,")


def test_a_pattern_that_matches_nothing_is_named() -> None:
    with pytest.raises(SystemExit, match=re.escape(f"No file matches {RIDES}/*.tsv.")):
        data.read([f"{RIDES}/*.tsv"])


@pytest.mark.parametrize("template", ["sklearn", "xgboost", "keras"])
def test_every_template_is_a_package_with_the_same_reader_of_data(template: str) -> None:
    folder = TEMPLATES / template

    for name in ("README.md", "setup.py", "trainer/__init__.py", "trainer/task.py", "trainer/model.py"):
        assert (folder / name).is_file()
    # A copy stands alone, so each has this file; a change of one is a change of all.
    assert (folder / "trainer/data.py").read_bytes() == (TEMPLATES / "sklearn/trainer/data.py").read_bytes()


def test_columns_are_told_apart_by_what_is_in_them() -> None:
    table = _table(
        number=list(range(60)),
        height=[None, *(0.5 + n for n in range(59))],
        colour=["red", "green", None] * 20,
        remark=[f"text {n}" for n in range(60)],
        country=["KR"] * 60,
        secret=[1.5, 2.5] * 30,
        member=[True, False] * 30,
        grade=["good", "bad"] * 30,
    )

    columns = data.derive(table, table.head(5), "grade", ["secret"])

    assert columns.classes == ["bad", "good"]
    assert columns.numeric == ["height", "member"]
    assert columns.categories == {"colour": ["green", "red"]}
    assert columns.left_out == {
        "secret": "as you asked",
        "number": "it numbers the rows",
        "remark": "it has 60 different texts",
        "country": "it is the same in every row",
    }


def test_a_text_that_only_the_evaluation_rows_have_is_known_to_the_model() -> None:
    train = _table(port=["C", "S", "S"], alive=[0, 1, 1])
    evaluation = _table(port=["Q"], alive=[0])

    assert data.derive(train, evaluation, "alive").categories == {"port": ["C", "Q", "S"]}


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no", "yes"], ["no", "yes"]),
        ([1, 0, 1], [0, 1]),
        ([1.0, None, 3.0], [1, 3]),
        ([True, False, True], [False, True]),
        ([0.5, 1.0, 2.0], []),
        (list(range(21)), []),
    ],
)
def test_a_target_is_a_class_unless_its_numbers_measure_something(
    values: list[object], classes: list[object]
) -> None:
    table = _table(target=values, size=[float(n) for n in range(len(values))])

    assert data.derive(table, table, "target").classes == classes


def test_rows_without_a_target_are_left_out_of_features_and_labels_alike() -> None:
    table = _table(target=[1.0, None, 0.0], size=[1, 2, 3], port=["C", "S", None])
    columns = data.derive(table, table, "target")

    rows, labels = data.features(table, columns), data.labels(table, "target")

    assert list(rows.index) == list(labels.index) == [0, 2]
    assert labels.tolist() == [1, 0]
    assert rows["port"].isna().tolist() == [False, True]
