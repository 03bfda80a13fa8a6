"""Tokens of jobs are known again, and nothing else is taken for one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlengine.access.domain import JobTokens

OURS = JobTokens(b"s" * 32)
JOB_IDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,127}", fullmatch=True)


@given(JOB_IDS)
def test_a_token_names_its_job_before_and_after_a_restart(job_id: str) -> None:
    token = OURS.issue(job_id)

    assert JobTokens(b"s" * 32).job_of(token) == job_id
    assert OURS.issue(job_id) == token


@given(JOB_IDS)
def test_a_token_needs_no_quoting_in_a_url_or_a_header(job_id: str) -> None:
    assert OURS.issue(job_id).replace(".", "").replace("-", "").replace("_", "").isalnum()


@given(JOB_IDS)
def test_the_token_of_another_secret_is_none_of_ours(job_id: str) -> None:
    assert JobTokens(b"t" * 32).job_of(OURS.issue(job_id)) is None


@given(st.text())
def test_no_text_that_we_did_not_make_is_a_token(text: str) -> None:
    assert OURS.job_of(text) is None
    assert OURS.job_of(f"{text}.") is None


@given(JOB_IDS, JOB_IDS)
def test_the_code_of_one_job_is_not_that_of_another(one: str, other: str) -> None:
    code = OURS.issue(one).rpartition(".")[2]

    assert (OURS.job_of(f"{other}.{code}") == other) == (one == other)
