"""A version as asked for becomes one that can be made: files looked at, runtime and numbers settled."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from mlengine.environments import resolve
from mlengine.errors import FailedPrecondition
from mlengine.models.artefacts import detect_framework
from mlengine.models.domain import OWN_CODE, Framework, Version, VersionRequest
from mlengine.models.scaling import scaled
from mlengine.names import ObjectUrl, OperationName

MOST_FILES = 1000


def framework_of(request: VersionRequest, list_files: Callable[[ObjectUrl, int], list[str]]) -> Framework:
    """What serves the files at the origin.

    Raises:
        NotFound: no such bucket.
        FailedPrecondition: there is no model, or there are too many files.
    """
    files: list[str] = []
    if request.origin:
        files = list_files(request.origin, MOST_FILES + 1)
        if len(files) > MOST_FILES:
            raise FailedPrecondition(
                f"{request.origin} holds more than {MOST_FILES} files.", field="version.deployment_uri"
            )
    if request.container or request.prediction_class:
        if request.origin and not files:
            raise FailedPrecondition(f"There is nothing in {request.origin}.", field="version.deployment_uri")
        return Framework.CONTAINER if request.container else Framework.CUSTOM
    assert request.origin, "wire lets only containers do without"
    return request.framework or detect_framework(request.origin, files)


def check_packages(request: VersionRequest, object_exists: Callable[[ObjectUrl], bool]) -> None:
    """See that all packages are there. Raises FailedPrecondition."""
    for package in request.packages:
        if not object_exists(package):
            raise FailedPrecondition(
                f"There is no package {package}.",
                hint=f"Copy it there: mlengine storage cp PACKAGE {package}",
                field="version.package_uris",
            )


def version_of(request: VersionRequest, framework: Framework, *, cores: int, now: datetime) -> Version:
    """The version that a request comes to, before it has an operation.

    Raises:
        InvalidArgument: no such runtime version, or more processes than cores.
    """
    resolution = resolve(
        request.runtime_version,
        request.python_version,
        # Code of one's own may need any package; a program of one's own needs none of ours.
        {Framework.CUSTOM: "", Framework.CONTAINER: "SCIKIT_LEARN"}.get(framework, framework.word),
    )
    version = Version(
        name=request.name,
        uid=uuid.uuid4().hex[:16],
        origin=request.origin,
        framework=framework,
        runtime=resolution.runtime.name,
        runtime_version=request.runtime_version,
        python_version=request.python_version,
        machine_type=request.machine_type,
        description=request.description,
        labels=request.labels,
        settings=request.settings,
        accelerate=request.accelerate and framework not in OWN_CODE,
        packages=request.packages,
        prediction_class=request.prediction_class,
        explanation=request.explanation,
        container=request.container,
        created=now,
        operation=OperationName(request.name.parent.project, ""),
    )
    return scaled(version, request.scaling, cores=cores)
