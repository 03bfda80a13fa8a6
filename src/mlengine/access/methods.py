"""The URLs of service accounts and their keys, shaped like Google's IAM API v1."""

from __future__ import annotations

from mlengine.access import wire
from mlengine.access.service import AccessService
from mlengine.web.fields import Fields
from mlengine.web.method import Call, Handler, Json, Method
from mlengine.web.pages import paged

_ACCOUNTS = "/v1/projects/{project}/serviceAccounts"
_ACCOUNT = _ACCOUNTS + "/{account}"
_KEYS = _ACCOUNT + "/keys"
_KEY = _KEYS + "/{key}"


def methods(service: AccessService) -> list[Method]:
    """The rows of `iam.projects.serviceAccounts`."""

    def create(call: Call) -> Json:
        fields = Fields(call.json(), path="")
        account_id = fields.text("accountId")
        said = fields.inner("serviceAccount") or Fields({}, path="service_account")
        fields.done()
        display_name, description = said.text("displayName"), said.text("description")
        said.ignore("name", "projectId", "uniqueId", "email", "etag", "oauth2ClientId")
        said.absent("disabled")
        said.done()
        account = service.create(
            call.path["project"], account_id, display_name=display_name, description=description
        )
        return wire.account_json(account)

    def get(call: Call) -> Json:
        return wire.account_json(service.get(*_account(call)))

    def list_(call: Call) -> Json:
        return paged(
            call.query,
            kind="accounts",
            fetch=lambda after, limit: service.page(call.path["project"], after=after, limit=limit),
            key=lambda account: account.email,
            render=wire.account_json,
        )

    def delete(call: Call) -> Json:
        service.delete(*_account(call))
        return {}

    def create_key(call: Call) -> Json:
        fields = Fields(call.json(), path="")
        fields.choice("privateKeyType", ("TYPE_UNSPECIFIED", "TYPE_GOOGLE_CREDENTIALS_FILE"))
        fields.choice("keyAlgorithm", ("KEY_ALG_UNSPECIFIED", "KEY_ALG_RSA_2048"))
        fields.done()
        key, private_key = service.create_key(*_account(call))
        account = service.get(*_account(call))
        return wire.key_json(key, private_file=wire.key_file(account, key, private_key, call.base_url))

    def get_key(call: Call) -> Json:
        return wire.key_json(service.key(*_account(call), call.path["key"]))

    def list_keys(call: Call) -> Json:
        return {"keys": [wire.key_json(key) for key in service.keys(*_account(call))]}

    def delete_key(call: Call) -> Json:
        service.delete_key(*_account(call), call.path["key"])
        return {}

    rows: list[tuple[str, str, str, Handler, str]] = [
        ("create", "POST", _ACCOUNTS, create, "Make a service account."),
        ("list", "GET", _ACCOUNTS, list_, "The service accounts of a project, a page at a time."),
        ("get", "GET", _ACCOUNT, get, "One service account."),
        ("delete", "DELETE", _ACCOUNT, delete, "Delete a service account and its keys."),
        ("keys.create", "POST", _KEYS, create_key, "Make a key; the only answer with the private half."),
        ("keys.list", "GET", _KEYS, list_keys, "The keys of a service account."),
        ("keys.get", "GET", _KEY, get_key, "One key."),
        ("keys.delete", "DELETE", _KEY, delete_key, "Delete a key, and so end what it signed."),
    ]
    return [
        Method(
            id=f"iam.projects.serviceAccounts.{name}", verb=verb, path=path, handler=handler, summary=summary
        )
        for name, verb, path, handler, summary in rows
    ]


def _account(call: Call) -> tuple[str, str]:
    return call.path["project"], call.path["account"]
