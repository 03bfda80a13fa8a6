"""Runtime versions and their environments: which there are, how they are built, what a trainer finds in them.

At ground level, for the command line builds them as the server does. Nothing here is imported before it is
asked for: a job's launcher goes through this package, and each of its milliseconds is part of every start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlengine.environments.builder import Builder, default_cache_dir
    from mlengine.environments.catalogue import Resolution, Runtime, resolve, runtimes
    from mlengine.environments.contract import (
        framework_variables,
        launcher_environment,
        program_environment,
        storage_variables,
        trainer_environment,
    )
    from mlengine.environments.layers import Layers, make_layers
    from mlengine.environments.models import for_model
    from mlengine.environments.overlay import Overlay, check_module, make_overlay

__all__ = [
    "Builder",
    "Layers",
    "Overlay",
    "Resolution",
    "Runtime",
    "check_module",
    "default_cache_dir",
    "for_model",
    "framework_variables",
    "launcher_environment",
    "make_layers",
    "make_overlay",
    "program_environment",
    "resolve",
    "runtimes",
    "storage_variables",
    "trainer_environment",
]

_HOMES = {
    "builder": ("Builder", "default_cache_dir"),
    "catalogue": ("Resolution", "Runtime", "resolve", "runtimes"),
    "contract": (
        *("framework_variables", "launcher_environment", "program_environment", "storage_variables"),
        "trainer_environment",
    ),
    "layers": ("Layers", "make_layers"),
    "models": ("for_model",),
    "overlay": ("Overlay", "check_module", "make_overlay"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
