"""The token endpoint: what opens, and how each thing that does not is refused."""

from __future__ import annotations

from typing import Any

import pytest
from google.auth import jwt as google_jwt

from mlengine.access import rsa
from mlengine.access.oauth import OAuthError
from mlengine.backends.database import SqlDatabase
from mlengine.errors import Unauthenticated
from tests.conftest import HandClock
from tests.unit.access.ground import BASE, EMAIL, GOOGLE, SCOPE, Ground, unsigned

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def ground(sqlite: SqlDatabase, clock: HandClock) -> Ground:
    return Ground(sqlite, clock)


def refused(ground: Ground, **form: str) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        ground.oauth.grant({"grant_type": GRANT} | form, base_url=BASE)
    return caught.value


@pytest.mark.parametrize("audience", [GOOGLE, f"{BASE}/token"])
def test_both_audiences_are_answered_with_a_bearer_for_an_hour(ground: Ground, audience: str) -> None:
    form = {"grant_type": GRANT, "assertion": ground.assertion(aud=audience)}

    answer = ground.oauth.grant(form, base_url=BASE)

    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    who = ground.entrance.identify(f"Bearer {answer['access_token']}", ground.now())
    assert (who.kind, who.email, who.project, who.key_id) == ("account", EMAIL, "local", ground.key.key_id)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "https://elsewhere/token"}, r"it is for 'https://elsewhere/token' \(claim 'aud'\)"),
        ({"aud": None}, r"claim 'aud'"),
        ({"iss": "nobody@local.iam.gserviceaccount.com"}, r"no service account 'nobody@local"),
        ({"iss": 7}, r"claim 'iss' is not a text"),
        ({"sub": "boss@example.com"}, r"asks for the rights of 'boss@example.com' \(claim 'sub'\)"),
        ({"kid": "0" * 40}, r"has no key '0{40}': it was deleted, or is of another server"),
        ({"key": rsa.make_pair()[0]}, r"signature is not by key [0-9a-f]{40} of caller@"),
        ({"iat": 1, "exp": 3601}, r"expired \d+ seconds ago \(claim 'exp'\)"),
        ({"exp": None}, r"claim 'exp' is no moment"),
        ({"exp": True}, r"claim 'exp' is no moment"),
        ({"iat": 10**11, "exp": 10**11 + 60}, r"seconds in the future \(claim 'iat'\)"),
        ({"exp": 10**11}, r"1 to 3600 are allowed"),
    ],
)
def test_a_wrong_assertion_is_refused_with_its_reason(
    ground: Ground, changes: dict[str, Any], reason: str
) -> None:
    refusal = refused(ground, assertion=ground.assertion(**changes))

    assert refusal.word == "invalid_grant"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(refusal.description)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c",
        "....",
        "x" * 20_000,
        unsigned({"alg": "none"}, {"iss": EMAIL}),
        unsigned({"alg": "HS256"}, {"iss": EMAIL}),
        unsigned({"alg": "RS256"}, {"iss": EMAIL, "aud": GOOGLE, "scope": SCOPE}),
        unsigned({"alg": ["RS256"]}, {}),
    ],
)
def test_what_is_no_signed_jwt_is_an_invalid_grant(ground: Ground, text: str) -> None:
    assert refused(ground, assertion=text).word == "invalid_grant"


def test_a_tampered_assertion_is_refused(ground: Ground) -> None:
    head, _, signature = ground.assertion().split(".")
    other = ground.assertion(scope=f"{SCOPE} openid").split(".")[1]

    assert "signature is not by key" in refused(ground, assertion=f"{head}.{other}.{signature}").description


def test_clocks_may_differ_by_minutes(ground: Ground, clock: HandClock) -> None:
    now = int(ground.now())

    assert ground.token(iat=now + 200, exp=now + 3700)
    assert ground.token(iat=now - 3700, exp=now - 200)


def test_scopes_that_are_not_known_and_none_at_all_are_refused(ground: Ground) -> None:
    unknown = refused(ground, assertion=ground.assertion(scope=f"{SCOPE} {SCOPE}s"))
    none = refused(ground, assertion=ground.assertion(scope=None))

    assert (unknown.word, none.word) == ("invalid_scope", "invalid_scope")
    assert f"There is no scope '{SCOPE}s'" in unknown.description


def test_other_grants_are_refused_clearly(ground: Ground) -> None:
    assert refused(ground, grant_type="").word == "invalid_request"
    assert refused(ground, grant_type="password").word == "unsupported_grant_type"
    refresh = refused(ground, grant_type="refresh_token", refresh_token="1//x")
    assert refresh.word == "invalid_grant" and "keys create" in refresh.description


def test_a_target_audience_is_answered_with_an_id_token_that_others_can_check(ground: Ground) -> None:
    assertion = ground.assertion(scope=None, target_audience="https://service.example")

    answer = ground.oauth.grant({"grant_type": GRANT, "assertion": assertion}, base_url=BASE)

    assert list(answer) == ["id_token"]
    claims = google_jwt.decode(answer["id_token"], verify=False)
    assert (claims["aud"], claims["email"]) == ("https://service.example", EMAIL)
    published = ground.oauth.certificates()["keys"][0]
    assert published["kid"] == google_jwt.decode_header(answer["id_token"])["kid"]


def test_a_token_of_a_deleted_key_or_account_opens_nothing_more(ground: Ground) -> None:
    header = f"Bearer {ground.token()}"
    assert ground.entrance.identify(header, ground.now()).email == EMAIL

    ground.accounts.delete_key("local", EMAIL, ground.key.key_id)

    with pytest.raises(Unauthenticated, match="was deleted: the tokens it asked for have ended"):
        ground.entrance.identify(header, ground.now())
    assert ground.key.key_id not in ground.pushed[-1]["accounts"][EMAIL]["keys"]
    assert "has no key" in refused(ground, assertion=ground.assertion()).description
    ground.accounts.delete("local", EMAIL)
    ground.accounts.create("local", "caller")
    with pytest.raises(Unauthenticated, match=f"{EMAIL} was deleted"):
        ground.entrance.identify(header, ground.now())


def test_a_token_ends_after_an_hour(ground: Ground, clock: HandClock) -> None:
    header = f"Bearer {ground.token()}"
    clock.forward(3599)
    assert ground.entrance.identify(header, ground.now()).email == EMAIL

    clock.forward(2)

    with pytest.raises(Unauthenticated, match="expired 1 seconds ago"):
        ground.entrance.identify(header, ground.now())


def test_a_revoked_token_ends_at_once_and_no_other_does(ground: Ground, clock: HandClock) -> None:
    one, other = ground.token(), ground.token()

    ground.oauth.revoke(one)

    with pytest.raises(Unauthenticated, match="was revoked"):
        ground.entrance.identify(f"Bearer {one}", ground.now())
    assert ground.entrance.identify(f"Bearer {other}", ground.now()).email == EMAIL
    assert len(ground.pushed[-1]["revoked"]) == 1
    with pytest.raises(OAuthError, match="was revoked"):
        ground.oauth.revoke(one)
    clock.forward(3601)
    ground.publisher.refresh()
    assert ground.pushed[-1]["revoked"] == []


def test_what_a_token_says_can_be_asked(ground: Ground) -> None:
    info = ground.oauth.info(f"Bearer {ground.token()}", base_url=BASE)

    assert (info["email"], info["scope"], info["expires_in"]) == (EMAIL, SCOPE, "3600")
    for shown in ("Bearer ya29.somebody-else-s", "", f"Bearer {ground.token()}x"):
        with pytest.raises(OAuthError) as caught:
            ground.oauth.info(shown, base_url=BASE)
        assert caught.value.word == "invalid_token"


def test_a_job_s_key_file_opens_by_the_job_s_token(ground: Ground) -> None:
    token = ground.job_tokens.issue("local.train_7")
    assertion = ground.assertion(iss="agent@anything", kid=token, key=rsa.make_pair()[0])

    answer = ground.oauth.grant({"grant_type": GRANT, "assertion": assertion}, base_url=BASE)

    assert answer["access_token"] == token
    who = ground.entrance.identify(f"Bearer {assertion}", ground.now(), base_url=BASE)
    assert (who.kind, who.job, who.project) == ("job", "train_7", "local")
