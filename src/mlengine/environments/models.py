"""The environment of a model that brings packages of its own: they lie over its runtime, as a job's do.

It is named after all that went into it, so that versions with the same packages share one, and a restart or a
further node finds it made.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlengine.environments.builder import Builder
from mlengine.environments.catalogue import Runtime
from mlengine.environments.layers import make_layers
from mlengine.environments.lockfile import file_hash
from mlengine.errors import InvalidArgument

# Part of the hash: raise it when environments of the same packages are to be made differently.
_LAYOUT = 1


def for_model(
    builder: Builder, runtime: Runtime, packages: Sequence[Path], on_progress: Callable[[str], None]
) -> Path:
    """The Python in which a model with these packages is served; builds what is missing. May take minutes.

    Args:
        builder: Where environments are kept.
        runtime: What lies below.
        packages: Source archives and wheels, installed in this order; none gives the runtime's own Python.
        on_progress: Gets a line for each step that takes time, and what had to differ from the runtime.

    Raises:
        InvalidArgument: A file is not a package.
        FailedPrecondition: Something does not build or install, or there are no versions that fit together.
    """
    python = builder.build(runtime, on_progress)
    if not packages:
        return python

    def make(directory: Path) -> Path:
        began = time.monotonic()
        layers = make_layers(builder, runtime, directory, packages, on_progress, whose="model")
        for note in layers.notes:
            on_progress(note)
        held = {**layers.overlay.own, **layers.overlay.added}
        listed = ", ".join(f"{name} {version}" for name, version in held.items())
        on_progress(f"Installed {listed} on {runtime.name} in {time.monotonic() - began:.1f} s.")
        return layers.overlay.runtime

    return builder.derived(runtime, _name(python.parent.parent, runtime, packages), make, on_progress)


def _name(below: Path, runtime: Runtime, packages: Sequence[Path]) -> str:
    """By names and contents of the packages, in their order, and by what lies below."""
    made_of = [str(_LAYOUT), below.name, sys.platform]
    for path in packages:
        try:
            made_of += [path.name, file_hash(path)]
        except OSError as error:
            raise InvalidArgument(f"The package {path} cannot be read: {error.strerror or error}.") from error
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()
    return f"{runtime.name}+model-{digest[:12]}"
