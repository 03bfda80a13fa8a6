"""Which version a path means, and which worker serves it: the table the control plane pushes, whole.

Apart from `pool` so that paths and names are read in one place and requests are followed in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from mlengine.errors import InvalidArgument
from mlengine.serving.gateway.pool import Counters, WorkerLink
from mlengine.serving.gateway.settings import GatewaySettings

_PREFIX = "/v1/projects/"
_VERB = ":predict"
# Query parameters that change nothing about a prediction. With others, the control plane tells what is wrong.
_IDLE = frozenset(
    {
        "access_token",
        "alt=",
        "alt=json",
        "callback=",
        "fields=",
        "key",
        "oauth_token",
        "prettyPrint",
        "quotaUser",
        "uploadType",
        "upload_protocol",
    }
)
# Targets differ by their query strings too, so what is remembered about them needs a bound.
_MOST_REMEMBERED = 4096


class RoutingTable:
    """The versions that have workers, and the default version of each model."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._links: dict[str, WorkerLink] = {}
        self._defaults: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._leaving: list[WorkerLink] = []
        self._remembered: dict[bytes, WorkerLink] = {}

    def find(self, target: bytes) -> WorkerLink | None:
        """The worker a request target (path, query string) asks to predict, or None."""
        link = self._remembered.get(target)
        if link is None:
            name = self._version_of(target)
            link = self._links.get(name) if name else None
            if link is not None:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[target] = link
        return link

    def apply(self, versions: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        """Replace the table. Unchanged versions keep their connections, removed ones end what they began.

        Args:
            versions: "PROJECT/MODEL/VERSION" to the path of its worker's socket.
            defaults: "PROJECT/MODEL" to its default VERSION.

        Raises:
            InvalidArgument: An entry has another shape; then nothing was changed.
        """
        _check(versions, parts=3, field="versions")
        _check(defaults, parts=2, field="defaults")
        before = self._links
        self._links = {
            name: kept
            if (kept := before.get(name)) is not None and kept.path == path
            else WorkerLink(name, path, self._settings, kept.counters if kept is not None else Counters())
            for name, path in versions.items()
        }
        self._defaults = dict(defaults)
        self._remembered.clear()
        self._leaving = [link for link in self._leaving if link.in_flight]
        for name, link in before.items():
            if self._links.get(name) is not link:
                link.leave()
                self._leaving.append(link)

    def rename(self, numbers: Mapping[str, str]) -> None:
        """From now on these numbers stand for these projects."""
        self._numbers = dict(numbers)
        self._remembered.clear()

    def status(self) -> dict[str, dict[str, float | bool]]:
        """Per version: its counters, what waits for it now, and whether its worker is connected."""
        return {
            name: {
                "requests": link.counters.requests,
                "errors": link.counters.errors,
                "refused": link.counters.refused,
                "seconds": link.counters.seconds,
                "inFlight": link.in_flight,
                "held": link.held,
                "connected": link.connected,
            }
            for name, link in self._links.items()
        }

    def in_flight(self) -> int:
        """Predictions taken and not yet answered, those of removed versions included."""
        return sum(link.in_flight for link in (*self._links.values(), *self._leaving))

    def close(self) -> None:
        """End all connections; whoever still waits is answered 503."""
        for link in (*self._links.values(), *self._leaving):
            link.close()

    def _version_of(self, target: bytes) -> str | None:
        """ "PROJECT/MODEL/VERSION" of a predict path, with the default filled in; None for any other path."""
        path, _, query = target.decode("latin-1").partition("?")
        if query and not all(map(_idle, query.split("&"))):
            return None
        if not path.startswith(_PREFIX):
            return None
        # Split first: an encoded slash belongs to a name, and no name of ours has one.
        names = [unquote(part) for part in path[len(_PREFIX) :].split("/")]
        if not names[-1].endswith(_VERB) or any("/" in name for name in names):
            return None
        names[-1] = names[-1].removesuffix(_VERB)
        names[0] = self._numbers.get(names[0], names[0])
        match names:
            case [project, "models", model, "versions", version]:
                return f"{project}/{model}/{version}"
            case [project, "models", model]:
                default = self._defaults.get(f"{project}/{model}")
                return f"{project}/{model}/{default}" if default else None
        return None


def _idle(parameter: str) -> bool:
    name, _, value = unquote(parameter.replace("+", " ")).partition("=")
    value = value.strip()
    name = name.removeprefix("$")
    return not name or name in _IDLE or f"{name}={value}" in _IDLE or (name == ".xgafv" and value in "12")


def _check(entries: object, *, parts: int, field: str) -> None:
    shape = {3: "PROJECT/MODEL/VERSION: PATH", 2: "PROJECT/MODEL: VERSION"}[parts]
    if not isinstance(entries, Mapping):
        raise InvalidArgument(f"The routes need an object of {shape} here.", field=field)
    for name, value in entries.items():
        names = name.split("/") if isinstance(name, str) else []
        if len(names) != parts or not all(names) or not isinstance(value, str) or not value:
            raise InvalidArgument(f"{name!r}: {value!r} is not of the form {shape}.", field=field)
