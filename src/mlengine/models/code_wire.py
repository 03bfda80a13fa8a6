"""The fields of a Version about code of the user's own: packages, a class that predicts, a container."""

from __future__ import annotations

import re
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.models.domain import Container, Version, VersionRequest
from mlengine.names import ObjectUrl
from mlengine.web.fields import Fields

_CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARCHIVES = (".tar.gz", ".zip", ".whl")
_MOST_PACKAGES, _USUAL_PORT = 100, 8080
_NO_ENGINE = (
    "Containers are run as processes of this machine: say in container.command what the image would start, "
    'as in ["python3", "/srv/predictor.py"].'
)


def packages(fields: Fields) -> tuple[ObjectUrl, ...]:
    """packageUris.

    Raises:
        InvalidArgument: one is no archive in a bucket.
    """
    found = fields.texts("packageUris")
    if len(found) > _MOST_PACKAGES:
        raise fields.wrong(
            "packageUris", f"holds {len(found)} packages; at most {_MOST_PACKAGES} are allowed."
        )
    urls = []
    for position, uri in enumerate(found):
        place = f"{fields.spell('packageUris')}[{position}]"
        urls.append(ObjectUrl.parse(uri, field=place))
        if not uri.endswith(_ARCHIVES):
            raise InvalidArgument(
                f"'{uri[:200]}' is no Python package.",
                hint=f"It must end in one of {', '.join(_ARCHIVES)}: make it with python -m build.",
                field=place,
            )
    return tuple(urls)


def prediction_class(fields: Fields) -> str:
    """predictionClass; empty for none.

    Raises:
        InvalidArgument: it is no class in a module.
    """
    value = fields.text("predictionClass")
    if value and not _CLASS.fullmatch(value):
        raise fields.wrong(
            "predictionClass", f"'{value[:100]}' is no class in a module.", hint="Write MODULE.CLASS."
        )
    return value


def container(fields: Fields) -> Container | None:
    """container and routes; None without.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    found = fields.inner("container")
    predict_route, health_route = _routes(fields)
    if found is None:
        if predict_route or health_route:
            raise fields.wrong("routes", "are those of a container, and there is none.", hint="Leave it out.")
        return None
    command, image = found.texts("command"), found.text("image")
    if not command:
        shown = f"image '{image[:200]}'" if image else "no command"
        raise found.wrong(
            "command", f"is missing: there is {shown}, and no container engine.", hint=_NO_ENGINE
        )
    if image:
        found.warn("image", "is kept and shown; container.command is run as a process of this machine")
    ports = _ports(found)
    if len(ports) > 1:
        found.warn("ports", f"holds {len(ports)} ports; the first, {ports[0]}, is used")
    own = Container(
        command=command,
        image=image,
        args=found.texts("args"),
        env=_variables(found),
        ports=ports,
        predict_route=predict_route,
        health_route=health_route,
    )
    found.done()
    return own


def no_container_with(fields: Fields, request: VersionRequest) -> None:
    """Refuse what a container brings itself.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    for name, value in {
        "explanationConfig": request.explanation,
        "framework": request.framework,
        "packageUris": request.packages,
        "predictionClass": request.prediction_class,
        "pythonVersion": request.python_version,
        "runtimeVersion": request.runtime_version,
    }.items():
        if value:
            raise fields.wrong(name, "cannot go together with container.", hint="Leave it out.")


def _variables(fields: Fields) -> tuple[tuple[str, str], ...]:
    variables = []
    for item in fields.objects("env"):
        name, value = item.text("name"), item.text("value")
        item.done()
        if not _VARIABLE.fullmatch(name):
            raise item.wrong("name", f"'{name[:100]}' is no name of a variable.")
        if name.startswith("AIP_"):
            raise item.wrong("name", f"'{name[:100]}' begins with AIP_, which the server sets itself.")
        variables.append((name, value))
    return tuple(variables)


def _ports(fields: Fields) -> tuple[int, ...]:
    ports = []
    for item in fields.objects("ports"):
        port = item.number("containerPort", _USUAL_PORT)
        item.done()
        if not 1 <= port <= 65535:
            raise item.wrong("containerPort", f"is {port}; it must be 1 to 65535.")
        ports.append(port)
    return tuple(ports)


def _routes(fields: Fields) -> tuple[str, str]:
    """The paths for predictions and for health; empty where they are the usual ones."""
    routes = fields.inner("routes")
    if routes is None:
        return "", ""
    paths = routes.text("predict"), routes.text("health")
    routes.done()
    for name, path in zip(("predict", "health"), paths, strict=True):
        if path and not path.startswith("/"):
            raise routes.wrong(name, f"'{path[:100]}' is no path.", hint=f"Write /{path[:100]}.")
    return paths


def code_to_json(version: Version) -> dict[str, Any]:
    """These fields of a Version; empty ones are to be left out."""
    return {
        "packageUris": [str(package) for package in version.packages],
        "predictionClass": version.prediction_class,
        **(_container_to_json(version.container) if version.container else {}),
    }


def _container_to_json(own: Container) -> dict[str, Any]:
    found = {
        "image": own.image,
        "command": list(own.command),
        "args": list(own.args),
        "env": [{"name": name, "value": value} for name, value in own.env],
        "ports": [{"containerPort": port} for port in own.ports],
    }
    routes = {"predict": own.predict_route, "health": own.health_route}
    return {
        "container": {name: value for name, value in found.items() if value},
        "routes": {name: value for name, value in routes.items() if value},
    }
