"""Signed URLs, made by Google's own library, at the door of the XML API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from google.cloud.storage import _signing
from google.oauth2 import service_account

from mlengine.access.service import AccessService
from mlengine.access.signed_urls import SignedUrls
from mlengine.backends.database import SqlDatabase
from mlengine.errors import InvalidArgument, PermissionDenied, Problem
from mlengine.web.method import Call
from tests.conftest import HandClock

EMAIL = "trainer@demo-project.iam.gserviceaccount.com"
HOST = "127.0.0.1:8080"
Sign = Callable[..., str]


@pytest.fixture
def service(sqlite: SqlDatabase, clock: HandClock) -> AccessService:
    made = AccessService(sqlite, clock)
    made.create("demo-project", "trainer")
    return made


@pytest.fixture
def signer(service: AccessService) -> service_account.Credentials:
    _, private = service.create_key("demo-project", EMAIL)
    return service_account.Credentials.from_service_account_info(
        {"client_email": EMAIL, "private_key": private, "token_uri": "http://here/token"}
    )


@pytest.fixture
def sign(signer: service_account.Credentials, clock: HandClock) -> Sign:
    """Google's signing, at the time on our clock."""

    def signed(name: str = "/bucket/a%20b", seconds: int = 600, **more: Any) -> str:
        return str(
            _signing.generate_signed_url_v4(
                more.pop("credentials", signer),
                resource=name,
                expiration=timedelta(seconds=seconds),
                api_access_endpoint=f"http://{HOST}",
                _request_timestamp=clock.now.strftime("%Y%m%dT%H%M%SZ"),
                **more,
            )
        )

    return signed


@pytest.fixture
def urls(service: AccessService, clock: HandClock) -> SignedUrls:
    return SignedUrls(service, clock)


def call(url: str, verb: str = "GET", body: bytes = b"", **fields: str) -> Call:
    """The call that comes of a request to `url`."""
    parts = urlsplit(url)
    return Call(
        path={},
        verb=verb,
        target=f"{parts.path}?{parts.query}",
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={"host": HOST} | {name.replace("_", "-"): value for name, value in fields.items()},
        body=iter([body]),
    )


def reason(caught: pytest.ExceptionInfo[Problem]) -> str:
    return str(caught.value.details[0]["reason"])


def test_a_call_without_a_signature_passes_as_it_is(urls: SignedUrls) -> None:
    plain = call(f"http://{HOST}/bucket/a?generation=7")

    assert urls.admit(plain) is plain


def test_what_was_signed_passes_until_it_expires(urls: SignedUrls, sign: Sign, clock: HandClock) -> None:
    url = sign(seconds=600)

    urls.admit(call(url))
    clock.forward(600)
    urls.admit(call(url))
    clock.forward(1)
    with pytest.raises(PermissionDenied, match="expired at 2026-11-02T09:40:00Z") as caught:
        urls.admit(call(url))
    assert reason(caught) == "ExpiredToken"


def test_a_url_holds_for_seven_days_at_most(urls: SignedUrls, sign: Sign) -> None:
    url = sign(seconds=7 * 24 * 3600)
    urls.admit(call(url))

    longer = url.replace("X-Goog-Expires=604800", "X-Goog-Expires=604801")
    with pytest.raises(InvalidArgument, match="7 days"):
        urls.admit(call(longer))


def test_a_url_of_tomorrow_does_not_hold_yet(urls: SignedUrls, sign: Sign, clock: HandClock) -> None:
    clock.forward(3600)
    url = sign()
    clock.forward(-3600)

    with pytest.raises(PermissionDenied, match="holds from") as caught:
        urls.admit(call(url))
    assert reason(caught) == "RequestNotYetValid"


@pytest.mark.parametrize(
    "tamper",
    [
        lambda url: call(url, verb="PUT"),
        lambda url: call(url, verb="HEAD"),
        lambda url: call(url.replace("/bucket/a%20b", "/bucket/a%20c")),
        lambda url: call(url.replace("X-Goog-Expires=600", "X-Goog-Expires=601")),
        lambda url: call(url.replace("T093000Z", "T093001Z")),
        lambda url: call(url + "&generation=7"),
        lambda url: call(url, host="127.0.0.1:9999"),
        lambda url: call(url.replace("auto%2Fstorage", "us%2Fstorage")),
        lambda url: call(url[:-2] + ("00" if url[-2:] != "00" else "11")),
    ],
)
def test_what_was_not_signed_does_not_pass(
    urls: SignedUrls, sign: Sign, tamper: Callable[[str], Call]
) -> None:
    with pytest.raises(PermissionDenied) as caught:
        urls.admit(tamper(sign()))

    assert reason(caught) == "SignatureDoesNotMatch"
    assert caught.value.details[0]["metadata"]["CanonicalRequest"]


def test_an_empty_signature_is_none(urls: SignedUrls, sign: Sign) -> None:
    url, _, _ = sign().partition("&X-Goog-Signature=")

    for stripped in (url, url + "&X-Goog-Signature=", f"http://{HOST}/bucket/a?X-Goog-Signature=00"):
        with pytest.raises(InvalidArgument, match="is signed, but has no"):
            urls.admit(call(stripped))


def test_anothers_key_does_not_pass(urls: SignedUrls, sign: Sign, service: AccessService) -> None:
    service.create("demo-project", "another")
    other = EMAIL.replace("trainer", "another")
    _, private = service.create_key("demo-project", other)
    forged = service_account.Credentials.from_service_account_info(
        {"client_email": EMAIL, "private_key": private, "token_uri": "http://here/token"}
    )

    with pytest.raises(PermissionDenied) as caught:
        urls.admit(call(sign(credentials=forged)))
    assert reason(caught) == "SignatureDoesNotMatch"


def test_a_deleted_account_is_named(urls: SignedUrls, sign: Sign, service: AccessService) -> None:
    url = sign()
    service.delete("demo-project", EMAIL)

    with pytest.raises(PermissionDenied, match=EMAIL) as caught:
        urls.admit(call(url))
    assert reason(caught) == "InvalidSecurity"


def test_headers_that_change_the_meaning_must_be_signed(urls: SignedUrls, sign: Sign) -> None:
    url = sign(method="PUT", headers={"x-goog-meta-k": "a  b"}, content_type="text/plain")

    urls.admit(call(url, "PUT", x_goog_meta_k="a b", content_type="text/plain", user_agent="curl"))
    with pytest.raises(PermissionDenied, match="x-goog-copy-source was sent"):
        urls.admit(
            call(
                url, "PUT", x_goog_meta_k="a b", content_type="text/plain", x_goog_copy_source="/other/secret"
            )
        )
    with pytest.raises(PermissionDenied, match="content-type was signed, but not sent"):
        urls.admit(call(url, "PUT", x_goog_meta_k="a b"))
    with pytest.raises(PermissionDenied) as caught:
        urls.admit(call(url, "PUT", x_goog_meta_k="a b", content_type="text/html"))
    assert reason(caught) == "SignatureDoesNotMatch"


def test_a_signed_digest_is_held_against_the_body(urls: SignedUrls, sign: Sign) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    url = sign(method="PUT", headers={"x-goog-content-sha256": digest})

    good = urls.admit(call(url, "PUT", b"hello", x_goog_content_sha256=digest))
    assert b"".join(good.body) == b"hello"
    bad = urls.admit(call(url, "PUT", b"hellO", x_goog_content_sha256=digest))
    with pytest.raises(InvalidArgument, match="SHA-256"):
        list(bad.body)


@pytest.mark.parametrize(
    "name",
    ["/bucket/" + quote(name, safe="/~") for name in ("a", "a b#?%+~", "한국어/x", "a//b", "line\nbreak")],
)
def test_clients_may_encode_otherwise_than_they_signed(urls: SignedUrls, sign: Sign, name: str) -> None:
    url = sign(name=name, query_parameters={"generation-x": "7", "generation": "8", "uploads": ""})

    urls.admit(call(url))
    urls.admit(call(url.replace(name, name.replace("a", "%61"))))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256"),
        ("%2Fstorage%2Fgoog4_request", "%2Fs3%2Faws4_request"),
        ("X-Goog-Expires=600", "X-Goog-Expires=0"),
        ("X-Goog-Expires=600", "X-Goog-Expires=-1"),
        ("X-Goog-Date=20261102", "X-Goog-Date=20261103"),
        ("X-Goog-Date=20261102T093000Z", "X-Goog-Date=20261102T999999Z"),
        ("X-Goog-SignedHeaders=host", "X-Goog-SignedHeaders=date"),
        ("X-Goog-Signature=", "X-Goog-Signature=zz"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(urls: SignedUrls, sign: Sign, old: str, new: str) -> None:
    url = sign()
    assert old in url

    with pytest.raises(InvalidArgument, match="X-Goog-"):
        urls.admit(call(url.replace(old, new)))


def test_a_url_of_version_two_is_refused_and_not_let_in(
    urls: SignedUrls, signer: service_account.Credentials
) -> None:
    until = datetime(2026, 11, 2, 10, tzinfo=UTC)
    url = _signing.generate_signed_url_v2(signer, "/bucket/a", until, api_access_endpoint=f"http://{HOST}")

    with pytest.raises(InvalidArgument, match="version 2"):
        urls.admit(call(url))
