"""Which runtime versions there are, and which one a request means. No I/O but for reading the locks.

A runtime is a Python and a list of exactly pinned packages, kept as a lock file beside this module. Google's
old version numbers are known here too: they are mapped to a runtime of today, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mlengine.environments.lockfile import read_lock
from mlengine.errors import InvalidArgument, nearest

LOCKS = Path(__file__).parent / "locks"

# Distribution names as locked -> the name people use for what they import.
_PLAIN_NAMES = {"tensorflow-cpu": "tensorflow", "xgboost-cpu": "xgboost"}
_TITLES = {
    "tensorflow": "TensorFlow",
    "tensorflow-estimator": "tf.estimator",
    "keras": "Keras",
    "torch": "PyTorch",
    "scikit-learn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "onnxruntime": "ONNX Runtime",
    "pandas": "pandas",
    "numpy": "NumPy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A Python with pinned packages.

    Args:
        name: What requests call it ("2026.11-tensorflow").
        python: Its Python, as "3.11".
        summary: One line for lists.
        lock_file: The pinned packages, one requirement a line.
        packages: The versions people ask about, by import-side name ("tensorflow", not "tensorflow-cpu").
    """

    name: str
    python: str
    summary: str
    lock_file: Path
    packages: Mapping[str, str]

    def contents(self) -> str:
        """Python and headline packages in words: "Python 3.11, TensorFlow 2.21.0, …"."""
        parts = [f"Python {self.python}"]
        parts += [f"{_TITLES.get(name, name)} {version}" for name, version in self.packages.items()]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a request for a runtime version came to.

    Args:
        runtime: The runtime to use.
        requested: What was asked for, as given; "" for nothing.
        notes: Sentences the user should read: what was chosen or mapped, and how to pin it.
    """

    runtime: Runtime
    requested: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """A runtime version of Google's, all of them retired.

    Args:
        number: Its number ("1.15").
        pythons: The Pythons it could be asked for with, newest first.
    """

    number: str
    pythons: tuple[str, ...]

    @property
    def is_first_generation(self) -> bool:
        """Whether it is from before 2.1, when the first replica was called master and not chief."""
        return int(self.number.partition(".")[0]) < 2

    @property
    def has_keras_2(self) -> bool:
        """Whether `tf.keras` is Keras 2 there, and its trainers may rely on that."""
        return not self.is_first_generation


def runtimes() -> tuple[Runtime, ...]:
    """All runtimes, newest and most general first."""
    return tuple(RUNTIMES.values())


def default_name(framework: str = "") -> str:
    """The runtime for a request that names none: the small one when the framework is known to fit it.

    Args:
        framework: "SCIKIT_LEARN", "PYTORCH", "ONNX", …, in any spelling; "" if unknown, as for jobs.
    """
    if _is_torch(framework):
        return _TORCH
    return _SKLEARN if _is_small(framework) else _TENSORFLOW


def legacy(requested: str) -> Legacy | None:
    """Google's version of that number, or None if there never was one."""
    return LEGACY.get(requested.strip())


def resolve(requested: str, python_version: str = "", framework: str = "") -> Resolution:
    """Find the runtime that a request means.

    Args:
        requested: A name from `runtimes`, its alias without the suffix ("2026.11"), a number of Google's
            ("1.15"), or "" for the default.
        python_version: "" or the Python asked for: 3.11, or the one an old number came with.
        framework: Of a model: decides the default when `requested` is "", and what an old number means. ""
            for jobs, whose trainers may use any.

    Raises:
        InvalidArgument: No such runtime version, or it does not come with that Python.
    """
    requested, python_version = requested.strip(), python_version.strip()
    old = LEGACY.get(requested)
    runtime = _find(requested, framework)
    notes = [_python_note(requested=requested, python_version=python_version, runtime=runtime, old=old)]
    if old and old.has_keras_2 and not framework:
        notes.insert(0, "tf.keras is Keras 2 there, as it was: TF_USE_LEGACY_KERAS=1 is set.")
    if old:
        versions = f"TensorFlow {old.number}, Python {'/'.join(old.pythons)}"
        notes.insert(
            0,
            f"Runtime version {old.number} ({versions}) is retired; this runs on {runtime.name}: "
            f"{runtime.contents()}. {_pin(runtime)}",
        )
    elif not requested:
        notes.insert(
            0,
            f"No runtime version was given; this runs on {runtime.name}: "
            f"{runtime.contents()}. {_pin(runtime)}",
        )
    return Resolution(runtime=runtime, requested=requested, notes=tuple(filter(None, notes)))


def pins(lock_file: Path, *, system: str = "linux") -> dict[str, str]:
    """What a lock pins on one system.

    Args:
        lock_file: One `name==version ; marker` a line, as `scripts/lock-runtimes` writes them.
        system: As `sys.platform` names it.

    Returns:
        Versions by distribution name.
    """
    return {pin.name: pin.version for pin in read_lock(lock_file.read_text(encoding="utf-8"), system=system)}


def _is_small(framework: str) -> bool:
    return _plain(framework) in ("scikitlearn", "sklearn", "xgboost", "lightgbm", "onnx", "container")


def _is_torch(framework: str) -> bool:
    return _plain(framework) in ("pytorch", "torch")


def _plain(framework: str) -> str:
    return re.sub(r"[^a-z]", "", framework.lower())


def _find(requested: str, framework: str) -> Runtime:
    if not requested:
        return RUNTIMES[default_name(framework)]
    if requested in RUNTIMES:
        return RUNTIMES[requested]
    if old := LEGACY.get(requested):
        # A model of scikit-learn or XGBoost loads in the small one, whichever it was trained on.
        old_time = _ESTIMATOR if old.is_first_generation else _TENSORFLOW
        return RUNTIMES[default_name(framework) if _is_small(framework) or _is_torch(framework) else old_time]
    if any(requested == name.partition("-")[0] for name in RUNTIMES):
        return RUNTIMES[_TORCH if _is_torch(framework) else _TENSORFLOW]
    close = nearest(requested, [*RUNTIMES, *LEGACY])
    raise InvalidArgument(
        f"There is no runtime version '{requested}'.",
        hint=f"{close} List them with: mlengine runtimes list".strip(),
        field="runtime_version",
    )


def _python_note(*, requested: str, python_version: str, runtime: Runtime, old: Legacy | None) -> str:
    """What to say about the Python asked for, "" if nothing; refuses one that does not belong."""
    if python_version in ("", runtime.python):
        return ""
    if old and python_version in old.pythons:
        return (
            f"Python {python_version} is retired; this runs on Python {runtime.python}. "
            f"Pin it with --python-version {runtime.python}."
        )
    if old:
        raise InvalidArgument(
            f"Runtime version {old.number} has no Python {python_version}; "
            f"it was offered with {' and '.join(old.pythons)}.",
            hint=f"Leave out the Python version, or give {runtime.python}, which this runs on.",
            field="python_version",
        )
    chosen = f"Runtime version {requested}" if requested else f"The default runtime version, {runtime.name},"
    raise InvalidArgument(
        f"{chosen} has Python {runtime.python}, not {python_version}.",
        hint=f"Leave out the Python version, or give {runtime.python}.",
        field="python_version",
    )


def _pin(runtime: Runtime) -> str:
    return f"Pin it with --runtime-version {runtime.name}."


def _runtime(name: str, *, summary: str, headline: tuple[str, ...]) -> Runtime:
    lock_file = LOCKS / f"{name}.txt"
    versions = {_PLAIN_NAMES.get(locked, locked): version for locked, version in pins(lock_file).items()}
    return Runtime(
        name=name,
        python="3.11",
        summary=summary,
        lock_file=lock_file,
        packages=MappingProxyType({package: versions[package] for package in headline}),
    )


def _legacy(numbers: str, *pythons: str) -> dict[str, Legacy]:
    return {number: Legacy(number=number, pythons=pythons) for number in numbers.split()}


_TENSORFLOW, _SKLEARN, _ESTIMATOR = "2026.11-tensorflow", "2026.11-sklearn", "2026.11-estimator"
_TORCH = "2026.11-torch"
_TABLES = ("scikit-learn", "xgboost", "lightgbm", "pandas", "numpy")

RUNTIMES: Mapping[str, Runtime] = MappingProxyType(
    {
        runtime.name: runtime
        for runtime in (
            _runtime(
                _TENSORFLOW,
                summary="TensorFlow and Keras, with all of 2026.11-sklearn",
                headline=("tensorflow", "keras", *_TABLES),
            ),
            _runtime(
                _SKLEARN,
                summary="scikit-learn, XGBoost, LightGBM, ONNX and pandas; a third of the size",
                headline=(*_TABLES, "onnxruntime"),
            ),
            _runtime(
                _TORCH,
                summary="PyTorch without CUDA, with all of 2026.11-sklearn",
                headline=("torch", *_TABLES, "onnxruntime"),
            ),
            _runtime(
                "2026.11-full",
                summary="TensorFlow, Keras and PyTorch at once, with all of 2026.11-sklearn",
                headline=("tensorflow", "keras", "torch", *_TABLES, "onnxruntime"),
            ),
            _runtime(
                _ESTIMATOR,
                summary="The last TensorFlow with tf.estimator, for trainers of the time of 1.x; NumPy 1",
                headline=("tensorflow", "tensorflow-estimator", "keras", *_TABLES),
            ),
        )
    }
)

# Google's numbers, all of them: there was no 1.3, 2.0 or 2.10.
LEGACY: Mapping[str, Legacy] = MappingProxyType(
    _legacy("0.11 0.12 1.0 1.1 1.2", "2.7")
    | _legacy("1.4 1.5 1.6 1.7 1.8 1.9 1.10 1.11 1.12 1.13 1.14", "3.5", "2.7")
    | _legacy("1.15", "3.7", "2.7")
    | _legacy("2.1 2.2 2.3 2.4 2.5 2.6 2.7 2.8 2.9 2.11", "3.7")
)
