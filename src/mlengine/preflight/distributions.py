"""Which modules a distribution brings: of a built runtime by looking, otherwise by a table and the lock."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlengine.environments.catalogue import Runtime, pins

# Distributions whose modules are not called like them. Those of our locks, and those trainers often add.
_MODULES: dict[str, tuple[str, ...]] = {
    "absl-py": ("absl",),
    "apache-beam": ("apache_beam",),
    "attrs": ("attr", "attrs"),
    "beautifulsoup4": ("bs4",),
    "cffi": ("cffi", "_cffi_backend"),
    "cloudml-hypertune": ("hypertune",),
    "dm-sonnet": ("sonnet",),
    "faiss-cpu": ("faiss",),
    "fonttools": ("fontTools",),
    "gitpython": ("git",),
    "google-api-python-client": ("googleapiclient", "apiclient"),
    "google-pasta": ("pasta",),
    "grpcio": ("grpc",),
    "grpcio-status": ("grpc_status",),
    "jpype1": ("jpype",),
    "libclang": ("clang",),
    "matplotlib": ("matplotlib", "mpl_toolkits", "pylab"),
    "mysqlclient": ("MySQLdb",),
    "opencv-contrib-python": ("cv2",),
    "opencv-python": ("cv2",),
    "opencv-python-headless": ("cv2",),
    "opentelemetry-api": ("opentelemetry",),
    "pillow": ("PIL",),
    "progressbar2": ("progressbar",),
    "proto-plus": ("proto",),
    "protobuf": ("google",),
    "psycopg2-binary": ("psycopg2",),
    "pyjwt": ("jwt",),
    "python-dateutil": ("dateutil",),
    "python-dotenv": ("dotenv",),
    "pytorch-lightning": ("pytorch_lightning",),
    "pyyaml": ("yaml",),
    "ruamel-yaml": ("ruamel",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "setuptools": ("setuptools", "pkg_resources", "_distutils_hack"),
    "sklearn": ("sklearn",),
    "sympy": ("sympy", "isympy"),
    "tensorflow-cpu": ("tensorflow",),
    "tensorflow-gpu": ("tensorflow",),
    "tf-keras": ("tf_keras",),
    "torch": ("torch", "functorch", "torchgen"),
    "umap-learn": ("umap",),
    "xgboost-cpu": ("xgboost",),
}
# Distributions that share one name.
_GOOGLE = re.compile(r"google-(api-core|auth|cloud|resumable|crc32c$)|googleapis-|grpc-google-")

# Modules that people ask for by the module's name.
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "googleapiclient": "google-api-python-client",
    "hypertune": "cloudml-hypertune",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "dotenv": "python-dotenv",
    "git": "gitpython",
    "jwt": "pyjwt",
    "absl": "absl-py",
}
# Gone from the standard library, by the first version that lacks them.
_REMOVED = {
    (3, 12): ("asynchat", "asyncore", "distutils", "imp", "smtpd"),
    (3, 13): (
        *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib"),
        *("nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
    ),
}


def normal(name: str) -> str:
    """The normal form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_of(distribution: str) -> tuple[str, ...]:
    """The names it makes importable, as far as can be told without it."""
    name = normal(distribution)
    if name in _MODULES:
        return _MODULES[name]
    if _GOOGLE.match(name):
        library = name.removeprefix("google-cloud-").replace("-", "_")
        return ("google", name.replace("-", "_"), f"google.cloud.{library}")
    return (name.replace("-", "_"), distribution)


def standard_library(python: str) -> frozenset[str]:
    """Names of the standard library of a Python ("3.11")."""
    version = tuple(int(part) for part in python.split(".")[:2])
    own = sys.version_info[:2]
    names = set(sys.stdlib_module_names) | {"__future__"}
    for first_without, removed in _REMOVED.items():
        if version >= first_without:
            names -= set(removed)
        elif own >= first_without:
            names |= set(removed)
    return frozenset(names)


@dataclass(frozen=True)
class Target:
    """The environment that a job will run in, before its own packages.

    Attributes:
        label: For messages: "The runtime 2026.11-sklearn".
        python: Its version, "3.11".
        interpreter: The Python of the built environment; None when it is not built here.
        runtime: None when it is some Python of the user's.
        present: Modules that were looked for with the interpreter and found.
    """

    label: str
    python: str
    interpreter: Path | None = None
    runtime: Runtime | None = None
    present: frozenset[str] = frozenset()

    @cached_property
    def site(self) -> Path | None:
        """Where its packages lie, if it is built."""
        if self.interpreter is None or self.runtime is None:
            return None
        return next((self.interpreter.parent.parent / "lib").glob("python3.*/site-packages"), None)

    @cached_property
    def pinned(self) -> dict[str, str]:
        """Versions by distribution."""
        return pins(self.runtime.lock_file, system=sys.platform) if self.runtime else {}

    @cached_property
    def modules(self) -> frozenset[str]:
        """First parts of all names that can be imported there."""
        found = set(standard_library(self.python)) | self.present
        if self.site:
            found.update(_listed(self.site))
        else:
            for distribution in self.pinned:
                found |= set(modules_of(distribution))
        return frozenset(found)

    def has_file(self, module: str) -> bool | None:
        """Whether a module below a package is there as a file; None when nobody can tell."""
        if self.site is None:
            return None
        place = self.site.joinpath(*module.split("."))
        return place.is_dir() or place.with_name(f"{place.name}.py").is_file()


def _listed(site: Path) -> Iterable[str]:
    for entry in site.iterdir():
        if entry.name.endswith((".dist-info", ".egg-info", ".pth", ".data", ".libs")):
            continue
        if entry.is_dir() or entry.suffix in (".py", ".so"):
            yield entry.name.partition(".")[0]
