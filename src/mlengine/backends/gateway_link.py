"""The control plane's line to the gateway: one JSON question, one JSON answer, over its admin socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlengine.errors import Unavailable


class GatewayLink:
    """Implements `mlengine.serving.workers.Routes`.

    Args:
        admin_socket: The gateway's admin socket.
        timeout_seconds: How long an answer may take.
    """

    def __init__(self, admin_socket: Path, *, timeout_seconds: float = 10.0) -> None:
        self._path = admin_socket
        self._timeout = timeout_seconds

    def publish(self, versions: Mapping[str, Path], defaults: Mapping[str, str]) -> None:
        sockets = {name: str(path) for name, path in versions.items()}
        self._ask({"op": "routes", "versions": sockets, "defaults": dict(defaults)})

    def publish_access(self, directory: Mapping[str, Any]) -> None:
        """Replace what the gateway knows of accounts and policies; returns when it goes by it.

        Args:
            directory: As `mlengine.access.directory.Directory.to_json` gives it.

        Raises:
            Unavailable: the gateway does not answer; the same call may succeed later.
        """
        self._ask({"op": "access", "directory": directory})

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(self._timeout)
                line.connect(str(self._path))
                line.sendall(json.dumps(question).encode() + b"\n")
                answer = json.loads(line.makefile("rb").readline() or b"{}")
        except (OSError, ValueError) as error:
            raise Unavailable(f"The gateway does not answer at {self._path}: {error}.") from error
        if not answer.get("ok"):
            raise Unavailable(f"The gateway refused: {answer.get('error', 'no reason given')}.")
        return dict(answer)
