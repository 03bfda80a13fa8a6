"""What can be done with policies: read, replaced if nobody else has, and asked what they allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlengine.access import store
from mlengine.access.directory import Directory, Identity
from mlengine.access.policy import (
    ACCOUNT,
    ANY_ACCOUNT,
    EVERYONE,
    MOST_MEMBERS,
    Policy,
    collection_of,
)
from mlengine.access.roles import check_role
from mlengine.database import Database
from mlengine.errors import Conflict, InvalidArgument, NotFound, nearest


class PolicyService:
    """Policies of projects, models and jobs.

    Args:
        directory: The present state of accounts and policies.
        find: Raises NotFound for a resource that is not there.
        changed: Called when a policy has changed; it returns once that holds everywhere.
    """

    def __init__(
        self,
        database: Database,
        *,
        directory: Callable[[], Directory],
        find: Callable[[str], object],
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._directory = directory
        self._find = find
        self._changed = changed

    def get(self, resource: str) -> Policy:
        """The policy of a resource. Raises NotFound."""
        self._find(resource)
        with self._database.read() as db:
            return store.policy(db, resource)

    def set(
        self, resource: str, bindings: Mapping[str, Sequence[str]], *, generation: int | None = None
    ) -> Policy:
        """Replace the bindings of a resource.

        Args:
            generation: Of the policy that the new one was made from; None to replace whatever there is.

        Raises:
            NotFound: no such resource.
            InvalidArgument: an unknown role or member.
            Conflict: the policy has changed since `generation`.
        """
        self._find(resource)
        checked = self._checked(bindings, collection_of(resource))
        with self._database.begin() as db:
            old = store.policy(db, resource, lock=True)
            if generation is not None and generation != old.generation:
                raise Conflict(
                    f"There were concurrent policy changes: the policy of {resource} is no longer the one "
                    "that the etag is of.",
                    hint="Read it again (getIamPolicy), change that, and send it with its own etag.",
                )
            new = store.save_policy(
                db, Policy(resource=resource, generation=old.generation, bindings=checked)
            )
        self._changed()
        return new

    def grant(self, resource: str, role: str, member: str) -> None:
        """Give a role to one more member."""
        with self._database.begin() as db:
            store.save_policy(db, store.policy(db, resource, lock=True).granting(role, member))
        self._changed()

    def forget(self, resource: str) -> None:
        """The resource is gone: whatever is made later under its name begins without a policy."""
        with self._database.begin() as db:
            removed = store.remove_policies(db, resource)
        if removed:
            self._changed()

    def test(self, who: Identity, resource: str, permissions: Sequence[str]) -> list[str]:
        """Those of `permissions` that somebody has on a resource; none on one that is not there."""
        for permission in permissions:
            if "*" in permission or not permission:
                raise InvalidArgument(
                    f"'{permission[:80]}' is no permission: no wildcards can be tested.", field="permissions"
                )
        try:
            self._find(resource)
        except NotFound:
            return []
        directory = self._directory()
        return [permission for permission in permissions if directory.allows(who, permission, resource)]

    def _checked(self, bindings: Mapping[str, Sequence[str]], collection: str) -> dict[str, tuple[str, ...]]:
        directory = self._directory()
        if sum(map(len, bindings.values())) > MOST_MEMBERS:
            raise InvalidArgument(f"A policy has at most {MOST_MEMBERS} members.", field="policy.bindings")
        found = {
            check_role(role, collection=collection): tuple(
                sorted({_check_member(member, directory) for member in members})
            )
            for role, members in sorted(bindings.items())
        }
        return {role: members for role, members in found.items() if members}


def _check_member(member: str, directory: Directory) -> str:
    field = "policy.bindings.members"
    if member in (EVERYONE, ANY_ACCOUNT):
        return member
    kind, colon, email = member.partition(":")
    emails = [*directory.accounts, *directory.projects.values()]
    if kind == "serviceAccount":
        if email in emails:
            return member
        raise InvalidArgument(
            f"Service account {email[:200]} does not exist.", hint=nearest(email, emails), field=field
        )
    if colon:
        raise InvalidArgument(
            f"'{member[:200]}': members here are service accounts; there is no '{kind[:40]}'.",
            hint=f"Write {ACCOUNT}EMAIL, {EVERYONE} or {ANY_ACCOUNT}.",
            field=field,
        )
    close = nearest(member, [*(f"{ACCOUNT}{email}" for email in emails), EVERYONE, ANY_ACCOUNT])
    if member in emails:
        close = f"Did you mean '{ACCOUNT}{member}'?"
    raise InvalidArgument(
        f"'{member[:200]}' is no member.", hint=close or f"Write {ACCOUNT}EMAIL.", field=field
    )
