"""What can be done with locations: look."""

from __future__ import annotations

from collections.abc import Callable

from mlengine.errors import NotFound, nearest
from mlengine.locations.domain import Location
from mlengine.regions import REGIONS


class LocationService:
    """The locations of this machine.

    Args:
        accelerators: Tells which of AcceleratorConfig.type are in it, at this moment.
    """

    def __init__(self, accelerators: Callable[[], tuple[str, ...]]) -> None:
        self._accelerators = accelerators

    def get(self, project: str, location: str) -> Location:
        """One location; NotFound, with the nearest, when there is none."""
        if location not in REGIONS:
            raise NotFound(
                f"There is no location '{location[:100]}'.",
                hint=nearest(location[:100], REGIONS) or f"There are {', '.join(REGIONS)}.",
                field="name",
            )
        return Location(project=project, location=location, accelerators=self._accelerators())

    def page(self, project: str, *, after: str, limit: int) -> list[Location]:
        """Locations past the id `after`, at most `limit`."""
        here = self._accelerators()
        found = [region for region in REGIONS if region > after][:limit]
        return [Location(project=project, location=region, accelerators=here) for region in found]
