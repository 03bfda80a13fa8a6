"""The first key of a server that wants tokens: without it nobody could make any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlengine.access import wire
from mlengine.access.policies import PolicyService
from mlengine.access.policy import ACCOUNT
from mlengine.access.service import AccessService
from mlengine.errors import NotFound

_ID = "admin"
_ROLE = "roles/owner"


def ensure_admin(
    accounts: AccessService,
    policies: PolicyService,
    *,
    project: str,
    endpoint: str,
    file: Path,
    write: Callable[[Path, bytes], None],
) -> bool:
    """Make an owner of the first project and its key file, unless some account is owner already.

    Args:
        endpoint: Where the key's holder finds this server.
        file: Where the key goes.
        write: Writes a file that only its owner can read.

    Returns:
        Whether it was made.
    """
    resource = f"projects/{project}"
    owners = policies.get(resource).bindings.get(_ROLE, ())
    if any(accounts.has_key(member.removeprefix(ACCOUNT)) for member in owners):
        return False
    email = f"{_ID}-account@{project}.iam.gserviceaccount.com"
    try:
        account = accounts.get(project, email)
    except NotFound:
        account = accounts.create(project, f"{_ID}-account", display_name="First administrator")
    key, private = accounts.create_key(project, email)
    # The file first: a key that nobody has would lock the server for ever.
    write(file, wire.key_file(account, key, private, endpoint))
    policies.grant(resource, _ROLE, f"{ACCOUNT}{email}")
    return True
