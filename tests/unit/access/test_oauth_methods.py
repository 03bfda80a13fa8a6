"""The paths of OAuth: forms in, JSON out, and every refusal in OAuth's words."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlengine.access.oauth_methods import methods
from mlengine.backends.database import SqlDatabase
from mlengine.web.method import Call, Reply
from mlengine.web.routing import Router
from tests.conftest import HandClock
from tests.unit.access.ground import BASE, EMAIL, Ground

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Api:
    """Calls the methods as the web door does."""

    def __init__(self, ground: Ground) -> None:
        self._router = Router(methods(ground.oauth))

    def __call__(
        self, verb: str, path: str, form: bytes | dict[str, str] = b"", bearer: str = "", **query: str
    ) -> tuple[int, dict[str, Any]]:
        method, _ = self._router.find(verb, path)
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        call = Call(
            path={}, verb=verb, target=path, query=query, headers=headers, base_url=BASE, body=iter((body,))
        )
        answer = method.handler(call)
        if isinstance(answer, Reply):
            assert isinstance(answer.content, dict)
            return answer.status, answer.content
        return 200, answer


@pytest.fixture
def ground(sqlite: SqlDatabase, clock: HandClock) -> Ground:
    return Ground(sqlite, clock)


@pytest.fixture
def api(ground: Ground) -> Api:
    return Api(ground)


def test_a_form_is_answered_with_a_token_that_tokeninfo_and_userinfo_know(api: Api, ground: Ground) -> None:
    status, answer = api("POST", "/token", {"grant_type": GRANT, "assertion": ground.assertion()})
    token = answer["access_token"]

    assert (status, answer["token_type"]) == (200, "Bearer")
    for verb, path in (("GET", "/tokeninfo"), ("GET", "/oauth2/v3/tokeninfo")):
        assert api(verb, path, access_token=token)[1]["email"] == EMAIL
    assert api("POST", "/tokeninfo", {"access_token": token})[1]["email"] == EMAIL
    unique_id = ground.accounts.get("local", EMAIL).unique_id
    assert api("GET", "/oauth2/v3/userinfo", bearer=token) == (
        200,
        {"sub": unique_id, "email": EMAIL, "email_verified": True},
    )
    assert api("POST", "/revoke", {"token": token}) == (200, {})
    assert api("GET", "/tokeninfo", access_token=token)[0] == 400
    assert api("GET", "/oauth2/v3/userinfo", bearer=token)[0] == 401


@pytest.mark.parametrize(
    ("form", "word"),
    [
        (b"", "invalid_request"),
        (b'{"grant_type": "x"}', "invalid_request"),
        (b"&".join(b"a=%d" % number for number in range(60)), "invalid_request"),
        (b"grant_type=" + b"x" * 70_000, "invalid_request"),
        (b"grant_type=\xff\xfe", "unsupported_grant_type"),
        (urlencode({"grant_type": GRANT}).encode(), "invalid_grant"),
    ],
)
def test_every_refusal_is_in_oauth_s_words(api: Api, form: bytes, word: str) -> None:
    status, answer = api("POST", "/token", form)

    assert (status, answer["error"]) == (400, word)
    assert set(answer) == {"error", "error_description"}


def test_the_keys_of_id_tokens_are_published(api: Api) -> None:
    status, answer = api("GET", "/oauth2/v3/certs")

    assert status == 200
    assert set(answer["keys"][0]) == {"kty", "alg", "use", "kid", "n", "e"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ"]), st.one_of(st.text(), st.integers(), st.none())
    ),
    claims=st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.text()),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["iss", "aud", "exp", "iat", "scope", "sub"]), inner)
        ),
    ),
)
def test_whatever_a_jwt_says_it_is_refused_and_nothing_breaks(
    api: Api, header: dict[str, Any], claims: Any
) -> None:
    import base64

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    assertion = f"{part({'alg': 'RS256'} | header)}.{part(claims)}.AAAA"

    status, answer = api("POST", "/token", {"grant_type": GRANT, "assertion": assertion})

    assert (status, answer["error"]) == (400, "invalid_grant")
