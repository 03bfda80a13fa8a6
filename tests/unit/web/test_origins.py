"""Requests that a page of another site made a browser send."""

from __future__ import annotations

import pytest

from mlengine.web.heads import Request
from mlengine.web.hosts import foreign_page


def asked(
    method: str = "POST", target: str = "/v1/projects/p/jobs", host: str = "127.0.0.1:8080", **fields: str
):
    found = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    return foreign_page(
        Request(
            method=method.encode(),
            target=target.encode(),
            headers=list(found.items()),
            fields=found,
            host=host.encode(),
            length=None,
            chunked=False,
            close=False,
            http10=False,
            by_length_only=False,
        )
    )


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1:8081", "http://localhost:8080", "null", "file://", ""],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_sites_page_changes_nothing(method: str, origin: str):
    problem = asked(method, origin=origin)

    assert problem is not None
    assert problem.status == "PERMISSION_DENIED"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_left_to_the_browsers_own_rule(method: str):
    assert asked(method, origin="https://evil.example") is None


def test_whoever_names_no_page_passes():
    assert asked() is None


def test_the_servers_own_pages_pass_whatever_scheme_a_proxy_speaks():
    assert asked(origin="http://127.0.0.1:8080") is None
    assert asked(origin="https://ML.example", host="ml.example") is None
    assert asked(origin="https://ml.example", host="10.0.0.7:8080", x_forwarded_host="ml.example") is None


def test_a_token_in_the_header_is_no_forgery():
    assert asked(origin="https://app.example", authorization="Bearer x") is None


def test_an_address_that_carries_its_right_takes_an_upload():
    assert asked("PUT", "/box/x?X-Goog-Signature=ab", origin="https://app.example") is None
    assert asked("PUT", "/upload/storage/v1/b/box/o?upload_id=ab", origin="https://app.example") is None
    assert asked("POST", "/v1/projects/p/jobs?upload_id=ab", origin="https://app.example") is not None
