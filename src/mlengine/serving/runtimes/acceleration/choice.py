"""Chooses the form in which a model is served: the fastest with the original's answers, or itself."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.acceleration import instances
from mlengine.serving.runtimes.acceleration.comparison import Oracle, TooLate, Verdict, in_turns
from mlengine.serving.runtimes.acceleration.forms import Form, forms_of
from mlengine.serving.runtimes.acceleration.guard import Guarded
from mlengine.serving.runtimes.acceleration.words import Unsupported
from mlengine.serving.runtimes.model import Model, RawInstances, Refused, Rows, Signature
from mlengine.serving.runtimes.options import Options

Report = dict[str, Any]

SECONDS = 10.0
FILE = "acceleration.json"
# Another number makes every version compare anew.
_EDITION = 1
_INSTANCES = 400
_FEWEST = 50
_SEED = 20
# Against one row: less than this is not worth a second form of the model.
_LEAST_GAIN = 1.2
_NOT_SLOWER = 1.05
# How much faster a form with smaller floats must be to be preferred to one that is exact.
_WORTH_ROUNDING = 1.5
# Smaller floats may differ by the original's own noise times this, but never by more than the last number.
_NOISE = 4.0
_MOST_NOISE = 1e-4
# A form that leaves more than this share of the answers to the original is of no use.
_MOST_LEFT = 0.2
# Four calls with one row and one with 64 in less than this: nothing faster is looked for.
_QUICK_US = 1500.0
_PACKAGES = (
    "scikit-learn",
    "numpy",
    "xgboost",
    "xgboost-cpu",
    "lightgbm",
    "onnxruntime",
    "tensorflow",
    "keras",
)

FormsOf = Callable[[Model, Path], Iterator[Form]]


def accelerate(
    model: Model,
    loaded: object | None,
    *,
    folder: Path,
    options: Options,
    artefacts: Path | None = None,
    forms: FormsOf = forms_of,
    limit: float = SECONDS,
) -> tuple[Model, Report]:
    """The model to serve, and what was found out about faster forms of it. Never raises.

    Args:
        model: The loaded model, which has answered its golden prediction.
        loaded: The framework's own object; `model.source` where it is None.
        folder: The version's folder, where the outcome is kept for the next start.
        options: Of the version.
        artefacts: Where the model's files are; as long as they stay the same, so does the outcome. Without
            it, each start finds out anew.
        forms: Makes the forms to try.
        limit: Seconds that finding out may take.
    """
    if not options.accelerate:
        return model, _none("It is switched off for this version.")
    if loaded is not None and model.source is None:
        model = replace(model, source=loaded)
    if model.passthrough is not None or model.source is None or not model.signatures:
        return model, _none(f"There is no faster form for {model.framework} models of this kind.")
    started = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            key = "" if artefacts is None else _key(artefacts)
            kept = _kept(folder, key) if key else None
            if kept is not None:
                again = _again(model, kept, folder, forms)
                if again is not None:
                    return again
            _forget(folder, keep="")
            chosen, report = _choose(model, folder, forms, deadline=started + limit)
            _forget(folder, keep=report["form"])
    except TooLate:
        chosen, report = model, _none(f"The comparison was not finished within {limit:g} s.")
    except Unsupported as error:
        chosen, report = model, _none(str(error))
    except MemoryError:
        return model, _none("There was not enough memory for a second form.")
    except Exception as error:
        return model, _none(f"Looking for a faster form failed: {type(error).__name__}: {error}")
    report["seconds"] = round(time.monotonic() - started, 3)
    if key:
        _keep(folder, key, report)
    return chosen, report


def _none(reason: str) -> Report:
    return {"form": "none", "reason": reason}


def _default(model: Model) -> Signature:
    return model.signatures[model.default or min(model.signatures)]


def _choose(model: Model, folder: Path, forms: FormsOf, *, deadline: float) -> tuple[Model, Report]:
    oracles: dict[str, Oracle] = {}
    best: tuple[float, Form, Report] | None = None
    refused: list[tuple[Form, Report]] = []
    for form in _tried(forms(model, folder), refused):
        try:
            if not oracles:
                oracles = _oracles(model, form, deadline)
            report = _judge(model, form, oracles)
        except TooLate:
            if best is None:
                raise
            break
        if report["form"] == "none":
            refused.append((form, report))
            continue
        cost = report["after_64_us"] + 4 * report["after_us"]
        handicap = 1.0 if form.exact else _WORTH_ROUNDING
        if best is None or cost * handicap < best[0]:
            best = (cost, form, report)
        if form.exact and cost < _QUICK_US:
            # Further forms need libraries of their own in memory.
            break
    if best is None:
        return model, refused[0][1] if refused else _none("There is no faster form for a model of this kind.")
    _, form, report = best
    return _served(model, form), report


def _tried(forms: Iterator[Form], refused: list[tuple[Form, Report]]) -> Iterator[Form]:
    """The forms, until one cannot be made; that is an error only if none was before."""
    count = 0
    while True:
        try:
            form = next(forms)
        except StopIteration:
            return
        except Exception:
            if not count and not refused:
                raise
            return
        count += 1
        yield form


def _served(model: Model, form: Form) -> Model:
    signatures: dict[str, Signature] = {
        name: Guarded(signature, form.run_for(signature)) for name, signature in model.signatures.items()
    }
    return replace(model, signatures=signatures)


def _oracles(model: Model, form: Form, deadline: float) -> dict[str, Oracle]:
    ordinary, odd = _instances(model, form)
    found: dict[str, Oracle] = {}
    tensors = model.describe()["instance"] == "tensor"
    now = time.monotonic()
    # A slow original is asked less, so that there is time left to compare.
    enough = now + (deadline - now) * 0.4 / len(model.signatures)
    for name, signature in model.signatures.items():
        oracle = found[name] = Oracle(signature, deadline, vectors=tensors)
        oracle.ask(model.samples, together=False)
        for start in range(0, len(ordinary), 64):
            oracle.ask(ordinary[start : start + 64])
            if time.monotonic() > enough and start + 64 >= _FEWEST:
                break
        for instance in odd:
            if time.monotonic() > enough:
                break
            oracle.ask([instance], together=False)
        if tensors:
            oracle.listen((deadline - now) * 0.1)
        enough += enough - now
    return found


def _instances(model: Model, form: Form) -> tuple[list[Any], list[Any]]:
    description = model.describe()
    if description["instance"] == "row":
        try:
            hints, ranges = form.hints()
        except Exception:  # they make the comparison sharper; without them it still compares
            hints, ranges = {}, {}
        return instances.rows(description, count=_INSTANCES, seed=_SEED, hints=hints, ranges=ranges)
    if description["instance"] == "tensor":
        return instances.tensors(description, count=200, seed=_SEED), []
    raise Unsupported("What an instance looks like is not known.")


def _judge(model: Model, form: Form, oracles: dict[str, Oracle]) -> Report:
    """Compare all signatures of `form`, then measure the default one."""
    default = _default(model)
    noise = max(oracle.noise for oracle in oracles.values())
    tolerance = form.tolerance if form.exact else max(form.tolerance, min(_NOISE * noise, _MOST_NOISE))
    total = Verdict(tolerance)
    for name, oracle in oracles.items():
        total.add(oracle.judge(form.run_for(model.signatures[name]), tolerance))
    report: Report = {
        "form": "none",
        "reason": "",
        "tried": f"{form.name} ({form.detail})",
        "instances": total.instances,
        "sameAnswers": total.same,
        "largestDifference": total.largest,
        "tolerance": tolerance,
    }
    if total.instances < _FEWEST:
        report["reason"] = f"Only {total.instances} instances could be compared; {_FEWEST} are needed."
        return report
    if not total.passed:
        differing = total.instances - total.same
        report["reason"] = f"{differing} of {total.instances} answers differ; the first: {total.first}."
        return report
    if total.left > total.instances * _MOST_LEFT:
        report["reason"] = f"It leaves {total.left} of {total.instances} answers to the original."
        return report
    oracle = oracles[default.name]
    few, many = _one(model), oracle.largest_group()
    if few is None or many is None:
        report["reason"] = "The original answers too little to be measured."
        return report
    fast = form.run_for(default)
    before, after = in_turns(lambda: default.run(few), lambda: fast(few))
    before_many, after_many = in_turns(lambda: default.run(many), lambda: fast(many))
    report |= {
        "before_us": round(before * 1e6, 1),
        "after_us": round(after * 1e6, 1),
        "before_64_us": round(before_many * 1e6, 1),
        "after_64_us": round(after_many * 1e6, 1),
    }
    if before < after * _LEAST_GAIN or after_many > before_many * _NOT_SLOWER:
        report["reason"] = (
            f"It is not faster: {after * 1e6:.0f} µs against {before * 1e6:.0f} µs for one row, "
            f"{after_many * 1e6:.0f} against {before_many * 1e6:.0f} for {many.count}."
        )
        return report
    report["form"] = form.name
    report["reason"] = (
        f"{form.detail}: the same answers to {total.instances} instances, "
        f"{before / after:.1f} times as fast for one row."
    )
    return report


def _one(model: Model) -> Rows | None:
    for sample in model.samples:
        try:
            rows = _default(model).decode(RawInstances([sample]))
            _default(model).run(rows)
        except Exception:
            continue
        return rows
    return None


def _again(model: Model, kept: Report, folder: Path, forms: FormsOf) -> tuple[Model, Report] | None:
    """The outcome of an earlier start, if it still holds; None to find out anew."""
    if kept["form"] == "none":
        return model, kept
    refused: list[tuple[Form, Report]] = []
    for form in _tried(forms(model, folder), refused):
        if f"{form.name} ({form.detail})" != kept["tried"]:
            continue
        for signature in model.signatures.values():
            tensors = model.describe()["instance"] == "tensor"
            oracle = Oracle(signature, time.monotonic() + SECONDS, vectors=tensors)
            try:
                oracle.ask(model.samples, together=False)
                same = oracle.judge(form.run_for(signature), kept["tolerance"]).passed
            except (Refused, TooLate):
                same = False
            if not same:
                return None
        return _served(model, form), kept
    return None


def _key(artefacts: Path) -> str:
    """What the outcome depends on: the files of the model, and the packages that compute."""
    digest = hashlib.sha256(f"{_EDITION}".encode())
    for file in sorted(artefacts.rglob("*")):
        if file.is_file():
            status = file.stat()
            name = file.relative_to(artefacts).as_posix()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    for package in _PACKAGES:
        try:
            digest.update(f"{package} {version(package)}\n".encode())
        except PackageNotFoundError:
            continue
    return digest.hexdigest()


def _kept(folder: Path, key: str) -> Report | None:
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(content, dict) and content.get("key") == key
    report = content.get("report") if same else None
    return report if isinstance(report, dict) and "form" in report else None


def _forget(folder: Path, *, keep: str) -> None:
    """Remove graphs that belong to other files of the model, or to a form that was not chosen."""
    if keep != "onnx":
        for file in folder.glob("acceleration*.onnx"):
            file.unlink(missing_ok=True)


def _keep(folder: Path, key: str, report: Report) -> None:
    early = folder / f"{FILE}.{os.getpid()}"
    try:
        early.write_text(json.dumps({"key": key, "report": report}), encoding="utf-8")
        early.replace(folder / FILE)
    except OSError:
        pass  # found out anew at the next start
