"""The supervisor of one task, a program of its own: `python -I -S shim/__main__.py TASKDIR`.

Apart, and of the standard library alone, because it outlives the server that started it, runs in any
Python, and is copied to other machines as one folder. All it knows and tells lies in TASKDIR:

    task.json      in   what to run, and with which limits; written by the executor
    cancel         in   whoever creates it asks for the end
    phase          in   written by a phased command when the user's code begins
    lock           out  flocked for the whole life of the shim, so that its death cannot go unnoticed
    run.json       out  the command was started, and what enforces its limits; nobody may start it again
    log.jsonl      out  every line the command prints, numbered
    metrics.jsonl  out  what the task used, second by second, thinned with age
    exit.json      out  how it ended; comes last, when nothing lives and every line is stored
"""

from __future__ import annotations

import os

from .files import (
    CANCEL,
    CORES,
    EXIT,
    FOLDER_VARIABLE,
    LOCK,
    LOG,
    METRICS,
    PHASE,
    PHASE_VARIABLE,
    RUN,
    TASK,
    TASK_VARIABLE,
    acquire,
    exists,
    is_held,
    stamp,
    store,
    store_exit,
)
from .limits import CGROUP_V1, CGROUP_V2, SAMPLER, remove_cgroup
from .log import LONGEST_LINE, PROGRESS_SECONDS, Log, Output, structured
from .processes import GPU_VARIABLE, launch, living_descendants, marks, signal_tree
from .samples import SampleFile, usage_in

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")

__all__ = [
    "CANCEL",
    "CGROUP_V1",
    "CGROUP_V2",
    "CORES",
    "EXIT",
    "FOLDER_VARIABLE",
    "GPU_VARIABLE",
    "LOCK",
    "LOG",
    "LONGEST_LINE",
    "METRICS",
    "PHASE",
    "PHASE_VARIABLE",
    "PROGRAM",
    "PROGRESS_SECONDS",
    "RUN",
    "SAMPLER",
    "TASK",
    "TASK_VARIABLE",
    "Log",
    "Output",
    "SampleFile",
    "acquire",
    "exists",
    "is_held",
    "launch",
    "living_descendants",
    "marks",
    "remove_cgroup",
    "signal_tree",
    "stamp",
    "store",
    "store_exit",
    "structured",
    "usage_in",
]
