"""Run in a child: a trainer up to its own `parse_args` and no further. Imports only Python's own library.

Told by a JSON object on standard input; the verdict is one JSON object in the file named there. Whatever
writes files, opens connections or starts programs before the parser is asked ends the child undecided.

Packages that are not the trainer's own are stand-ins here, unless the real ones are asked for: a parser
rarely needs TensorFlow, whose import takes seconds. A stand-in lets everything be done and does nothing.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import runpy
import sys
import types
from pathlib import Path
from typing import Any, NoReturn

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    (
        *(
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.mkdir",
            "os.link",
            "os.symlink",
            "os.truncate",
            "os.chmod",
        ),
        *("os.chown", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.copytree"),
        *("shutil.make_archive", "shutil.unpack_archive", "sqlite3.connect"),
    )
)
_PROGRAMS = frozenset(
    (
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.kill",
    )
)
_NETWORK = frozenset(("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname"))

# Why a rejection may be due to the stand-ins: what they were asked that only the real ones know.
guesses: list[str] = []


class StandIn(types.ModuleType):
    """Something of a package that is not there: every use of it is allowed, and nothing comes of it."""

    def __init__(self, name: str = "stand_in") -> None:
        super().__init__(name)
        self.__dict__.update(__path__=[], __file__=name, __version__="2.15.0")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = StandIn(f"{self.__name__}.{name}")
        self.__dict__[name] = made
        return made

    def __call__(self, *given: Any, **_named: Any) -> Any:
        if any(isinstance(each, argparse.ArgumentParser) for each in (*given, *_named.values())):
            guesses.append("another package has a hand in its parser")
        # A decorator hands back what it decorates.
        if len(given) == 1 and not _named and isinstance(given[0], (types.FunctionType, type)):
            return given[0]
        return StandIn(self.__name__)

    def __mro_entries__(self, _bases: Any) -> tuple[type, ...]:
        return (object,)

    def __iter__(self) -> Any:
        guesses.append(f"it goes through {self.__name__}")
        return iter(())

    def __contains__(self, _item: Any) -> bool:
        guesses.append(f"it looks into {self.__name__}")
        return True

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __int__(self) -> int:
        return 1

    __index__ = __int__

    def __float__(self) -> float:
        return 1.0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: Any) -> None:
        return None

    def _itself(self, *_other: Any) -> Any:
        return self

    __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _itself
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = __neg__ = __or__ = _itself
    __and__ = __ror__ = __rand__ = _itself

    def __setitem__(self, *_item: Any) -> None:
        return None

    def _yes(self, _other: Any) -> bool:
        return True

    __lt__ = __le__ = __gt__ = __ge__ = _yes

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for every module that is neither Python's nor the trainer's own."""

    def __init__(self, own: frozenset[str]) -> None:
        self._real = own | frozenset(sys.stdlib_module_names)

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        """The spec of a stand-in, None for what is real."""
        if name.partition(".")[0] in self._real:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> Any:
        """The stand-in."""
        return StandIn(spec.name)

    def exec_module(self, module: Any) -> None:
        """Nothing."""


class Rehearsal:
    """One run up to the parser.

    Args:
        order: What the parent wrote: module, args, roots, own, scratch, verdict, real.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._scratch = os.path.realpath(order["scratch"])
        self._ended = False

    def end(self, outcome: str, **facts: Any) -> NoReturn:
        """Write the verdict and leave at once, without running anything of the trainer's any more."""
        self._ended = True
        with Path(self._order["verdict"]).open("w", encoding="utf-8") as file:
            json.dump({"outcome": outcome, **facts}, file)
        os._exit(0)

    def run(self) -> NoReturn:
        """Run the module; `end` is reached in any case."""
        order = self._order
        sys.path[:0] = order["roots"]
        sys.argv = [order["module"], *order["args"]]
        if not order["real"]:
            sys.meta_path.insert(0, StandIns(frozenset(order["own"])))
        self._watch_parsers()
        sys.addaudithook(self._watch)
        try:
            runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        except SystemExit as left:
            self.end("undecided", reason=f"it ended with {left.code!r} before its arguments were read")
        except BaseException as error:
            self.end("undecided", reason=f"{type(error).__name__}: {error}"[:300], again=True)
        self.end("undecided", reason="it never asked argparse")

    def _watch(self, event: str, given: tuple[Any, ...]) -> None:
        if self._ended:
            return
        if event == "open":
            path, mode, flags = given
            if isinstance(path, int) or not flags or not flags & _WRITING or mode in ("r", "rb"):
                return
            if not self._is_ours(path):
                self.end("undecided", reason=f"it writes {os.fsdecode(path)} before its arguments are read")
        elif event in _CHANGES:
            if not any(
                isinstance(part, (str, bytes, os.PathLike)) and self._is_ours(part) for part in given[:1]
            ):
                self.end("undecided", reason="it changes files before its arguments are read")
        elif event in _NETWORK:
            self.end("undecided", reason="it uses the network before its arguments are read")
        elif event in _PROGRAMS and not (self._order["real"] and not self._by_trainer()):
            self.end("undecided", reason="it starts a program before its arguments are read")

    def _is_ours(self, path: Any) -> bool:
        try:
            real = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError):
            return False
        return real == os.devnull or real == self._scratch or real.startswith(self._scratch + os.sep)

    def _by_trainer(self) -> bool:
        """Whether the next caller outside Python's own library is the trainer."""
        frame: Any = sys._getframe(1)
        while frame is not None:
            if self._is_ours(frame.f_code.co_filename):
                return True
            if "site-packages" in frame.f_code.co_filename:
                return False
            frame = frame.f_back
        return False

    def _place(self) -> tuple[str, int]:
        """File and line of the trainer that asked the parser."""
        frame: Any = sys._getframe(1)
        while frame is not None:
            if self._is_ours(frame.f_code.co_filename):
                return os.path.realpath(frame.f_code.co_filename), frame.f_lineno
            frame = frame.f_back
        return "", 0

    def _watch_parsers(self) -> None:
        parser_class: Any = argparse.ArgumentParser
        plain_known = parser_class.parse_known_args
        rehearsal = self

        def judged(parser: Any, args: Any, namespace: Any, *, strict: bool) -> NoReturn:
            file, line = rehearsal._place()
            facts: dict[str, Any] = {"file": file, "line": line, "options": _options(parser)}
            words = list(sys.argv[1:] if args is None else args)
            if words != rehearsal._order["args"]:
                rehearsal.end("undecided", reason="its parser is given other words than the command line's")

            def reject(message: str) -> NoReturn:
                if guesses:
                    rehearsal.end("undecided", reason=guesses[0], again=True)
                rehearsal.end("rejected", message=str(message), **facts)

            def leave(status: int = 0, message: str | None = None) -> NoReturn:
                if status:
                    reject(message or f"it ends with {status}")
                rehearsal.end("accepted", **facts)

            parser.error, parser.exit = reject, leave
            inner: Any = getattr(parser, "_subparsers", None)
            for group in getattr(inner, "_group_actions", []):
                for below in (getattr(group, "choices", None) or {}).values():
                    below.error, below.exit = reject, leave
            try:
                _, extra = plain_known(parser, words, namespace)
            except argparse.ArgumentError as error:
                reject(str(error))
            if extra and strict:
                facts["extra"] = extra
                reject("unrecognized arguments: " + " ".join(extra))
            rehearsal.end("accepted", extra=extra, **facts)

        def parse_args(parser: Any, args: Any = None, namespace: Any = None) -> Any:
            judged(parser, args, namespace, strict=True)

        def parse_known_args(parser: Any, args: Any = None, namespace: Any = None) -> Any:
            judged(parser, args, namespace, strict=False)

        parser_class.parse_args = parser_class.parse_intermixed_args = parse_args
        parser_class.parse_known_args = parser_class.parse_known_intermixed_args = parse_known_args


def _options(parser: Any) -> list[dict[str, Any]]:
    """What the parser takes: spellings, whether its type is a plain one, its choices."""
    found = []
    for action in parser._actions:
        plain = action.type in (None, int, float, str) and (action.choices is None or len(action.choices))
        stood_in = isinstance(action.type, StandIn) or isinstance(action.choices, StandIn)
        name = argparse._get_action_name(action) or ""
        found.append(
            {"name": name, "flags": list(action.option_strings), "plain": bool(plain and not stood_in)}
        )
    return found


def _quiet() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


if __name__ == "__main__":
    told = json.load(sys.stdin)
    _quiet()
    sys.dont_write_bytecode = True
    Rehearsal(told).run()
