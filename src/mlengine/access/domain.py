"""Who asks, and how that is known: tokens of jobs, service accounts and their keys. Pure; no I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from mlengine.errors import InvalidArgument

MOST_KEYS = 10  # of one account, as Google has it
_ACCOUNT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", re.ASCII)


class JobTokens:
    """Makes the tokens of jobs and knows them again.

    A token is `JOB.MAC`, the job's id and a code that only the holder of the secret can make. So nothing has
    to be kept or told: whoever has the secret, before or after a restart, sees which job a token is of.
    """

    def __init__(self, secret: bytes) -> None:
        """`secret`: at least 32 random bytes."""
        self._secret = secret

    def issue(self, job_id: str) -> str:
        """The token of a job; always the same one."""
        return f"{job_id}.{self._code(job_id)}"

    def job_of(self, token: str) -> str | None:
        """The job whose token this is, or None if we did not make it."""
        job_id, dot, code = token.rpartition(".")
        # Bytes, because text that is not ASCII cannot be compared without telling how far it agreed.
        genuine = hmac.compare_digest(code.encode(), self._code(job_id).encode())
        return job_id if dot and genuine else None

    def _code(self, job_id: str) -> str:
        # The first word keeps these apart from whatever else the secret may sign one day.
        code = hmac.digest(self._secret, b"job\0" + job_id.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(code[:24]).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """An identity for a program.

    Attributes:
        email: NAME@PROJECT.iam.gserviceaccount.com; unique in the whole server.
        unique_id: 21 digits, never given twice: an account made later under the same email is another.
    """

    email: str
    project: str
    unique_id: str
    created: datetime
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """A key of a service account; only its owner has the private half.

    Attributes:
        key_id: 40 hexadecimal digits.
        public_key: The public half as PEM.
    """

    email: str
    key_id: str
    project: str
    public_key: str
    created: datetime


def email_of(account_id: str, project: str) -> str:
    """The email of an account that may be made.

    Raises:
        InvalidArgument: the id is not spelled like one.
    """
    if not _ACCOUNT_ID.fullmatch(account_id):
        raise InvalidArgument(
            f"'{account_id[:80]}' is no service account id: 6 to 30 small letters, digits and hyphens, "
            "a letter first and no hyphen last.",
            field="account_id",
        )
    return f"{account_id}@{project}.iam.gserviceaccount.com"
