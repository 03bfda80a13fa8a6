"""What a version's workers go by, as their `options.json` holds it. Pure; no I/O.

Apart from `wire`, for it is written for the workers and not for users.
"""

from __future__ import annotations

from typing import Any

from mlengine.models.domain import Container, Version


def options_of(version: Version, *, package_folders: list[str] | None = None) -> dict[str, Any]:
    """The options of a version's workers.

    Args:
        package_folders: Where the deployer has put the version's packages.
    """
    settings = version.settings
    return {
        "maxBatchSize": settings.max_batch_size,
        "maxLatencyMs": settings.max_latency_ms,
        "unknownFields": settings.unknown_fields.value,
        "missingFields": settings.missing_fields.value,
        "nonFinite": settings.non_finite.value,
        "accelerate": version.accelerate,
        "predictionClass": version.prediction_class,
        "packageFolders": package_folders or [],
        "container": _container(version, version.container) if version.container else None,
        "explanation": version.explanation or None,
        "modelName": version.name.parent.model,
        "versionName": version.name.version,
        "project": version.name.parent.project,
        "storageUri": str(version.origin) if version.origin else "",
    }


def _container(version: Version, container: Container) -> dict[str, Any]:
    usual = f"/v1/models/{version.name.parent.model}/versions/{version.name.version}"
    return {
        "command": list(container.command),
        "args": list(container.args),
        "env": dict(container.env),
        "port": container.ports[0] if container.ports else 8080,
        "predictRoute": container.predict_route or f"{usual}:predict",
        "healthRoute": container.health_route or usual,
    }
