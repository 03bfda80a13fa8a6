"""Service accounts and keys as Google's IAM API v1 spells them, and the key file in Google's format."""

from __future__ import annotations

import base64
import json
from typing import Any

from mlengine.access.domain import AccountKey, ServiceAccount
from mlengine.clock import to_text

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
