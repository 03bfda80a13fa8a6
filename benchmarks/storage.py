"""Upload and download through the real server, beside a plain file copy and two emulators, in one run.

    python -m benchmarks.storage [--large-mb 256] [--rounds 5]

Every round does the same work everywhere, one after the other (A B C, A B C, …), so that what else happens
on the machine hits all alike; the table shows medians. A copy is read, write and fsync into a new file. An
upload reads a file; a download ends in a file with an fsync, and its bytes are compared with what went up.
"""

from __future__ import annotations

import argparse
import filecmp
import http.client
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google_storage

from benchmarks.storage_servers import Server, fake_gcs_server, gcp_storage_emulator, ours

BUCKET = "benchmark-bucket"
PIECE = 1 << 20
PEERS = {"gcp-storage-emulator": gcp_storage_emulator, "fake-gcs-server": fake_gcs_server}


@dataclass(frozen=True, slots=True)
class Size:
    """How large the objects are, and how many of them one measurement moves."""

    name: str
    size: int
    count: int


class Way(Protocol):
    """A way to move one object; both sides are files."""

    def up(self, name: str, source: Path) -> None: ...
    def down(self, name: str, target: Path) -> None: ...


class Copy:
    """The plain file copy that all are measured against."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def up(self, name: str, source: Path) -> None:
        _copy(source, self._folder / name)

    def down(self, name: str, target: Path) -> None:
        _copy(self._folder / name, target)

    def forget(self, name: str) -> None:
        """Free the disk."""
        (self._folder / name).unlink()


class Raw:
    """HTTP as spare as can be: one connection, one request an object."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600, blocksize=PIECE)
        self._buffer = memoryview(bytearray(PIECE))

    def make_bucket(self) -> None:
        """Make the bucket that all objects go to."""
        body = json.dumps({"name": BUCKET}).encode()
        self._ask("POST", "/storage/v1/b?project=local", body, {"Content-Type": "application/json"}).read()

    def up(self, name: str, source: Path) -> None:
        fields = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(source.stat().st_size),
        }
        with source.open("rb") as file:
            self._ask(
                "POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}", file, fields
            ).read()

    def down(self, name: str, target: Path) -> None:
        answer = self._ask("GET", f"/download/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media")
        with target.open("wb", buffering=0) as file:
            while count := answer.readinto(self._buffer):
                file.write(self._buffer[:count])
            os.fsync(file.fileno())

    def forget(self, name: str) -> None:
        """Free the disk."""
        self._ask("DELETE", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}").read()

    def _ask(
        self, verb: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        self._connection.request(verb, path, body, headers or {})  # type: ignore[arg-type]
        answer = self._connection.getresponse()
        if answer.status >= 300:
            raise RuntimeError(f"{verb} {path}: {answer.status} {answer.read(300)!r}")
        return answer


class Google:
    """google-cloud-storage as people use it: resumable from 8 MB on, checksums verified."""

    def __init__(self, server: Server) -> None:
        options = ClientOptions(api_endpoint=server.url)
        client = google_storage.Client("local", credentials=AnonymousCredentials(), client_options=options)
        self._bucket = client.bucket(BUCKET)

    def up(self, name: str, source: Path) -> None:
        self._bucket.blob(name).upload_from_filename(str(source))

    def down(self, name: str, target: Path) -> None:
        self._bucket.blob(name).download_to_filename(str(target))
        with target.open("rb") as file:
            os.fsync(file.fileno())


@dataclass(slots=True)
class Results:
    """Seconds per object, by (client, size, direction) and contestant; or why there are none."""

    seconds: dict[tuple[str, str, str], dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    failures: dict[tuple[tuple[str, str, str], str], str] = field(default_factory=dict)


def main() -> int:
    """Run it all and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage")
    parser.add_argument("--large-mb", type=int, default=256, help="size of the large object in MB (10^6)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="only ours and the copy")
    given = parser.parse_args()
    sizes = [
        Size("1 kB", 1_000, 100),
        Size("1 MB", 1_000_000, 20),
        Size(f"{given.large_mb} MB", given.large_mb * 1_000_000, 1),
    ]
    results = Results()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlengine-benchmark-")))
        folders = {name: root / name for name in ("mlengine", *PEERS, "copy", "work")}
        for folder in folders.values():
            folder.mkdir()
        servers = [stack.enter_context(ours(folders["mlengine"]))]
        if not given.no_peers:
            servers += [stack.enter_context(start(folders[name])) for name, start in PEERS.items()]
        for server in servers:
            Raw(server).make_bucket()
        for size in sizes:
            source = folders["work"] / "source"
            _fill(source, size.size)
            for number in range(given.rounds):
                _round(results, size, number, source, Copy(folders["copy"]), servers)
                sys.stderr.write(f"{size.name}: round {number + 1} of {given.rounds}\n")
        peaks = {server.name: server.peak_rss() for server in servers}
    sys.stdout.write(table(results, sizes, peaks) + "\n")
    return 1 if any(name == "mlengine" for _, name in results.failures) else 0


def _round(
    results: Results, size: Size, number: int, source: Path, copy: Copy, servers: list[Server]
) -> None:
    """Every contestant once, by every client."""
    names = [f"{size.name.replace(' ', '-')}-{number}-{at}" for at in range(size.count)]
    for client in ("raw HTTP", "google-cloud-storage"):
        contestants: dict[str, tuple[Way, Callable[[str], None]]] = {"copy": (copy, copy.forget)}
        for server in servers:
            way = Raw(server) if client == "raw HTTP" else Google(server)
            contestants[server.name] = (way, Raw(server).forget)
        for name, (way, forget) in contestants.items():
            if any((case, name) in results.failures for case in _cases(client, size)):
                continue
            _measure(results, client, size, name, way, names, source)
            for written in names:
                try:
                    forget(written)
                except (RuntimeError, OSError):
                    break  # it was never stored, which its failure has told already


def _measure(
    results: Results, client: str, size: Size, contestant: str, way: Way, names: list[str], source: Path
) -> None:
    targets = [source.with_name(f"down-{at}") for at in range(len(names))]
    up, down = _cases(client, size)
    case = up
    try:
        began = time.perf_counter()
        for name in names:
            way.up(name, source)
        results.seconds[up][contestant].append((time.perf_counter() - began) / len(names))
        case = down
        began = time.perf_counter()
        for name, target in zip(names, targets, strict=True):
            way.down(name, target)
        results.seconds[down][contestant].append((time.perf_counter() - began) / len(names))
        if not all(filecmp.cmp(source, target, shallow=False) for target in targets):
            raise RuntimeError("other bytes came down than had gone up")
    except Exception as error:  # whatever a contestant does wrong belongs into its cell
        sys.stderr.write(f"{contestant}, {client}, {size.name}: {error}\n")
        results.failures[case, contestant] = type(error).__name__
    finally:
        for target in targets:
            target.unlink(missing_ok=True)


def _cases(client: str, size: Size) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    return (client, size.name, "up"), (client, size.name, "down")


def table(results: Results, sizes: list[Size], peaks: dict[str, int]) -> str:
    """The results as a Markdown table: objects per second below 1 MB, else MB/s."""
    contestants = ["copy", *peaks]
    header = ["client", "object", "", "unit", *contestants, "copy / mlengine"]
    lines = [header, ["---"] * len(header)]
    for case, seconds in results.seconds.items():
        size = next(size for size in sizes if size.name == case[1])
        scale, unit = (size.size / 1e6, "MB/s") if size.size >= 1_000_000 else (1.0, "objects/s")
        rates = {name: scale / statistics.median(found) for name, found in seconds.items()}
        cells = [
            results.failures.get((case, name)) or (f"{rates[name]:,.0f}" if name in rates else "failed")
            for name in contestants
        ]
        slower = f"{rates['copy'] / rates['mlengine']:.2f}" if "mlengine" in rates else ""
        lines.append([*case, unit, *cells, slower])
    memory = ["peak memory", "", "", "MB", "", *(f"{peak / 1e6:,.0f}" for peak in peaks.values()), ""]
    lines.append(memory)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {time.strftime('%Y-%m-%d')}"
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", machine])


def _fill(path: Path, size: int) -> None:
    block = os.urandom(min(size, 8 * PIECE))
    with path.open("wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[: size - at])


def _copy(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as reading, target.open("wb", buffering=0) as writing:
        while piece := reading.read(PIECE):
            writing.write(piece)
        os.fsync(writing.fileno())


if __name__ == "__main__":
    sys.exit(main())
