"""`mlengine server …`: the server of this machine."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from mlengine.cli.administration import SERVER_SETTINGS
from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, at_least
from mlengine.cli.output import show
from mlengine.cli.session import Session


def _data_dir_flag(parser: Parser) -> None:
    parser.add_argument(
        "--data-dir", metavar="DIR", help="holds all state; MLENGINE_DATA_DIR, else ~/.local/share/mlengine"
    )


def _start_arguments(parser: Parser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", type=at_least(0), metavar="N", help="default 8080; 0 takes a free one")
    parser.add_argument(
        "--tls-port", type=at_least(0), metavar="N", help="for https; default the port + 363, 8443 for 8080"
    )
    parser.add_argument(
        "--auth",
        choices=["required", "loopback"],
        help="required: access tokens; loopback: none here, the default on a loopback address",
    )
    _data_dir_flag(parser)
    parser.add_argument("--detach", action="store_true", help="come back once it is ready; it runs on")


def _start(arguments: Namespace, session: Session) -> int:
    from mlengine.client import server_process
    from mlengine.errors import FailedPrecondition

    data_dir = _data_dir(arguments, session)
    given = (
        ("--host", arguments.host),
        ("--port", arguments.port),
        ("--tls-port", arguments.tls_port),
        ("--auth", arguments.auth),
    )
    options = [text for flag, value in given if value is not None for text in (flag, str(value))]
    running = server_process.find(data_dir)
    if running:
        wanted = arguments.port is None or arguments.port == running.port
        if not arguments.detach or not wanted:
            raise FailedPrecondition(
                f"A server already runs at {running.endpoint} on {data_dir} (process {running.pid}).",
                hint="Stop it: mlengine server stop. Or take another --data-dir and --port.",
            )
        session.say(f"A server already runs (process {running.pid}, data in {data_dir}).")
        print(running.endpoint)
        return 0
    if not arguments.detach:
        command = server_process.command(data_dir, options)
        os.execv(command[0], command)
    running = server_process.start(data_dir, options)
    session.say(
        f"The server is ready (process {running.pid}, data in {data_dir}). Stop it: mlengine server stop"
    )
    if running.auth == "required":
        key = data_dir / "keys" / "admin.json"
        session.say(f"It wants access tokens. The first owner's key: export MLENGINE_CREDENTIALS={key}")
    if not session.endpoint_given and running.endpoint != session.endpoint:
        session.say(f"Other commands find it with: export MLENGINE_ENDPOINT={running.endpoint}")
    print(running.endpoint)
    return 0


def _status(arguments: Namespace, session: Session) -> int:
    from mlengine.client import server_process

    data_dir = _data_dir(arguments, session)
    running = server_process.find(data_dir)
    if not running:
        show(session, {"state": "STOPPED", "dataDir": str(data_dir)}, columns=())
        session.say("The server is not running. Start one: mlengine server start --detach")
        return 1
    ready = server_process.healthy(running)
    facts = {
        "state": "RUNNING" if ready else "UNREADY",
        "endpoint": running.endpoint,
        "tlsEndpoint": running.tls_endpoint,
        "caFile": running.ca_file,
        "pid": running.pid,
        "started": running.started,
        "version": running.version,
        "dataDir": str(data_dir),
    }
    show(session, facts, columns=())
    return 0 if ready else 1


def _stop(arguments: Namespace, session: Session) -> int:
    from mlengine.client import server_process

    data_dir = _data_dir(arguments, session)
    running = server_process.find(data_dir)
    if not running:
        session.say(f"No server is running on {data_dir}.")
        return 0
    if server_process.stop(data_dir, running):
        session.say(f"Stopped the server at {running.endpoint}. Jobs that run go on until they end.")
        return 0
    session.error(
        f"ERROR: (mlengine.server.stop) Process {running.pid} has not ended within 30 seconds.\n"
        f"Its log: {data_dir / 'run' / 'server.log'}. End it by force: kill -9 {running.pid}"
    )
    return 1


def _data_dir(arguments: Namespace, session: Session) -> Path:
    from mlengine.client.server_process import default_data_dir

    if arguments.data_dir:
        return Path(arguments.data_dir).expanduser().absolute()
    return default_data_dir(session.environment)


COMMANDS = (
    Command(
        words="server start",
        summary="Start the server of this machine.",
        arguments=_start_arguments,
        run=_start,
        detail="Without --detach it runs in the foreground until Ctrl-C.",
        example="server start --detach",
    ),
    Command(
        words="server status",
        summary="Show whether it runs.",
        arguments=_data_dir_flag,
        run=_status,
        example="server status",
    ),
    SERVER_SETTINGS,
    Command(
        words="server stop",
        summary="Stop it in good order.",
        arguments=_data_dir_flag,
        run=_stop,
        example="server stop",
    ),
)
