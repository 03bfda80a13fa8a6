"""Custom containers: a server of the user's own, run as a process of this machine and spoken to as it came.

Google's contract for containers holds, but there is no image: `command` and `args` are started here, in the
environment of the version's runtime, with the artefacts as their folder. Bodies pass through unread.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from mlengine.serving.runtimes.model import Description, LoadFailed, Model
from mlengine.serving.runtimes.options import Container, Options
from mlengine.serving.runtimes.program import LOOPBACK, Program, take_port

LARGEST_BODY = 1_500_000
"""Bytes of a request, and of an answer: Google's limit of 1.5 MB."""

_ANSWER_SECONDS = 60.0
_AT_ONCE = 32
_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_RESERVED = "AIP_"


def start(model_dir: Path, options: Options) -> Model:
    """Start the server of `options` and wait until it is healthy. Raises LoadFailed.

    Args:
        model_dir: The artefacts; may be an empty folder.
        options: Whose `container` it is.
    """
    container = options.container
    if container is None or not container.command:
        raise LoadFailed(
            "The container has no command. Images are not run here, only what they would run: give "
            "container.command and container.args (as the image's ENTRYPOINT and CMD have them), with a "
            "program that is on this machine, in the runtime, or in the folder of the artefacts."
        )
    for name in container.env:
        if name.startswith(_RESERVED):
            raise LoadFailed(f"container.env: {name} begins with {_RESERVED}, which is for the service.")
    model_dir.mkdir(parents=True, exist_ok=True)
    port, kept = take_port(container.port)
    if port != container.port:
        sys.stderr.write(
            f"Port {container.port} is taken on this machine; AIP_HTTP_PORT says {port}, which the server "
            f"must listen on.\n"
        )
        sys.stderr.flush()
    variables = environment(container, options, port=port, model_dir=model_dir)
    command = [expanded(word, variables) for word in (*container.command, *container.args)]
    program = Program(
        command,
        variables={**_surroundings(), **variables},
        folder=model_dir,
        port=port,
        health_route=container.health_route,
        kept=kept,
    )
    program.start()
    forward = Forward(program, container.predict_route)
    return Model(
        framework="container",
        signatures={},
        default=None,
        aliases=(),
        ignores_unknown_keys=True,
        describe=_describe,
        samples=[],
        sure=False,
        passthrough=forward,
        source=forward,
    )


def environment(container: Container, options: Options, *, port: int, model_dir: Path) -> dict[str, str]:
    """The variables of the contract, and the user's, with their references resolved.

    Args:
        container: Whose `env` it is.
        options: What the variables tell of the version.
        port: The one to listen on.
        model_dir: The artefacts on this machine.
    """
    known = {
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_HEALTH_ROUTE": container.health_route,
        "AIP_HTTP_PORT": str(port),
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_MODEL_NAME": options.model_name,
        "AIP_PREDICT_ROUTE": container.predict_route,
        "AIP_PROJECT_NUMBER": options.project,
        "AIP_STORAGE_URI": options.storage_uri,
        "AIP_VERSION_NAME": options.version_name,
        "MLENGINE_MODEL_DIR": str(model_dir),
    }
    for name, value in container.env.items():
        known[name] = expanded(value, known)
    return known


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """`text` with `$(NAME)` replaced where NAME is known, and `$$` as a dollar that means nothing."""

    def replaced(found: re.Match[str]) -> str:
        name = found[1]
        return "$" if name is None else variables.get(name, found[0])

    return _REFERENCE.sub(replaced, text)


class Forward:
    """Hands bodies to the server and back: several at once, over connections that are kept.

    Args:
        program: The server.
        route: Path that takes predictions.
    """

    def __init__(self, program: Program, route: str) -> None:
        self.program = program
        self._route = route if route.startswith("/") else f"/{route}"
        self._idle: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="container")

    def __call__(self, bodies: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """The answer to each body, in order: HTTP status and body. Never raises."""
        if len(bodies) == 1:
            return [self._one(bodies[0])]
        return list(self._threads.map(self._one, bodies))

    def stop(self) -> None:
        """End the server; nothing is answered any more."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()
        self.program.stop()

    def _one(self, body: bytes) -> tuple[int, bytes]:
        if len(body) > LARGEST_BODY:
            return _error(
                413,
                f"The request has {len(body)} bytes; a container takes at most {LARGEST_BODY}. Send fewer "
                f"instances in one request.",
            )
        if not self.program.healthy:
            return _error(503, f"The version's container does not answer: {self.program.trouble}")
        try:
            status, answer = self._exchange(body)
        except TimeoutError:
            return _error(504, f"The version's container did not answer within {_ANSWER_SECONDS:g} s.")
        except (OSError, http.client.HTTPException) as error:
            return _error(502, f"The version's container broke off: {type(error).__name__}: {error}")
        if len(answer) > LARGEST_BODY:
            return _error(
                500,
                f"The container answered {len(answer)} bytes; at most {LARGEST_BODY} are passed on. Send "
                f"fewer instances in one request.",
            )
        return status, answer

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        connection, used = self._connection()
        try:
            return self._ask(connection, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()
            if not used:
                raise
            # It was closed while it lay idle: the server has not seen the request.
            connection = http.client.HTTPConnection(LOOPBACK, self.program.port, timeout=_ANSWER_SECONDS)
            return self._ask(connection, body)

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
        try:
            connection.request("POST", self._route, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            status, content = answer.status, answer.read(LARGEST_BODY + 1)
            if not answer.isclosed() or answer.will_close:
                # Longer than may be passed on, or the server's wish: not to be used again.
                connection.close()
                return status, content
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        return status, content

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return self._idle.get_nowait(), True
        except Empty:
            return http.client.HTTPConnection(LOOPBACK, self.program.port, timeout=_ANSWER_SECONDS), False


def _surroundings() -> dict[str, str]:
    """The worker's own variables; programs of its environment come first."""
    own = dict(os.environ)
    bin_folder = str(Path(sys.executable).parent)
    own["PATH"] = os.pathsep.join([bin_folder, own.get("PATH", os.defpath)])
    return own


def _describe() -> Description:
    return {
        "framework": "container",
        "signature": None,
        "signatures": [],
        "instance": "any",
        "named": False,
        "inputs": [],
        "outputs": [],
        "sample": None,
        "sure": False,
    }


def _error(code: int, message: str) -> tuple[int, bytes]:
    status = {413: "INVALID_ARGUMENT", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}.get(code, "INTERNAL")
    envelope: dict[str, Any] = {"error": {"code": code, "message": message, "status": status}}
    return code, json.dumps(envelope).encode("ascii")
