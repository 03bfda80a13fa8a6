"""A process that serves versions as it is told: orders on a control socket, a socket of its own per version.

An order is a line of JSON, and so is its answer:

    {"op": "load", "spec": {…}}       {"ok": true} once the loading has begun; how it ends, files tell: the
                                      version's socket appears, or its `failed` file
    {"op": "unload", "node": NODE}    {"ok": true} when every request was answered and every caller has gone
    {"op": "reload", "node": NODE}    {"ok": true} when its options were read again
    {"op": "nodes"}                   {"ok": true, "nodes": [NODE, …]}

A host that has loaded nothing is a standby: it has imported its framework, so that a model is ready at once.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import mmap
import os
import resource
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.model import LoadFailed
from mlengine.serving.runtimes.options import read_options
from mlengine.serving.worker import speech
from mlengine.serving.worker.batch import Answerer
from mlengine.serving.worker.listening import Listener
from mlengine.serving.worker.loading import Loaded, Spec, desk_of, failure, load, renewed, turns_of
from mlengine.serving.worker.server import Desk, Server

NOTE_BYTES = 64
"""Length of each of the two names in the note file: whose model computes, whose is being loaded."""
_MOST_FILES = 65536
_RUNTIMES = "mlengine.serving.runtimes"
# Imports only: a model server that has computed before it is given its model may have threads that it lost.
_IMPORTS = {
    "tensorflow": ("tensorflow", f"{_RUNTIMES}.tensorflow"),
    "keras": ("keras", f"{_RUNTIMES}.keras"),
    "pytorch": ("torch", f"{_RUNTIMES}.pytorch"),
    "onnx": ("onnxruntime", f"{_RUNTIMES}.onnx"),
    "xgboost": ("pandas", "xgboost", f"{_RUNTIMES}.xgboost"),
    "lightgbm": ("pandas", "lightgbm", f"{_RUNTIMES}.lightgbm"),
    "scikit-learn": (
        "pandas",
        "sklearn.compose",
        "sklearn.ensemble",
        "sklearn.impute",
        "sklearn.linear_model",
        "sklearn.pipeline",
        "sklearn.preprocessing",
        f"{_RUNTIMES}.scikit_learn",
    ),
}


class Note:
    """A small file that outlives the process and says what it was at when it died."""

    def __init__(self, path: Path) -> None:
        with path.open("wb+") as file:
            file.truncate(2 * NOTE_BYTES)
            self._map = mmap.mmap(file.fileno(), 2 * NOTE_BYTES)

    def computes(self, node: str) -> None:
        """The model of `node` is about to compute."""
        self._map[:NOTE_BYTES] = node.encode()[:NOTE_BYTES].ljust(NOTE_BYTES)

    def loads(self, node: str) -> None:
        """The model of `node` is being loaded; empty for none."""
        self._map[NOTE_BYTES:] = node.encode()[:NOTE_BYTES].ljust(NOTE_BYTES)


class Host:
    """The versions of one process.

    Args:
        control: Where orders come in; it appears once the imports are done.
        folder: The process's own. It gets a file `note` of what the process is at; files `load-NODE.json`
            there are specs of versions to load without being told.
        imports: The framework to import beforehand; empty for none.
    """

    def __init__(self, control: Path, *, folder: Path, imports: str) -> None:
        self._listener = Listener(control)
        self._imports = imports
        self._folder = folder
        self._note = Note(folder / "note")
        faulthandler.enable()  # a crash in a C library tells where it was
        self._speech = speech.take_over()
        self._server = Server(before=self._before)
        self._desks: dict[str, tuple[Spec, Desk, Loaded]] = {}
        self._loading: dict[str, Spec] = {}
        self._unwanted: set[str] = set()
        # One model at a time: frameworks import and load under locks of their own anyhow.
        self._turn = threading.Lock()

    def run(self) -> None:
        """Serve until told to end, or until the only version is gone."""
        _allow_many_files()
        for name in _IMPORTS.get(self._imports, ()):
            try:
                importlib.import_module(name)
            except ImportError as error:
                # It may serve nevertheless; a model that needs the module says so itself.
                sys.stderr.write(f"{name} was not imported: {error}\n")
        # What was imported stays: the collector need not look through it when a model comes.
        gc.collect()
        gc.freeze()
        orders = self._listener.open()
        # Only now: whoever saw no socket wrote such a file.
        for file in sorted(self._folder.glob("load-*.json"), key=lambda file: file.stat().st_mtime_ns):
            self._load(Spec(**json.loads(file.read_text(encoding="utf-8"))))
        self._server.watch(orders, lambda: self._welcome(orders))
        self._server.run()
        self._listener.remove()
        orders.close()

    def farewell(self) -> None:
        """Give up every name; for an end without order."""
        self._listener.remove()
        for _, desk, _ in list(self._desks.values()):
            desk.listener.remove()

    # Orders.

    def _welcome(self, orders: socket.socket) -> None:
        try:
            line, _ = orders.accept()
        except OSError:
            return  # gone again
        line.setblocking(False)
        gathered = bytearray()

        def readable() -> None:
            try:
                data = line.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            gathered.extend(data)
            if data and not gathered.endswith(b"\n"):
                return
            self._server.unwatch(line)
            if gathered:
                self._obey(bytes(gathered), lambda answer: _reply(line, answer))
            else:
                line.close()

        self._server.watch(line, readable)

    def _obey(self, order: bytes, reply: Callable[[dict[str, Any]], None]) -> None:
        try:
            asked = json.loads(order)
            op = asked["op"]
            if op == "unload":
                self._unload(asked["node"], lambda: reply({"ok": True}))
                return
            if op == "load":
                self._load(Spec(**asked["spec"]))
            elif op == "reload":
                self._reload(asked["node"])
            elif op != "nodes":
                raise ValueError(f"there is no order {op!r}")
            reply({"ok": True, "nodes": [*self._desks, *self._loading]})
        except (ValueError, KeyError, TypeError) as error:
            reply({"ok": False, "error": f"{type(error).__name__}: {error}"})

    def _load(self, spec: Spec) -> None:
        if spec.node in self._desks or spec.node in self._loading:
            return
        self._loading[spec.node] = spec
        threading.Thread(target=self._load_apart, args=(spec,), name=f"load {spec.node}", daemon=True).start()

    def _load_apart(self, spec: Spec) -> None:
        """In a thread of its own, so that neighbours go on answering."""
        with self._turn:
            started = time.monotonic()
            self._speech.about(spec.log)
            if spec.alone and spec.log:
                _redirect(spec.log)
            self._note.loads(spec.node)
            try:
                loaded = load(spec)
                desk = desk_of(spec, loaded)
            except BaseException as error:
                self._fail(spec, error)
                return
            finally:
                self._note.loads("")
            took = time.monotonic() - started
            sys.stderr.write(
                f"{spec.name}: serving a {loaded.model.framework} model on {spec.socket} ({took:.1f} s)\n"
            )
        self._server.call(lambda: self._serve(spec, desk, loaded))

    def _serve(self, spec: Spec, desk: Desk, loaded: Loaded) -> None:
        self._loading.pop(spec.node, None)
        if spec.node in self._unwanted:
            self._unwanted.discard(spec.node)
            self._left(spec)
        else:
            self._desks[spec.node] = (spec, desk, loaded)
            self._server.open(desk)

    def _fail(self, spec: Spec, error: BaseException) -> None:
        traceback.print_exception(error, file=sys.stderr)
        sys.stderr.write(failure(error) + "\n")
        if spec.failed:
            Path(spec.failed).write_text(failure(error), encoding="utf-8")
        if spec.alone:
            sys.stderr.flush()
            # Threads of a framework may still have something to say at an orderly end, after the last line.
            os._exit(1)
        self._server.call(lambda: self._forget(spec))

    def _forget(self, spec: Spec) -> None:
        self._loading.pop(spec.node, None)
        self._unwanted.discard(spec.node)

    def _unload(self, node: str, done: Callable[[], None]) -> None:
        if node in self._loading:
            # It cannot be interrupted; it will not be opened.
            self._unwanted.add(node)
        if node not in self._desks:
            done()
            return
        spec, desk, _ = self._desks.pop(node)

        def closed() -> None:
            done()
            self._left(spec)

        self._server.close(desk, closed)

    def _left(self, spec: Spec) -> None:
        if spec.alone:
            self._server.stop()
            return
        # The model was kept from the collector while it served.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _reload(self, node: str) -> None:
        if node not in self._desks:
            return
        spec, desk, loaded = self._desks[node]
        try:
            loaded = renewed(spec, loaded)
        except LoadFailed as error:
            raise ValueError(str(error)) from error
        self._desks[node] = (spec, desk, loaded)
        answerer = Answerer(loaded.model)
        desk.answer, desk.explain = answerer.answer, answerer.explain
        turns = turns_of(read_options(Path(spec.folder)))
        desk.turns.most_taken, desk.turns.latency = turns.most_taken, turns.latency

    def _before(self, desk: Desk) -> None:
        self._note.computes(desk.name)
        self._speech.about(self._desks[desk.name][0].log if desk.name in self._desks else "")


def _reply(line: socket.socket, answer: dict[str, Any]) -> None:
    try:
        line.setblocking(True)
        line.settimeout(1.0)
        line.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        pass  # whoever asked has gone
    finally:
        line.close()


def _redirect(log: str) -> None:
    """Let what C libraries write go to the version's log as well."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
