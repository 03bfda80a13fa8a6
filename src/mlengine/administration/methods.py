"""The URLs of what those look at who run the server: machine, runtimes, settings, audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlengine.access.roles import ROLES
from mlengine.administration import wire
from mlengine.administration.audit import AuditService
from mlengine.administration.domain import Setting
from mlengine.administration.runtimes import RuntimeService
from mlengine.administration.service import MachineService
from mlengine.errors import InvalidArgument
from mlengine.web.conditions import condition
from mlengine.web.method import Call, Json, Method, Parameter

_ROOT = "/mlengine/v1"
_FIELDS = {"time": "time", "method": "text", "resource": "text", "caller": "text", "status": "text"} | {
    "key": "text",
    "job": "text",
    "message": "text",
}
_DEFAULT, _MOST = 50, 1000
_AUDIT_PARAMETERS = (
    Parameter(name="filter", summary='Which to show: "method:versions AND time>2026-11-21".'),
    Parameter(
        name="pageSize", kind="integer", format="int32", summary=f"1 to {_MOST}; {_DEFAULT} if absent."
    ),
    Parameter(name="pageToken", summary="The nextPageToken of the page before."),
)


def methods(
    machine: MachineService,
    runtimes: RuntimeService,
    audit: AuditService,
    *,
    settings: Sequence[Setting],
    sees: Callable[[Call], Callable[[str], bool]],
) -> list[Method]:
    """The rows of this flat, but for TensorBoards.

    Args:
        sees: Whether a caller may know names in a project. Raises when the caller may see no project at all.
    """

    def show(call: Call) -> Json:
        # Asked first: who sees nothing must not make us measure.
        seen = sees(call)
        return wire.overview(machine.overview(), seen)

    def list_runtimes(call: Call) -> Json:
        sees(call)
        return {"runtimes": [wire.runtime(found) for found in runtimes.all()]}

    def get_runtime(call: Call) -> Json:
        sees(call)
        return wire.runtime(runtimes.get(call.path["runtime"]), whole=True)

    def build_runtime(call: Call) -> Json:
        return wire.runtime(runtimes.build(call.path["runtime"]))

    def delete_runtime(call: Call) -> Json:
        runtimes.remove(call.path["runtime"])
        return {}

    def list_settings(_call: Call) -> Json:
        return {"settings": [wire.setting(found) for found in settings]}

    def list_roles(call: Call) -> Json:
        sees(call)
        return {"roles": [{"name": name, "permissions": sorted(granted)} for name, granted in ROLES.items()]}

    def audit_log(call: Call) -> Json:
        text = call.query.get("filter", "")
        page = audit.page(
            call.path["project"],
            before=wire.place_of(call.query.get("pageToken", "")),
            limit=_size(call.query.get("pageSize", "")),
            **({"wanted": condition(text, _FIELDS)} if text.strip() else {}),
        )
        answer: dict[str, Any] = (
            {"entries": [dict(record) for record in page.records]} if page.records else {}
        )
        if page.next is not None:
            answer["nextPageToken"] = wire.page_token(page.next)
        return answer

    rows = (
        ("machine.get", "GET", "/machine", show, "The machine: what runs, what waits, whether all is well."),
        ("runtimes.list", "GET", "/runtimes", list_runtimes, "The runtimes, and which of them are built."),
        ("runtimes.get", "GET", "/runtimes/{runtime}", get_runtime, "One runtime with all its packages."),
        ("runtimes.build", "POST", "/runtimes/{runtime}:build", build_runtime, "Begin to build a runtime."),
        ("runtimes.delete", "DELETE", "/runtimes/{runtime}", delete_runtime, "Free the room of a runtime."),
        ("roles.list", "GET", "/roles", list_roles, "The roles that policies can grant."),
        ("settings.list", "GET", "/settings", list_settings, "The settings in force, and where from."),
    )
    found = [
        Method(id=f"mlengine.{name}", verb=verb, path=_ROOT + path, handler=handler, summary=summary)
        for name, verb, path, handler, summary in rows
    ]
    found.append(
        Method(
            id="mlengine.auditLog.list",
            verb="GET",
            path=_ROOT + "/projects/{project}/auditLog",
            handler=audit_log,
            summary="Who changed what in a project, newest first.",
            parameters=_AUDIT_PARAMETERS,
        )
    )
    return found


def _size(text: str) -> int:
    if not text:
        return _DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidArgument(f"'{text[:40]}' is no page size: 1 to {_MOST}.", field="page_size")
    return min(int(text) or _DEFAULT, _MOST)
