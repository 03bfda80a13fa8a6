"""What is killed, cut off or taken away during a transfer: it goes on from there, or ends cleanly."""

from __future__ import annotations

import base64
import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import pytest

from tests.stories.conftest import Server, Shell
from tests.stories.storage_ground import BIG, MB, Tap, big_file, checksum_of, own_bucket, running

PIECE = 8 << 20


@pytest.fixture
def bucket(shell: Shell, request: pytest.FixtureRequest) -> Iterator[str]:
    with own_bucket(shell, request.node.name) as url:
        yield url


@pytest.fixture
def tap(shell: Shell) -> Iterator[Tap]:
    opened = Tap(shell.environment["MLENGINE_ENDPOINT"])
    yield opened
    opened.close()


def moved(stderr: str) -> tuple[int, int]:
    """What --verbosity info tells: bytes of this run, and of an earlier one."""
    found = re.search(r"INFO: .*: (\d+) bytes transferred(?:; (\d+) were there)?", stderr)
    assert found, stderr
    return int(found[1]), int(found[2] or 0)


def after_pieces(process: subprocess.Popen, count: int) -> None:
    """Wait until the server has confirmed `count` pieces of an upload."""
    for line in process.stderr:
        count -= b"PUT" in line and line.rstrip().endswith(b"-> 308")
        if not count:
            return
    pytest.fail("the upload ended too early")


def smaller_disk(size: int) -> Callable[[], None]:
    """For a child that can write no file longer than `size`."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_interrupted_upload_goes_on_when_the_line_is_typed_again(
    shell: Shell, bucket: str, how: signal.Signals, code: int
):
    checksum = big_file(shell.cwd / "big")
    line = ("storage", "cp", "big", f"{bucket}/")

    with running(shell, *line, "--verbosity", "debug", stderr=subprocess.PIPE) as first:
        after_pieces(first, 5)
        first.send_signal(how)
        first.stderr.read()
        assert first.wait() == code
    assert shell.run("storage", "ls", bucket).stdout == ""
    second = shell.run(*line, "--verbosity", "info")

    sent, found = moved(second.stderr)
    assert sent + found == BIG
    assert found >= 5 * PIECE
    assert shell.json("storage", "stat", f"{bucket}/big")["crc32c"] == checksum
    assert not list((shell.cwd / "cache" / "transfers").glob("*.json"))


def test_an_upload_survives_the_death_of_the_server(own_server: Server, tmp_path: Path):
    shell = own_server.shell
    port = str(own_server.record()["port"])
    checksum = big_file(tmp_path / "big")
    shell.run("storage", "mb", "gs://mine")

    with running(
        shell, "storage", "cp", "big", "gs://mine/big", "--verbosity", "debug", stderr=subprocess.PIPE
    ) as copy:
        after_pieces(copy, 5)
        own_server.kill()
        shell.run("server", "start", "--detach", "--port", port)
        said = copy.stderr.read().decode()
        assert copy.wait() == 0, said

    assert "Trying again" in said
    assert moved(said)[0] < BIG + 3 * PIECE
    assert shell.json("storage", "stat", "gs://mine/big")["crc32c"] == checksum


def test_a_file_edited_between_two_runs_is_sent_as_it_is_now(shell: Shell, bucket: str):
    big_file(shell.cwd / "big", 50 * MB)
    times = (shell.cwd / "big").stat()
    with running(
        shell, "storage", "cp", "big", bucket, "--verbosity", "debug", stderr=subprocess.PIPE
    ) as first:
        after_pieces(first, 2)
        first.kill()

    checksum = big_file(shell.cwd / "big", 50 * MB)
    os.utime(shell.cwd / "big", ns=(times.st_atime_ns, times.st_mtime_ns))
    shell.run("storage", "cp", "big", bucket)

    assert shell.json("storage", "stat", f"{bucket}/big")["crc32c"] == checksum


def test_a_download_that_found_the_disk_full_goes_on_later(shell: Shell, bucket: str):
    checksum = big_file(shell.cwd / "big", 50 * MB)
    shell.run("storage", "cp", "big", bucket)
    line = ("storage", "cp", f"{bucket}/big", "back")

    with running(shell, *line, preexec_fn=smaller_disk(20 * MB), stderr=subprocess.PIPE) as first:
        said = first.stderr.read().decode()
        assert first.wait() == 1
    assert "File too large" in said
    assert not (shell.cwd / "back").exists()
    second = shell.run(*line, "--verbosity", "info")

    sent, found = moved(second.stderr)
    assert (sent + found, found) == (50 * MB, 20 * MB)
    assert checksum_of(shell.cwd / "back") == checksum
    assert not list(shell.cwd.glob("back.partial*"))


def test_an_object_deleted_while_it_is_printed_is_printed_to_its_end(shell: Shell, bucket: str):
    checksum = big_file(shell.cwd / "big", 50 * MB)
    shell.run("storage", "cp", "big", bucket)

    with running(shell, "storage", "cat", f"{bucket}/big", stdout=subprocess.PIPE) as cat:
        got = google_crc32c.Checksum(cat.stdout.read(MB))
        shell.run("storage", "rm", f"{bucket}/big")
        while piece := cat.stdout.read(MB):
            got.update(piece)
        assert cat.wait() == 0

    assert base64.b64encode(got.digest()).decode() == checksum


def test_a_killed_download_goes_on_where_it_stopped(shell: Shell, bucket: str, tap: Tap):
    checksum = big_file(shell.cwd / "big")
    shell.run("storage", "cp", "big", bucket)
    through_tap = tap.shell(shell)
    line = ("storage", "cp", f"{bucket}/big", "back")

    tap.hold_at = BIG // 2
    with running(through_tap, *line) as first:
        assert tap.held.wait(60)
        first.kill()
    tap.cut()
    left = [path.name for path in shell.cwd.glob("back*")]
    second = through_tap.run(*line, "--verbosity", "info")

    sent, found = moved(second.stderr)
    assert left == ["back.partial"]
    assert sent + found == BIG
    assert found > BIG // 2 - 4 * PIECE
    assert checksum_of(shell.cwd / "back") == checksum
    assert len(list(shell.cwd.glob("back*"))) == 1


def test_a_download_survives_a_broken_line(shell: Shell, bucket: str, tap: Tap):
    checksum = big_file(shell.cwd / "big", 50 * MB)
    shell.run("storage", "cp", "big", bucket)

    tap.hold_at = 20 * MB
    with running(tap.shell(shell), "storage", "cp", f"{bucket}/big", "back", stderr=subprocess.PIPE) as copy:
        assert tap.held.wait(60)
        tap.cut()
        said = copy.stderr.read().decode()
        assert copy.wait() == 0

    assert "Trying again" in said
    assert checksum_of(shell.cwd / "back") == checksum


@pytest.mark.parametrize("word", ["deleted", "replaced"])
def test_an_object_that_is_not_there_after_a_break_leaves_no_file(
    shell: Shell, bucket: str, tap: Tap, word: str
):
    big_file(shell.cwd / "big", 50 * MB)
    shell.run("storage", "cp", "big", bucket)

    tap.hold_at = 20 * MB
    with running(tap.shell(shell), "storage", "cp", f"{bucket}/big", "back", stderr=subprocess.PIPE) as copy:
        assert tap.held.wait(60)
        if word == "deleted":
            shell.run("storage", "rm", f"{bucket}/big")
        else:
            shell.run("storage", "cp", "-", f"{bucket}/big", stdin="new")
        tap.cut()
        said = copy.stderr.read().decode()
        assert copy.wait() == 1

    assert f"{bucket}/big was {word} while it was being read." in said
    assert not list(shell.cwd.glob("back*"))
