"""Distributions as files: what is in a source archive or wheel, and what it says of itself."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from mlengine.errors import InvalidArgument

# Files beyond this are data, and no check reads data.
_LARGEST_READ = 1 << 20
_MOST_FILES = 2000
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError),  # an unknown packing; a password
)
# Name, size, and what reads the content.
Member = tuple[str, int, Callable[[], bytes]]


@dataclass(frozen=True)
class Archive:
    """What was read of one distribution.

    Attributes:
        name: Its file name.
        sizes: Bytes by file name, without a source archive's top folder.
        contents: The small files among them.
        wheel: Whether it is one.
    """

    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    wheel: bool = False

    @cached_property
    def modules(self) -> dict[str, str]:
        """File name by dotted module name as it is once installed; packages included."""
        # A .pth, or C code, makes modules that are not seen here: `has_native` tells.
        packages = {
            name.rpartition("/")[0] for name in self.sizes if name.endswith("/__init__.py") and name[0] != "/"
        }
        found: dict[str, str] = {}
        for name in sorted(self.sizes):
            if not name.endswith(".py") or name == "setup.py":
                continue
            parts = name.removesuffix(".py").split("/")
            # `src/trainer/task.py` is trainer.task: what lies above the outermost package is only a place.
            outermost = next((n for n in range(1, len(parts) + 1) if "/".join(parts[:n]) in packages), 1)
            dotted = parts[outermost - 1 :]
            if dotted[-1] == "__init__":
                dotted = dotted[:-1]
            if dotted and all(part.isidentifier() for part in dotted):
                found.setdefault(".".join(dotted), name)
        return found

    @cached_property
    def top_level(self) -> frozenset[str]:
        """First parts of the names that it makes importable."""
        native = {
            PurePosixPath(name).parts[0].partition(".")[0]
            for name in self.sizes
            if re.search(r"\.(so|pyd|pyx|c|cpp|cc)$", name)
        }
        namespaces = {
            PurePosixPath(name).parts[0] for name in self.sizes if self.wheel and ".dist-info" not in name
        }
        listed = {
            line.strip()
            for name, content in self.contents.items()
            if name.endswith(("egg-info/top_level.txt", "dist-info/top_level.txt"))
            for line in content.decode("utf-8", "replace").splitlines()
            if line.strip()
        }
        return frozenset(name.partition(".")[0] for name in self.modules) | native | namespaces | listed

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Folders of the archive that would stand on the module path: "" and, for instance, "src"."""
        found = {""}
        for module, name in self.modules.items():
            tail = module.replace(".", "/")
            path = name.removesuffix("/__init__.py").removesuffix(".py")
            found.add(path.removesuffix(tail).rstrip("/"))
        return tuple(sorted(found))

    @cached_property
    def requires(self) -> tuple[str, ...]:
        """Requirements that are installed with it, as it states them."""
        if text := self._metadata():
            listed = re.findall(r"^Requires-Dist: *(.+)$", text, re.MULTILINE)
            if listed:
                return tuple(line.strip() for line in listed if "extra ==" not in line)
        for name, content in self.contents.items():
            if name.endswith("egg-info/requires.txt"):
                unconditional = content.decode("utf-8", "replace").partition("[")[0]
                return tuple(line.strip() for line in unconditional.splitlines() if line.strip())
        return ()

    @cached_property
    def requires_python(self) -> str:
        """Its Requires-Python, or ""."""
        found = re.search(r"^Requires-Python: *(.+)$", self._metadata(), re.MULTILINE)
        return found[1].strip() if found else ""

    def _metadata(self) -> str:
        ending = ".dist-info/METADATA" if self.wheel else "PKG-INFO"
        names = sorted((name for name in self.contents if name.endswith(ending)), key=len)
        return self.contents[names[0]].decode("utf-8", "replace").partition("\n\n")[0] if names else ""


def read_archive(path: Path) -> Archive:
    """Read a distribution; nothing of it is run or unpacked.

    Raises:
        InvalidArgument: no tar, zip or wheel.
    """
    archive = read_within(path, most=None)
    assert archive is not None
    return archive


def read_within(path: Path, *, most: int | None) -> Archive | None:
    """Read a distribution unless it holds more than `most` bytes, unpacked. Raises as `read_archive`."""
    archive = Archive(path.name, wheel=path.suffix == ".whl")
    whole = 0
    with opened(path) as files:
        for name, size, read in files:
            whole += size
            if most is not None and whole > most:
                return None
            archive.sizes[name] = size
            if size <= _LARGEST_READ:
                archive.contents[name] = read()
    return archive


def read_folder(package: Path, skipped: frozenset[str]) -> Archive | None:
    """A package's folder as if it were a distribution, for what runs where it lies; None if it is too large.

    Args:
        skipped: Names of folders that no trainer is in.
    """
    archive = Archive(package.name)
    for folder, below, names in os.walk(package):
        below[:] = [
            name for name in below if name not in skipped and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        for path in (Path(folder, name) for name in names if name.endswith(".py")):
            if len(archive.sizes) >= _MOST_FILES:
                return None
            if path.is_file():
                relative = path.relative_to(package.parent).as_posix()
                archive.contents[relative] = path.read_bytes()
                archive.sizes[relative] = len(archive.contents[relative])
    return archive


@contextmanager
def opened(archive: Path) -> Iterator[Iterator[Member]]:
    """The files in a distribution. Raises InvalidArgument as `read_archive`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bag:
                yield _zipped(bag, archive.suffix != ".whl")
            return
        with tarfile.open(archive) as tar:
            yield _tarred(tar)
    except _DAMAGED as error:
        raise InvalidArgument(
            f"{archive} is no Python package: {error}.", hint="A .tar.gz, .zip or .whl is needed."
        ) from None


def _zipped(bag: zipfile.ZipFile, has_top: bool) -> Iterator[Member]:
    for info in bag.infolist():
        if not info.is_dir():
            yield _without_top(info.filename, has_top), info.file_size, partial(bag.read, info)


def _tarred(tar: tarfile.TarFile) -> Iterator[Member]:
    for member in tar:
        if member.isfile():
            yield _without_top(member.name, True), member.size, partial(_content, tar, member)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _without_top(name: str, has_top: bool) -> str:
    head, slash, rest = name.removeprefix("./").partition("/")
    return rest if has_top and slash else head + slash + rest
