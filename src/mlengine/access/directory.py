"""Everything needed to judge a request without asking a database: accounts, keys, policies as they are now.

The control plane makes one after each change and hands it to the gateway too, so that both judge alike. Pure;
no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from mlengine.access.jwt import BadToken, Jwt, check_time
from mlengine.access.policy import ACCOUNT, ANY_ACCOUNT, EVERYONE, collection_of, project_of
from mlengine.access.roles import AGENT, ROLES, least
from mlengine.access.tokens import PREFIX, SCOPES, AccessToken, opens
from mlengine.errors import PermissionDenied, Unauthenticated

_FULL = (next(iter(SCOPES)),)
# Whom a token is for where it names one of Google's services: all of them are here.
_GOOGLE = ".googleapis.com"
_LONGEST_SHOWN = 300  # of a resource's name, in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks.

    Attributes:
        kind: "owner" is whoever works on this machine, where no token is needed.
        email: Of the account; empty for owner and nobody.
        project: To which account or job belong.
        until: When this proof ends, in seconds since 1970; 0 for never.
        job: The job that asks, for kind "job".
    """

    kind: Literal["owner", "account", "job", "nobody"]
    email: str = ""
    project: str = ""
    key_id: str = ""
    scopes: tuple[str, ...] = _FULL
    until: float = 0.0
    token_id: str = ""
    job: str = ""

    @property
    def member(self) -> str:
        """As policies spell it."""
        return f"{ACCOUNT}{self.email}" if self.email else EVERYONE

    @property
    def words(self) -> str:
        """As messages spell it."""
        match self.kind:
            case "owner":
                return "the owner of this machine"
            case "nobody":
                return "a caller without credentials"
            case "job":
                return f"job {self.job} (as {self.email})"
        return self.email


OWNER = Identity(kind="owner")
NOBODY = Identity(kind="nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A service account that exists."""

    project: str
    unique_id: str
    keys: Mapping[str, str] = field(default_factory=dict)  # id to public key, as PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One state of all accounts and policies.

    Attributes:
        projects: Id to the email of its agent, which is who its jobs are.
        accounts: By email.
        revoked: Ids of tokens given back before their time.
        policies: Resource to role to members.
    """

    projects: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, Known] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    policies: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def numbers(self) -> dict[str, str]:
        """Each project's number, which its agent's email holds."""
        return {
            project: email.removeprefix("service-").partition("@")[0]
            for project, email in self.projects.items()
        }

    def bearer(self, token: AccessToken, now: float) -> Identity:
        """Who shows an access token.

        Raises:
            Unauthenticated: it has ended, was given back, or its key or account is gone.
        """
        if token.until <= now:
            raise _refused(
                f"The access token of {token.email} expired {now - token.until:.0f} seconds ago.",
                "Get a new one: mlengine auth print-access-token",
            )
        account = self.accounts.get(token.email)
        if account is None or account.unique_id != token.unique_id:
            raise _refused(f"Service account {token.email} was deleted, and so its tokens have ended.")
        if token.key_id not in account.keys:
            raise _refused(
                f"The key {token.key_id} of {token.email} was deleted: the tokens it asked for have ended.",
                f"Make another: mlengine iam service-accounts keys create FILE --iam-account={token.email}",
            )
        if token.token_id in self.revoked:
            raise _refused(
                f"The access token of {token.email} was revoked.",
                "Get a new one: mlengine auth print-access-token",
            )
        return Identity(
            kind="account",
            email=token.email,
            project=account.project,
            key_id=token.key_id,
            scopes=token.scopes,
            until=token.until,
            token_id=token.token_id,
        )

    def of_job(self, project: str, job: str) -> Identity | None:
        """Who a job of a project is; None for a project that is gone."""
        agent = self.projects.get(project)
        return Identity(kind="job", email=agent, project=project, job=job) if agent else None

    def concerns(self, jwt: Jwt) -> bool:
        """Whether a JWT claims to be of an account of ours, deleted ones included."""
        issuer = str(jwt.claims.get("iss", ""))
        domain = issuer.rpartition("@")[2]
        return issuer in self.accounts or domain.removesuffix(".iam.gserviceaccount.com") in self.projects

    def signer(self, jwt: Jwt, now: float) -> tuple[str, str]:
        """Email and id of the key that a JWT is proven to be signed by; its audience is not looked at.

        Raises:
            BadToken: it does not hold now, or no key of the account it names has signed it.
        """
        email = jwt.text("iss")
        account = self.accounts.get(email)
        if account is None:
            raise BadToken(
                f"There is no service account '{email[:200]}' on this server (claim 'iss').",
                hint="It was deleted, or the key file is of another server: look at its token_uri.",
            )
        if jwt.text("sub") not in ("", email):
            raise BadToken(
                f"{email} asks for the rights of '{jwt.text('sub')[:200]}' (claim 'sub'): nobody can act for "
                "somebody else here.",
                hint="Make the credentials without a subject.",
            )
        key_id = str(jwt.header.get("kid") or "")
        if key_id and key_id not in account.keys:
            raise BadToken(
                f"{email} has no key '{key_id[:80]}': it was deleted, or is of another server.",
                hint=f"Make another: mlengine iam service-accounts keys create FILE --iam-account={email}",
            )
        tried = {key_id: account.keys[key_id]} if key_id else account.keys
        signer = next((name for name, public in tried.items() if _is_signed(jwt, public)), "")
        if not signer:
            raise BadToken(
                f"The JWT's signature is not by {f'key {key_id}' if key_id else 'a key'} of {email}."
            )
        check_time(jwt, now)
        return email, signer

    def self_signed(self, jwt: Jwt, now: float, *, base_url: str) -> Identity:
        """Who shows a JWT of their own in place of an access token.

        Raises:
            Unauthenticated: it proves nothing, or is for somebody else.
        """
        email, key_id = self.signer(jwt, now)
        audience, scopes = jwt.text("aud"), tuple(jwt.text("scope").split())
        if audience and not _means_us(audience, base_url):
            raise BadToken(
                f"The JWT is for '{audience[:200]}' (claim 'aud'), and this is {base_url}.",
                hint=f"Sign one for {base_url}/ or for a service of Google's, or use {base_url}/token.",
            )
        if not audience and not scopes:
            raise BadToken("The JWT says neither whom it is for ('aud') nor what for ('scope').")
        return Identity(
            kind="account",
            email=email,
            project=self.accounts[email].project,
            key_id=key_id,
            scopes=scopes or _FULL,
            until=jwt.seconds("exp"),
        )

    def rights(self, who: Identity, resource: str) -> frozenset[str]:
        """All permissions of somebody on a resource, whatever scopes they came with."""
        if who.kind == "owner":
            return ROLES["roles/owner"]
        found: frozenset[str] = frozenset()
        project = project_of(resource)
        if who.kind == "job" and who.project == project:
            found = AGENT
        members = {EVERYONE, ANY_ACCOUNT, who.member} if who.email else {EVERYONE}
        for place in dict.fromkeys((f"projects/{project}", resource)):
            for role, granted in self.policies.get(place, {}).items():
                if not members.isdisjoint(granted):
                    found |= ROLES.get(role, frozenset())
        return found

    def allows(self, who: Identity, permission: str, resource: str) -> bool:
        """Whether somebody may."""
        if who.kind == "owner":
            return True
        return opens(who.scopes, permission) and permission in self.rights(who, resource)

    def check(self, who: Identity, permission: str, resource: str) -> None:
        """Whether somebody may.

        Raises:
            Unauthenticated: not without saying who it is.
            PermissionDenied: naming the check, the identity and the cure.
        """
        if self.allows(who, permission, resource):
            return
        resource = resource[:_LONGEST_SHOWN]
        if who.kind == "nobody":
            raise Unauthenticated(
                "Request is missing required authentication credential: nobody may use "
                f"{permission} on {resource} without an access token.",
                hint="Set MLENGINE_CREDENTIALS or GOOGLE_APPLICATION_CREDENTIALS to a key file made here.",
            )
        detail = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "iam.googleapis.com",
            "metadata": {"permission": permission, "resource": resource, "identity": who.email},
        }
        if not opens(who.scopes, permission):
            scopes = " ".join(who.scopes)
            raise PermissionDenied(
                f"The credentials of {who.words} have insufficient authentication scopes ({scopes}) for "
                f"{permission} on {resource}.",
                hint=f"Ask for the scope {_FULL[0]}.",
                details=(detail,),
            )
        raise PermissionDenied(
            f"Permission '{permission}' denied on resource '{resource}' (or it may not exist) for "
            f"{who.words}.",
            hint=_cure(who, permission, resource),
            details=(detail,),
        )

    def to_json(self) -> dict[str, Any]:
        """As it goes to the gateway."""
        return asdict(self) | {"revoked": sorted(self.revoked)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The directory that `to_json` wrote."""
        return cls(
            projects=value["projects"],
            accounts={email: Known(**known) for email, known in value["accounts"].items()},
            revoked=frozenset(value["revoked"]),
            policies=value["policies"],
        )


def is_access_token(text: str) -> bool:
    """Whether a bearer was made by `AccessTokens`, or pretends to be."""
    return text.startswith(PREFIX)


def _is_signed(jwt: Jwt, public_key: str) -> bool:
    # The library behind it takes time to load, and most requests never need it.
    from mlengine.access.rsa import is_signed

    return is_signed(jwt.signed, jwt.signature, public_key)


def _means_us(audience: str, base_url: str) -> bool:
    host = audience.partition("://")[2].partition("/")[0].partition(":")[0]
    return host.endswith(_GOOGLE) or f"{audience}/".startswith(f"{base_url}/")


def _cure(who: Identity, permission: str, resource: str) -> str:
    collection = collection_of(resource)
    role = least(permission, collection=collection) or least(permission)
    project = project_of(resource)
    if collection and least(permission, collection=collection):
        name = resource.split("/")[3]
        place = f"{collection} add-iam-policy-binding {name} --project={project}"
    else:
        place = f"projects add-iam-policy-binding {project}"
    return f"An owner can grant it: mlengine {place} --member={who.member} --role={role}"


def _refused(message: str, hint: str = "") -> Unauthenticated:
    return Unauthenticated(message, hint=hint)
