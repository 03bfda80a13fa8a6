"""What an exception means for whoever submitted the job, and what he can do about it.

Pure; apart from `causes`, for here is what is known about Python, TensorFlow, PyTorch and buckets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import StrEnum

from mlengine.jobs.tracebacks import Traceback
from mlengine.preflight.distributions import DISTRIBUTION_OF

MORE_MEMORY = (
    "Ask for a machine type with more memory (n1-highmem-8), or hold less at once: smaller batches, data "
    "read in pieces."
)


# What Python 2 had, and what took its place.
_PYTHON_2_NAMES = {
    "basestring": "str",
    "cPickle": "pickle",
    "ConfigParser": "configparser",
    "cStringIO": "io",
    "execfile": "exec(open(...).read())",
    "has_key": "`in`",
    "iteritems": "items",
    "iterkeys": "keys",
    "itervalues": "values",
    "long": "int",
    "Queue": "queue",
    "raw_input": "input",
    "reduce": "functools.reduce",
    "StringIO": "io.StringIO",
    "unichr": "chr",
    "unicode": "str",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "xrange": "range",
}
_PYTHON_2_SYNTAX = (
    "Missing parentheses in call to",
    "multiple exception types must be parenthesized",
    "leading zeros in decimal integer literals",
    "inconsistent use of tabs",
)
_NO_CUDA = re.compile(
    r"libcuda\w*\.so|libcudnn|no CUDA-capable device|CUDA_ERROR_NO_DEVICE|Found no NVIDIA driver"
    r"|not compiled with CUDA|CUDA driver version is insufficient|No CUDA GPUs are available"
    r"|Attempting to deserialize object on a CUDA device",
    re.IGNORECASE,
)
_GPU_FULL = re.compile(r"CUDA(?: error:)? out of memory|OOM when allocating", re.IGNORECASE)
_MEMORY_FULL = re.compile(r"Unable to allocate .+ for an array|std::bad_alloc|Cannot allocate memory")
_MISSING_FILE = re.compile(
    r"No such file or directory|does not exist|[Uu]nable to (?:synchronously )?open file"
)
_QUOTED = re.compile(r"'([^']+)'")
_BUCKET = re.compile(r"\bgs:/+[^\s'\",)]+")
# What trainers often forget.
_DISTRIBUTIONS = DISTRIBUTION_OF | {
    name: name
    for name in (
        *(
            "fsspec",
            "gcsfs",
            "joblib",
            "keras",
            "lightgbm",
            "matplotlib",
            "nltk",
            "numpy",
            "pandas",
            "pyarrow",
        ),
        *(
            "requests",
            "scipy",
            "seaborn",
            "six",
            "spacy",
            "tensorflow",
            "tensorflow_hub",
            "torch",
            "torchvision",
        ),
        *("tqdm", "transformers", "xgboost"),
    )
}


class Kind(StrEnum):
    """Why, in one word."""

    OUT_OF_MEMORY = "out-of-memory"
    CANCELLED = "cancelled"
    TIME_LIMIT = "time-limit"
    KILLED = "killed"
    CRASHED = "crashed"
    IMPORT = "import"
    FILE_NOT_FOUND = "file-not-found"
    PERMISSION = "permission"
    ARGUMENT = "argument"
    PYTHON_2 = "python-2"
    SYNTAX = "syntax"
    CUDA = "cuda"
    DISK_FULL = "disk-full"
    EXCEPTION = "exception"
    EXIT = "exit"
    NOT_STARTED = "not-started"
    LOST = "lost"


def rejected_arguments(lines: Sequence[str]) -> tuple[str, str] | None:
    """Line and hint where argparse ended it: it prints a usage, which may be long, and one line of error."""
    for position in range(len(lines) - 1, -1, -1):
        error = re.match(r"(?P<program>.+?): error: (?P<text>.+)", lines[position])
        if error is None:
            continue
        starts = [at for at in range(position) if lines[at].startswith("usage: ")]
        if not starts:
            return None
        usage = " ".join(line.strip() for line in lines[starts[-1] : position])
        return (
            f"The trainer rejects its arguments: {error['text']}",
            f"{_argument_hint(error['text'])} {usage}",
        )
    return None


def _argument_hint(text: str) -> str:
    unknown = re.match(r"unrecognized arguments:(.*)", text)
    if unknown and "--job-dir" in unknown[1]:
        return "Every trainer is given --job-dir: add parser.add_argument('--job-dir')."
    if unknown and not unknown[1].strip():
        return "An argument is blank: in the shell, a backslash must be the last character of its line."
    if text.startswith("the following arguments are required"):
        return "Give them after `--` at the end of the command."
    return "It accepts:"


def diagnosis(found: Traceback, packages: Collection[str]) -> tuple[Kind, str, str]:
    """Kind, line and hint of an exception; the first that fits, so the more special ones come first."""
    line = str(found)
    if found.name in ("ModuleNotFoundError", "ImportError") and not _NO_CUDA.search(found.text):
        return _import(found, packages)
    if word := _python_2(found):
        hint = "This code is for Python 2, and runtimes have Python 3."
        place = _PYTHON_2_NAMES.get(word)
        return Kind.PYTHON_2, line, f"{hint} Write {place} for {word}." if place else hint
    if found.name in ("SyntaxError", "IndentationError", "TabError"):
        return Kind.SYNTAX, line, ""
    if _GPU_FULL.search(found.text):
        return (
            Kind.OUT_OF_MEMORY,
            f"Out of memory on the GPU: {line}",
            "Use smaller batches or a smaller model.",
        )
    if found.name == "MemoryError" or _MEMORY_FULL.search(found.text):
        return Kind.OUT_OF_MEMORY, f"Out of memory: {line}", MORE_MEMORY
    if _NO_CUDA.search(found.text):
        hint = "It had no GPU, or no CUDA. Ask for a GPU (--scale-tier basic-gpu), or use the CPU."
        return Kind.CUDA, line, hint
    if "No space left on device" in found.text or "Errno 28" in found.text:
        hint = "Free some of the disk that the server's data directory is on, or write less."
        return Kind.DISK_FULL, f"The disk is full: {line}", hint
    if found.name == "PermissionError" or found.name == "PermissionDeniedError":
        return Kind.PERMISSION, line, _permission_hint(found.text)
    if found.name in ("FileNotFoundError", "NotFoundError") or (
        found.name == "OSError" and _MISSING_FILE.search(found.text)
    ):
        return Kind.FILE_NOT_FOUND, line, _missing_file_hint(found)
    return Kind.EXCEPTION, line, ""


def _import(found: Traceback, packages: Collection[str]) -> tuple[Kind, str, str]:
    missing = re.match(r"No module named '?([\w.]+)'?", found.text)
    if missing is None:
        if "sklearn.externals" in found.text:
            return Kind.IMPORT, str(found), "Write `import joblib`: scikit-learn no longer brings it along."
        return Kind.IMPORT, str(found), ""
    module = missing[1]
    top = module.partition(".")[0]
    line = f"The module {module} is not there ({found})."
    if top in _PYTHON_2_NAMES:
        hint = f"This code is for Python 2: write {_PYTHON_2_NAMES[top]} for {top}."
        return Kind.PYTHON_2, line, hint
    if top in packages:
        inside = "Is its file in the package, and has every folder on the way an __init__.py?"
        return Kind.IMPORT, line, inside
    if module.startswith("sklearn.externals"):
        return Kind.IMPORT, line, "Write `import joblib`: scikit-learn no longer brings it along."
    if module.startswith("tensorflow.contrib"):
        return (
            Kind.IMPORT,
            line,
            "TensorFlow 2 has no contrib. A runtime version of 1.x has, or use what replaced it.",
        )
    if top in _DISTRIBUTIONS and "." not in module:
        return Kind.IMPORT, line, f"Add '{_DISTRIBUTIONS[top]}' to install_requires in setup.py."
    if top in _DISTRIBUTIONS:
        return Kind.IMPORT, line, f"The version of {_DISTRIBUTIONS[top]} that is installed does not have it."
    hint = (
        "If it is of another package, add that to install_requires in setup.py; if it is yours, import it by "
    )
    return (
        Kind.IMPORT,
        line,
        f"{hint}the whole name (from {next(iter(packages), 'trainer')} import {module}).",
    )


def _python_2(found: Traceback) -> str:
    if found.name in ("SyntaxError", "TabError", "IndentationError"):
        return next((mark for mark in _PYTHON_2_SYNTAX if mark in found.text), "")
    if found.name == "NameError" or (found.name == "AttributeError" and "'dict' object" in found.text):
        words = _QUOTED.findall(found.text)
        return next((word for word in words if word in _PYTHON_2_NAMES), "")
    return ""


def _permission_hint(text: str) -> str:
    path = next(iter(_QUOTED.findall(text)), "")
    if path.startswith("/"):
        return (
            "Write below the working directory or tempfile.gettempdir(), or into the job directory's bucket."
        )
    return ""


def _missing_file_hint(found: Traceback) -> str:
    if bucket := _BUCKET.search(found.text):
        if not bucket[0].startswith("gs://"):
            return "A path library made gs:/ of gs://. Join names of objects with '/'.join or posixpath.join."
        if found.name == "NotFoundError":
            return f"See what is there: mlengine storage ls {bucket[0].rpartition('/')[0]}/"
        return "open() knows no buckets: use tf.io.gfile.GFile(path) or fsspec.open(path)."
    path = next(iter(_QUOTED.findall(found.text)), "")
    if path and not path.startswith("/"):
        return (
            "A job starts in an empty folder. Put the file into a bucket and read it from gs://, or into the "
            "package (package_data in setup.py)."
        )
    if path:
        return "Files of your machine are not where jobs run: put it into a bucket and read it from gs://."
    return ""
