"""Pairs of RSA keys and their signatures. Apart, because the library behind it takes time to load."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_BITS = 2048


def make_pair() -> tuple[str, str]:
    """A new private key and its public half, both as PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


def is_signed(content: bytes, signature: bytes, public_key: str) -> bool:
    """Whether `signature` (RSASSA-PKCS1-v1_5 with SHA-256) of `content` was made with the other half."""
    key = serialization.load_pem_public_key(public_key.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def sign(content: bytes, private_key: str) -> bytes:
    """The signature (RSASSA-PKCS1-v1_5 with SHA-256) of `content`."""
    return _private(private_key).sign(content, padding.PKCS1v15(), hashes.SHA256())


def public_numbers(private_key: str) -> tuple[int, int]:
    """Modulus and exponent of the public half."""
    numbers = _private(private_key).public_key().public_numbers()
    return numbers.n, numbers.e


def _private(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
