"""Service accounts and their keys on the server. Apart from `api`, which is `ml` v1 alone."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from urllib.parse import quote

from mlengine.client.http import Connection, Json
from mlengine.errors import Internal


class ServiceAccounts:
    """The service accounts of one project.

    Args:
        project: The project's id ("local").
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._parent = f"/v1/projects/{quote(project, safe='')}/serviceAccounts"

    def create(self, account_id: str, *, display_name: str, description: str) -> Json:
        """Make an account. Raises AlreadyExists, InvalidArgument."""
        said = {"displayName": display_name, "description": description}
        body = {"accountId": account_id, "serviceAccount": {key: text for key, text in said.items() if text}}
        return self._connection.call("POST", self._parent, body=body)

    def list(self, *, limit: int | None = None) -> Iterator[Json]:
        """All accounts in the order of their emails, at most `limit`."""
        return self._connection.listed(self._parent, "accounts", limit=limit)

    def get(self, email: str) -> Json:
        """One account. Raises NotFound."""
        return self._connection.call("GET", self._path(email))

    def delete(self, email: str) -> None:
        """Delete an account and its keys. Raises NotFound."""
        self._connection.call("DELETE", self._path(email))

    def create_key(self, email: str) -> tuple[Json, bytes]:
        """Make a key: the key, and the file that holds its private half, which can never be had again.

        Raises:
            NotFound: there is no such account.
            FailedPrecondition: it has as many keys as it may.
            Internal: the answer holds no key file.
        """
        key = self._connection.call("POST", f"{self._path(email)}/keys", body={})
        try:
            return key, base64.b64decode(key.pop("privateKeyData"), validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise Internal("The server's answer holds no key file.") from None

    def keys(self, email: str) -> Iterator[Json]:
        """The keys of an account, the oldest first. Raises NotFound."""
        yield from self._connection.call("GET", f"{self._path(email)}/keys").get("keys", [])

    def delete_key(self, email: str, key_id: str) -> None:
        """Delete a key. Raises NotFound."""
        self._connection.call("DELETE", f"{self._path(email)}/keys/{quote(key_id, safe='')}")

    def _path(self, email: str) -> str:
        return f"{self._parent}/{quote(email, safe='@')}"
