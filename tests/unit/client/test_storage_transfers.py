"""Going on after a break: patience, notes for a later run, pipes, and many things at a time."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

from mlengine.client.copying import Step, plan
from mlengine.client.http import Connection
from mlengine.client.patience import Patience
from mlengine.client.storage import Storage
from mlengine.client.trackers import Trackers
from mlengine.client.transfers import Carried, Carrier, Crew, content_type
from mlengine.client.uploading import RESUMABLE_BYTES, Upload
from mlengine.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, Problem, Unavailable
from mlengine.names import ObjectUrl
from tests.unit.client.small_server import SmallServer


class HandTime:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


def test_patience_ends_after_its_time_without_progress():
    time, told = HandTime(), []
    patience = Patience(60, tell=told.append, clock=time, sleep=time.sleep)

    with pytest.raises(Unavailable, match="gone"):
        while True:
            patience.wait(Unavailable("gone"))

    assert 60 <= time.now < 66
    assert len(told) == 1
    assert max(time.pauses) <= 5


def test_progress_renews_patience():
    time = HandTime()
    patience = Patience(60, clock=time, sleep=time.sleep)

    for _ in range(100):
        patience.wait(Unavailable("for a moment"))
        patience.progress()

    assert time.now <= 100 * 0.1


def test_a_note_is_held_by_one_at_a_time_and_found_again(tmp_path: Path):
    trackers = Trackers(tmp_path / "cache" / "transfers")

    first = trackers.claim("up", "file", "gs://b/x")
    assert first
    first.write({"session": "/upload?upload_id=1"})
    assert trackers.claim("up", "file", "gs://b/x") is None
    first.close()
    second = trackers.claim("up", "file", "gs://b/x")
    assert second
    assert second.read() == {"session": "/upload?upload_id=1"}
    second.clear()
    second.close()

    assert not list((tmp_path / "cache" / "transfers").glob("*.json"))


def test_a_note_cut_off_in_the_middle_is_none(tmp_path: Path):
    trackers = Trackers(tmp_path)
    tracker = trackers.claim("x")
    assert tracker
    tracker.write({"session": "s"})
    tracker.close()
    next(tmp_path.glob("*.json")).write_text('{"sess')

    again = trackers.claim("x")

    assert again
    assert again.read() == {}
    again.close()


def test_old_notes_are_tidied_away(tmp_path: Path):
    (tmp_path / "old.json").write_text("{}")
    os.utime(tmp_path / "old.json", (1, 1))

    tracker = Trackers(tmp_path).claim("x")

    assert tracker
    tracker.close()
    assert not (tmp_path / "old.json").exists()


def test_a_folder_that_cannot_be_written_means_no_note(tmp_path: Path):
    (tmp_path / "file").touch()

    assert Trackers(tmp_path / "file" / "below").claim("x") is None


@pytest.mark.parametrize("size", [0, 5, RESUMABLE_BYTES, RESUMABLE_BYTES + 3, 2 * RESUMABLE_BYTES])
def test_a_pipe_of_any_length_arrives_whole(server: SmallServer, connection: Connection, size: int):
    server.buckets["bkt"] = {}
    server.answers["PUT /upload/storage/v1/b/bkt/o"] = _with_open_ends(server)
    content = os.urandom(size)

    upload = Upload(connection, ObjectUrl("bkt", "x"), resource={}, patience=Patience())
    done = upload.stream(io.BytesIO(content))

    assert server.buckets["bkt"]["x"] == content
    assert done.resource["size"] == str(size)


def test_a_pipe_that_breaks_sends_only_what_is_missing(server: SmallServer, connection: Connection):
    server.buckets["bkt"] = {}
    server.cut_uploads = 2
    server.answers["PUT /upload/storage/v1/b/bkt/o"] = _with_open_ends(server)
    content = os.urandom(2 * RESUMABLE_BYTES + 5)

    upload = Upload(connection, ObjectUrl("bkt", "x"), resource={}, patience=Patience())
    upload.stream(io.BytesIO(content))

    assert server.buckets["bkt"]["x"] == content


def test_a_forgotten_session_is_begun_again(server: SmallServer, storage: Storage, tmp_path: Path):
    server.buckets["bkt"] = {}
    content = os.urandom(RESUMABLE_BYTES + 1)
    (tmp_path / "file").write_bytes(content)
    trackers = Trackers(tmp_path / "notes")
    step = Step(tmp_path / "file", ObjectUrl("bkt", "x"))
    asked = []

    def gone(seen):
        asked.append(seen)
        del server.answers["PUT /upload/storage/v1/b/bkt/o"]
        return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "It expired."}}

    server.answers["PUT /upload/storage/v1/b/bkt/o"] = gone
    done = Carrier(trackers=trackers).carry(storage, step)

    assert len(asked) == 1
    assert done.found == 0
    assert server.buckets["bkt"]["x"] == content


def test_a_file_that_changes_while_it_is_sent_is_a_failure(
    server: SmallServer, connection: Connection, tmp_path: Path
):
    server.buckets["bkt"] = {}
    file = tmp_path / "file"
    file.write_bytes(os.urandom(2 * RESUMABLE_BYTES))

    def tell(position: int, carried: int) -> None:
        if position == RESUMABLE_BYTES:
            with file.open("ab") as more:
                more.write(b"more")

    upload = Upload(connection, ObjectUrl("bkt", "x"), resource={}, patience=Patience(), tell=tell)
    with pytest.raises(FailedPrecondition, match="changed while it was sent"):
        upload.file(file)


def test_a_move_that_arrives_damaged_leaves_the_object(server: SmallServer, storage: Storage, tmp_path: Path):
    server.buckets["bkt"] = {"x": b"content"}
    server.damaged.add("x")
    item = storage.stat(ObjectUrl("bkt", "x"))

    with pytest.raises(Internal, match="damaged"):
        Carrier(move=True).carry(storage, Step(ObjectUrl("bkt", "x"), tmp_path / "x", item))

    assert "x" in server.buckets["bkt"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sources", "target", "why"),
    [
        (["gs://bkt/a"], "gs://bkt/a", "onto itself"),
        (["gs://bkt/d"], "gs://bkt", "onto itself"),
        (["gs://bkt/d/d"], "gs://bkt", "written over"),
        (["gs://bkt/a", "gs://bkt/d/a"], "gs://bkt/new/", "would both become"),
        (["gs://bkt/a"], "gs://b*t/x", "without wildcards"),
    ],
)
def test_a_copy_that_would_lose_something_is_refused_whole(
    server: SmallServer, storage: Storage, sources: list[str], target: str, why: str
):
    server.buckets["bkt"] = {"a": b"", "d/a": b"", "d/d/a": b"", "d/d/d/a": b""}

    with pytest.raises(InvalidArgument, match=why):
        plan(storage, sources, target, recursive=True, omit=pytest.fail)


def test_links_to_folders_and_dead_links_are_left_out_and_named(
    server: SmallServer, storage: Storage, tmp_path: Path
):
    server.buckets["bkt"] = {}
    (tmp_path / "d" / "real").mkdir(parents=True)
    (tmp_path / "d" / "file").touch()
    (tmp_path / "d" / "linked").symlink_to("file")
    (tmp_path / "d" / "folder").symlink_to("real")
    (tmp_path / "d" / "dead").symlink_to("nowhere")
    omitted: list[str] = []

    steps = plan(storage, [str(tmp_path / "d")], "gs://bkt/x", recursive=True, omit=omitted.append)

    assert {str(step.target) for step in steps} == {"gs://bkt/x/file", "gs://bkt/x/linked"}
    assert len(omitted) == 2


def test_the_contents_of_here_are_copied_without_a_name(
    server: SmallServer, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server.buckets["bkt"] = {}
    (tmp_path / "in").mkdir()
    (tmp_path / "a").touch()
    monkeypatch.chdir(tmp_path / "in")

    for typed in ("..", str(tmp_path / "in" / "..")):
        steps = plan(storage, [typed], "gs://bkt", recursive=True, omit=pytest.fail)
        assert [str(step.target) for step in steps] == ["gs://bkt/a"]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_crew_tells_of_every_item_and_goes_on_after_problems(connection: Connection, threads: int):
    crew = Crew(lambda: Storage(Connection(connection.endpoint), "local"), threads)

    def act(storage: Storage, number: int) -> Carried:
        if number % 3 == 0:
            raise NotFound(f"{number}")
        return Carried(sent=number)

    ended = {one.item: one.problem or one.done for one in crew.work(range(20), act)}

    assert sorted(ended) == list(range(20))
    assert all(isinstance(ended[number], Problem) == (number % 3 == 0) for number in ended)


def test_a_crew_that_is_sent_home_leaves_the_rest(connection: Connection):
    crew = Crew(lambda: Storage(Connection(connection.endpoint), "local"), 3)
    begun, busy = [], threading.Event()

    def act(storage: Storage, number: int) -> Carried:
        begun.append(number)
        if number:
            while True:  # ends only by check
                busy.set()
                crew.check()
                busy.wait(0.01)
        busy.wait(10)
        return Carried()

    results = crew.work(range(50), act)
    assert next(results).item == 0
    results.close()

    assert len(begun) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(_hand)")]


def test_an_error_of_ours_in_a_thread_is_not_swallowed(connection: Connection):
    crew = Crew(lambda: Storage(Connection(connection.endpoint), "local"), 2)

    def act(storage: Storage, number: int) -> Carried:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(crew.work(range(5), act))


def test_the_media_type_comes_from_the_name():
    assert content_type("x.json") == "application/json"
    assert content_type("x.tar.gz") == "application/gzip"
    assert content_type("saved_model") == "application/octet-stream"


def _with_open_ends(server: SmallServer):
    """Resumable pieces whose total is not known yet, which the small server does not read by itself."""
    from tests.unit.client import small_server

    def piece(seen):
        known = seen.headers["content-range"]
        if known.endswith("/*"):
            seen.headers["content-range"] = known.removesuffix("*") + "999999999999"
        elif known.startswith("bytes */"):
            pass
        return small_server._piece(server, seen, "bkt")

    return piece
