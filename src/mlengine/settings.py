"""What an operator may set, read once: flags, then `MLENGINE_*`, then `mlengine.toml`, then defaults."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mlengine.errors import InvalidArgument, nearest
from mlengine.names import check_project

LOOPBACK = ("127.0.0.1", "localhost", "::1")
AUTH = ("required", "loopback")
_WHOLE_NUMBERS = (
    "port",
    "tls_port",
    "max_running_jobs",
    "idle_seconds",
    "standbys",
    "storage_quota_bytes",
    "storage_quota_objects",
    "tables_query_memory_bytes",
    "tables_query_seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with its default.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        tls_port: TCP port for https; 0 takes port + 363 (8443 for 8080) if that is free, else any free one.
        data_dir: The one directory that holds all state.
        cache_dir: Built environments; may be deleted at any time when nothing runs.
        project: Id of the server's first project, which is there from the start.
        auth: "required": every request needs an access token. "loopback": whoever has none is the owner,
            which only loopback addresses may say. Empty for what fits the host.
        database_url: SQLAlchemy URL; empty for SQLite in the data directory.
        blobs_url: Object store for contents (s3://BUCKET/PREFIX, gs://…, az://…); empty for a folder in the
            data directory.
        max_running_jobs: Jobs that run at once; the others wait in the queue.
        idle_seconds: After so long without a request a version that may have no node (minNodes 0) sleeps.
        standbys: Processes per environment and framework that have imported it and wait for a version that
            sleeps; 0 keeps none.
        storage_quota_bytes: Most bytes that the project's objects may have, noncurrent generations too;
            0 sets no limit.
        storage_quota_objects: Most objects and noncurrent generations of the project; 0 sets no limit.
        tables_query_memory_bytes: Memory that one query of tables may use; what is more goes to the disk. 0
            takes an eighth of the machine's.
        tables_query_seconds: How long one may take.
        origins: Where each came from: "flag", "environment", "mlengine.toml"; "default" for what is not here.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tls_port: int = 0
    data_dir: Path
    cache_dir: Path
    project: str = "local"
    auth: str = ""
    database_url: str = ""
    blobs_url: str = ""
    max_running_jobs: int = os.cpu_count() or 1
    idle_seconds: int = 300
    standbys: int = 1
    storage_quota_bytes: int = 0
    storage_quota_objects: int = 0
    tables_query_memory_bytes: int = 0
    tables_query_seconds: int = 3600
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_project(self.project)
        if self.auth not in ("", *AUTH):
            raise InvalidArgument(
                f"auth is '{self.auth}'; it must be {' or '.join(AUTH)}.", hint=nearest(self.auth, AUTH)
            )
        if self.auth == "loopback" and self.host not in LOOPBACK:
            raise InvalidArgument(
                f"host is {self.host} and auth is loopback: other machines would be let in without a token.",
                hint="Leave auth away, and tokens are required; or use 127.0.0.1 and ssh -L.",
            )
        for name, port in (("port", self.port), ("tls_port", self.tls_port)):
            if not 0 <= port <= 65535:
                raise InvalidArgument(f"{name} is {port}; it must be between 0 and 65535.")
        if self.max_running_jobs < 1:
            raise InvalidArgument(f"max_running_jobs is {self.max_running_jobs}; at least 1 is needed.")
        if self.idle_seconds < 1:
            raise InvalidArgument(f"idle_seconds is {self.idle_seconds}; at least 1 is needed.")
        if self.standbys < 0:
            raise InvalidArgument(f"standbys is {self.standbys}; 0 keeps none, less cannot be.")
        if self.tables_query_memory_bytes < 0 or self.tables_query_seconds < 1:
            raise InvalidArgument(
                "tables_query_memory_bytes must be 0 or more, and tables_query_seconds at least 1."
            )
        for name in ("storage_quota_bytes", "storage_quota_objects"):
            if getattr(self, name) < 0:
                raise InvalidArgument(f"{name} is {getattr(self, name)}; 0 sets no limit, less cannot be.")

    @property
    def tokens_required(self) -> bool:
        """Whether a request without an access token is nobody's."""
        return self.auth == "required" or self.host not in LOOPBACK

    @property
    def endpoint(self) -> str:
        """Where this machine's own programs reach the server."""
        own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        host = f"[{own}]" if ":" in own else own
        return f"http://{host}:{self.port}"

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'mlengine.db'}"


def names() -> list[str]:
    """What can be set."""
    return [known.name for known in fields(Settings) if known.name != "origins"]


def meaning(name: str) -> str:
    """What a setting is for, as it stands above."""
    told = inspect.cleandoc(Settings.__doc__ or "")
    found = re.search(rf"^    {name}: (.*(?:\n        .*)*)", told, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def read_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], *, origins: Mapping[str, str] | None = None
) -> Settings:
    """Gather the settings.

    Args:
        flags: What the command line gave; None means not given.
        environment: The process environment.
        origins: Where flags came from that another process of ours has passed on.

    Raises:
        InvalidArgument: a setting is unknown or has a wrong value.
    """
    chosen: dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    came = dict.fromkeys(chosen, "flag")
    known = names()
    for name in known:
        if name not in chosen and (value := environment.get(f"MLENGINE_{name.upper()}")):
            chosen[name] = value
            came[name] = "environment"
    chosen.setdefault("data_dir", _home(environment, "XDG_DATA_HOME", ".local/share"))
    for name, value in _file(Path(chosen["data_dir"]) / "mlengine.toml", known).items():
        if name not in chosen:
            chosen[name], came[name] = value, "mlengine.toml"
    if origins is not None:
        came = dict(origins)
    chosen.setdefault("cache_dir", _home(environment, "XDG_CACHE_HOME", ".cache"))
    for name in ("host", "data_dir", "cache_dir", "project", "auth", "database_url", "blobs_url"):
        if name in chosen and not isinstance(chosen[name], str | Path):
            raise InvalidArgument(f"{name} is {chosen[name]!r}; it must be text.")
    for name in _WHOLE_NUMBERS:
        if name in chosen:
            if isinstance(chosen[name], bool | float):
                raise InvalidArgument(f"{name} is {chosen[name]!r}; it must be a whole number.")
            try:
                chosen[name] = int(chosen[name])
            except ValueError:
                raise InvalidArgument(f"{name} is {chosen[name]!r}; it must be a whole number.") from None
    for name in ("data_dir", "cache_dir"):
        chosen[name] = Path(chosen[name]).expanduser().absolute()
    return Settings(**chosen, origins=came)


def _file(path: Path, known: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"{path} is not TOML: {error}.") from None
    for name in found:
        if name not in known:
            raise InvalidArgument(f"{path}: unknown setting '{name}'.", hint=nearest(name, known))
    return found


def _home(environment: Mapping[str, str], variable: str, default: str) -> Path:
    return Path(environment.get(variable) or Path.home() / default) / "mlengine"
