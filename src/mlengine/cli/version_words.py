"""What a version takes, and what came of its acceleration, in words; what answers for a model, too."""

from __future__ import annotations

from typing import Any

_MOST_INPUTS, _MOST_CATEGORIES = 12, 6
STAGES = {
    "FETCHING": "fetching the model",
    "ENVIRONMENT": "its environment",
    "LOADING": "loading",
    "GOLDEN": "a first prediction",
    "ACCELERATING": "comparing a quicker form",
}


def of_version(version: dict[str, Any]) -> list[str]:
    """Lines about a version; none for one that has told nothing yet."""
    block = version.get("mlengine") or {}
    lines = []
    if takes := _takes(block.get("schema") or {}):
        lines.append(takes)
    if acceleration := accelerated(block):
        lines.append(acceleration)
    nodes = block.get("nodes") or {}
    if block.get("asleep"):
        lines.append("It is asleep; the next request wakes it.")
    elif nodes:
        lines.append(f"{nodes.get('serving', 0)} of {nodes.get('wanted', 0)} processes serve.")
    return lines


def accelerated(block: dict[str, Any]) -> str:
    """What came of the acceleration; "" where nothing is told."""
    report = block.get("acceleration") or {}
    form, reason = report.get("form", ""), str(report.get("reason", "")).rstrip(".")
    if not form:
        return ""
    if form == "none":
        return f"Served as it is. {reason}." if reason else "Served as it is."
    return f"Accelerated ({form}): {reason}."


def of_traffic(model: dict[str, Any]) -> list[str]:
    """Lines about what answers for a model; none while it has no version."""
    traffic = (model.get("mlengine") or {}).get("traffic") or {}
    lines = []
    if split := traffic.get("split") or {}:
        shares = [f"{version} {percent} %" for version, percent in split.items()]
        lines.append(f"Answered by: {', '.join(shares)}.")
    if shadow := traffic.get("shadow") or {}:
        parts = [f"{version} {part:.4g}" for version, part in ((v, p * 100) for v, p in shadow.items())]
        lines.append(f"Copies go to: {', '.join(f'{part} %' for part in parts)}.")
    return lines


def _takes(schema: dict[str, Any]) -> str:
    inputs = schema.get("inputs") or []
    if not inputs:
        return ""
    shown = [_input(one) for one in inputs[:_MOST_INPUTS]]
    if len(inputs) > _MOST_INPUTS:
        shown.append(f"and {len(inputs) - _MOST_INPUTS} more")
    kind = {"row": "rows of ", "tensor": "tensors: ", "text": "texts: "}.get(str(schema.get("instance")), "")
    return f"It takes {kind}{', '.join(shown)}."


def _input(one: dict[str, Any]) -> str:
    shape = one.get("shape") or []
    words = [str(one.get("type", "any"))]
    if shape:
        words[0] += " " + "×".join("?" if size is None else str(size) for size in shape)
    if categories := one.get("categories") or []:
        more = ", …" if len(categories) > _MOST_CATEGORIES else ""
        words.append(", ".join(str(value) for value in categories[:_MOST_CATEGORIES]) + more)
    if one.get("nullable"):
        words.append("may be null")
    return f"{one.get('name', '')} ({'; '.join(words)})"
