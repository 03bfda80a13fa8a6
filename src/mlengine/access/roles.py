"""Which role holds which permissions: Google's names for both. Pure; no I/O."""

from __future__ import annotations

from mlengine.errors import InvalidArgument, nearest

_ML = {
    "jobs": "cancel create get getIamPolicy list setIamPolicy update",
    "locations": "get list",
    "models": "create delete get getIamPolicy list predict setIamPolicy update",
    "operations": "cancel get list",
    "projects": "getConfig",
    "versions": "create delete get list predict update",
}
_STORAGE = {
    "buckets": "create delete get getIamPolicy list setIamPolicy update",
    "objects": "create delete get list update",
}
_BIGQUERY = {
    "datasets": "create delete get update",
    "jobs": "create delete get list update",
    "tables": "create delete export get getData list update updateData",
}
_REST = {
    "iam.serviceAccounts": "create delete get list",
    "iam.serviceAccountKeys": "create delete get list",
    "logging.logEntries": "list",
    "resourcemanager.projects": "create delete get getIamPolicy setIamPolicy",
    "mlengine.server": "admin",
}


def _spell(service: str, verbs: dict[str, str]) -> frozenset[str]:
    head = f"{service}." if service else ""
    return frozenset(f"{head}{noun}.{verb}" for noun, words in verbs.items() for verb in words.split())


ML, STORAGE = _spell("ml", _ML), _spell("storage", _STORAGE)
BIGQUERY = _spell("bigquery", _BIGQUERY)
ALL = ML | STORAGE | BIGQUERY | _spell("", _REST)


def is_reading(permission: str) -> bool:
    """Whether who has nothing but a read-only scope may use it."""
    return permission.rpartition(".")[2] in ("get", "list", "getIamPolicy", "getConfig", "getData")


def _under(*prefixes: str) -> frozenset[str]:
    return frozenset(permission for permission in ALL if permission.startswith(prefixes))


_PROJECT = frozenset({"resourcemanager.projects.get"})
_VIEWER = (
    frozenset(
        permission for permission in ALL if is_reading(permission) and not permission.endswith("IamPolicy")
    )
    - _under("iam.serviceAccountKeys.")
) | {"ml.projects.getConfig"}
# An editor works with everything, and can make nobody more powerful, not even by a key of another account.
_EDITOR = frozenset(
    permission
    for permission in ALL
    if not permission.endswith("IamPolicy")
    and not permission.startswith(("iam.", "mlengine.", "resourcemanager."))
)
_ML_VIEWER = frozenset(
    permission for permission in ML if is_reading(permission) and not permission.endswith("IamPolicy")
)
_LOGS = frozenset({"logging.logEntries.list"})

ROLES: dict[str, frozenset[str]] = {
    "roles/owner": ALL,
    "roles/editor": _EDITOR | _VIEWER,
    "roles/viewer": _VIEWER,
    "roles/ml.admin": ML | _PROJECT,
    "roles/ml.developer": _ML_VIEWER
    | {
        "ml.jobs.create",
        "ml.jobs.getIamPolicy",
        "ml.models.create",
        "ml.models.getIamPolicy",
        "ml.models.predict",
        "ml.versions.predict",
    }
    | _PROJECT,
    "roles/ml.viewer": _ML_VIEWER | _PROJECT,
    "roles/ml.jobOwner": _under("ml.jobs.") - {"ml.jobs.create"},
    "roles/ml.modelOwner": _under("ml.models.", "ml.versions.") - {"ml.models.create"},
    "roles/ml.modelUser": frozenset(
        {"ml.models.get", "ml.models.predict", "ml.versions.get", "ml.versions.list", "ml.versions.predict"}
    ),
    "roles/ml.operationOwner": _under("ml.operations."),
    "roles/logging.viewer": _LOGS | _PROJECT,
    "roles/storage.admin": STORAGE,
    "roles/storage.objectAdmin": _under("storage.objects."),
    "roles/storage.objectViewer": frozenset({"storage.objects.get", "storage.objects.list"}),
    "roles/storage.objectCreator": frozenset({"storage.objects.create"}),
    "roles/bigquery.admin": BIGQUERY | _PROJECT,
    "roles/bigquery.dataOwner": _under("bigquery.datasets.", "bigquery.tables.") | _PROJECT,
    "roles/bigquery.dataEditor": _under("bigquery.tables.")
    | {"bigquery.datasets.create", "bigquery.datasets.get"}
    | _PROJECT,
    "roles/bigquery.dataViewer": frozenset(
        {
            "bigquery.datasets.get",
            "bigquery.tables.export",
            "bigquery.tables.get",
            "bigquery.tables.getData",
            "bigquery.tables.list",
        }
    )
    | _PROJECT,
    "roles/bigquery.jobUser": frozenset({"bigquery.jobs.create", "bigquery.jobs.get"}) | _PROJECT,
    "roles/bigquery.user": frozenset(
        {
            "bigquery.datasets.create",
            "bigquery.datasets.get",
            "bigquery.jobs.create",
            "bigquery.jobs.get",
            "bigquery.jobs.list",
            "bigquery.tables.list",
        }
    )
    | _PROJECT,
    "roles/iam.serviceAccountAdmin": _under("iam.serviceAccounts.") | _PROJECT,
    "roles/iam.serviceAccountKeyAdmin": _under("iam.serviceAccountKeys.", "iam.serviceAccounts.get")
    | _PROJECT,
    "roles/resourcemanager.projectIamAdmin": frozenset(
        {
            "resourcemanager.projects.get",
            "resourcemanager.projects.getIamPolicy",
            "resourcemanager.projects.setIamPolicy",
        }
    ),
}
# What the server does for a project, its jobs do with its rights; nobody else can be given them.
AGENT = ML | STORAGE | BIGQUERY | _LOGS | _PROJECT

# What a policy of a single resource can grant: by the collection in its name.
ON = {"jobs": _under("ml.jobs."), "models": _under("ml.models.", "ml.versions.")}


def check_role(role: str, *, collection: str = "") -> str:
    """`role` itself, when there is one of this name that grants something there.

    Args:
        collection: "jobs" or "models" for the policy of one of these; empty for a project's.

    Raises:
        InvalidArgument: there is none, or it grants nothing there.
    """
    useful = sorted(name for name, granted in ROLES.items() if not collection or granted & ON[collection])
    if role in useful:
        return role
    if role in ROLES:
        raise InvalidArgument(
            f"Role {role} grants nothing on one of the {collection}.",
            hint=f"Use one of {', '.join(useful)}; or grant it on the project.",
            field="policy.bindings.role",
        )
    close = nearest(role, useful) or nearest(f"roles/{role}", useful)
    raise InvalidArgument(
        f"Role {role[:80]} is not supported for this resource.",
        hint=close or f"Roles here: {', '.join(useful)}.",
        field="policy.bindings.role",
    )


def least(permission: str, *, collection: str = "") -> str:
    """The smallest role that grants `permission` where a policy of `collection` is; "" when there is none."""
    fitting = [
        (len(granted), name)
        for name, granted in ROLES.items()
        if permission in granted and (not collection or permission in ON[collection])
    ]
    return min(fitting, default=(0, ""))[1]
