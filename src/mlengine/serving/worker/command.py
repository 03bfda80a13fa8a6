"""The worker's command line: `host` versions by order, `serve` one, answer `once`, or `describe` it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.artefact import FRAMEWORKS
from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.opening import open_model
from mlengine.serving.runtimes.options import read_options
from mlengine.serving.worker import answers, tether
from mlengine.serving.worker.batch import Answerer
from mlengine.serving.worker.host import Host
from mlengine.serving.worker.loading import Spec, desk_of, failure, load
from mlengine.serving.worker.server import Desk, Server


def main(arguments: Sequence[str]) -> int:
    """Run one of the modes; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Standard output carries answers only; what a model or a framework prints goes to standard error.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if options.mode == "serve":
        return _serve(options)
    if options.mode == "host":
        return _host(options)
    try:
        model = _load(options)
    except BaseException as error:
        said = error if isinstance(error, LoadFailed) else LoadFailed(f"{type(error).__name__}: {error}")
        stack = traceback.format_exception(error)
        return _say(output, answers.error(412, str(said), answers.debug_info(stack, str(error))), code=1)
    if options.mode == "describe":
        return _say(output, answers.dumps(model.describe()), code=0)
    answerer = Answerer(model, signature_name=options.signature_name)
    status, body = answerer.answer([(PREDICT, sys.stdin.buffer.read())])[0][:2]
    return _say(output, body, code=0 if status == 200 else 1)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model-dir", type=Path, required=True, help="directory with the model's files")
    common.add_argument(
        "--framework",
        type=lambda text: text.lower().replace("_", "-"),
        choices=FRAMEWORKS,
        help="default: by the files",
    )
    parser = argparse.ArgumentParser(prog="mlengine-model-worker", description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    serve = modes.add_parser("serve", parents=[common], help="answer frames on a Unix socket")
    serve.add_argument("--socket", type=Path, required=True, help="appears when the model has answered")
    serve.add_argument("--tether-fd", type=int, help="reading end of a pipe; the worker ends when it does")
    serve.add_argument("--name", default="", help="PROJECT/MODEL/VERSION, for messages and process lists")
    host = modes.add_parser("host", help="serve versions as ordered on a control socket")
    host.add_argument("--control", type=Path, required=True, help="where orders come in")
    host.add_argument(
        "--folder", type=Path, required=True, help="the process's own: what it is at, and is to do"
    )
    host.add_argument("--import", dest="imports", default="", help="framework to import beforehand")
    host.add_argument("--tether-fd", type=int, help="reading end of a pipe; the host ends when it does")
    once = modes.add_parser("once", parents=[common], help="answer the request on standard input")
    once.add_argument("--signature-name", default="", help="for a request that names none")
    once.add_argument("--options", type=Path, help="folder with the version's options.json")
    modes.add_parser("describe", parents=[common], help="print what the model takes and answers")
    return parser


def _load(options: argparse.Namespace) -> Model:
    folder = getattr(options, "options", None)
    return open_model(
        options.model_dir.resolve(), options.framework, read_options(folder) if folder else None
    )


def _serve(options: argparse.Namespace) -> int:
    started = time.monotonic()
    spec = Spec(
        node="model",
        name=options.name,
        folder=str(options.socket.parent),
        model_dir=str(options.model_dir),
        socket=str(options.socket),
        framework=options.framework or "",
    )
    try:
        server = Server()
        opened: list[Desk] = []
        if options.tether_fd is not None:
            _tie(options.tether_fd, lambda: _remove(opened))
        loaded = load(spec)
        desk = desk_of(spec, loaded)
        server.open(desk)
        opened.append(desk)
    except BaseException as error:
        _report(error)
    name = f"{options.name}: " if options.name else ""
    took = time.monotonic() - started
    sys.stderr.write(f"{name}serving a {loaded.model.framework} model on {options.socket} ({took:.1f} s)\n")
    sys.stderr.flush()
    server.run()
    return 0


def _host(options: argparse.Namespace) -> int:
    host = Host(options.control, folder=options.folder, imports=options.imports)
    if options.tether_fd is not None:
        _tie(options.tether_fd, host.farewell)
    host.run()
    return 0


def _remove(desks: list[Desk]) -> None:
    for desk in desks:
        desk.listener.remove()


def _tie(fd: int, farewell: Callable[[], None]) -> None:
    tether.tie(fd, farewell=farewell)
    # Ctrl-C in a terminal reaches all its processes, but is meant for the parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _report(error: BaseException) -> NoReturn:
    """Say why there is nothing to serve: the traceback, and as the last line what the parent reads."""
    sys.stdout.flush()
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.write(failure(error) + "\n")
    sys.stderr.flush()
    # Threads of a framework may still have something to say at an orderly end, after the last line.
    os._exit(1)


def _say(output: BinaryIO, body: bytes, *, code: int) -> int:
    output.write(body + b"\n")
    output.close()
    return code
