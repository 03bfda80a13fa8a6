"""Who is recognised by what they show: access tokens, JWTs of their own, tokens of jobs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mlengine.access.directory import NOBODY, OWNER, Directory
from mlengine.access.entrance import Entrance
from mlengine.backends.database import SqlDatabase
from mlengine.errors import Unauthenticated
from tests.conftest import HandClock
from tests.unit.access.ground import ACCESS_TOKENS, BASE, EMAIL, Ground


@pytest.fixture
def ground(sqlite: SqlDatabase, clock: HandClock) -> Ground:
    return Ground(sqlite, clock)


@pytest.fixture
def both(ground: Ground) -> tuple[Entrance, Entrance]:
    """The same server, with tokens wanted and not."""
    loose = Entrance(
        tokens_required=False, tokens=ACCESS_TOKENS, job_tokens=ground.job_tokens, first_project="local"
    )
    loose.use(ground.entrance.directory)
    return ground.entrance, loose


def test_without_a_header_it_is_the_owner_where_no_token_is_wanted_and_nobody_elsewhere(
    both: tuple[Entrance, Entrance],
) -> None:
    strict, loose = both

    assert strict.identify("", 0) is NOBODY
    assert loose.identify("", 0) is OWNER


@pytest.mark.parametrize(
    "header", ["Bearer made-up", "Bearer ya29.a0Af", "Bearer a.b.c", "Basic bm86bm8=", "Negotiate x", "x"]
)
def test_what_is_none_of_ours_is_ignored_where_no_token_is_wanted_and_refused_elsewhere(
    both: tuple[Entrance, Entrance], header: str
) -> None:
    strict, loose = both

    assert loose.identify(header, 0) is OWNER
    with pytest.raises(Unauthenticated, match="no token of this server"):
        strict.identify(header, 0)


def test_a_bad_token_of_ours_is_refused_everywhere(ground: Ground, both: tuple[Entrance, Entrance]) -> None:
    token = ground.token()
    last = "A" if token[-1] != "A" else "B"

    for changed in (
        token[:-1] + last,
        token[:6] + "x" + token[7:],
        token.partition(".")[0],
        "mlat_",
        "mlat_é.é",
    ):
        for entrance in both:
            with pytest.raises(Unauthenticated):
                entrance.identify(f"Bearer {changed}", ground.now())
    assert both[1].identify(f"Bearer {token}", ground.now()).email == EMAIL


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"scope": None, "aud": "https://ml.googleapis.com/"},
        {"scope": None, "aud": "https://storage.googleapis.com/"},
        {"scope": None, "aud": f"{BASE}/"},
    ],
)
def test_a_jwt_signed_by_the_account_itself_opens(ground: Ground, claims: dict[str, Any]) -> None:
    who = ground.entrance.identify(
        f"Bearer {ground.assertion(sub=EMAIL, **claims)}", ground.now(), base_url=BASE
    )

    assert (who.kind, who.email, who.key_id) == ("account", EMAIL, ground.key.key_id)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://elsewhere.example/"}, "claim 'aud'"),
        ({"aud": "https://googleapis.com.example/"}, "claim 'aud'"),
        ({"aud": None, "scope": None}, "neither whom it is for"),
        ({"iat": 1, "exp": 3601, "aud": None}, "expired"),
        ({"iss": "gone@local.iam.gserviceaccount.com", "aud": None}, "no service account"),
        ({"kid": "1" * 40, "aud": None}, "has no key"),
    ],
)
def test_a_jwt_of_an_account_s_own_that_proves_nothing_is_refused_everywhere(
    ground: Ground, both: tuple[Entrance, Entrance], claims: dict[str, Any], reason: str
) -> None:
    jwt = ground.assertion(**claims)

    for entrance in both:
        with pytest.raises(Unauthenticated, match=reason):
            entrance.identify(f"Bearer {jwt}", ground.now(), base_url=BASE)


def test_a_jwt_is_asked_again_for_another_audience(ground: Ground) -> None:
    jwt = f"Bearer {ground.assertion(aud=f'{BASE}/')}"
    assert ground.entrance.identify(jwt, ground.now(), base_url=BASE).email == EMAIL

    with pytest.raises(Unauthenticated, match="claim 'aud'"):
        ground.entrance.identify(jwt, ground.now(), base_url="http://another:80")


def test_a_job_is_known_by_its_token_in_either_kind_of_header(ground: Ground) -> None:
    token = ground.job_tokens.issue("team-b.train_7")
    basic = base64.b64encode(f"job:{token}".encode()).decode()

    for header in (f"Bearer {token}", f"Basic {basic}"):
        who = ground.entrance.identify(header, ground.now())
        assert (who.kind, who.project, who.job) == ("job", "team-b", "train_7")
        assert who.email == ground.projects.get("team-b").agent


def test_a_job_of_before_there_were_several_projects_is_of_the_first(ground: Ground) -> None:
    who = ground.entrance.identify(f"Bearer {ground.job_tokens.issue('train_7')}", ground.now())

    assert (who.project, who.job) == ("local", "train_7")


def test_the_job_of_a_project_that_is_gone_is_nobody(ground: Ground) -> None:
    header = f"Bearer {ground.job_tokens.issue('team-b.train_7')}"
    assert ground.entrance.identify(header, ground.now()).kind == "job"

    ground.projects.delete("team-b")

    with pytest.raises(Unauthenticated):
        ground.entrance.identify(header, ground.now())


def test_the_gateway_s_copy_of_the_directory_is_the_same(ground: Ground) -> None:
    assert Directory.from_json(ground.pushed[-1]) == ground.entrance.directory
