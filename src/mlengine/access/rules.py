"""What each method of the server asks of its caller: a permission, and on what. Pure; no I/O.

One table beside the rows of the methods, so that nobody can add a method which asks nothing by mistake: what
is not here is for owners.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mlengine.access.roles import ALL


class On(Enum):
    """What a permission is needed on."""

    ANYONE = "nothing: whoever asks is answered, without credentials too"
    CALLER = "nothing: the handler looks at the caller itself"
    PROJECT = "the project in the path"
    ASKED_PROJECT = "the project in the query"
    NAMED_PROJECTS = "the projects in the body"
    SERVER = "the server's first project"
    JOB = "the job in the path"
    MODEL = "the model in the path"
    BUCKET = "the project of the bucket in the path"
    NEW_UPLOAD = "the same; of an upload under way, its id in the query is proof enough"
    TARGET_BUCKET = "the project of the bucket in which the copy goes"


@dataclass(frozen=True, slots=True)
class Need:
    """One permission on one thing."""

    permission: str
    on: On


def needs(method_id: str) -> tuple[Need, ...]:
    """What a method asks; all of it must be there."""
    if method_id.startswith(_OPEN):
        return (Need("", On.ANYONE),)
    return _NEEDS.get(method_id) or (Need("mlengine.server.admin", On.SERVER),)


# The documents about the API, and where credentials themselves are had.
_OPEN = (
    "discovery.",
    "mlengine.console.",
    "mlengine.discovery",
    "mlengine.docs",
    "mlengine.openapi",
    "mlengine.openInference.live",
    "mlengine.openInference.ready",
    "mlengine.openInference.server",
    "mlengine.readyz",
    "mlengine.tensorboard.",
    "oauth2.",
)


# What a version takes, in our words; and what other protocols ask, whose paths carry no project.
_TOLD = ("schema", "openapi", "samples")
_FOREIGN = (
    *(f"tfServing.get{what}" for what in ("", "Version", "Metadata", "VersionMetadata")),
    *(f"openInference.{what}" for what in ("model", "modelReady", "version", "versionReady")),
)


def _ml() -> dict[str, tuple[Need, ...]]:
    found: dict[str, tuple[Need, ...]] = {
        "ml.projects.getConfig": (Need("ml.projects.getConfig", On.PROJECT),),
        "ml.projects.predict": (Need("ml.versions.predict", On.MODEL),),
        "ml.projects.explain": (Need("ml.versions.predict", On.MODEL),),
        "mlengine.jobs.check": (Need("ml.jobs.create", On.PROJECT),),
        "mlengine.jobs.metrics": (Need("ml.jobs.get", On.JOB),),
        "mlengine.models.metrics": (Need("ml.models.get", On.MODEL),),
        "mlengine.projects.metrics": (Need("ml.models.list", On.PROJECT),),
        "mlengine.versions.metrics": (Need("ml.versions.get", On.MODEL),),
        "mlengine.jobs.requirements": (Need("ml.jobs.get", On.JOB),),
        "mlengine.models.rollBack": (Need("ml.models.update", On.MODEL),),
        "mlengine.models.setTraffic": (Need("ml.models.update", On.MODEL),),
        **{f"mlengine.versions.{what}": (Need("ml.versions.get", On.MODEL),) for what in _TOLD},
        **{f"mlengine.{method}": (Need("ml.models.get", On.SERVER),) for method in _FOREIGN},
        "mlengine.machineTypes.get": (Need("", On.CALLER),),
        "mlengine.machineTypes.list": (Need("", On.CALLER),),
        "ml.projects.locations.operations.get": (Need("ml.operations.get", On.PROJECT),),
        "ml.projects.locations.operations.cancel": (Need("ml.operations.cancel", On.PROJECT),),
        "ml.projects.locations.operations.list": (Need("ml.operations.list", On.PROJECT),),
    }
    for noun, verbs in {
        "jobs": "create list get patch cancel getIamPolicy setIamPolicy",
        "models": "create list get patch delete getIamPolicy setIamPolicy",
        "versions": "create list get patch delete setDefault",
        "operations": "get list cancel",
        "locations": "get list",
    }.items():
        own = {"jobs": On.JOB, "models": On.MODEL}.get(noun, On.PROJECT)
        for verb in verbs.split():
            permission = f"ml.{noun}.{ {'patch': 'update', 'setDefault': 'update'}.get(verb, verb) }"
            place = On.PROJECT if verb in ("create", "list") else own
            method = f"ml.projects.{noun}.{verb}"
            if noun == "versions":
                method, place = f"ml.projects.models.versions.{verb}", On.MODEL
            found[method] = (Need(permission, place),)
    for noun in ("jobs", "models"):
        # It answers what the caller may; nothing is a good answer.
        found[f"ml.projects.{noun}.testIamPermissions"] = (Need("", On.CALLER),)
    return found


def _storage() -> dict[str, tuple[Need, ...]]:
    def bucket(permission: str) -> tuple[Need, ...]:
        return (Need(f"storage.{permission}", On.BUCKET),)

    create, get = Need("storage.objects.create", On.BUCKET), Need("storage.objects.get", On.BUCKET)
    onto = Need("storage.objects.create", On.TARGET_BUCKET)
    found: dict[str, tuple[Need, ...]] = {
        "storage.buckets.insert": (Need("storage.buckets.create", On.ASKED_PROJECT),),
        "storage.buckets.list": (Need("storage.buckets.list", On.ASKED_PROJECT),),
        "storage.buckets.testIamPermissions": (Need("", On.CALLER),),
        "storage.batch": (Need("", On.CALLER),),
        "storage.projects.serviceAccount.get": (Need("resourcemanager.projects.get", On.PROJECT),),
        "storage.objects.copy": (get, onto),
        "storage.objects.rewrite": (get, onto),
        "storage.objects.compose": (get, create),
        "storage.objects.move": (get, create, Need("storage.objects.delete", On.BUCKET)),
    }
    for method, permission in {
        "buckets.get": "buckets.get",
        "buckets.patch": "buckets.update",
        "buckets.delete": "buckets.delete",
        "buckets.getIamPolicy": "buckets.getIamPolicy",
        "buckets.setIamPolicy": "buckets.setIamPolicy",
        "buckets.getStorageLayout": "buckets.get",
        "notifications.list": "buckets.get",
        "managedFolders.list": "buckets.get",
        "bucketAccessControls.list": "buckets.getIamPolicy",
        "defaultObjectAccessControls.list": "buckets.getIamPolicy",
        "objectAccessControls.list": "objects.get",
        "objects.list": "objects.list",
        "objects.get": "objects.get",
        "objects.download": "objects.get",
        "objects.patch": "objects.update",
        "objects.update": "objects.update",
        "objects.delete": "objects.delete",
    }.items():
        found[f"storage.{method}"] = bucket(permission)
    for noun in ("objects", "objects.resumable"):
        # The id of an upload was given to who might begin it, and nobody can guess it.
        found[f"storage.{noun}.insert"] = (Need("storage.objects.create", On.NEW_UPLOAD),)
        found[f"storage.{noun}.send"] = found[f"storage.{noun}.cancel"] = (Need("", On.CALLER),)
    return found


def _bigquery() -> dict[str, tuple[Need, ...]]:
    # What a query reads and a load writes, the handler asks about itself: it stands in their words.
    found: dict[str, tuple[Need, ...]] = {
        "bigquery.projects.list": (Need("", On.CALLER),),
        "bigquery.jobs.resumable.upload": (Need("bigquery.jobs.create", On.PROJECT),),
        "bigquery.jobs.resumable.send": (Need("bigquery.jobs.create", On.PROJECT),),
    }
    for method, permission in {
        "projects.getServiceAccount": "datasets.get",
        "datasets.insert": "datasets.create",
        "datasets.list": "datasets.get",
        "datasets.get": "datasets.get",
        "datasets.patch": "datasets.update",
        "datasets.update": "datasets.update",
        "datasets.delete": "datasets.delete",
        "tables.insert": "tables.create",
        "tables.list": "tables.list",
        "tables.get": "tables.get",
        "tables.patch": "tables.update",
        "tables.update": "tables.update",
        "tables.delete": "tables.delete",
        "tabledata.list": "tables.getData",
        "tabledata.read": "tables.getData",
        "tabledata.insertAll": "tables.updateData",
        "jobs.insert": "jobs.create",
        "jobs.upload": "jobs.create",
        "jobs.send": "jobs.create",
        "jobs.query": "jobs.create",
        "jobs.get": "jobs.get",
        "jobs.getQueryResults": "jobs.get",
        "jobs.list": "jobs.list",
        "jobs.cancel": "jobs.update",
        "jobs.delete": "jobs.delete",
    }.items():
        found[f"bigquery.{method}"] = (Need(f"bigquery.{permission}", On.PROJECT),)
    return found


def _rest() -> dict[str, tuple[Need, ...]]:
    manager, accounts = "cloudresourcemanager.projects", "iam.projects.serviceAccounts"
    found: dict[str, tuple[Need, ...]] = {
        f"{manager}.create": (Need("resourcemanager.projects.create", On.SERVER),),
        f"{manager}.list": (Need("", On.CALLER),),
        f"{manager}.testIamPermissions": (Need("", On.CALLER),),
        "logging.entries.list": (Need("logging.logEntries.list", On.NAMED_PROJECTS),),
    }
    # Names of jobs only where the caller may list them, and TensorBoards of buckets that it may read.
    for method in ("machine.get", "runtimes.list", "runtimes.get", "roles.list"):
        found[f"mlengine.{method}"] = (Need("", On.CALLER),)
    for verb in ("create", "list", "delete"):
        found[f"mlengine.tensorboards.{verb}"] = (Need("ml.jobs.get", On.PROJECT),)
    found["mlengine.auditLog.list"] = (Need("logging.logEntries.list", On.PROJECT),)
    for verb in ("get", "delete", "getIamPolicy", "setIamPolicy"):
        found[f"{manager}.{verb}"] = (Need(f"resourcemanager.projects.{verb}", On.PROJECT),)
    for verb in ("create", "delete", "get", "list"):
        found[f"{accounts}.{verb}"] = (Need(f"iam.serviceAccounts.{verb}", On.PROJECT),)
        found[f"{accounts}.keys.{verb}"] = (Need(f"iam.serviceAccountKeys.{verb}", On.PROJECT),)
    return found


_NEEDS = _ml() | _storage() | _bigquery() | _rest()
_unknown = {need.permission for found in _NEEDS.values() for need in found} - ALL - {""}
assert not _unknown, f"no role could ever hold {_unknown}"
