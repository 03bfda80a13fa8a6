"""Online prediction beside the servers that a user would pick instead, in one run on one machine.

    python -m benchmarks.serving [--kinds titanic mnist] [--peers ray fastapi …|all|none] [--rounds 2]
                                 [--seconds 3] [--overload]

Rounds go A B C, A B C, …; a table has medians. Each contestant runs alone, started anew each round. Every
answer's numbers are compared with what the model says when asked directly; a run with one wrong, broken or
missing answer is marked. "ratio" is ours to the best peer of that line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import serving_ours, serving_peers
from benchmarks.load import Figures, Load, Question
from benchmarks.serving_peers import APPS, PEERS, Server

CONNECTIONS = (1, 8, 64)
INSTANCES = (1, 16)
_READY_SECONDS = 120.0
Cell = tuple[int, int]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="mlengine-serving-") as temporary:
        folder = Path(temporary)
        load = Load(folder)
        models = folder / "models"
        maker = next(peer for peer in PEERS if peer.name == "fastapi").programs() / "python"
        subprocess.run([maker, APPS / "make.py", models], check=True)
        for kind in options.kinds:
            measure(kind, options, load, models, folder / kind)


def measure(kind: str, options: argparse.Namespace, load: Load, models: Path, folder: Path) -> None:
    """All contestants with one model, and the table."""
    data = json.loads((models / f"{kind}.json").read_text())
    contestants = _contestants(kind, options, models, folder)
    figures: dict[str, dict[Cell, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    starts: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    overload: dict[str, list[Figures]] = defaultdict(list)
    capacity: dict[str, float] = {}
    for turn in range(options.rounds):
        for name, start in contestants.items():
            began = time.monotonic()
            with start() as server:
                try:
                    _first_answer(server, data)
                except RuntimeError as error:
                    print(f"{name}: {error}")
                    continue
                starts[name].append(time.monotonic() - began)
                for instances in INSTANCES:
                    questions = _questions(server, data, instances)
                    _ask(load, server, questions, connections=8, seconds=1.0)
                    for connections in CONNECTIONS:
                        found = _ask(
                            load, server, questions, connections=connections, seconds=options.seconds
                        )
                        figures[name][instances, connections].append(found)
                        _say(kind, turn, name, instances, connections, found)
                memory[name].append(serving_peers.pss(server.pid) / 1e6)
                if options.overload:
                    capacity[name] = figures[name][1, 64][-1].per_second
                    questions = _questions(server, data, 1)
                    rate = 4 * capacity[name]
                    found = _ask(load, server, questions, connections=512, seconds=4.0, rate=rate)
                    overload[name].append(found)
                    _say(kind, turn, f"{name} overloaded", 1, 512, found)
    questions = [
        Question(path="/", body=json.dumps({"instances": data["instances"][:1]}).encode(), numbers=())
    ]
    ceiling = load.ceiling(questions, connections=64, seconds=2.0)
    _table(kind, figures, starts, memory, overload, ceiling)


def _contestants(
    kind: str, options: argparse.Namespace, models: Path, folder: Path
) -> dict[str, Callable[[], AbstractContextManager[Server]]]:
    found: dict[str, Callable[[], AbstractContextManager[Server]]] = {}
    for contestant in serving_ours.VERSIONS[kind]:
        home = folder / contestant.replace(", ", "-").replace(" ", "-")
        serving_ours.deploy(home, models, kind)
        serving_ours.keep_only(home, contestant, kind)
        found[contestant] = _starter(serving_ours.running, home, contestant, kind)
    for peer in PEERS:
        if "all" in options.peers or peer.name in options.peers:
            found[peer.name] = _starter(serving_peers.running, peer, kind, models, folder / peer.name)
    return found


def _starter(start: Callable[..., Any], *arguments: Any) -> Callable[[], AbstractContextManager[Server]]:
    return lambda: start(*arguments)


def _first_answer(server: Server, data: dict[str, Any]) -> None:
    question = _questions(server, data, 1)[0]
    deadline = time.monotonic() + _READY_SECONDS
    said = ""
    while time.monotonic() < deadline:
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{server.path}",
            data=question.body,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                if response.status == 200:
                    return
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read(500)!r}"
        except OSError as error:
            said = str(error)
        time.sleep(0.01)
    raise RuntimeError(f"no answer within {_READY_SECONDS:g} s; last: {said}")


def _questions(server: Server, data: dict[str, Any], instances: int) -> list[Question]:
    rows, answers = data["instances"], data["answers"]
    starts = range(0, len(rows) - instances + 1, instances)
    return [server.question(rows[at : at + instances], answers[at : at + instances]) for at in starts]


def _ask(load: Load, server: Server, questions: Sequence[Question], **how: Any) -> Figures:
    return load.run(questions, port=server.port, anchor=server.anchor, tolerance=2e-5, **how)


def _say(kind: str, turn: int, name: str, instances: int, connections: int, found: Figures) -> None:
    print(
        f"round {turn + 1} {kind} x{instances} @{connections} {name}: {found.per_second:,.0f}/s, "
        f"p50 {found.p50:.2f} ms, p99 {found.p99:.2f} ms, generator "
        f"{found.generator_cpu_seconds / found.seconds:.0%} of a core"
        + ("" if found.clean else f" NOT CLEAN: {found.statuses} wrong {found.wrong} broken {found.broken}"),
        flush=True,
    )


def _table(
    kind: str,
    figures: dict[str, dict[Cell, list[Figures]]],
    starts: dict[str, list[float]],
    memory: dict[str, list[float]],
    overload: dict[str, list[Figures]],
    ceiling: Figures,
) -> None:
    ours = [name for name in figures if name.startswith("mlengine")]
    peers = [name for name in figures if name not in ours]
    print(f"\n### {kind}\n")
    print(
        f"| instances @ connections |  | {' | '.join(figures)} | "
        f"{' | '.join(f'ratio {name}' for name in ours)} |"
    )
    print("| " + " | ".join(["---"] * (2 + len(figures) + len(ours))) + " |")
    for instances in INSTANCES:
        for connections in CONNECTIONS:
            cell = (instances, connections)
            for title, take, best in (
                ("requests/s", lambda found: found.per_second, max),
                ("p50 ms", lambda found: found.p50, min),
                ("p99 ms", lambda found: found.p99, min),
            ):
                values = {name: median(map(take, figures[name][cell])) for name in figures}
                rival = best(values[name] for name in peers) if peers else 0
                ratios = [
                    (values[name] / rival if best is max else rival / values[name]) if rival else 0
                    for name in ours
                ]
                digits = 0 if best is max else 2
                row = [f"{values[name]:,.{digits}f}" for name in figures] + [
                    f"{ratio:.2f}" for ratio in ratios
                ]
                print(f"| x{instances} @{connections} | {title} | {' | '.join(row)} |")
    for title, kept in (("start to first answer, s", starts), ("memory (PSS), MB", memory)):
        print(f"| {title} |  | {' | '.join(f'{median(kept[name]):,.1f}' for name in figures)} |")
    for name, found in overload.items():
        print(
            f"\n{name} at 4 times its capacity: {median(f.per_second for f in found):,.0f} right answers/s, "
            f"p99 {median(f.p99 for f in found):.1f} ms "
            f"({median(f.p99_from_asking for f in found):.1f} since a connection was free), "
            f"unloaded {median(f.p99 for f in figures[name][1, 64]):.1f} ms, {found[-1].statuses}, "
            f"unanswered {found[-1].unanswered}"
        )
    unclean = sum(not one.clean for cells in figures.values() for runs in cells.values() for one in runs)
    print(f"\nRuns with a wrong, refused or missing answer: {unclean}.")
    each = 1e6 * ceiling.generator_cpu_seconds / max(ceiling.right, 1)
    print(
        f"The generator alone (a server in C that answers at once, 64 connections): "
        f"{ceiling.per_second:,.0f}/s, {each:.1f} microseconds of CPU a request."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", default=["titanic", "mnist"])
    parser.add_argument("--peers", nargs="+", default=["all"], help="names, all, or none")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--overload", action="store_true", help="offer 4 times the capacity, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
