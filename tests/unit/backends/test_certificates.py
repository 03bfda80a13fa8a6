"""The server's certificates: made once, renewed in time, good for our names, and kept from others."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from mlengine.backends.certificates import (
    AUTHORITY_LIFE,
    RENEWED_BEFORE,
    SERVER_LIFE,
    Certificates,
    roots_file,
)
from mlengine.backends.keys import job_secret, keys_folder
from mlengine.clock import system_clock
from mlengine.errors import FailedPrecondition
from tests.conftest import HandClock

NAMES = ("storage.example.com", "127.0.0.1")


class Moved:
    """The present moment and what is added to it: a handshake looks at the machine's own clock."""

    def __init__(self) -> None:
        self.added = timedelta(0)

    def __call__(self):
        return system_clock() + self.added


def handshake(server_file: Path, roots: Path, name: str) -> dict:
    """What a client that trusts `roots` learns of the certificate of a server called `name`."""
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offered.load_cert_chain(server_file)
    trusted = ssl.create_default_context(cafile=str(roots))
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()
    with here, there:

        def serve() -> None:
            try:
                offered.wrap_socket(there, server_side=True).close()
            except (ssl.SSLError, OSError):
                there.close()  # The client does not trust us and has left.

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with trusted.wrap_socket(here, server_hostname=name) as wire:
                return wire.getpeercert() or {}
        finally:
            here.close()
            thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "storage.example.com"])
def test_a_client_that_trusts_our_roots_accepts_the_server_under_each_of_its_names(tmp_path, name):
    certificates = Certificates(tmp_path, NAMES, system_clock)
    server_file = certificates.renew()
    certificates.gather_roots({})

    assert handshake(server_file, roots_file(tmp_path), name)["issuer"]


def test_no_other_name_is_accepted_and_nobody_who_trusts_others(tmp_path):
    certificates = Certificates(tmp_path / "a", NAMES, system_clock)
    other = Certificates(tmp_path / "b", NAMES, system_clock)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    server_file = certificates.renew()
    other.renew()

    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(server_file, tmp_path / "a" / "authority.pem", "www.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_file, tmp_path / "b" / "authority.pem", "localhost")


def test_with_a_stolen_key_no_other_host_can_be_played(tmp_path):
    from mlengine.backends.authority import Pair, sign_server

    Certificates(tmp_path, NAMES, system_clock).renew()
    stolen = Pair(
        key=(tmp_path / "authority.key").read_bytes(),
        certificate=(tmp_path / "authority.pem").read_bytes(),
    )
    now = system_clock()
    forged = sign_server(stolen, ["bank.example"], now=now, until=now + timedelta(days=1))
    (tmp_path / "forged.pem").write_bytes(forged.key + forged.certificate)

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(tmp_path / "forged.pem", tmp_path / "authority.pem", "bank.example")


def test_what_is_good_stays_as_it_is(tmp_path, clock: HandClock):
    Certificates(tmp_path, NAMES, clock).renew()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    clock.now += SERVER_LIFE - RENEWED_BEFORE - timedelta(days=1)

    Certificates(tmp_path, NAMES, clock).renew()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_server_s_certificate_is_renewed_before_it_expires_by_the_same_authority(tmp_path):
    clock = Moved()
    clock.added = -(SERVER_LIFE - RENEWED_BEFORE + timedelta(days=1))
    certificates = Certificates(tmp_path, NAMES, clock)
    first = certificates.renew().read_bytes()
    authority = (tmp_path / "authority.pem").read_bytes()
    clock.added = timedelta(0)

    second = certificates.renew()

    assert second.read_bytes() != first
    assert (tmp_path / "authority.pem").read_bytes() == authority
    assert handshake(second, tmp_path / "authority.pem", "localhost")


def test_an_authority_that_would_not_outlive_its_certificates_is_replaced(tmp_path, clock: HandClock):
    certificates = Certificates(tmp_path, NAMES, clock)
    certificates.renew()
    authority = (tmp_path / "authority.pem").read_bytes()
    clock.now += AUTHORITY_LIFE - SERVER_LIFE + timedelta(days=1)

    certificates.renew()

    assert (tmp_path / "authority.pem").read_bytes() != authority


@pytest.mark.parametrize("lost", ["authority.key", "authority.pem", "server.pem", "certificates.json"])
def test_what_is_lost_is_made_again_and_fits(tmp_path, lost):
    certificates = Certificates(tmp_path, NAMES, system_clock)
    certificates.renew()
    (tmp_path / lost).unlink()

    server_file = certificates.renew()

    assert handshake(server_file, tmp_path / "authority.pem", "localhost")


def test_a_new_name_gets_a_certificate(tmp_path):
    Certificates(tmp_path, NAMES, system_clock).renew()

    server_file = Certificates(tmp_path, (*NAMES, "ml.example.com"), system_clock).renew()

    assert handshake(server_file, tmp_path / "authority.pem", "ml.example.com")


def test_only_the_owner_reads_the_keys(tmp_path):
    folder = keys_folder(tmp_path)
    Certificates(folder, NAMES, system_clock).renew()
    job_secret(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("authority.key", "server.pem", "jobs.secret"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_the_roots_are_those_the_machine_names_and_ours(tmp_path):
    own, shared = tmp_path / "own.pem", tmp_path / "shared.pem"
    own.write_text("OWN")
    shared.write_text("SHARED")
    certificates = Certificates(tmp_path, NAMES, system_clock)
    certificates.renew()
    machine = {"SSL_CERT_FILE": str(own), "REQUESTS_CA_BUNDLE": str(shared), "CURL_CA_BUNDLE": str(own)}

    certificates.gather_roots(machine)

    ours = (tmp_path / "authority.pem").read_text()
    assert roots_file(tmp_path).read_text() == f"OWN\nSHARED\n{ours}"
    # A server started in a job is told to trust the roots of another, or even its own.
    certificates.gather_roots({"SSL_CERT_FILE": str(roots_file(tmp_path))})
    assert roots_file(tmp_path).read_text().count("BEGIN CERTIFICATE") == 1


def test_the_secret_of_jobs_stays_the_same_and_a_broken_one_is_named(tmp_path):
    secret = job_secret(tmp_path)

    assert len(secret) == 32
    assert job_secret(tmp_path) == secret
    (tmp_path / "jobs.secret").write_bytes(b"short")
    with pytest.raises(FailedPrecondition, match=r"jobs.secret has 5 bytes, not 32"):
        job_secret(tmp_path)
