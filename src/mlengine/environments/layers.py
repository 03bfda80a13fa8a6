"""From packages to the environment of a job: over the runtime where they fit, else over one made for them.

An overlay on the runtime takes a third of a second, with the newest of what the runtime lacks. Where that
needs another version of something than the runtime has, older ones are looked for that do not. Where the
trainer itself needs another version, the runtime's lock is resolved anew with that need in it, its frameworks
kept as they are unless they are what is in question, and what comes out is built as runtimes are: once per
lock, compiled, shared by all jobs that need the same.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from mlengine.environments import uv
from mlengine.environments.builder import Builder
from mlengine.environments.catalogue import Runtime
from mlengine.environments.lockfile import Pin, lock_hash, merged, read_lock, write_lock
from mlengine.environments.overlay import ALSO_CALLED, Conflicts, Overlay, make_overlay
from mlengine.errors import FailedPrecondition

# What a trainer is written for. These keep the runtime's versions unless a package asks for another one.
_FRAMEWORKS = {
    *("tensorflow", "tensorflow-cpu", "tensorflow-estimator", "keras", "torch"),
    *("scikit-learn", "xgboost", "xgboost-cpu", "lightgbm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What a job runs in.

    Args:
        overlay: Its own environment.
        runtime: What lies below: the runtime asked for, or one made of it.
        notes: Sentences the user should read: what had to differ from the runtime asked for.
    """

    overlay: Overlay
    runtime: Runtime
    notes: tuple[str, ...] = ()

    def lock(self) -> str:
        """All distributions of the environment with their versions, and the hashes that are known."""
        heading = [f"Python {self.runtime.python}, runtime {self.runtime.name}"]
        return write_lock(merged(_pins(self.runtime), self.overlay.pins), heading=heading)


def make_layers(
    builder: Builder,
    runtime: Runtime,
    target: Path,
    packages: Sequence[Path],
    on_progress: Callable[[str], None],
    *,
    whose: str = "job",
) -> Layers:
    """Make an environment of `packages`; builds what it needs.

    Args:
        builder: Where environments are kept.
        runtime: The runtime asked for.
        target: The folder of the job's environment; what stood there is removed.
        packages: Archives, installed in this order.
        on_progress: Gets a line for each step that takes time.
        whose: "job" or "model", for notes.

    Raises:
        InvalidArgument: A file is not a package.
        FailedPrecondition: Something does not build, or there are no versions that fit together.
    """
    python = builder.build(runtime, on_progress)
    try:
        return Layers(
            overlay=make_overlay(python, target, packages, runtime_name=runtime.name), runtime=runtime
        )
    except Conflicts as found:
        conflicts = found
    if not any(conflict.direct for conflict in conflicts.found):
        with suppress(FailedPrecondition):
            overlay = _overlay_of_older(builder, runtime, python, target, packages, conflicts)
            return Layers(overlay=overlay, runtime=runtime)
    own = _own_runtime(builder, runtime, python, conflicts)
    note = _note(conflicts, runtime, own, whose)
    overlay = make_overlay(builder.build(own, on_progress), target, packages, runtime_name=own.name)
    return Layers(overlay=overlay, runtime=own, notes=(note,))


def _overlay_of_older(
    builder: Builder,
    runtime: Runtime,
    python: Path,
    target: Path,
    packages: Sequence[Path],
    conflicts: Conflicts,
) -> Overlay:
    """The overlay with such versions of what it fetches as fit the runtime; raises if there are none."""
    fixed = [f"{pin.name}=={pin.version}" for pin in _pins(runtime)]
    path = _kept(builder, runtime, "fits", conflicts, lambda: _resolve(runtime, fixed, python, conflicts))
    held = {pin.name for pin in _pins(runtime)}
    found = read_lock(path.read_text(encoding="utf-8"), system=sys.platform)
    constraints = [f"{pin.name}=={pin.version}" for pin in found if pin.name not in held]
    return make_overlay(python, target, packages, runtime_name=runtime.name, constraints=constraints)


def _own_runtime(builder: Builder, runtime: Runtime, python: Path, conflicts: Conflicts) -> Runtime:
    """The runtime with other versions, such that the packages fit."""
    free = {conflict.name for conflict in conflicts.found}
    kept = [
        f"{pin.name}=={pin.version}" if pin.name in _FRAMEWORKS and pin.name not in free else pin.name
        for pin in _pins(runtime)
    ]
    path = _kept(builder, runtime, "job", conflicts, lambda: _resolve(runtime, kept, python, conflicts))
    own = replace(runtime, name=f"{runtime.name}+job", lock_file=path)
    versions = {pin.name: pin.version for pin in _pins(own)}
    plain = {name: versions.get(name) or versions.get(f"{name}-cpu", "") for name in runtime.packages}
    return replace(
        own, packages=MappingProxyType({name: version for name, version in plain.items() if version})
    )


def _kept(
    builder: Builder, runtime: Runtime, kind: str, conflicts: Conflicts, make: Callable[[], str]
) -> Path:
    """A lock for these needs; made once, for the next job is to get the same."""
    before = runtime.lock_file.read_text(encoding="utf-8")
    made_of = "\0".join([before, sys.platform, platform.machine(), *sorted(conflicts.needs)])
    name = f"{runtime.name}+{kind}-{lock_hash(made_of)[:12]}"
    return builder.kept_lock(name) or builder.keep_lock(name, make())


def _resolve(runtime: Runtime, kept: Sequence[str], python: Path, conflicts: Conflicts) -> str:
    """A lock with `kept` and what the packages need, that differs from the runtime's as little as may be."""
    from tempfile import TemporaryDirectory

    pins = _pins(runtime)
    present = {pin.name for pin in pins}
    aliases = {alias for name in present for alias in ALSO_CALLED.get(name, ())} - present
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wanted = "".join(f"{line}\n" for line in (*kept, *conflicts.needs))
        (folder / "wanted.in").write_text(wanted, encoding="utf-8")
        (folder / "left-out.txt").write_text(
            "".join(f"{alias} ; sys_platform == 'never'\n" for alias in sorted(aliases)), encoding="utf-8"
        )
        # uv keeps the versions of the file it is to write wherever it can.
        (folder / "lock.txt").write_text(write_lock(pins), encoding="utf-8")
        command = ["pip", "compile", "--quiet", "--python", str(python), "--no-header", "--no-annotate"]
        command += ["--generate-hashes", "--overrides", "left-out.txt"]
        command += ["--output-file", "lock.txt", "wanted.in"]
        uv.run(command, folder=folder, purpose=f"{conflicts.message} No other versions fit together either")
        return (folder / "lock.txt").read_text(encoding="utf-8")


def _pins(runtime: Runtime) -> tuple[Pin, ...]:
    return read_lock(runtime.lock_file.read_text(encoding="utf-8"), system=sys.platform)


def _note(conflicts: Conflicts, runtime: Runtime, own: Runtime, whose: str) -> str:
    became = {pin.name: pin.version for pin in _pins(own)}
    changed = [
        f"{pin.name} {became[pin.name]} in place of {pin.version}"
        for pin in _pins(runtime)
        if became.get(pin.name, pin.version) != pin.version
    ]
    end = " A model it saves may load only with the same versions." if whose == "job" else ""
    return (
        f"{conflicts.message.rstrip('.')}: this {whose} gets an environment of its own, {runtime.name} "
        f"with {', '.join(changed) or 'more in it'}.{end}"
    )
