"""What clients ask for by habit: who may do what, who is told of changes, which folders are special.

Here a bucket's project owns all that is in it, nobody is told, and no folder is special. What cannot be
changed is refused, so that nobody takes an open bucket for a closed one.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from mlengine.errors import FailedPrecondition
from mlengine.names import ObjectUrl
from mlengine.storage import wire
from mlengine.storage.domain import Bucket
from mlengine.storage.service import StorageService
from mlengine.web.method import Call, Handler, Json

_BUCKET = "/storage/v1/b/{bucket}"
_ETAG = "CAE="  # of everything that never changes
# All that a client can ask whether it may do it; the one owner may.
_PERMISSIONS = frozenset(
    f"storage.{noun}.{verb}"
    for noun, verbs in {
        "buckets": "create delete get getIamPolicy list update",
        "managedFolders": "list",
        "multipartUploads": "abort create list listParts",
        "objects": "create delete get getIamPolicy list move update",
    }.items()
    for verb in verbs.split()
)


def rows(service: StorageService) -> list[tuple[str, str, str, Handler, str]]:
    """Id, verb, path, handler and summary of each method."""
    buckets = service.buckets

    def bucket_of(call: Call) -> Bucket:
        return buckets.get(call.path["bucket"])

    def policy(call: Call) -> Json:
        return _policy(bucket_of(call))

    def set_policy(call: Call) -> Json:
        asked, is_ = call.json(), _policy(bucket_of(call))
        if _said(asked) != _said(is_):
            raise FailedPrecondition(
                "Policies cannot be changed on this server: whoever reaches it may do everything.",
                hint="Keep others away from its port instead.",
            )
        return is_

    def permissions(call: Call) -> Json:
        bucket_of(call)
        # Asked for one by one, under the same name.
        asked = parse_qs(urlsplit(call.target).query).get("permissions", [])
        given = [permission for permission in dict.fromkeys(asked) if permission in _PERMISSIONS]
        answer: Json = {"kind": "storage#testIamPermissionsResponse"}
        return answer | ({"permissions": given} if given else {})

    def notifications(call: Call) -> Json:
        bucket_of(call)
        return {"kind": "storage#notifications", "items": []}

    def managed_folders(call: Call) -> Json:
        bucket_of(call)
        return {"kind": "storage#managedFolders", "items": []}

    def layout(call: Call) -> Json:
        return wire.layout_json(bucket_of(call))

    def account(call: Call) -> Json:
        project = buckets.project(call.path["project"])
        return {
            "kind": "storage#serviceAccount",
            "email_address": f"service-{project}@gs-project-accounts.iam.gserviceaccount.com",
        }

    def bucket_access(call: Call) -> Json:
        bucket = bucket_of(call)
        entry = _owner("storage#bucketAccessControl", bucket, path=f"acl/{_entity(bucket)}")
        return {"kind": "storage#bucketAccessControls", "items": [entry]}

    def default_access(call: Call) -> Json:
        bucket = bucket_of(call)
        entry = _owner("storage#objectAccessControl", bucket, path=f"defaultObjectAcl/{_entity(bucket)}")
        return {"kind": "storage#objectAccessControls", "items": [entry]}

    def object_access(call: Call) -> Json:
        bucket = bucket_of(call)
        generation = wire.number(call.query, "generation")
        found = service.get(ObjectUrl(bucket.name, call.path["object"]), generation=generation)
        path = f"o/{wire.quoted(found.name)}/{found.generation}/acl/{_entity(bucket)}"
        entry = _owner("storage#objectAccessControl", bucket, path=path)
        entry |= {"object": found.name, "generation": str(found.generation)}
        return {"kind": "storage#objectAccessControls", "items": [entry]}

    get = "GET"
    return [
        ("storage.buckets.getIamPolicy", get, _BUCKET + "/iam", policy, "Who may do what: the project, all."),
        (
            "storage.buckets.setIamPolicy",
            "PUT",
            _BUCKET + "/iam",
            set_policy,
            "Refused if it is a change.",
        ),
        (
            "storage.buckets.testIamPermissions",
            get,
            _BUCKET + "/iam/testPermissions",
            permissions,
            "What the caller may do: everything.",
        ),
        ("storage.notifications.list", get, _BUCKET + "/notificationConfigs", notifications, "Always empty."),
        ("storage.managedFolders.list", get, _BUCKET + "/managedFolders", managed_folders, "Always empty."),
        (
            "storage.buckets.getStorageLayout",
            get,
            _BUCKET + "/storageLayout",
            layout,
            "Whether a bucket has real folders (none has).",
        ),
        (
            "storage.projects.serviceAccount.get",
            get,
            "/storage/v1/projects/{project}/serviceAccount",
            account,
            "The account that acts for the project.",
        ),
        ("storage.bucketAccessControls.list", get, _BUCKET + "/acl", bucket_access, "One entry: the owners."),
        (
            "storage.defaultObjectAccessControls.list",
            get,
            _BUCKET + "/defaultObjectAcl",
            default_access,
            "One entry: the owners.",
        ),
        (
            "storage.objectAccessControls.list",
            get,
            _BUCKET + "/o/{object+}/acl",
            object_access,
            "One entry: the owners.",
        ),
    ]


def _policy(bucket: Bucket) -> Json:
    return {
        "kind": "storage#policy",
        "resourceId": f"projects/_/buckets/{bucket.name}",
        "version": 1,
        "etag": _ETAG,
        "bindings": [{"role": "roles/storage.admin", "members": [f"projectOwner:{bucket.project}"]}],
    }


def _said(policy: Json) -> list[tuple[str, list[str]]]:
    """Roles and members of a policy, in a form that can be compared."""
    bindings = policy.get("bindings")
    found = bindings if isinstance(bindings, list) else []
    # A condition narrows a binding down, and so is never what is said here.
    return sorted(
        (f"{one.get('role')} {one.get('condition', '')}", sorted(map(str, one.get("members") or [])))
        for one in found
        if isinstance(one, dict)
    )


def _entity(bucket: Bucket) -> str:
    return f"project-owners-{bucket.project}"


def _owner(kind: str, bucket: Bucket, *, path: str) -> Json:
    return {
        "kind": kind,
        "id": f"{bucket.name}/{path}",
        "bucket": bucket.name,
        "entity": _entity(bucket),
        "role": "OWNER",
        "projectTeam": {"projectNumber": bucket.project, "team": "owners"},
        "etag": _ETAG,
    }
