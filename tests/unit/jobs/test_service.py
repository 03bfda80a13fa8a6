from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.clock import to_text
from mlengine.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound, Problem
from mlengine.jobs.domain import FINAL, Job, JobRequest, State, TrainingInput
from mlengine.jobs.methods import methods
from mlengine.jobs.service import JobService, Place
from mlengine.jobs.usage import UsageService
from mlengine.names import JobName, ObjectUrl, check_id
from mlengine.web.method import Call, Json, Reply
from tests.conftest import HandClock
from tests.unit.jobs.house import MACHINE

PACKAGE = "gs://box/trainer.tar.gz"


class House:
    """Jobs on a database, and a bucket with one package in it."""

    def __init__(self, database: SqlDatabase, clock: HandClock) -> None:
        self.clock = clock
        self.woken = 0
        self.service = JobService(
            database,
            clock,
            object_exists=self.exists,
            find_bucket=self.find_bucket,
            changed=self.wake,
            machine=MACHINE,
            slots=2,
        )

        self.usage = UsageService(self.service, samples=lambda task, since: [], requirements=lambda job: "")

    def exists(self, url: ObjectUrl) -> bool:
        self.find_bucket(url.bucket)
        return str(url) == PACKAGE

    def find_bucket(self, name: str) -> None:
        if name != "box":
            raise NotFound(f"There is no bucket '{name}'.")

    def wake(self) -> None:
        self.woken += 1

    def submit(self, job_id: str, **more: object) -> Job:
        training = {
            "python_module": "trainer.task",
            "package_uris": (PACKAGE,),
            "region": "here",
            "runtime": "",
        }
        request = JobRequest(name=JobName("local", job_id), training=TrainingInput(**training | more))  # type: ignore[arg-type]
        return self.service.submit(request)

    def job(self, job_id: str) -> Job:
        return self.service.get(JobName("local", job_id))[0]

    def bring(self, job_id: str, state: State) -> Job:
        """Submit a job and move it to `state`."""
        job = self.submit(job_id)
        ways: dict[State, list[State]] = {
            State.QUEUED: [],
            State.PREPARING: [State.PREPARING],
            State.RUNNING: [State.PREPARING, State.RUNNING],
            State.SUCCEEDED: [State.PREPARING, State.RUNNING, State.SUCCEEDED],
            State.FAILED: [State.PREPARING, State.FAILED],
            State.CANCELLING: [State.PREPARING, State.CANCELLING],
            State.CANCELLED: [State.CANCELLED],
        }
        for to in ways[state]:
            job = self.service.move(job, to)
        return job


@pytest.fixture
def house(database: SqlDatabase, clock: HandClock) -> House:
    return House(database, clock)


def test_a_submitted_job_waits_in_the_queue(house: House) -> None:
    job = house.submit("train_1", job_dir="gs://box/out", args=("--epochs", "3"))

    assert house.service.get(job.name) == (job, Place(position=1))
    assert (job.state, job.created, job.started, job.ended) == (State.QUEUED, house.clock(), None, None)
    assert job.training.args == ("--epochs", "3")
    assert job.training.runtime
    assert house.woken == 1


def test_a_job_without_a_runtime_version_is_told_which_one_it_got(house: House) -> None:
    job = house.submit("train_1")

    assert job.training.runtime_version == ""
    assert any(job.training.runtime in note for note in job.notes)


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        (
            {"package_uris": (PACKAGE, "gs://box/other.tar.gz")},
            FailedPrecondition,
            "no package at gs://box/other",
        ),
        ({"package_uris": ("gs://none/x",)}, NotFound, "no bucket 'none'"),
        ({"job_dir": "gs://none/out"}, NotFound, "no bucket 'none'"),
        ({"runtime_version": "77.7"}, InvalidArgument, "77.7"),
        ({"runtime_version": "1.15", "python_version": "3.12"}, InvalidArgument, "3.12"),
    ],
)
def test_what_cannot_run_is_refused_and_leaves_nothing(
    house: House, more: dict[str, object], kind: type[Problem], words: str
) -> None:
    with pytest.raises(kind, match=words):
        house.submit("train_1", **more)

    assert house.service.page("local", after="", limit=5) == []
    assert house.woken == 0


@pytest.mark.parametrize(
    ("taken", "asked", "free"),
    [
        (["train"], "train", "train_2"),
        (["train", "train_2", "train_3"], "train", "train_4"),
        (["train_7"], "train_7", "train_8"),
        (["train_7", "train_8", "train_9"], "train_7", "train_10"),
        (["train_007"], "train_007", "train_008"),
        (["a_b", "aXb_2"], "a_b", "a_b_2"),
        (["a" * 128], "a" * 128, "a" * 127 + "2"),
        (["a" * 125 + "999"], "a" * 125 + "999", "a" * 124 + "1000"),
        (["a" + "9" * 127], "a" + "9" * 127, "a" + "9" * 117 + "1000000000"),
    ],
)
def test_an_id_that_was_used_is_refused_with_one_that_really_is_free(
    house: House, taken: list[str], asked: str, free: str
) -> None:
    for job_id in taken:
        house.submit(job_id)

    with pytest.raises(AlreadyExists) as refused:
        house.submit(asked)

    assert refused.value.hint == f"'{free}' is free."
    assert refused.value.field == "job.job_id"
    assert house.submit(check_id(free, field="", noun="job")).name.job == free


def test_of_many_who_submit_the_same_id_at_once_exactly_one_gets_it(house: House) -> None:
    barrier = threading.Barrier(4)

    def submit() -> str:
        barrier.wait()
        try:
            return house.submit("train_1").uid
        except (AlreadyExists, Conflict):
            return ""

    with ThreadPoolExecutor(4) as pool:
        uids = [future.result() for future in [pool.submit(submit) for _ in range(4)]]

    assert [uid for uid in uids if uid] == [house.job("train_1").uid]


def test_an_unknown_job_is_answered_with_the_nearest(house: House) -> None:
    house.submit("titanic_1")

    with pytest.raises(NotFound, match=r"no job 'titanik_1' in project 'local'. Did you mean 'titanic_1'\?"):
        house.job("titanik_1")


def test_the_place_in_the_queue_counts_only_those_ahead_who_wait(house: House) -> None:
    for job_id in ("a", "b", "c"):
        house.submit(job_id)
        house.clock.forward()
    house.service.move(house.job("a"), State.PREPARING)

    positions = {
        job_id: house.service.get(JobName("local", job_id))[1].position for job_id in ("a", "b", "c")
    }

    assert positions == {"a": 0, "b": 1, "c": 2}


def test_jobs_of_the_same_moment_have_different_places(house: House) -> None:
    for job_id in ("a", "b", "c"):
        house.submit(job_id)

    assert sorted(house.service.get(JobName("local", job_id))[1].position for job_id in ("a", "b", "c")) == [
        1,
        2,
        3,
    ]
    assert [job.name for job in house.service.unfinished()] == sorted(
        (job.name for job in house.service.unfinished()), key=lambda name: house.service.get(name)[1].position
    )


# Cancelling


def test_a_queued_job_is_cancelled_at_once(house: House) -> None:
    house.submit("a")

    house.service.cancel(JobName("local", "a"))

    assert house.job("a").state is State.CANCELLED
    assert house.job("a").ended == house.clock()
    assert "cancelled by its user" in house.job("a").error_message


@pytest.mark.parametrize("state", [State.PREPARING, State.RUNNING])
def test_a_job_that_may_run_is_being_cancelled_until_the_loop_has_ended_it(
    house: House, state: State
) -> None:
    house.bring("a", state)

    house.service.cancel(JobName("local", "a"))

    assert house.job("a").state is State.CANCELLING
    assert house.job("a").ended is None
    assert house.woken == 2


@pytest.mark.parametrize("state", [*FINAL, State.CANCELLING])
def test_cancelling_a_job_that_ends_or_has_ended_changes_nothing(house: House, state: State) -> None:
    before = house.bring("a", state)

    house.service.cancel(JobName("local", "a"))

    assert house.job("a") == before


def test_a_cancel_never_collides_with_the_loop(house: House) -> None:
    for number in range(10):
        job = house.submit(f"a{number}")
        barrier = threading.Barrier(2)

        def loop(job: Job = job, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                house.service.move(job, State.PREPARING)
            except Conflict:
                return

        def cancel(job: Job = job, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            house.service.cancel(job.name)

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(loop), pool.submit(cancel)]:
                future.result()

        assert house.job(job.name.job).state in (State.CANCELLED, State.CANCELLING)


# What the loop says


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (State.QUEUED, State.FAILED),
        (State.PREPARING, State.FAILED),
        (State.RUNNING, State.FAILED),
        (State.CANCELLING, State.CANCELLED),
    ],
)
def test_a_job_that_cannot_go_on_is_ended_whatever_its_state(house: House, state: State, end: State) -> None:
    house.bring("a", state)

    house.service.fail(JobName("local", "a"), "The disk is full.")

    assert (house.job("a").state, house.job("a").error_message) == (end, "The disk is full.")


@pytest.mark.parametrize("state", FINAL)
def test_a_finished_job_does_not_fail(house: House, state: State) -> None:
    before = house.bring("a", state)

    house.service.fail(JobName("local", "a"), "The disk is full.")

    assert house.job("a") == before


def test_a_move_from_an_old_look_is_a_conflict(house: House) -> None:
    old = house.submit("a")
    house.service.cancel(old.name)

    with pytest.raises(Conflict):
        house.service.move(old, State.PREPARING)


def test_only_unfinished_jobs_are_looked_after_oldest_first(house: House) -> None:
    for number, state in enumerate(State):
        house.clock.forward()
        house.bring(f"j{number}", state)

    found = house.service.unfinished()

    assert {job.state for job in found} == set(State) - FINAL
    assert [job.created for job in found] == sorted(job.created for job in found)


# The URLs


def call(house: House, verb: str, body: bytes = b"", job_id: str = "", **query: str) -> Json:
    row = next(row for row in methods(house.service, house.usage) if row.id == f"ml.projects.jobs.{verb}")
    path = {"project": "local"} | ({"job": job_id} if job_id else {})
    answer = row.handler(Call(path=path, query=query, body=iter([body])))
    assert isinstance(answer, dict)
    return answer


def test_a_list_shows_the_newest_first_and_each_once_even_of_the_same_moment(house: House) -> None:
    for number in range(7):
        house.submit(f"j{number}")
        if number in (2, 5):
            house.clock.forward()

    seen: list[str] = []
    query = {"pageSize": "2"}
    while True:
        page = call(house, "list", **query)
        seen += [job["jobId"] for job in page["jobs"]]
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]

    assert seen[:1] == ["j6"]
    assert set(seen[1:4]) == {"j3", "j4", "j5"}
    assert sorted(seen[4:]) == ["j0", "j1", "j2"]


def test_jobs_that_come_while_one_turns_pages_disturb_nothing(house: House) -> None:
    for job_id in ("a", "b", "c"):
        house.submit(job_id)
        house.clock.forward()
    first = call(house, "list", pageSize="2")

    house.submit("d")

    assert [job["jobId"] for job in first["jobs"]] == ["c", "b"]
    rest = call(house, "list", pageSize="2", pageToken=first["nextPageToken"])
    assert [job["jobId"] for job in rest["jobs"]] == ["a"]
    assert "nextPageToken" not in rest


def test_an_empty_list_is_an_empty_object(house: House) -> None:
    assert call(house, "list") == {}


def test_the_way_of_a_job_by_its_urls(house: House) -> None:
    training = {"pythonModule": "t.task", "packageUris": [PACKAGE], "region": "here"}

    created = call(house, "create", json.dumps({"jobId": "a", "trainingInput": training}).encode())

    assert (created["jobId"], created["state"]) == ("a", "QUEUED")
    assert call(house, "get", job_id="a")["jobPosition"] == "1"
    assert call(house, "cancel", b"{}", job_id="a") == {}
    assert call(house, "get", job_id="a")["state"] == "CANCELLED"
    with pytest.raises(InvalidArgument, match="'a_b' would do"):
        call(house, "get", job_id="a-b")


@pytest.mark.parametrize("state", State)
def test_labels_can_be_changed_in_every_state(house: House, state: State) -> None:
    before = house.bring("a", state)
    woken = house.woken

    answer = call(house, "patch", b'{"labels": {"team": "ships"}}', "a", updateMask="labels")

    assert answer["labels"] == {"team": "ships"}
    assert answer["state"] == state.value
    assert ("jobPosition" in answer) == (state is State.QUEUED)
    after = house.job("a")
    assert replace(after, labels={}, generation=before.generation) == before
    assert house.woken == woken


def test_labels_outside_of_the_mask_stay_and_empty_ones_take_all_away(house: House) -> None:
    house.submit("a")
    call(house, "patch", b'{"labels": {"team": "ships"}}', "a", updateMask="labels")

    kept = call(house, "patch", b'{"labels": {"x": "y"}}', "a", updateMask="etag")
    assert kept["labels"] == {"team": "ships"}
    assert "labels" not in call(house, "patch", b"{}", "a", updateMask="labels")


def test_a_whole_job_that_was_read_can_be_sent_back_with_new_labels(house: House) -> None:
    house.bring("a", State.SUCCEEDED)
    job = call(house, "get", job_id="a") | {"labels": {"team": "ships"}}

    answer = call(house, "patch", json.dumps(job).encode(), "a", updateMask="labels,etag")

    assert answer == job | {"etag": answer["etag"]}
    assert answer["etag"] != job["etag"]


def test_an_etag_of_before_is_refused_and_changes_nothing(house: House) -> None:
    job = house.submit("a")
    old = call(house, "get", job_id="a")["etag"]
    house.service.move(job, State.PREPARING)
    body = json.dumps({"labels": {"a": "b"}, "etag": old}).encode()

    for mask in ("labels", "labels,etag"):
        with pytest.raises(Conflict, match="it is PREPARING now"):
            call(house, "patch", body, "a", updateMask=mask)
    assert house.job("a").labels == {}


@pytest.mark.parametrize(
    ("mask", "body", "words"),
    [
        ("", b"{}", "updateMask is missing"),
        ("state", b"{}", "cannot be changed"),
        ("trainingInput.scaleTier", b"{}", "Submit another job"),
        ("job_id", b"{}", "Submit another job"),
        ("label", b"{}", "Did you mean 'labels'"),
        ("labels", b'{"labels": {"A": "b"}}', "small letters"),
        ("labels", b'{"label": {}}', "Did you mean 'labels'"),
        ("labels", b'{"labels": {', "not JSON"),
        ("labels", b'{"etag": "?"}', "no etag of ours"),
    ],
)
def test_a_patch_that_cannot_be_is_refused_and_changes_nothing(
    house: House, mask: str, body: bytes, words: str
) -> None:
    before = house.submit("a")

    with pytest.raises(InvalidArgument) as refused:
        call(house, "patch", body, "a", updateMask=mask)

    assert words in str(refused.value)
    assert house.job("a") == before


def test_jobs_are_listed_by_a_filter(house: House) -> None:
    for number, state in enumerate(State):
        house.bring(f"rnn_{number}", state)
        house.clock.forward()
    noon = to_text(house.clock())
    house.submit("cnn_1")
    call(house, "patch", b'{"labels": {"team": "ships"}}', "cnn_1", updateMask="labels")

    def found(text: str) -> set[str]:
        return {job["jobId"] for job in call(house, "list", filter=text).get("jobs", [])}

    assert found("jobId:rnn* AND state:FAILED") == {"rnn_4"}
    assert found("jobId=cnn_1") == {"cnn_1"}
    assert found("labels.team=ships") == {"cnn_1"}
    assert found(f"createTime>={noon}") == {"cnn_1"}
    assert found(f"createTime<{noon} state=QUEUED") == {"rnn_0"}
    assert found("jobPosition=2") == {"cnn_1"}
    assert found("NOT jobId:rnn*") == {"cnn_1"}
    assert found("trainingInput.pythonModule=x") == set()


def test_a_list_shows_the_places_in_the_queue(house: House) -> None:
    for job_id in ("a", "b", "c"):
        house.submit(job_id)
        house.clock.forward()

    jobs = call(house, "list")["jobs"]

    assert [(job["jobId"], job["jobPosition"]) for job in jobs] == [("c", "3"), ("b", "2"), ("a", "1")]


def test_the_answer_lists_what_was_accepted_without_effect(house: House) -> None:
    training = {
        "pythonModule": "t.task",
        "packageUris": [PACKAGE],
        "region": "here",
        "workerType": "standard",
        "useChiefInTfConfig": True,
    }
    [create] = [row for row in methods(house.service, house.usage) if row.id == "ml.projects.jobs.create"]
    body = json.dumps({"jobId": "a", "trainingInput": training}).encode()

    reply = create.handler(Call(path={"project": "local"}, body=iter([body])))

    assert isinstance(reply, Reply)
    assert reply.headers["X-Mlengine-Warnings"] == (
        "job.training_input.worker_type has no effect: there is no such replica; "
        "job.training_input.use_chief_in_tf_config has no effect without a container"
    )


@pytest.mark.parametrize("asked", ["disk is full", "DISK IS", "100%", "a_b", "\u017f", "İ", "kelvin"])
def test_error_messages_are_found_by_any_part_of_them(house: House, asked: str) -> None:
    for job_id, reason in (
        ("a", "The Disk is FULL: 100% of a_b, ſo it İs, in Kelvin"),
        ("b", "Something else"),
    ):
        house.service.fail(house.bring(job_id, State.RUNNING).name, reason)
    house.bring("c", State.SUCCEEDED)

    answer = call(house, "list", filter=f'errorMessage:"{asked}"')

    assert [job["jobId"] for job in answer["jobs"]] == ["a"]
