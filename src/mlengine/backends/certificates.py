"""The certificates of this server as files, made when they are missing and again before they expire.

DATA/keys holds

    authority.key, authority.pem    our own certificate authority
    server.pem                      key and certificate of the server, and the authority's certificate
    certificates.json               when each expires, and for which names it is
    roots.pem                       the authorities this machine trusts, and ours: for clients of this server
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import certifi

from mlengine.backends.keys import write_private
from mlengine.clock import Clock, from_text, to_text

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
AUTHORITY_LIFE = timedelta(days=20 * 365)
# Some clients take no certificate that is valid for more than 825 days.
SERVER_LIFE = timedelta(days=820)
RENEWED_BEFORE = timedelta(days=90)
# By these a machine says which authorities its programs trust.
_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_USUAL_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def roots_file(folder: Path) -> Path:
    """What clients are told to trust, of the server whose keys lie in `folder`."""
    return folder / "roots.pem"


class Certificates:
    """The certificates of one server.

    Args:
        folder: DATA/keys.
        names: Host names and addresses of the server besides those of loopback.
    """

    def __init__(self, folder: Path, names: Sequence[str], clock: Clock) -> None:
        self._folder = folder
        self._names = sorted({*LOOPBACK_NAMES, *names})
        self._clock = clock

    def renew(self) -> Path:
        """Make what is missing, expires soon, or is for other names; the file of the server's certificate.

        Raises:
            OSError: the folder cannot be written.
        """
        facts = self._facts()
        # The authority must outlive what it signs from now on.
        if not self._lasts(facts, "authority", SERVER_LIFE) or not self._path("authority.key").exists():
            facts = self._make_authority()
        if not self._lasts(facts, "server", RENEWED_BEFORE):
            self._make_server(facts)
        return self._path("server.pem")

    def gather_roots(self, machine: Mapping[str, str]) -> None:
        """Write what clients are told to trust: what this machine trusts, and our authority.

        Args:
            machine: Variables by which this machine may say whom it trusts.
        """
        target = roots_file(self._folder)
        ours = self._path("authority.pem")
        trusted = [path.read_text(errors="replace") for path in _machine_roots(machine) if path != target]
        text = "\n".join(dict.fromkeys([*trusted, ours.read_text()]))
        if not target.exists() or target.read_text(errors="replace") != text:
            partial = target.with_suffix(".partial")
            partial.write_text(text)
            partial.replace(target)

    def _lasts(self, facts: Mapping[str, object], what: str, time: timedelta) -> bool:
        try:
            good = facts["names"] == self._names and from_text(str(facts[what])) - self._clock() > time
        except (KeyError, ValueError):
            return False
        return good and self._path(f"{what}.pem").exists()

    def _facts(self) -> dict[str, object]:
        """What certificates.json says; by it nobody has to load the library that reads certificates."""
        try:
            facts = json.loads(self._path("certificates.json").read_text())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def _make_authority(self) -> dict[str, object]:
        from mlengine.backends.authority import make_authority

        now = self._clock()
        until = now + AUTHORITY_LIFE
        made = make_authority(f"mlengine authority of {now:%Y-%m-%d}", self._names, now=now, until=until)
        write_private(self._path("authority.key"), made.key)
        write_private(self._path("authority.pem"), made.certificate)
        # No word of the server's certificate: it is another authority's, and made anew.
        return self._note({"names": self._names, "authority": to_text(until)})

    def _make_server(self, facts: Mapping[str, object]) -> None:
        from mlengine.backends.authority import Pair, sign_server

        now = self._clock()
        until = now + SERVER_LIFE
        authority = Pair(
            key=self._path("authority.key").read_bytes(),
            certificate=self._path("authority.pem").read_bytes(),
        )
        made = sign_server(authority, self._names, now=now, until=until)
        write_private(self._path("server.pem"), made.key + made.certificate)
        self._note({**facts, "server": to_text(until)})

    def _note(self, facts: dict[str, object]) -> dict[str, object]:
        write_private(self._path("certificates.json"), json.dumps(facts).encode())
        return facts

    def _path(self, name: str) -> Path:
        return self._folder / name


def _machine_roots(machine: Mapping[str, str]) -> Iterable[Path]:
    """The files of authorities that programs on this machine trust."""
    told = [Path(machine[name]) for name in _VARIABLES if machine.get(name)]
    paths = ssl.get_default_verify_paths()
    usual = [Path(path) for path in (paths.cafile, paths.openssl_cafile, *_USUAL_ROOTS) if path]
    first = [path for path in usual if path.is_file()][:1]
    # Systems that keep no such file leave it to the programs, which then mostly bring this one.
    return [path for path in told if path.is_file()] or first or [Path(certifi.where())]
