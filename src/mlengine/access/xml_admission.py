"""Who may use the Storage XML API: signers of URLs, holders of tokens, and those from whom none is wanted.

Apart from `guard`, because here a URL may be its own proof, and the verbs of objects tell what is wanted.
"""

from __future__ import annotations

from mlengine.access.directory import Identity
from mlengine.access.entrance import Entrance
from mlengine.access.guard import Guard
from mlengine.access.rules import Need, On
from mlengine.access.signed_urls import SignedUrls
from mlengine.web.method import Call


class XmlAdmission:
    """Lets calls pass.

    Args:
        signed: Checks signatures of URLs.
        guard: Checks permissions.
        entrance: Knows the accounts of signers.
    """

    def __init__(self, signed: SignedUrls, guard: Guard, entrance: Entrance) -> None:
        self._signed = signed
        self._guard = guard
        self._entrance = entrance

    def admit(self, call: Call) -> Call:
        """The call, in the form in which it is to be answered.

        Raises:
            Unauthenticated, PermissionDenied: it may not pass.
            InvalidArgument: its signature cannot be read.
        """
        call, signer = self._signed.admitted(call)
        if not signer:
            who = self._guard.identify(call)
        elif self._entrance.tokens_required:
            account = self._entrance.directory.accounts.get(signer)
            who = Identity(kind="account", email=signer, project=account.project if account else "")
        else:
            # Whoever comes without any proof is let in here: a good signature is no worse.
            return call
        if who.kind != "owner":
            for need in _needs(call):
                self._guard.check(who, need, call)
            if source := call.headers.get("x-goog-copy-source"):
                bucket = source.lstrip("/").partition("/")[0]
                asked = Call(path={"bucket": bucket})
                self._guard.check(who, Need("storage.objects.get", On.BUCKET), asked)
        return call


def _needs(call: Call) -> tuple[Need, ...]:
    if "upload_id" in call.query:
        return ()  # The session's id was given to who might begin it, and nobody can guess it.
    if "object" not in call.path:
        return (Need("storage.objects.list" if call.verb == "GET" else "storage.buckets.get", On.BUCKET),)
    if "uploadId" in call.query or call.verb in ("PUT", "POST"):
        return (Need("storage.objects.create", On.BUCKET),)
    verb = "delete" if call.verb == "DELETE" else "get"
    return (Need(f"storage.objects.{verb}", On.BUCKET),)
