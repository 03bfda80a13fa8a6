"""Models on a database, with a small bucket, for the tests of their service."""

from __future__ import annotations

from mlengine.backends.database import SqlDatabase
from mlengine.errors import (
    NotFound,
)
from mlengine.machines import Machine
from mlengine.models.domain import Model, State, Version, VersionRequest
from mlengine.models.service import ModelService
from mlengine.names import ModelName, ObjectUrl, OperationName
from mlengine.operations.domain import Operation
from mlengine.operations.service import OperationService
from mlengine.operations.wire import to_json as operation_to_json
from mlengine.web.method import Json
from tests.conftest import HandClock

TITANIC = ModelName("local", "titanic")


class House:
    """Models on a database, with a small bucket and a serving loop that does as the test says."""

    def __init__(self, database: SqlDatabase, clock: HandClock) -> None:
        self.files = {"gs://box/sk": ["model.joblib"], "gs://box/xgb": ["model.bst"]}
        self.objects = {"code/own-1.0.tar.gz"}
        self.woken = 0
        self.clock = clock
        self.operations = OperationService(database, changed=self.wake)
        self.service = ModelService(
            database,
            clock,
            list_files=self.list,
            object_exists=lambda url: url.object in self.objects,
            machine=Machine(cpus=4, memory_bytes=1 << 33),
            changed=self.wake,
        )

    def list(self, url: ObjectUrl, limit: int) -> list[str]:
        if url.bucket != "box":
            raise NotFound(f"There is no bucket '{url.bucket}'.")
        return self.files.get(str(url), [])[:limit]

    def wake(self) -> None:
        self.woken += 1

    def model(self, name: str = "titanic") -> Model:
        return self.service.create_model(Model(name=ModelName("local", name), created=self.clock()))

    def asked(self, version_id: str, **more: object) -> Operation:
        request = VersionRequest(name=TITANIC.version(version_id), origin=ObjectUrl("box", "sk"))
        self.clock.forward()
        return self.service.create_version(VersionRequest(**{**fields_of(request), **more}))  # type: ignore[arg-type]

    def version(self, version_id: str) -> Version:
        return self.service.get_version(TITANIC.version(version_id))[0]

    def ready(self, version_id: str) -> Version:
        self.asked(version_id)
        self.service.ready(self.version(version_id))
        return self.version(version_id)

    def failed(self, version_id: str, message: str = "Bad model.") -> Version:
        self.asked(version_id)
        self.service.fail(self.version(version_id), message)
        return self.version(version_id)

    def default(self) -> str:
        return self.service.get_model(TITANIC)[0].default_version

    def operation(self, name: OperationName) -> Json:
        return operation_to_json(self.operations.get(name))


def fields_of(request: VersionRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in VersionRequest.__slots__}


def bring(house: House, version_id: str, state: State) -> None:
    """Make a version that stands in `state`."""
    if state is State.CREATING:
        house.asked(version_id)
    elif state is State.FAILED:
        house.failed(version_id, "Bad model.")
    else:
        house.ready(version_id)
    if state is State.DELETING:
        house.service.delete_version(TITANIC.version(version_id))
