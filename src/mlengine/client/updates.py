"""How a change asked for in flags becomes a PATCH: labels merged, fields chosen, the mask that names them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mlengine.client.http import Json
from mlengine.errors import InvalidArgument

# What gcloud lets the --config file of an update hold, and the block of our own.
_ALLOWED = ("autoScaling", "description", "manualScaling", "mlengine", "requestLoggingConfig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What is to become of the labels of a resource.

    Attributes:
        clear: Take all of them away first.
        remove: Keys to take away.
        update: Labels to set, after that.
    """

    update: Mapping[str, str]
    remove: Collection[str] = ()
    clear: bool = False

    @property
    def asked(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.update or self.remove or self.clear)

    def changed(self, present: Mapping[str, str]) -> Json | None:
        """All labels as they are to be; None where that is how they are."""
        kept = {} if self.clear else {key: text for key, text in present.items() if key not in self.remove}
        wanted = kept | dict(self.update)
        return None if wanted == dict(present) else wanted


def nothing_asked() -> InvalidArgument:
    """That an update names no change."""
    return InvalidArgument(
        "No updates requested.", hint="Name a change: --description TEXT, --update-labels K=V"
    )


def read_version_changes(path: str) -> Json:
    """The part of a Version in a YAML or JSON file. Raises InvalidArgument, also for fixed fields."""
    from mlengine.client.deployment import check_fields
    from mlengine.client.submission import read_yaml

    value = read_yaml(path, "--config")
    check_fields(value, _ALLOWED, path)
    return value


def version_mask(body: Json) -> str:
    """The field mask for a changed Version: scaling and our own block are named by their inner fields."""
    paths: list[str] = []
    for name, value in body.items():
        if name in ("autoScaling", "manualScaling", "mlengine") and isinstance(value, dict):
            paths += [f"{name}.{inner}" for inner in value]
        else:
            paths.append(name)
    return ",".join(sorted(paths))
