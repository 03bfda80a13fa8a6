"""Accounts, keys and policies as Google's IAM API v1 spells them, and the key file in Google's format."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from mlengine.access.domain import AccountKey, ServiceAccount
from mlengine.access.policy import Policy
from mlengine.clock import to_text
from mlengine.errors import InvalidArgument
from mlengine.web.fields import Fields, etag

Json = dict[str, Any]
# What Google writes for a key without an end.
_NO_END = "9999-12-31T23:59:59Z"


def account_json(account: ServiceAccount) -> Json:
    """An account as a `ServiceAccount`."""
    answer: Json = {
        "name": account_name(account.project, account.email),
        "projectId": account.project,
        "uniqueId": account.unique_id,
        "email": account.email,
        "oauth2ClientId": account.unique_id,
        "etag": base64.b64encode(account.unique_id.encode()).decode(),
    }
    if account.display_name:
        answer["displayName"] = account.display_name
    if account.description:
        answer["description"] = account.description
    return answer


def key_json(key: AccountKey, *, private_file: bytes = b"") -> Json:
    """A key as a `ServiceAccountKey`.

    Args:
        private_file: The key file, in the answer to whoever made the key.
    """
    answer: Json = {
        "name": f"{account_name(key.project, key.email)}/keys/{key.key_id}",
        "validAfterTime": to_text(key.created),
        "validBeforeTime": _NO_END,
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "keyOrigin": "GOOGLE_PROVIDED",
        "keyType": "USER_MANAGED",
    }
    if private_file:
        answer["privateKeyType"] = "TYPE_GOOGLE_CREDENTIALS_FILE"
        answer["privateKeyData"] = base64.b64encode(private_file).decode()
    return answer


def key_file(account: ServiceAccount, key: AccountKey, private_key: str, base_url: str) -> bytes:
    """What a client is given as GOOGLE_APPLICATION_CREDENTIALS.

    Args:
        private_key: The private half as PEM.
        base_url: Where this server is, as the client called it.
    """
    return json.dumps(
        {
            "type": "service_account",
            "project_id": key.project,
            "private_key_id": key.key_id,
            "private_key": private_key,
            "client_email": key.email,
            "client_id": account.unique_id,
            "token_uri": f"{base_url}/token",
            "universe_domain": "googleapis.com",
        },
        indent=2,
    ).encode()


def account_name(project: str, email: str) -> str:
    """projects/PROJECT/serviceAccounts/EMAIL."""
    return f"projects/{project}/serviceAccounts/{email}"


def policy_json(policy: Policy) -> Json:
    """A policy as a `Policy`; version 1, since there are no conditions here."""
    answer: Json = {"version": 1, "etag": etag(policy.generation)}
    bindings = [{"role": role, "members": list(members)} for role, members in policy.bindings.items()]
    if bindings:
        answer["bindings"] = bindings
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """What `setIamPolicy` is asked.

    Attributes:
        bindings: Role to members; None to leave them as they are.
        generation: Of the policy that this one was made from; None where no etag was sent.
    """

    bindings: dict[str, tuple[str, ...]] | None
    generation: int | None


def policy_from_json(body: Json) -> PolicyRequest:
    """Read a `SetIamPolicyRequest`.

    Raises:
        InvalidArgument: it asks for what there is not here, each by its name: conditions, audit settings.
    """
    body = dict(body)
    mask = body.pop("updateMask", None) or body.pop("update_mask", None) or "bindings,etag"
    request = Fields(body, path="")
    said = request.inner("policy")
    request.done()
    if said is None:
        raise InvalidArgument("The policy is missing.", hint='Send {"policy": {…}}.', field="policy")
    wanted = [name.strip() for name in mask.split(",")] if isinstance(mask, str) else [str(mask)]
    for name in wanted:
        if name not in ("bindings", "etag", "version"):
            raise InvalidArgument(
                f"'{name[:80]}' cannot be set in a policy here.",
                hint="Use bindings,etag.",
                field="update_mask",
            )
    raw = body.get("policy") or {}
    said.ignore("bindings")
    said.absent("auditConfigs", hint="This server notes every change by itself: DATA/audit.")
    version = said.number("version")
    if version not in (0, 1, 3):
        raise said.wrong("version", f"must be 0, 1 or 3, not {version}.")
    generation = said.etag()
    said.done()
    return PolicyRequest(
        bindings=_bindings(raw.get("bindings") or []) if "bindings" in wanted else None,
        generation=generation,
    )


def permissions_from_json(body: Json) -> tuple[str, ...]:
    """Read a `TestIamPermissionsRequest`."""
    fields = Fields(body, path="")
    permissions = fields.texts("permissions")
    fields.done()
    return permissions


def asked_version(body: Json) -> int:
    """The version in a `GetIamPolicyRequest`; 0 where none is asked for."""
    fields = Fields(body, path="")
    options = fields.inner("options")
    fields.done()
    version = options.number("requestedPolicyVersion") if options else 0
    if options:
        options.done()
    return version


def check_policy_version(text: object) -> None:
    """Whether policies can be given in the version that is asked for.

    Raises:
        InvalidArgument: there is no such version.
    """
    if str(text or "0") not in ("0", "1", "3"):
        raise InvalidArgument(
            f"There are policies of version 0, 1 and 3, none of {str(text)[:20]}.",
            field="options.requested_policy_version",
        )


def _bindings(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidArgument("bindings must be a list of objects.", field="policy.bindings")
    found: dict[str, tuple[str, ...]] = {}
    for each in value:
        fields = Fields(each, path="policy.bindings")
        role, members = fields.text("role"), fields.texts("members")
        fields.absent("condition", hint="There are no conditional bindings on this server.")
        fields.done()
        if not role:
            raise InvalidArgument("A binding needs a role.", field="policy.bindings.role")
        found[role] = (*found.get(role, ()), *members)
    return found
