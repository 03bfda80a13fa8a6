"""The routing table, made from the rows and from the workers that serve, and handed to the gateway."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from mlengine.models.domain import Traffic, Version
from mlengine.names import ModelName
from mlengine.serving.workers import Route, Routes, RouteTable


class Routing:
    """What the gateway goes by; published whenever it changes.

    Args:
        serving: Versions with the sockets of their nodes; none for one that is asleep.
        traffic: Which versions get the requests of each model.
        home: The project whose models protocols without projects mean first.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        serving: Callable[[], Mapping[str, tuple[Version, tuple[str, ...]]]],
        traffic: Callable[[], Mapping[ModelName, Traffic]],
        home: str,
    ) -> None:
        self._routes = routes
        self._serving = serving
        self._traffic = traffic
        self._home = home
        self._published: RouteTable | None = None
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Tell the gateway, unless it knows. Raises Unavailable."""
        # Rows are read under the lock, so that a table never replaces a newer one.
        with self._lock:
            serving = self._serving()
            table = table_of(serving.values(), self._traffic(), home=self._home)
            if self._published != table:
                self._routes.publish(table)
                self._published = table


def table_of(
    serving: Iterable[tuple[Version, tuple[str, ...]]], traffic: Mapping[ModelName, Traffic], *, home: str
) -> RouteTable:
    """The table for versions and their sockets."""
    versions = {version.name.key: _route(version, sockets) for version, sockets in serving}
    splits: dict[str, dict[str, int]] = {}
    shadows: dict[str, dict[str, float]] = {}
    foreign: dict[str, str] = {}
    for name, asked in sorted(traffic.items(), key=lambda item: item[0].project != home):
        model = f"{name.project}/{name.model}"
        splits[model] = dict(asked.split)
        shadows[model] = dict(asked.shadow)
        foreign.setdefault(name.model, model)
    return RouteTable(versions=versions, splits=splits, shadows=shadows, foreign=foreign)


def _route(version: Version, sockets: tuple[str, ...]) -> Route:
    return Route(sockets=sockets, log_fraction=float(version.request_logging.get("samplingPercentage", 0)))
