"""Running uv: where it is, what it is told, what its failures mean. Apart, for builder and overlay share it.

uv inherits our environment, so that the user's proxies, certificates and `UV_*` settings count.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from mlengine.errors import FailedPrecondition

# pip's variables that name where packages come from, with uv's word for each.
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
}
_SOURCES = {*_FROM_PIP.values(), "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"}

# Variables of the calling process that would have uv, or a build in it, install other things or elsewhere.
_FOREIGN = {
    *("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"),
    *("UV_COMPILE_BYTECODE", "UV_CONSTRAINT", "UV_EXCLUDE", "UV_NO_BUILD_ISOLATION", "UV_OVERRIDE"),
    *("UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_WORKING_DIR"),
}

_UNREACHABLE = "Is the package index reachable? UV_DEFAULT_INDEX names another, HTTPS_PROXY a proxy."

# What uv says where PyTorch's build without CUDA is not to be had.
NO_TORCH = "there is no version of torch=="

# What uv says -> what to do. The first that fits counts.
_CAUSES = {
    "No space left on device": "Free some disk space, or move the cache: MLENGINE_CACHE_DIR=/roomy/folder.",
    "Permission denied": "The folder must be writable; MLENGINE_CACHE_DIR=/some/folder moves the cache.",
    NO_TORCH: "PyTorch without CUDA is on none of your package indexes. UV_INDEX names one more, "
    "UV_FIND_LINKS a folder with its wheel.",
    "No solution found": "A package needs what the runtime or the package index does not have; see above.",
    "not found in the package registry": "The package index lacks a package; see above.",
    "invalid peer certificate": "Add your proxy's certificate to the system's, or name it in SSL_CERT_FILE.",
    "Could not connect": _UNREACHABLE,
    "dns error": _UNREACHABLE,
    "Failed to fetch": _UNREACHABLE,
    "error sending request": _UNREACHABLE,
}


def variables(own: Mapping[str, str]) -> dict[str, str]:
    """The environment uv gets.

    Args:
        own: The variables of this process. pip's settings for where packages come from are passed on in uv's
            words, unless uv has some of its own.
    """
    env = {name: value for name, value in own.items() if name not in _FOREIGN}
    if not any(env.get(name) for name in _SOURCES):
        env |= {uvs: own[pips] for pips, uvs in _FROM_PIP.items() if own.get(pips)}
        if "UV_FIND_LINKS" in env:
            env["UV_FIND_LINKS"] = ",".join(env["UV_FIND_LINKS"].split())
        if "UV_INDEX" in env:
            # pip takes the best version of all its indexes, uv stops at the first one that has the package.
            env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    # Companies' proxies are known to the system, not to uv. (Two names: one before uv 0.10, one after.)
    env.setdefault("UV_SYSTEM_CERTS", "true")
    env.setdefault("UV_NATIVE_TLS", env["UV_SYSTEM_CERTS"])
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env["UV_NO_PROGRESS"] = "true"
    env["NO_COLOR"] = "1"
    return env


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    purpose: str,
    keep: Sequence[int] = (),
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run uv to its end.

    Args:
        arguments: Its command line, without "uv".
        folder: Its working directory. Not the user's: a pyproject.toml there would steer uv.
        purpose: What for, to begin the error with: "The runtime 2026.11-sklearn cannot be built".
        keep: Descriptors that uv inherits.
        on_line: Gets each line of its standard error as it comes, and "" after a second without one.

    Returns:
        What it printed on standard output.

    Raises:
        FailedPrecondition: It failed; the message ends with its last lines.
    """
    env = variables(os.environ)
    if on_line:
        env.pop("UV_NO_PROGRESS")  # or it says nothing of what it fetches; bars are for terminals only
    with subprocess.Popen(
        [binary(), *arguments],
        cwd=folder,
        env=env,
        pass_fds=keep,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            printed, complained = _watch(process, on_line) if on_line else process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode == 0:
        return printed
    said = complained.strip() or printed.strip() or f"(nothing; it ended with {process.returncode})"
    last = "\n".join(said.splitlines()[-25:])
    hint = next((cure for sign, cure in _CAUSES.items() if sign.lower() in said.lower()), "")
    raise FailedPrecondition(f"{purpose}. uv said:\n{last}", hint=hint)


def _watch(process: subprocess.Popen[str], on_line: Callable[[str], None]) -> tuple[str, str]:
    """Both outputs of the process, whose lines on standard error are told as they come."""
    lines, printed = SimpleQueue[str | None](), list[str]()
    stdout, stderr = process.stdout, process.stderr
    assert stdout is not None and stderr is not None

    def read() -> None:
        for line in stderr:
            lines.put(line)
        lines.put(None)

    threads = (Thread(target=read), Thread(target=lambda: printed.append(stdout.read())))
    for thread in threads:
        thread.start()
    said = []
    while True:
        try:
            line = lines.get(timeout=1)
        except Empty:
            on_line("")
            continue
        if line is None:
            break
        said.append(line)
        on_line(line)
    for thread in threads:
        thread.join()
    process.wait()
    return "".join(printed), "".join(said)


def binary() -> str:
    """The path of uv, as the package `uv` installed it.

    Raises:
        FailedPrecondition: It is not installed.
    """
    try:
        from uv import find_uv_bin  # lazily: most runs of the launcher need no uv before the overlay

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise FailedPrecondition(
            f"uv, which builds the environments of runtimes, is missing beside {sys.executable}.",
            hint=f"Install it: {sys.executable} -m pip install uv",
        ) from error


def python(version: str, *, folder: Path) -> str:
    """A Python of that version on this machine: the one that runs us if it fits, else one that uv finds.

    Args:
        version: As "3.11".
        folder: Where uv may run.

    Raises:
        FailedPrecondition: There is none. Nothing is ever downloaded for it.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return str(getattr(sys, "_base_executable", "") or sys.executable)
    try:
        return run(["python", "find", version], folder=folder, purpose="-").strip()
    except FailedPrecondition as error:
        raise FailedPrecondition(
            f"Python {version} is not installed on this machine, and the runtime needs it.",
            hint=f"Install it, for instance: apt install python{version} python{version}-dev, "
            f"brew install python@{version}, or uv python install {version}. Then try again.",
        ) from error
