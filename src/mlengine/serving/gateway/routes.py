"""Which versions are served and which of them a path means: the table that the control plane pushes, whole.

Apart from `pool` so that names are read in one place and requests are followed in another.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from mlengine.serving.gateway.events import Events
from mlengine.serving.gateway.figures import INSTANCES, SECONDS, Figures
from mlengine.serving.gateway.orders import RoutesOrder
from mlengine.serving.gateway.paths import read, spellings
from mlengine.serving.gateway.pool import VersionPool
from mlengine.serving.gateway.records import Records
from mlengine.serving.gateway.traffic import Traffic
from mlengine.serving.messages import EXPLAIN, PREDICT

# Targets differ by their query strings too, so what is remembered about them needs a bound.
_MOST_REMEMBERED = 4096
# Versions that are gone keep their figures for a name that comes back, up to so many.
_MOST_FIGURES = 10_000
_OWN = (PREDICT, EXPLAIN)


class Route:
    """What a request's target means.

    Attributes:
        kind: In which language it asks, and what; see `serving.messages`.
        model: PROJECT/MODEL.
        resource: The model as access policies name it.
    """

    __slots__ = ("_table", "_traffic", "_version", "kind", "model", "resource")

    def __init__(self, table: RoutingTable, kind: int, model: str, version: str) -> None:
        """`version`: PROJECT/MODEL/VERSION; empty for whichever the traffic goes to."""
        self.kind = kind
        self.model = model
        self.resource = "projects/{}/models/{}".format(*model.split("/"))
        self._table = table
        self._version = version
        self._traffic = None if version else table.traffic[model]

    @property
    def full(self) -> VersionPool | None:
        """The version whose queue is full, where a request would be refused whatever happens."""
        if self._traffic is None:
            pool = self._table.pools.get(self._version)
            return pool if pool is not None and pool.full else None
        return self._traffic.pick() if self._traffic.full else None

    def pick(self) -> VersionPool | None:
        """Who answers a request that is complete now; None where its version is gone."""
        if self._traffic is None:
            return self._table.pools.get(self._version)
        return self._traffic.pick()

    @property
    def shadows(self) -> Traffic | None:
        """Where copies of its requests go; None for nowhere."""
        traffic = self._traffic
        return traffic if traffic is not None and traffic.shadowed else None


class RoutingTable:
    """The versions that are served, and where each model's traffic goes."""

    def __init__(self) -> None:
        self.pools: dict[str, VersionPool] = {}
        self.traffic: dict[str, Traffic] = {}
        self.events = Events()
        self.records = Records()
        self._epoch = uuid.uuid4().hex
        self._figures: dict[str, Figures] = {}
        self._numbers: dict[str, str] = {}
        self._foreign: Mapping[str, str] = {}
        self._leaving: list[VersionPool] = []
        self._remembered: dict[bytes, Route] = {}

    def find(self, target: bytes) -> Route | None:
        """What a request target (path, query string) asks of a version that is served; None for all else."""
        route = self._remembered.get(target)
        if route is None:
            route = self._read(target)
            if route is not None:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[target] = route
        return route

    @property
    def projects(self) -> set[str]:
        """Those that have versions here."""
        return {name.partition("/")[0] for name in self.pools}

    def apply(self, order: RoutesOrder) -> None:
        """Replace the table. Unchanged workers keep their connections, removed ones end what they began."""
        before, self.pools = self.pools, {}
        for name, terms in order.versions.items():
            pool = before.pop(name, None)
            if pool is None:
                figures = self._figures.setdefault(name, Figures())
                pool = VersionPool(name, terms, figures=figures, events=self.events, records=self.records)
            else:
                pool.apply(terms)
            self.pools[name] = pool
        # What is asked from here on goes by the new table, before the old workers let go.
        self._direct(order)
        self._leaving = [pool for pool in self._leaving if pool.waiting]
        for pool in before.values():
            pool.leave()
            self._leaving.append(pool)
        if len(self._figures) > _MOST_FIGURES:
            self._figures = {name: self._figures[name] for name in self.pools}

    def rename(self, numbers: Mapping[str, str]) -> None:
        """From now on these numbers stand for these projects."""
        self._numbers = dict(numbers)
        self._remembered.clear()

    def in_flight(self) -> int:
        """Predictions taken and not yet answered, those of removed versions included."""
        return sum(pool.waiting for pool in (*self.pools.values(), *self._leaving))

    def figures(self) -> dict[str, Any]:
        """What every version did since the gateway's start."""
        now, clock = time.time(), time.perf_counter()
        versions = {}
        for name, pool in self.pools.items():
            used = clock if pool.waiting else pool.used
            versions[name] = pool.figures.to_json() | {
                "lastUse": now - (clock - used) if used else 0.0,
                "inFlight": pool.waiting,
                "held": pool.held,
                "connected": pool.connected,
            }
        bounds = {"seconds": SECONDS, "instances": INSTANCES}
        return {"epoch": self._epoch, "bounds": bounds, "versions": versions}

    def close(self) -> None:
        """End all connections; whoever still waits is answered 503."""
        for pool in (*self.pools.values(), *self._leaving):
            pool.close()

    def _direct(self, order: RoutesOrder) -> None:
        before, self.traffic = self.traffic, {}
        for model, said in order.models.items():
            traffic = before.pop(model, None) or Traffic()
            split = [(pool, said.split[version]) for version, pool in self._versions(model, said.split)]
            shadow = {
                version: (pool, said.shadow[version]) for version, pool in self._versions(model, said.shadow)
            }
            traffic.apply(split, shadow)
            self.traffic[model] = traffic
        for traffic in before.values():
            traffic.apply([], {})
        self._foreign = order.foreign
        self._remembered.clear()

    def _versions(self, model: str, ids: Mapping[str, Any]) -> Iterator[tuple[str, VersionPool]]:
        for version in ids:
            pool = self.pools.get(f"{model}/{version}")
            if pool is not None:
                yield version, pool

    def _read(self, target: bytes) -> Route | None:
        asked = read(target, numbers=self._numbers, foreign=self._foreign)
        if asked is None:
            return None
        if not asked.version:
            traffic = self.traffic.get(asked.model)
            served = traffic is not None and traffic.served
            return Route(self, asked.kind, asked.model, "") if served else None
        own = asked.kind in _OWN
        for version in (asked.version,) if own else spellings(asked.version):
            name = f"{asked.model}/{version}"
            if name in self.pools:
                return Route(self, asked.kind, asked.model, name)
        return None
