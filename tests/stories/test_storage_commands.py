"""Data goes up and down with `mlengine storage`, under any name and in every direction."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.stories.conftest import MLENGINE, Shell
from tests.stories.storage_ground import MB, big_file, own_bucket, running

# Runs a command, and prints the most memory it had, in KiB.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture
def bucket(shell: Shell, request: pytest.FixtureRequest) -> Iterator[str]:
    with own_bucket(shell, request.node.name) as url:
        yield url


def test_large_transfers_need_little_memory(shell: Shell, bucket: str):
    big_file(shell.cwd / "big")

    for line in (("big", f"{bucket}/"), (f"{bucket}/big", "back"), ("-", f"{bucket}/piped")):
        with (shell.cwd / "big").open("rb") as source:
            words = [sys.executable, "-c", MEASURED, str(MLENGINE), "storage", "cp", *line]
            done = subprocess.run(
                words, cwd=shell.cwd, env=shell.full, stdin=source, capture_output=True, check=True
            )

        assert int(done.stdout) / 1024 < 100, line


def test_a_partial_file_of_something_else_is_neither_used_nor_harmed(shell: Shell, bucket: str):
    (shell.cwd / "x.partial").write_text("mine")
    for name in ("x", "x.partial"):
        shell.run("storage", "cp", "-", f"{bucket}/d/{name}", stdin=f"content of {name}")

    shell.run("storage", "cp", f"{bucket}/d/x", ".")
    shell.run("storage", "cp", "-m", "-r", f"{bucket}/d", "both")

    assert (shell.cwd / "x.partial").read_text() == "mine"
    assert {path.name: path.read_text() for path in (shell.cwd / "both").iterdir()} == {
        "x": "content of x",
        "x.partial": "content of x.partial",
    }


NAMES = (
    "a b.txt", "q?#%+&=.txt", "%2F%41", "a[1].txt", "a1.txt", "-dash", ".hidden", "한글.txt", "new\nline",
    "*", "한글 폴더/x/깊은 곳.csv", "한글 폴더/x?y#z",
)  # fmt: skip


def test_any_name_goes_up_down_and_away(shell: Shell, bucket: str):
    tree = shell.cwd / "tree"
    for name in NAMES:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"content of {name}")

    shell.run("storage", "cp", "-r", "tree", f"{bucket}/t")
    shell.run("storage", "cp", "-r", f"{bucket}/t", "back")
    listed = shell.json("storage", "ls", "-r", f"{bucket}/t")
    shell.run("storage", "rm", f"{bucket}/t/a[1].txt", f"{bucket}/t/q?#%+&=.txt")

    assert {item["name"] for item in listed} == {f"t/{name}" for name in NAMES}
    assert {name: (shell.cwd / "back" / name).read_text() for name in NAMES} == {
        name: f"content of {name}" for name in NAMES
    }
    assert "new\\nline" in shell.run("storage", "ls", f"{bucket}/t").stdout
    left = {item["name"] for item in shell.json("storage", "ls", "-r", f"{bucket}/t")}
    assert left == {f"t/{name}" for name in NAMES} - {"t/a[1].txt", "t/q?#%+&=.txt"}


def test_one_file_that_fails_does_not_stop_the_others(shell: Shell, bucket: str):
    (shell.cwd / "all").mkdir()
    for number in range(12):
        (shell.cwd / "all" / f"n{number}").touch()
    shell.run("storage", "cp", "-r", "all", bucket)
    for name in ("d", "d/below"):
        shell.run("storage", "cp", "-", f"{bucket}/all/{name}", stdin=name)

    done = shell.run("storage", "cp", "-r", f"{bucket}/all", "back", code=1)

    assert "1 of 14 objects failed" in done.stderr
    assert "needs a folder where there is a file" in done.stderr or "is a folder" in done.stderr
    assert len([path for path in (shell.cwd / "back").rglob("*") if path.is_file()]) == 13


def test_rsync_makes_folders_equal_in_every_direction(shell: Shell, bucket: str):
    here = shell.cwd / "here"
    (here / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (here / name).write_text(f"first {name}")

    shell.run("storage", "rsync", "-r", "here", f"{bucket}/x")
    assert "over 0 objects" in shell.run("storage", "rsync", "-r", "here", f"{bucket}/x").stderr
    # In the same second and of the same length: only the content tells.
    (here / "a").write_text("other a")
    (here / "a").write_text("secnd a")
    (here / "b").unlink()
    (here / "new").write_text("new")
    plan = shell.run("storage", "rsync", "-r", "-d", "-n", "here", f"{bucket}/x")
    assert plan.stdout == (
        f"Would copy file://here/a to {bucket}/x/a\n"
        f"Would copy file://here/new to {bucket}/x/new\n"
        f"Would remove {bucket}/x/b\n"
    )
    shell.run("storage", "rsync", "-r", "-d", "here", f"{bucket}/x")
    shell.run("storage", "rsync", "-r", f"{bucket}/x", f"{bucket}/y")
    shell.run("storage", "rsync", "-r", f"{bucket}/y", "there")
    again = shell.run("storage", "rsync", "-r", "-d", f"{bucket}/y", "there")
    flat = shell.run("storage", "rsync", "-n", f"{bucket}/y", "flat")

    assert "over 0 objects" in again.stderr
    there = {
        str(path.relative_to(shell.cwd / "there")): path.read_text()
        for path in (shell.cwd / "there").rglob("*")
        if path.is_file()
    }
    assert there == {"a": "secnd a", "new": "new", "sub/c": "first sub/c"}
    assert "sub/c" not in flat.stdout


def test_rsync_with_c_sees_what_times_hide(shell: Shell, bucket: str):
    (shell.cwd / "here").mkdir()
    file = shell.cwd / "here" / "a"
    file.write_text("one")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    shell.run("storage", "rsync", "here", bucket)

    file.write_text("two")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    by_time = shell.run("storage", "rsync", "-n", "here", bucket)
    by_content = shell.run("storage", "rsync", "-n", "-c", "here", bucket)

    assert by_time.stdout == ""
    assert by_content.stdout == f"Would copy file://here/a to {bucket}/a\n"


def test_rsync_from_a_misspelt_folder_removes_nothing(shell: Shell, bucket: str):
    (shell.cwd / "keep").mkdir()
    (shell.cwd / "keep" / "x").write_text("x")

    done = shell.run("storage", "rsync", "-d", f"{bucket}/misspelt", "keep", code=1)

    assert "is no folder" in done.stderr
    assert (shell.cwd / "keep" / "x").exists()


def test_things_move_between_here_and_there(shell: Shell, bucket: str):
    (shell.cwd / "d" / "e").mkdir(parents=True)
    (shell.cwd / "d" / "e" / "f").write_text("f")
    (shell.cwd / "one").write_text("one")

    shell.run("storage", "mv", "d", "one", f"{bucket}/in/")
    shell.run("storage", "mv", f"{bucket}/in/one", f"{bucket}/renamed")
    shell.run("storage", "mv", f"{bucket}/in", f"{bucket}/out")
    same = shell.run("storage", "mv", f"{bucket}/renamed", f"{bucket}/renamed", code=1)
    named = shell.run("storage", "ls", f"{bucket}/**").stdout
    shell.run("storage", "mv", f"{bucket}/**", ".")

    assert not (shell.cwd / "d").exists()
    assert named == f"{bucket}/out/d/e/f\n{bucket}/renamed\n"
    assert "onto itself" in same.stderr
    assert (shell.cwd / "f").read_text() + (shell.cwd / "renamed").read_text() == "fone"
    assert shell.run("storage", "ls", bucket).stdout == ""


def test_pipes_carry_contents_in_and_out(shell: Shell, bucket: str):
    content = bytes(range(256)) * 40_000  # more than one piece
    piped = subprocess.run(
        [str(MLENGINE), "storage", "cp", "-", f"{bucket}/x.bin"], input=content, env=shell.full, check=False
    )
    assert piped.returncode == 0

    def out(*words: str) -> bytes:
        return subprocess.run(
            [str(MLENGINE), "storage", *words], capture_output=True, env=shell.full, check=True
        ).stdout

    url = f"{bucket}/x.bin"
    assert out("cp", url, "-") == content
    assert out("cat", "-r", "10-19", url) == content[10:20]
    assert out("cat", "-r", f"{len(content) - 3}-", url) == content[-3:]
    assert out("cat", "-r", "-5", url) == content[-5:]
    assert out("cat", "-r", f"{len(content)}-", url) == b""
    assert shell.run("storage", "cat", "-r", "9-2", url, code=2).stdout == ""


def test_what_exists_is_left_alone_with_n(shell: Shell, bucket: str):
    shell.run("storage", "cp", "-", f"{bucket}/x", stdin="old")
    (shell.cwd / "x").write_text("new")
    big_file(shell.cwd / "large", 20 * MB)
    shell.run("storage", "cp", "large", f"{bucket}/large")

    up = shell.run("storage", "cp", "-n", "x", "large", f"{bucket}/")
    down = shell.run("storage", "cp", "-n", f"{bucket}/x", "x")
    across = shell.run("storage", "mv", "-n", f"{bucket}/large", f"{bucket}/x")

    for done in (up, down, across):
        assert "Skipping existing item" in done.stderr
    assert shell.run("storage", "cat", f"{bucket}/x").stdout == "old"
    assert (shell.cwd / "x").read_text() == "new"
    assert shell.json("storage", "stat", f"{bucket}/large")["size"] == str(20 * MB)


def test_packed_objects_arrive_unpacked(shell: Shell, bucket: str):
    import gzip
    import urllib.request

    text = b"0123456789" * 100_000
    request = urllib.request.Request(
        f"{shell.environment['MLENGINE_ENDPOINT']}/upload/storage/v1/b/{bucket[5:]}/o"
        "?uploadType=media&name=x.txt&contentEncoding=gzip",
        data=gzip.compress(text),
        headers={"Content-Type": "text/plain"},
    )
    with urllib.request.urlopen(request) as answer:
        assert int(json.load(answer)["size"]) < len(text)

    shell.run("storage", "cp", f"{bucket}/x.txt", ".")

    assert (shell.cwd / "x.txt").read_bytes() == text
    assert shell.run("storage", "cat", f"{bucket}/x.txt").stdout.encode() == text


def test_progress_is_shown_on_a_terminal_only(shell: Shell, bucket: str):
    big_file(shell.cwd / "big")
    ours, theirs = pty.openpty()

    with running(shell, "storage", "cp", "big", bucket, stderr=theirs) as copy:
        os.close(theirs)
        shown = b"".join(_until_closed(ours))
        assert copy.wait() == 0
    os.close(ours)
    plain = shell.run("storage", "cp", f"{bucket}/big", "back").stderr

    assert re.search(r"[\d.]+ MiB/190\.73 MiB  \d+%  [\d.]+ [KMG]iB/s  0:\d\d left", shown.decode())
    assert plain == f"Copying {bucket}/big to file://back\nOperation completed over 1 objects.\n"


def _until_closed(descriptor: int) -> Iterator[bytes]:
    try:
        while piece := os.read(descriptor, 4096):
            yield piece
    except OSError:  # how Linux says that the other side of a terminal is closed
        return


def test_buckets_are_made_listed_and_removed(shell: Shell):
    shell.run("storage", "mb", "gs://life-one", "gs://life-two")
    for name in ("a.csv", "b.csv", "d/c.csv"):
        shell.run("storage", "cp", "-", f"gs://life-one/{name}", stdin="12345678")

    full = shell.run("storage", "rb", "gs://life-one", code=1)
    across_buckets = shell.run("storage", "ls", "-lh", "gs://life-*/[ab].csv").stdout
    everything = shell.run("storage", "ls", "gs://life-one/**.csv").stdout
    shell.run("storage", "rb", "gs://life-two")
    shell.run("storage", "rm", "-r", "gs://life-*")
    shell.run("storage", "rm", "-r", "-f", "gs://life-one")

    assert "mlengine storage rm -r gs://life-one" in full.stderr
    assert re.fullmatch(
        r"( +8 B  \S+Z  gs://life-one/[ab]\.csv\n){2}TOTAL: 2 objects, 16 bytes \(16 B\)\n", across_buckets
    )
    assert everything.split() == ["gs://life-one/a.csv", "gs://life-one/b.csv", "gs://life-one/d/c.csv"]
    assert "life-" not in shell.run("storage", "ls").stdout
    assert shell.run("storage", "rm", "gs://life-one/x", code=1).stderr.count("storage mb gs://life-one") == 1
