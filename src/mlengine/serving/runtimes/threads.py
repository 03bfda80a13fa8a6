"""Keeps fitted objects to one thread: on all cores, as in training, each prediction would start threads.

For a few rows they cost a hundred times what they save, and other versions need the cores.
"""

from __future__ import annotations

from typing import Any


def keep_to_one(model: Any) -> None:
    """Set `n_jobs` of `model`, and of all fitted objects in it, to 1. Changes no answer."""
    waiting, seen = [model], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple)):
            waiting.extend(each)
        elif hasattr(each, "get_params") and hasattr(each, "__dict__") and id(each) not in seen:
            seen.add(id(each))
            # To LightGBM None means all cores.
            if "n_jobs" in vars(each) and each.n_jobs != 1:
                each.n_jobs = 1
            waiting.extend(vars(each).values())
