"""The control plane's line to the gateway: one JSON question, one JSON answer, over its admin socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlengine.errors import Unavailable
from mlengine.serving.workers import Events, Load, Route, RouteTable


class GatewayLink:
    """Implements `mlengine.serving.workers.Routes`.

    Args:
        admin_socket: The gateway's admin socket.
        timeout_seconds: How long an answer may take.
    """

    def __init__(self, admin_socket: Path, *, timeout_seconds: float = 10.0) -> None:
        self._path = admin_socket
        self._timeout = timeout_seconds

    def publish(self, table: RouteTable) -> None:
        models = {
            name: {"split": dict(split), "shadow": dict(table.shadows.get(name, {}))}
            for name, split in table.splits.items()
        }
        versions = {name: _route(route) for name, route in table.versions.items()}
        self._ask({"op": "routes", "versions": versions, "models": models, "foreign": dict(table.foreign)})

    def publish_access(self, directory: Mapping[str, Any]) -> None:
        """Replace what the gateway knows of accounts and policies; returns when it goes by it.

        Args:
            directory: As `mlengine.access.directory.Directory.to_json` gives it.

        Raises:
            Unavailable: the gateway does not answer; the same call may succeed later.
        """
        self._ask({"op": "access", "directory": directory})

    def events(self, after: int, *, seconds: float) -> Events:
        answer = self._ask({"op": "events", "after": after, "seconds": seconds}, patience=seconds)
        wanted = [event["version"] for event in answer["events"] if event["kind"] == "wanted"]
        return Events(answer["at"], tuple(wanted))

    def loads(self) -> dict[str, Load]:
        return {
            name: Load(in_flight=found["inFlight"], held=found["held"], last_use=found["lastUse"] or 0.0)
            for name, found in self.figures()["versions"].items()
        }

    def figures(self) -> dict[str, Any]:
        return self._ask({"op": "figures"})

    def records(self, most: int) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]:
        answer = self._ask({"op": "records", "most": most})
        return answer["records"], answer["droppedOf"]

    def _ask(self, question: dict[str, Any], *, patience: float = 0.0) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(self._timeout + patience)
                line.connect(str(self._path))
                line.sendall(json.dumps(question).encode() + b"\n")
                with line.makefile("rb") as answers:
                    answer = json.loads(answers.readline() or b"{}")
        except (OSError, ValueError) as error:
            raise Unavailable(f"The gateway does not answer at {self._path}: {error}.") from error
        if not answer.get("ok"):
            raise Unavailable(f"The gateway refused: {answer.get('error', 'no reason given')}.")
        return dict(answer)


def _route(route: Route) -> dict[str, Any]:
    return {
        "sockets": list(route.sockets),
        "nodes": len(route.sockets),
        "queueLimit": route.queue_limit,
        "deadlineSeconds": route.deadline_seconds,
        "wakeSeconds": route.wake_seconds,
        "logFraction": route.log_fraction,
    }
