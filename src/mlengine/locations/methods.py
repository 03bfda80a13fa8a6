"""The URLs of locations."""

from __future__ import annotations

from mlengine.locations.service import LocationService
from mlengine.locations.wire import to_json
from mlengine.web.method import Call, Json, Method
from mlengine.web.pages import PAGING, paged

_LOCATIONS = "/v1/projects/{project}/locations"


def methods(service: LocationService) -> list[Method]:
    """The rows of `ml.projects.locations`."""

    def get(call: Call) -> Json:
        return to_json(service.get(call.path["project"], call.path["location"]))

    def list_(call: Call) -> Json:
        project = call.path["project"]
        return paged(
            call.query,
            kind="locations",
            within=project,
            fetch=lambda after, limit: service.page(project, after=after, limit=limit),
            key=lambda location: location.location,
            render=to_json,
        )

    return [
        Method(
            id="ml.projects.locations.get",
            verb="GET",
            path=_LOCATIONS + "/{location}",
            handler=get,
            summary="What a location is good for.",
            response="Location",
        ),
        Method(
            id="ml.projects.locations.list",
            verb="GET",
            path=_LOCATIONS,
            handler=list_,
            summary="The locations of a project: all of them this machine.",
            response="ListLocationsResponse",
            parameters=PAGING,
        ),
    ]
