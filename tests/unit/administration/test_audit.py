from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.administration.audit import AuditService
from mlengine.administration.domain import Place
from mlengine.administration.wire import page_token, place_of
from mlengine.backends.audit_file import AuditFile
from mlengine.errors import InvalidArgument
from mlengine.web.conditions import condition


@pytest.fixture
def file(tmp_path: Path) -> AuditFile:
    return AuditFile(tmp_path / "audit")


def note(file: AuditFile, number: int, *, month: int = 11, resource: str = "projects/local") -> None:
    file.append({"time": f"2026-{month:02}-01T00:00:00Z", "method": f"m{number}", "resource": resource})


def service(file: AuditFile) -> AuditService:
    homes = {"theirs": "other"}
    return AuditService(file, first_project="local", bucket_project=lambda bucket: homes.get(bucket, ""))


def methods(service: AuditService, project: str = "local", limit: int = 100) -> list[str]:
    return [str(record["method"]) for record in service.page(project, before=None, limit=limit).records]


def test_the_newest_record_comes_first_and_months_follow_each_other(file: AuditFile) -> None:
    for month, number in ((9, 1), (10, 2), (10, 3), (11, 4)):
        note(file, number, month=month)

    assert methods(service(file)) == ["m4", "m3", "m2", "m1"]


def test_pages_together_are_the_whole_log_each_record_once(file: AuditFile) -> None:
    # Lines of all lengths, so that they lie across the borders of what is read at a time.
    for number in range(400):
        note(file, number, month=10 + number // 200, resource="projects/local/" + "x" * (number * 7 % 1999))
    log, place, found = service(file), None, []

    while True:
        page = log.page("local", before=place, limit=37)
        found += [str(record["method"]) for record in page.records]
        if page.next is None:
            break
        place = place_of(page_token(page.next))

    assert found == [f"m{number}" for number in reversed(range(400))]


def test_what_was_written_meanwhile_does_not_move_the_next_page(file: AuditFile) -> None:
    for number in range(4):
        note(file, number)
    first = service(file).page("local", before=None, limit=2)
    note(file, 4)

    second = service(file).page("local", before=first.next, limit=2)

    assert [record["method"] for record in second.records] == ["m1", "m0"]


def test_a_line_that_was_cut_short_hides_no_other(file: AuditFile, tmp_path: Path) -> None:
    note(file, 1)
    with (tmp_path / "audit" / "2026-11.jsonl").open("ab") as broken:
        broken.write(b'{"time": "2026\n')
    note(file, 2)

    assert methods(service(file)) == ["m2", "m1"]


def test_each_project_sees_its_own_records_and_the_first_one_those_of_nobody(file: AuditFile) -> None:
    for number, resource in enumerate(
        ("projects/local/jobs/a", "projects/other/jobs/b", "buckets/theirs", "buckets/gone", "")
    ):
        note(file, number, resource=resource)

    assert methods(service(file), "local") == ["m4", "m3", "m0"]
    assert methods(service(file), "other") == ["m2", "m1"]


def test_only_what_a_filter_wants_is_on_a_page(file: AuditFile) -> None:
    for number in range(6):
        note(file, number)
    wanted = condition("method:m3 OR method:m5", {"method": "text"})

    page = service(file).page("local", before=None, limit=10, wanted=wanted)

    assert [record["method"] for record in page.records] == ["m5", "m3"]
    assert page.next is None


def test_a_log_that_nobody_has_written_is_empty(file: AuditFile) -> None:
    assert service(file).page("local", before=None, limit=10) == ([], None)


@pytest.mark.parametrize("token", ["x", "AAAA", page_token(Place("../../etc", 3))])
def test_a_token_of_something_else_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match="not from this list"):
        place_of(token)
