"""`mlengine machine-types …`: what a job can ask for, and what of the server's machine that is."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session


def _replicas(groups: list[dict[str, Any]]) -> str:
    """What was promised, in words: "1 master: 8 CPUs, 30 GB, 1 P100"."""
    return "; ".join(
        (f"{group['count']} {group['role']}: " if len(groups) > 1 else "") + _figures(group)
        for group in groups
    )


def _figures(group: dict[str, Any]) -> str:
    words = [f"{group['cpus']} CPUs", f"{group['memoryGb']:g} GB"] if "cpus" in group else []
    if found := group.get("accelerators"):
        words.append(f"{found['count']} {found['type'].removeprefix('NVIDIA_TESLA_')}")
    return ", ".join(words)


def _here(sentences: list[str]) -> str:
    return "; ".join(
        sentence.partition("is mapped to this machine: ")[2].rstrip(".") or sentence for sentence in sentences
    )


COLUMNS = (
    Column("name"),
    Column("replicas", "FIGURES", show=_replicas),
    Column("here", "HERE", show=_here),
)


def _list(_arguments: Namespace, session: Session) -> int:
    found = session.connection.call("GET", "/mlengine/v1/machineTypes")
    machine = found["machine"]
    gpus = ", ".join(gpu["name"] for gpu in machine["gpus"]) or "no GPU"
    session.say(f"This server: {machine['cpus']} CPUs, {int(machine['memoryBytes']) / 1e9:.0f} GB, {gpus}")
    show_list(session, found["machineTypes"], COLUMNS)
    return 0


def _type(parser: Parser) -> None:
    parser.add_argument("type", metavar="TYPE", help="a machine type or scale tier: n1-standard-4, BASIC_GPU")


def _describe(arguments: Namespace, session: Session) -> int:
    from urllib.parse import quote

    path = f"/mlengine/v1/machineTypes/{quote(arguments.type, safe='')}"
    show(session, session.connection.call("GET", path))
    return 0


COMMANDS = (
    Command(
        words="machine-types list",
        summary="List scale tiers and machine types, with their figures and what each is mapped to.",
        arguments=Parser.list_flags,
        run=_list,
        detail="A replica gets the figures of its machine type, or a share of the server if that has less.",
        example="machine-types list --filter kind=SCALE_TIER",
    ),
    Command(
        words="machine-types describe",
        summary="Show what one scale tier or machine type is mapped to.",
        arguments=_type,
        run=_describe,
        example="machine-types describe BASIC_GPU",
    ),
)
