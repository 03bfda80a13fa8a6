"""mlengine: open, self-hosted Cloud ML Engine."""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing's own costs 8 ms at every start of the command line
if TYPE_CHECKING:
    from mlengine.sdk.async_client import AsyncClient as AsyncClient
    from mlengine.sdk.async_client import AsyncJob as AsyncJob
    from mlengine.sdk.async_client import AsyncModel as AsyncModel
    from mlengine.sdk.async_client import AsyncOperation as AsyncOperation
    from mlengine.sdk.async_client import AsyncVersion as AsyncVersion
    from mlengine.sdk.client import Client as Client
    from mlengine.sdk.client import Job as Job
    from mlengine.sdk.client import Model as Model
    from mlengine.sdk.client import Operation as Operation
    from mlengine.sdk.client import Version as Version
    from mlengine.sdk.problems import Cancelled as Cancelled
    from mlengine.sdk.problems import JobFailed as JobFailed
    from mlengine.sdk.problems import OperationFailed as OperationFailed
    from mlengine.sdk.resources import LogLine as LogLine

# Imported when first asked for: the command line starts without them.
_MODULES = {
    "AsyncClient": "async_client",
    "AsyncJob": "async_client",
    "AsyncModel": "async_client",
    "AsyncOperation": "async_client",
    "AsyncVersion": "async_client",
    "Cancelled": "problems",
    "Client": "client",
    "Job": "client",
    "JobFailed": "problems",
    "LogLine": "resources",
    "Model": "client",
    "Operation": "client",
    "OperationFailed": "problems",
    "Version": "client",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'mlengine' has no attribute '{name}'")
    from importlib import import_module

    found: object = getattr(import_module(f"mlengine.sdk.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
