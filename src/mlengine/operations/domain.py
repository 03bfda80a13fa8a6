"""An operation: a promise that a change is under way, and in the end its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from mlengine.errors import FailedPrecondition
from mlengine.names import OperationName


class Kind(StrEnum):
    """OperationMetadata.operationType."""

    CREATE_VERSION = "CREATE_VERSION"
    DELETE_VERSION = "DELETE_VERSION"
    DELETE_MODEL = "DELETE_MODEL"
    UPDATE_MODEL = "UPDATE_MODEL"
    UPDATE_VERSION = "UPDATE_VERSION"


# What takes long enough to be cancelled, and can be undone half-way.
CANCELLABLE = frozenset({Kind.CREATE_VERSION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change under way. Frozen: a change is a new Operation.

    Attributes:
        model: Full name of the model concerned.
        version: The version as it was asked for, ready for JSON; empty when none is concerned.
        labels: Those of the model or version concerned.
        cancelling: Whether somebody asked for its end.
        response: The result, ready for JSON; only when done without an error.
        error_status: Canonical status of the failure; empty unless it failed.
    """

    name: OperationName
    kind: Kind
    model: str
    created: datetime
    version: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    cancelling: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    done: bool = False
    response: dict[str, Any] = field(default_factory=dict)
    error_status: str = ""
    error_message: str = ""
    generation: int = 1

    def cancel(self) -> Operation:
        """The operation, to be ended by whoever carries it out; one that is done stays as it is.

        Raises:
            FailedPrecondition: this kind cannot be stopped half-way.
        """
        if self.done:
            return self
        if self.kind not in CANCELLABLE:
            raise FailedPrecondition(
                f"Operation {self.name.operation} ({self.kind}) cannot be cancelled: it is not to be undone.",
                hint="Wait for its end.",
                field="name",
            )
        return replace(self, cancelling=True)

    def succeed(self, response: dict[str, Any], now: datetime) -> Operation:
        """The operation, done well."""
        self._must_be_open()
        return replace(self, done=True, response=response, ended=now, started=self.started or now)

    def fail(self, status: str, message: str, now: datetime) -> Operation:
        """The operation, failed with a canonical `status`."""
        self._must_be_open()
        return replace(
            self,
            done=True,
            error_status=status,
            error_message=message,
            ended=now,
            started=self.started or now,
        )

    def _must_be_open(self) -> None:
        if self.done:
            raise FailedPrecondition(f"Operation {self.name.operation} is done already.")
