from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.backends.database import SqlDatabase
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound
from mlengine.names import OperationName
from mlengine.operations import service as operations
from mlengine.operations import store
from mlengine.operations.domain import Kind, Operation
from mlengine.operations.methods import methods
from mlengine.operations.service import OperationService
from mlengine.operations.wire import to_json
from mlengine.web.envelope import RPC_CODES
from mlengine.web.method import Call, Json
from tests.conftest import HandClock


def start(
    database: SqlDatabase, clock: HandClock, kind: Kind = Kind.CREATE_VERSION, subject: str = "m_v"
) -> Operation:
    with database.begin() as db:
        return operations.start(
            db,
            kind,
            project="local",
            subject=subject,
            model="projects/local/models/m",
            version={},
            now=clock(),
        )


def test_an_operation_is_named_after_what_it_does_and_when(database: SqlDatabase, clock: HandClock) -> None:
    operation = start(database, clock)

    assert str(operation.name) == f"projects/local/operations/create_m_v-{int(clock().timestamp() * 1000)}"
    assert OperationService(database, changed=lambda: None).get(operation.name) == operation


def test_operations_of_the_same_millisecond_have_different_names(
    database: SqlDatabase, clock: HandClock
) -> None:
    found = [
        start(database, clock, kind) for kind in (Kind.DELETE_VERSION, Kind.DELETE_MODEL, Kind.DELETE_MODEL)
    ]

    assert len({operation.name for operation in found}) == 3


def test_a_success_is_kept(database: SqlDatabase, clock: HandClock) -> None:
    operation = start(database, clock)
    clock.forward(5)

    with database.begin() as db:
        ended = operations.succeed(db, operation.name, {"name": "v"}, clock())

    assert OperationService(database, changed=lambda: None).get(operation.name) == ended
    assert (ended.done, ended.response, ended.ended) == (True, {"name": "v"}, clock())


def test_ending_twice_keeps_the_first_end(database: SqlDatabase, clock: HandClock) -> None:
    operation = start(database, clock)

    with database.begin() as db:
        first = operations.fail(db, operation.name, status="INTERNAL", message="Broken.", now=clock())
        clock.forward()
        operations.succeed(db, operation.name, {"name": "v"}, clock())
        operations.fail(db, operation.name, status="NOT_FOUND", message="Gone.", now=clock())

    assert OperationService(database, changed=lambda: None).get(operation.name) == first


def test_a_done_operation_cannot_end_again(clock: HandClock) -> None:
    open_one = Operation(name=OperationName("p", "o"), kind=Kind.DELETE_MODEL, model="m", created=clock())
    done = open_one.succeed({}, clock())

    with pytest.raises(FailedPrecondition, match="done already"):
        done.fail("INTERNAL", "x", clock())
    with pytest.raises(FailedPrecondition, match="done already"):
        done.succeed({}, clock())


@given(
    st.sampled_from(Kind),
    st.sampled_from(["open", "succeeded", "failed"]),
    st.sampled_from(sorted(RPC_CODES)),
)
def test_exactly_one_of_response_and_error_is_there_once_it_is_done(
    kind: Kind, end: str, status: str
) -> None:
    clock = HandClock()
    operation = Operation(
        name=OperationName("p", "o"), kind=kind, model="projects/p/models/m", created=clock()
    )
    if end == "succeeded":
        operation = operation.succeed({"name": "v"}, clock())
    if end == "failed":
        operation = operation.fail(status, "Broken.", clock())

    answer = to_json(operation)

    assert ("response" in answer) + ("error" in answer) == (end != "open")
    assert ("done" in answer) == ("endTime" in answer["metadata"]) == (end != "open")
    if end == "failed":
        assert answer["error"] == {"code": RPC_CODES[status], "message": "Broken."}
    if end == "succeeded":
        resources = {
            Kind.CREATE_VERSION: "google.cloud.ml.v1.Version",
            Kind.UPDATE_VERSION: "google.cloud.ml.v1.Version",
            Kind.UPDATE_MODEL: "google.cloud.ml.v1.Model",
        }
        wanted = resources.get(kind, "google.protobuf.Empty")
        assert answer["response"]["@type"] == f"type.googleapis.com/{wanted}"


def test_an_unknown_operation_is_answered_with_the_nearest(database: SqlDatabase, clock: HandClock) -> None:
    operation = start(database, clock)

    with pytest.raises(NotFound, match=rf"Did you mean '{operation.name.operation}'\?"):
        OperationService(database, changed=lambda: None).get(
            OperationName("local", operation.name.operation + "0")
        )


def listed(service: OperationService, **query: str) -> Json:
    handler = {row.id: row for row in methods(service, ("us-central1",))}[
        "ml.projects.operations.list"
    ].handler
    answer = handler(Call(path={"project": "local"}, query=query))
    assert isinstance(answer, dict)
    return answer


def test_a_list_shows_every_operation_once(database: SqlDatabase, clock: HandClock) -> None:
    made = {str(start(database, clock, subject=f"m_v{number}").name) for number in range(5)}
    service = OperationService(database, changed=lambda: None)

    seen: list[str] = []
    query = {"pageSize": "2"}
    while True:
        page = listed(service, **query)
        seen += [operation["name"] for operation in page["operations"]]
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]

    assert len(seen) == 5
    assert set(seen) == made


def test_an_empty_list_is_an_empty_object(database: SqlDatabase) -> None:
    assert listed(OperationService(database, changed=lambda: None)) == {}
    with pytest.raises(InvalidArgument):
        listed(OperationService(database, changed=lambda: None), pageToken="x")


def test_of_many_who_end_an_operation_at_once_one_decides(database: SqlDatabase, clock: HandClock) -> None:
    operation = start(database, clock)

    def end(number: int) -> str:
        with database.begin() as db:
            store.get(db, operation.name)
            return operations.succeed(db, operation.name, {"name": str(number)}, clock()).response["name"]

    with ThreadPoolExecutor(4) as pool:
        answers = [
            future.exception() or future.result() for future in [pool.submit(end, n) for n in range(4)]
        ]

    kept = OperationService(database, changed=lambda: None).get(operation.name).response["name"]
    assert {answer for answer in answers if isinstance(answer, str)} == {kept}


# Cancelling


class Cancelled:
    """A service, and how often it said that something changed."""

    def __init__(self, database: SqlDatabase) -> None:
        self.woken = 0
        self.service = OperationService(database, changed=self.wake)
        self.rows = {row.id: row for row in methods(self.service, ("us-central1",))}

    def wake(self) -> None:
        self.woken += 1

    def ask(self, method: str, operation: str, body: bytes = b"", location: str = "") -> Any:
        path = {"project": "local", "operation": operation} | ({"location": location} if location else {})
        noun = "locations.operations" if location else "operations"
        return self.rows[f"ml.projects.{noun}.{method}"].handler(Call(path=path, body=iter([body])))


@pytest.mark.parametrize("location", ["", "us-central1"])
def test_a_creation_can_be_cancelled_and_twice_is_once(
    database: SqlDatabase, clock: HandClock, location: str
) -> None:
    cancelled = Cancelled(database)
    name = start(database, clock).name.operation

    assert cancelled.ask("cancel", name, location=location) == {}
    assert cancelled.ask("cancel", name, b"{}", location=location) == {}

    asked = cancelled.ask("get", name, location=location)
    assert asked["metadata"]["isCancellationRequested"] is True
    assert "done" not in asked
    assert cancelled.woken == 1


def test_a_done_operation_stays_as_it_is_when_it_is_cancelled(
    database: SqlDatabase, clock: HandClock
) -> None:
    cancelled = Cancelled(database)
    name = start(database, clock).name
    with database.begin() as db:
        ended = operations.succeed(db, name, {"name": "v"}, clock())

    assert cancelled.ask("cancel", name.operation) == {}
    assert cancelled.service.get(name) == ended
    assert cancelled.woken == 0


def test_a_deletion_cannot_be_cancelled(database: SqlDatabase, clock: HandClock) -> None:
    cancelled = Cancelled(database)
    operation = start(database, clock, Kind.DELETE_VERSION)

    with pytest.raises(FailedPrecondition, match="cannot be cancelled"):
        cancelled.ask("cancel", operation.name.operation)
    assert cancelled.service.get(operation.name) == operation


def test_what_is_to_be_ended_is_known_until_it_has_ended(database: SqlDatabase, clock: HandClock) -> None:
    cancelled = Cancelled(database)
    first, second = start(database, clock), start(database, clock, subject="m_w")
    cancelled.service.cancel(first.name)

    with database.read() as db:
        assert operations.cancelling(db) == {first.name}
        assert operations.is_cancelling(db, first.name)
        assert not operations.is_cancelling(db, second.name)
    with database.begin() as db:
        operations.fail(db, first.name, status="CANCELLED", message="Cancelled.", now=clock())
    with database.read() as db:
        assert operations.cancelling(db) == set()
    assert cancelled.ask("get", first.name.operation)["error"]["code"] == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"name": "x"}'])
def test_a_cancellation_with_a_strange_body_is_refused_and_changes_nothing(
    database: SqlDatabase, clock: HandClock, body: bytes
) -> None:
    cancelled = Cancelled(database)
    operation = start(database, clock)

    with pytest.raises(InvalidArgument):
        cancelled.ask("cancel", operation.name.operation, body)
    assert cancelled.service.get(operation.name) == operation


def test_an_operation_has_a_name_in_each_location(database: SqlDatabase, clock: HandClock) -> None:
    cancelled = Cancelled(database)
    name = start(database, clock).name.operation

    assert cancelled.ask("get", name, location="us-central1")["name"] == (
        f"projects/local/locations/us-central1/operations/{name}"
    )
    with pytest.raises(NotFound, match="'us-central1'"):
        cancelled.ask("get", name, location="us-central2")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("done=true", 1),
        ("done=false", 2),
        ("metadata.operationType=CREATE_VERSION", 2),
        ("metadata.operation_type=CREATE_VERSION AND done=true", 1),
        ("metadata.modelName:m", 3),
        ("error.code=5", 1),
        ("name:create*", 2),
        ("metadata.createTime>2030-01-01", 0),
    ],
)
def test_operations_are_listed_by_a_filter(
    database: SqlDatabase, clock: HandClock, text: str, count: int
) -> None:
    first = start(database, clock)
    start(database, clock, subject="m_w")
    start(database, clock, Kind.DELETE_VERSION)
    with database.begin() as db:
        operations.fail(db, first.name, status="NOT_FOUND", message="Gone.", now=clock())

    found = listed(OperationService(database, changed=lambda: None), filter=text)

    assert len(found.get("operations", [])) == count
