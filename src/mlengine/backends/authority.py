"""Making X.509 certificates: an authority, and a server certificate that it signs.

Apart from `certificates`, which knows the files and is read at every start, because the library used here
takes time to load and is needed once in two years.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# The clocks of clients differ from ours.
_BACKDATED = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key and its certificate, both as PEM."""

    key: bytes
    certificate: bytes


def make_authority(title: str, names: Sequence[str], *, now: datetime, until: datetime) -> Pair:
    """An authority that can vouch for the hosts among `names` and for no others.

    Args:
        title: What a person sees who looks at it.
        names: Hosts and addresses. With a stolen key nobody can play any other host to those who trust it.
        now: The present moment.
        until: When it expires.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(title)
    # Hosts only. BoringSSL, which TensorFlow has in it, refuses what an authority limits to addresses.
    permitted = [each for each in map(_general_name, names) if isinstance(each, x509.DNSName)]
    certificate = (
        _begun(name, name, key.public_key(), now=now, until=until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(key=_pem(key), certificate=certificate.public_bytes(serialization.Encoding.PEM))


def sign_server(authority: Pair, names: Sequence[str], *, now: datetime, until: datetime) -> Pair:
    """A key and certificate for a server that is called `names`, the authority's certificate behind its own.

    Args:
        authority: Made by `make_authority` for these names.
        names: Host names and addresses.
        now: The present moment.
        until: When it expires.
    """
    signer = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _begun(_name("mlengine server"), issuer.subject, key.public_key(), now=now, until=until)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    own = certificate.public_bytes(serialization.Encoding.PEM)
    return Pair(key=_pem(key), certificate=own + authority.certificate)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(until)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
