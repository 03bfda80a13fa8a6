"""How the console's files are given, and what those files may hold."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

import mlengine.console
from mlengine.errors import NotFound
from mlengine.web.assets import methods
from mlengine.web.method import Call, Reply

STATIC = Path(mlengine.console.__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SOURCES = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "static"
    (inside / "pages").mkdir(parents=True)
    (inside / "index.html").write_text("<!doctype html>")
    (inside / "pages" / "jobs.js").write_text("export default 1;")
    (tmp_path / "secret.txt").write_text("secret")
    (inside / "way-out").symlink_to(tmp_path / "secret.txt")
    return inside


def got(folder: Path, path: str | None, **headers: str) -> Reply:
    _, page, file = (row.handler for row in methods(folder))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = (
        page(Call(path={}, headers=named)) if path is None else file(Call(path={"path": path}, headers=named))
    )
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize("path", [None, "", "p/local/jobs", "p/local/buckets/b/a.js", "pages/jobs.js"])
def test_everything_comes_with_the_same_policy_and_is_shown_in_no_frame(folder: Path, path: str | None):
    headers = got(folder, path).headers

    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "pages/../../secret.txt",
        "way-out",
        "/etc/passwd",
        "..",
        "pages",
        "none.js",
        "p",
        "\0",
    ],
)
def test_what_is_no_file_of_the_console_is_not_there(folder: Path, path: str):
    with pytest.raises(NotFound):
        got(folder, path)


def test_addresses_of_pages_are_all_the_same_page(folder: Path):
    assert got(folder, "p/any/thing/at.all").content == got(folder, None).content == b"<!doctype html>"


def test_a_file_that_did_not_change_is_not_sent_again(folder: Path):
    first = got(folder, "pages/jobs.js")

    again = got(folder, "pages/jobs.js", if_none_match=first.headers["ETag"])
    (folder / "pages" / "jobs.js").write_text("export default 22;")
    changed = got(folder, "pages/jobs.js", if_none_match=first.headers["ETag"])

    assert (again.status, again.content) == (304, b"")
    assert (changed.status, changed.content) == (200, b"export default 22;")


def test_files_are_packed_for_those_who_unpack_them(folder: Path):
    packed = got(folder, "pages/jobs.js", accept_encoding="gzip, br")

    assert isinstance(packed.content, bytes)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == b"export default 1;"
    assert packed.media_type.startswith("text/javascript")


def test_the_page_runs_nothing_but_files_of_its_own():
    page = (STATIC / "index.html").read_text()

    assert re.findall(r"<script(?![^>]*\bsrc=\"/console/)", page) == []
    assert re.findall(r"<script[^>]*>(.+?)</script>", page) == []
    assert re.findall(r"\s(?:on\w+|style)=", page) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(STATIC)))
def test_sources_name_only_files_that_are_there_and_no_other_server(path: Path):
    text = path.read_text()

    named = re.findall(r"(?m)^(?:import|export) [\w{}, \n*]+ from '([^']+)'|\bimport\('(\.[^']+)'\)", text)
    missing = [
        name for name in map("".join, named) if not name.startswith(".") or not (path.parent / name).is_file()
    ]
    elsewhere = [
        url
        for url in re.findall(r"https?://[\w.-]+", text)
        if not url.startswith(("https://www.googleapis.com", "http://www.w3.org", "http://localhost"))
    ]
    assert (missing, elsewhere) == ([], [])
    assert not re.search(r"\beval\(|new Function\(|innerHTML|dangerouslySetInnerHTML|document\.write", text)
    assert not re.search(r"\sstyle=", text)
    assert len(text.splitlines()) <= 400
