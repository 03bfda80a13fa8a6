"""Names, races and readers on a live server: nothing leads astray, nothing is mixed, one of many wins."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clients.forked_server import BUCKET, ForkedServer, calling, media, serving

OBJECTS = f"/storage/v1/b/{BUCKET}/o"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[ForkedServer]:
    """A server for tests that leave their objects behind."""
    folder = tmp_path_factory.mktemp("safety") / "outer" / "server"
    folder.mkdir(parents=True)
    with serving(folder, template=sqlite_template) as server:
        yield server


@pytest.fixture
def either(tmp_path: Path, database_url: str) -> Iterator[ForkedServer]:
    """A server on each database."""
    with serving(tmp_path, database_url=database_url) as server:
        yield server


# Names

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_TELLING = st.sampled_from(
    [
        "/",
        "//",
        "..",
        "../",
        ".",
        "%",
        "%2F",
        "%2e",
        "?",
        "#",
        "&",
        "+",
        " ",
        "\n",
        "\r\n",
        "\\",
        '"',
        "한글",
        "\x7f",
    ]
)
NAMES = st.lists(st.text(_CHARACTERS, max_size=8) | _TELLING, min_size=1, max_size=12).map("".join)


def _permitted(name: str) -> bool:
    return name not in ("", ".", "..") and len(name.encode()) <= 1024


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES.filter(_permitted))
def test_any_name_goes_there_and_back(plain: ForkedServer, name: str) -> None:
    content = name.encode() + b"\0"
    address = f"{OBJECTS}/{quote(name, safe='')}"
    with calling(plain) as caller:
        status, made = caller.upload(name, content)
        assert status == 200 and made["name"] == name
        assert caller.json("GET", address) == made
        listed = caller.json("GET", f"{OBJECTS}?prefix={quote(name, safe='')}&maxResults=1")["items"]
        assert [item["name"] for item in listed] == [name]
        assert caller.ask("GET", media(name))[2] == content
        assert caller.ask("GET", f"{address}?alt=media")[2] == content
        assert caller.ask("DELETE", address)[0] == 204
        assert caller.ask("GET", address)[0] == 404
        assert caller.names() == []


@pytest.mark.parametrize("name", ["k" * 1000, "한" * 341, "ü" * 512, "/" * 1024, "a/" * 512])
def test_a_name_may_have_a_thousand_characters(plain: ForkedServer, name: str) -> None:
    with calling(plain) as caller:
        assert caller.upload(name, b"x")[0] == 200
        assert caller.names() == [name]
        assert caller.ask("GET", media(name))[2] == b"x"
        assert caller.ask("DELETE", f"{OBJECTS}/{quote(name, safe='')}")[0] == 204


@pytest.mark.parametrize("name", ["한" * 1000, "k" * 1025, "nul\0", "\0", ".", "..", ""])
@pytest.mark.parametrize("way", ["media", "multipart", "resumable", "copy", "compose"])
def test_a_name_that_cannot_be_is_refused_in_every_way(plain: ForkedServer, name: str, way: str) -> None:
    upload = f"/upload/storage/v1/b/{BUCKET}/o?uploadType="
    escaped = quote(name, safe="")
    with calling(plain) as caller:
        caller.upload("source", b"x")
        if way == "multipart":
            body = b"--b\r\n\r\n%s\r\n--b\r\n\r\nx\r\n--b--" % json.dumps({"name": name}).encode()
            fields = {"Content-Type": "multipart/related; boundary=b"}
            status = caller.ask("POST", f"{upload}multipart", body, fields)[0]
        elif way == "resumable":
            status = caller.ask("POST", f"{upload}resumable", json.dumps({"name": name}).encode())[0]
        elif way == "copy":
            status = caller.ask("POST", f"{OBJECTS}/source/rewriteTo/b/{BUCKET}/o/{escaped}", b"{}")[0]
        elif way == "compose":
            sources = json.dumps({"sourceObjects": [{"name": "source"}]}).encode()
            status = caller.ask("POST", f"{OBJECTS}/{escaped}/compose", sources)[0]
        else:
            status = caller.ask("POST", f"{upload}media&name={escaped}", b"x")[0]
        assert status in (400, 404)
        assert caller.names() == ["source"]
        caller.ask("DELETE", f"{OBJECTS}/source")


ATTACKS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2fmlengine.db",
    "%252e%252e%252fmlengine.db",
    "..%5c..%5cmlengine.db",
    "..\\..\\mlengine.db",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file%3a%2f%2f%2fetc%2fpasswd",
    "a%00b",
    "a%0d%0aSet-Cookie:%20stolen=1",
    "%c0%ae%c0%ae%2fmlengine.db",
    "%ff%fe",
    "a;b|c`d$(e)",
    "./././mlengine.db",
]
_PLACES = [
    ("GET", f"{OBJECTS}/%s"),
    ("GET", f"{OBJECTS}/%s?alt=media"),
    ("DELETE", f"{OBJECTS}/%s"),
    ("GET", f"/download{OBJECTS}/%s?alt=media"),
    ("GET", "/storage/v1/b/%s"),
    ("GET", "/storage/v1/b/%s/o/a?alt=media"),
    ("POST", "/upload/storage/v1/b/%s/o?uploadType=resumable&name=a"),
    ("PUT", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&upload_id=%s"),
    ("GET", f"{OBJECTS}?prefix=%s&delimiter=%s&startOffset=%s"),
    ("GET", f"/{BUCKET}/%s"),
    ("GET", "/%s/a"),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_path_leads_out_of_the_store_or_into_the_head_of_an_answer(
    plain: ForkedServer, attack: str
) -> None:
    with calling(plain) as caller:
        for verb, place in _PLACES:
            status, fields, content = caller.ask(verb, place.replace("%s", attack))

            assert status < 500, (verb, place, content)
            assert "set-cookie" not in fields
            assert b"root:" not in content and b"SQLite format" not in content


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_object_with_an_evil_name_is_an_object_like_any_other(plain: ForkedServer, attack: str) -> None:
    before = _files(plain._folder.parent)
    with calling(plain) as caller:
        status, answer = caller.upload(attack, b"evil" * 5000)  # too large for a row
        assert status == 200, answer
        fields = caller.ask("GET", media(attack))[1]
        assert "set-cookie" not in fields

        new = _files(plain._folder.parent) - before
        assert all(re.fullmatch(r"server/blobs/sealed/[0-9a-f]{2}/[0-9a-f]{32}", name) for name in new), new
        assert len(new) == 1
        caller.ask("DELETE", f"{OBJECTS}/{quote(attack, safe='')}")


def _files(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("server/mlengine.db")}


def command(server: ForkedServer, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`mlengine WORDS` against a server."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLENGINE_")}
    environment |= {
        "MLENGINE_ENDPOINT": f"http://127.0.0.1:{server.port}",
        "MLENGINE_PROJECT": "demo-project",
    }
    return subprocess.run(
        [sys.executable, "-m", "mlengine", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "name",
    ["../evil", "d/../../evil", "d/..", "/evil", "//evil", "d//../../evil", "..", "d/./../../evil", "~/evil"],
)
def test_a_download_of_a_folder_writes_nothing_outside_its_target(
    plain: ForkedServer, tmp_path: Path, name: str
) -> None:
    (tmp_path / "home" / "target").mkdir(parents=True)
    (tmp_path / "home" / "keep").write_text("kept")
    with calling(plain) as caller:
        caller.upload(f"tree/{name}", b"evil")
        caller.upload("tree/good", b"good")

        done = command(plain, "storage", "cp", "-r", f"gs://{BUCKET}/tree", "target", cwd=tmp_path / "home")

        outside = [path for path in tmp_path.rglob("*") if path.is_file() and "target" not in path.parts]
        assert outside == [tmp_path / "home" / "keep"], done.stderr
        assert "Traceback" not in done.stderr
        assert not Path("/evil").exists()
        for stored in caller.names():
            caller.ask("DELETE", f"{OBJECTS}/{quote(stored, safe='')}")


# Races


def write_at_once(
    server: ForkedServer, contents: list[bytes], generation: str
) -> list[tuple[int, bytes, str]]:
    """Write all contents to one object, each if it still has `generation`: status, content and generation."""
    barrier = threading.Barrier(len(contents))
    outcomes: list[tuple[int, bytes, str]] = []

    def write(content: bytes) -> None:
        with calling(server) as caller:
            barrier.wait(timeout=60)
            status, answer = caller.upload("once", content, f"&ifGenerationMatch={generation}")
        outcomes.append((status, content, answer.get("generation", "")))

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_many_writers_with_the_same_condition_exactly_one_wins(either: ForkedServer) -> None:
    generation = "0"
    for turn in range(5):
        contents = [f"{turn} {number} ".encode() * 3000 for number in range(6)]

        outcomes = write_at_once(either, contents, generation)

        assert sorted(status for status, _, _ in outcomes) == [200, 412, 412, 412, 412, 412]
        ((_, content, generation),) = (outcome for outcome in outcomes if outcome[0] == 200)
        with calling(either) as caller:
            _, fields, found = caller.ask("GET", media("once"))
            assert (found, fields["x-goog-generation"]) == (content, generation)
            assert caller.findings() == []


def test_of_many_who_delete_the_same_generation_exactly_one_did(either: ForkedServer) -> None:
    with calling(either) as caller:
        generation = caller.upload("once", b"x")[1]["generation"]
    barrier = threading.Barrier(6)
    outcomes: list[int] = []

    def delete() -> None:
        with calling(either) as caller:
            barrier.wait(timeout=60)
            outcomes.append(caller.ask("DELETE", f"{OBJECTS}/once?ifGenerationMatch={generation}")[0])

    threads = [threading.Thread(target=delete) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count(204) == 1
    assert set(outcomes) <= {204, 404, 412}


def test_a_reader_gets_one_whole_content_while_others_replace_and_delete_it(either: ForkedServer) -> None:
    contents = {letter: letter.encode() * 700_000 for letter in "abcd"}
    stop = threading.Event()
    seen: list[str] = []
    wrong: list[str] = []

    def change(letter: str) -> None:
        with calling(either) as caller:
            while not stop.is_set():
                caller.upload("it", contents[letter])
                if letter == "d":
                    caller.ask("DELETE", f"{OBJECTS}/it")

    def read() -> None:
        with calling(either) as caller:
            while len(seen) < 60 and not wrong:
                status, fields, found = caller.ask("GET", media("it"))
                if status == 404:
                    continue
                letter = chr(found[0])
                if status != 200 or found != contents[letter] or fields["content-length"] != str(len(found)):
                    wrong.append(f"{status} {len(found)} {set(found)}")
                seen.append(letter)

    writers = [threading.Thread(target=change, args=(letter,)) for letter in contents]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in readers:
        thread.join()
    stop.set()
    for thread in writers:
        thread.join()

    assert wrong == []
    assert len(seen) >= 60
    with calling(either) as caller:
        assert caller.findings() == []


def test_a_slow_reader_reads_to_the_end_though_the_object_is_deleted(either: ForkedServer) -> None:
    content = os.urandom(1 << 20) * 24  # more than all buffers on the way
    with calling(either) as caller:
        caller.upload("it", content)
        connection = http.client.HTTPConnection("127.0.0.1", either.port, timeout=60)
        connection.request("GET", media("it"))
        response = connection.getresponse()
        begin = response.read(1000)

        assert caller.ask("DELETE", f"{OBJECTS}/it")[0] == 204
        caller.upload("it", b"another")

        assert begin + response.read() == content
        connection.close()


# The proof, by command


def test_the_command_tells_by_its_exit_code_whether_all_is_there(
    tmp_path: Path, sqlite_template: Path
) -> None:
    with serving(tmp_path, template=sqlite_template) as server, calling(server) as caller:
        lost = caller.upload("lost", b"x" * 20_000)[1]
        caller.upload("there", b"y" * 20_000)

        fine = command(server, "storage", "fsck", cwd=tmp_path)
        (blob,) = (
            path
            for path in (tmp_path / "blobs" / "sealed").rglob("*")
            if path.is_file() and b"x" in path.read_bytes()
        )
        blob.write_bytes(b"x" * 19_999 + b"z")
        unread = command(server, "storage", "fsck", cwd=tmp_path)
        damaged = command(server, "storage", "fsck", "--checksums", cwd=tmp_path)
        blob.unlink()
        gone = command(server, "storage", "fsck", "--repair", cwd=tmp_path)

        assert (fine.returncode, fine.stdout) == (0, "")
        assert "2 objects checked: nothing is wrong." in fine.stderr
        assert unread.returncode == 0
        subject = f"gs://{BUCKET}/lost#{lost['generation']}"
        assert (damaged.returncode, damaged.stdout.startswith(f"content damaged: {subject}: ")) == (1, True)
        assert (gone.returncode, gone.stdout.startswith(f"content lost: {subject}: ")) == (1, True)
        assert "1 wrong, 0 of them repaired" in gone.stderr
        assert caller.names() == ["lost", "there"]


def test_the_command_repairs_what_can_be_repaired(tmp_path: Path, sqlite_template: Path) -> None:
    with serving(tmp_path, template=sqlite_template) as server:
        leftover = tmp_path / "blobs" / "sealed" / "ab" / ("ab" * 16)
        leftover.parent.mkdir(exist_ok=True)
        leftover.write_bytes(b"left over")
        os.utime(leftover, (1, 1))

        found = command(server, "storage", "fsck", cwd=tmp_path)
        repaired = command(server, "storage", "fsck", "--repair", cwd=tmp_path)
        again = command(server, "storage", "fsck", cwd=tmp_path)

        assert (found.returncode, found.stdout.startswith(f"left over: blob {'ab' * 16}: ")) == (1, True)
        assert "mlengine storage fsck --repair" in found.stderr
        assert (repaired.returncode, repaired.stdout.endswith("; repaired\n")) == (0, True)
        assert (again.returncode, leftover.exists()) == (0, False)
