from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.names import JobName, ModelName, ObjectUrl, check_bucket, check_id, check_project

LEGAL_IDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,127}", fullmatch=True)
LEGAL_BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9_-]{1,60}[a-z0-9]", fullmatch=True)


@given(LEGAL_IDS)
def test_a_legal_id_is_taken_as_it_is(value: str) -> None:
    assert check_id(value, field="job.job_id", noun="job") == value
    assert str(JobName.of("local", value)) == f"projects/local/jobs/{value}"
    version = ModelName.of("local", value).version(value)
    assert str(version) == f"projects/local/models/{value}/versions/{value}"
    assert version.key == f"local/{value}/{value}"


@given(st.text(max_size=300), st.sampled_from(["job", "model", "version"]))
def test_any_other_id_is_refused_with_a_cure_that_is_itself_legal(value: str, noun: str) -> None:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,127}", value):
        return

    with pytest.raises(InvalidArgument) as refused:
        check_id(value, field="x.name", noun=noun)

    assert refused.value.field == "x.name"
    if value:
        cure = re.fullmatch(r"'(.*)' would do\.", refused.value.hint)
        assert cure
        assert check_id(cure[1], field="x.name", noun=noun) == cure[1]


@pytest.mark.parametrize(
    ("value", "cure"),
    [("titanic-1", "titanic_1"), ("7up", "job_7up"), ("a" * 200, "a" * 128), ("é", "job__")],
)
def test_the_cure_stays_close_to_what_was_meant(value: str, cure: str) -> None:
    with pytest.raises(InvalidArgument, match=f"'{cure}' would do"):
        check_id(value, field="job.job_id", noun="job")


@pytest.mark.parametrize("value", ["local", "my-project-1", "a--b", "a" * 63])
def test_a_project_id_is_taken_as_it_is(value: str) -> None:
    assert check_project(value) == value


@pytest.mark.parametrize("value", ["", "abc", "Local", "1abc", "abc-", "a b c", "a" * 64, "proj\n", "prüf"])
def test_what_is_no_project_id_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument, match="no project id"):
        check_project(value)


@given(LEGAL_BUCKETS)
def test_a_bucket_name_is_taken_as_it_is(value: str) -> None:
    assert check_bucket(value) == value


@pytest.mark.parametrize(
    "value", ["", "ab", "Box", "-box", "box-", "b..x", "box/y", "box ", "bo\nx", "böx", "b" * 223, "box\n"]
)
def test_what_is_no_bucket_name_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_bucket(value, field="version.deployment_uri")

    assert refused.value.field == "version.deployment_uri"


@given(LEGAL_BUCKETS, st.text(max_size=80))
def test_an_object_url_comes_back_from_its_text(bucket: str, name: str) -> None:
    url = ObjectUrl(bucket, name)

    assert ObjectUrl.parse(str(url)) == url


@given(LEGAL_BUCKETS, st.sampled_from(["", "a", "a/", "a/b", "a/b///"]), st.sampled_from(["x", "x/y"]))
def test_a_child_lies_one_slash_below_its_folder(bucket: str, folder: str, relative: str) -> None:
    child = ObjectUrl(bucket, folder).child(relative)

    assert str(child) == f"gs://{bucket}/{folder}".rstrip("/") + f"/{relative}"


@pytest.mark.parametrize(
    "url", ["", "box/a", "s3://box/a", "gs:/box", "gs://", "gs:///a", "gs://B/a", "/tmp/x"]
)
def test_what_is_no_bucket_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        ObjectUrl.parse(url)
