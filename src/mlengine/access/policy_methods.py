"""The URLs of policies of projects, models and jobs, and of the account that acts for a project."""

from __future__ import annotations

from collections.abc import Callable

from mlengine.access import wire
from mlengine.access.directory import Identity
from mlengine.access.policies import PolicyService
from mlengine.web.method import Call, Json, Method, Parameter

_PROJECT = "/v1/projects/{project}"
_VERSION = Parameter(
    name="options.requestedPolicyVersion",
    kind="integer",
    format="int32",
    summary="0, 1 or 3; there are no conditions here, so all are alike.",
)


def methods(
    service: PolicyService, *, identify: Callable[[Call], Identity], config: Callable[[str], tuple[str, str]]
) -> list[Method]:
    """The policy rows of `cloudresourcemanager.projects`, `ml.projects.models` and `.jobs`, and `getConfig`.

    Args:
        identify: Who makes a call.
        config: Email of a project's agent, and the project's number.
    """

    def get(call: Call) -> Json:
        asked = call.query.get("options.requestedPolicyVersion", "")
        wire.check_policy_version(asked or (wire.asked_version(call.json()) if call.verb == "POST" else ""))
        return wire.policy_json(service.get(_resource(call)))

    def set_(call: Call) -> Json:
        request, resource = wire.policy_from_json(call.json()), _resource(call)
        bindings = service.get(resource).bindings if request.bindings is None else request.bindings
        return wire.policy_json(service.set(resource, bindings, generation=request.generation))

    def test(call: Call) -> Json:
        permissions = wire.permissions_from_json(call.json())
        found = service.test(identify(call), _resource(call), permissions)
        return {"permissions": found} if found else {}

    def get_config(call: Call) -> Json:
        email, number = config(call.path["project"])
        return {"serviceAccount": email, "serviceAccountProject": number}

    rows: list[Method] = []
    for noun, path, verb in (
        ("cloudresourcemanager.projects", _PROJECT, "POST"),
        ("ml.projects.models", _PROJECT + "/models/{model}", "GET"),
        ("ml.projects.jobs", _PROJECT + "/jobs/{job}", "GET"),
    ):
        rows += [
            Method(
                id=f"{noun}.getIamPolicy",
                verb=verb,
                path=f"{path}:getIamPolicy",
                handler=get,
                summary="Who may do what.",
                response="Policy",
                parameters=(_VERSION,) if verb == "GET" else (),
            ),
            Method(
                id=f"{noun}.setIamPolicy",
                verb="POST",
                path=f"{path}:setIamPolicy",
                handler=set_,
                summary="Say who may do what, in place of what was said before.",
                request="SetIamPolicyRequest",
                response="Policy",
            ),
            Method(
                id=f"{noun}.testIamPermissions",
                verb="POST",
                path=f"{path}:testIamPermissions",
                handler=test,
                summary="Which of some permissions the caller has.",
                request="TestIamPermissionsRequest",
                response="TestIamPermissionsResponse",
            ),
        ]
    return [
        *rows,
        Method(
            id="ml.projects.getConfig",
            verb="GET",
            path=f"{_PROJECT}:getConfig",
            handler=get_config,
            summary="The account that acts for a project, and the project's number.",
            response="GetConfigResponse",
        ),
    ]


def _resource(call: Call) -> str:
    resource = f"projects/{call.path['project']}"
    for noun, name in (("models", "model"), ("jobs", "job")):
        if name in call.path:
            resource += f"/{noun}/{call.path[name]}"
    return resource
