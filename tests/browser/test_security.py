"""What keeps other pages, other people and other code out of the console."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Console
from tests.stories.conftest import Server, Shell
from tests.unit.web.test_assets import POLICY

FORM = """<!doctype html><title>evil</title>
<form id="f" method="post" enctype="text/plain" action="%s/storage/v1/b?project=local">
<input name='{"name": "forged-by-form", "x' value='": 1}'></form>"""


def asked(server: Server, target: str, verb: str = "GET", body: str = "", **headers: str):
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request(
        verb, target, body or None, {key.replace("_", "-"): value for key, value in headers.items()}
    )
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def raw(server: Server, target: str) -> bytes:
    """The answer to a path that no client library would send."""
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


@pytest.fixture
def elsewhere(console_server: Server) -> Iterator[str]:
    """The address of another site."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((FORM % console_server.endpoint).encode())

        def log_message(self, *_: object) -> None:
            pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{site.server_address[1]}"
    site.shutdown()
    site.server_close()


def test_the_policy_comes_with_every_page_and_file(console_server: Server):
    for path in ("/console/", "/console/p/local/jobs", "/console/app.js", "/console/style.css"):
        answer, _ = asked(console_server, path)

        assert answer.getheader("Content-Security-Policy") == POLICY, path
        assert answer.getheader("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize(
    "target",
    [
        "/console/../settings.py",
        "/console/%2e%2e/__init__.py",
        "/console/..%2f..%2fweb/assets.py",
        "/console/pages/%2e%2e/%2e%2e/__init__.py",
        "/console//etc/passwd",
        "/console/%00",
    ],
)
def test_no_address_leads_out_of_the_consoles_folder(console_server: Server, target: str):
    answer = raw(console_server, target)

    assert answer.split(b" ", 2)[1] in (b"400", b"404")
    assert b"import" not in answer.partition(b"\r\n\r\n")[2]


def test_code_in_the_page_itself_does_not_run(console: Console):
    console.expects("Content Security Policy")
    page = console.open()

    page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        " document.body.append(script); const image = document.createElement('img');"
        " image.setAttribute('onerror', 'window.ran = 2'); image.src = 'data:,';"
        " document.body.append(image); }"
    )
    page.wait_for_timeout(200)

    assert page.evaluate("window.ran") is None
    assert console.problems


def test_a_form_on_another_site_changes_nothing(chromium: Browser, console_server: Server, elsewhere: str):
    page = chromium.new_page()
    page.goto(elsewhere)

    with page.expect_navigation():
        page.evaluate("document.getElementById('f').submit()")
    said = page.locator("body").inner_text()
    page.goto(elsewhere)
    page.evaluate(
        "url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{\"name\": \"forged-by-fetch\"}'})",
        f"{console_server.endpoint}/storage/v1/b?project=local",
    )
    page.close()

    assert "PERMISSION_DENIED" in said or "not this server's own" in said
    _, content = asked(console_server, "/storage/v1/b?project=local")
    assert b"forged" not in content


def test_the_servers_own_page_may_change_things_without_a_token(console: Console):
    page = console.open("/buckets")

    status = page.evaluate(
        "async () => (await fetch('/storage/v1/b?project=local',"
        " {method: 'POST', body: '{\"name\": \"own-page\"}'})).status"
    )

    assert status == 200


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants to know who asks."""
    folder = tmp_path_factory.mktemp("strict")
    server = Server(folder / "data", Shell(folder, {"MLENGINE_AUTH": "required"}))
    server.start()
    server.shell.environment["MLENGINE_CREDENTIALS"] = str(server.data_dir / "keys" / "admin.json")
    server.shell.run("storage", "mb", "gs://guarded")
    yield server
    server.stop()


@pytest.fixture
def guarded(chromium: Browser, strict: Server) -> Iterator[Console]:
    context = chromium.new_context(locale="en-US", viewport={"width": 1440, "height": 900})
    context.set_default_timeout(40_000)
    opened = Console(context, strict)
    opened.expects("status of 40[01]")
    yield opened
    unexpected = opened.unexpected()
    context.close()
    assert unexpected == []


def test_nothing_is_read_without_a_token(strict: Server, guarded: Console):
    page = guarded.page
    page.goto(guarded.base_url + "/buckets")

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "guarded" not in page.content()
    for path in (
        "/v1/projects/local/jobs",
        "/v1/projects/local/models",
        "/storage/v1/b?project=local",
        "/mlengine/v1/settings",
        "/mlengine/v1/machine",
    ):
        assert asked(strict, path)[0].status in (401, 403, 404), path
    assert asked(strict, "/v1/projects")[1].strip() in (b"{}", b"{\n}")
    for path in ("/v2/entries:list", "/mlengine/v1/projects/local/jobs:check"):
        assert asked(strict, path, "POST", '{"resourceNames": ["projects/local"]}')[0].status in (401, 403), (
            path
        )


def test_a_key_file_signs_in_without_leaving_the_browser(strict: Server, guarded: Console):
    page = guarded.page
    page.goto(guarded.base_url + "/buckets")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    key = strict.data_dir / "keys" / "admin.json"

    page.locator("input[type=file]").set_input_files(key)

    expect(page.get_by_role("link", name="guarded")).to_be_visible()
    secret = json.loads(key.read_text())["private_key"].splitlines()[3]
    assert not any(secret in body for body in sent)


def test_a_token_signs_in_is_kept_for_this_tab_only_and_forgotten_on_signing_out(
    strict: Server, guarded: Console
):
    page = guarded.page
    token = strict.shell.run("auth", "print-access-token").stdout.strip()
    page.goto(guarded.base_url + "/buckets")

    page.get_by_label("Or an access token").fill(token)
    page.get_by_role("button", name="Use this token").click()
    expect(page.get_by_role("link", name="guarded")).to_be_visible()
    kept = page.evaluate("[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]")
    other = guarded.context.new_page()
    other.goto(guarded.base_url + "/buckets")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    assert [token in where for where in kept] == [True, False, False]
    assert token not in page.evaluate("JSON.stringify(sessionStorage)")


@pytest.mark.parametrize(
    ("content", "words"),
    [("no json", "is not JSON"), ('{"type": "service_account"}', "no key of a service account")],
)
def test_a_file_that_is_no_key_is_refused_in_words(
    guarded: Console, tmp_path: Path, content: str, words: str
):
    page = guarded.page
    page.goto(guarded.base_url + "/jobs")
    (tmp_path / "key.json").write_text(content)

    page.locator("input[type=file]").set_input_files(tmp_path / "key.json")

    expect(page.get_by_role("alert")).to_contain_text(words)


def test_a_wrong_token_is_refused_in_the_servers_words(guarded: Console):
    page = guarded.page
    page.goto(guarded.base_url + "/jobs")

    page.get_by_label("Or an access token").fill("no-token")
    page.get_by_role("button", name="Use this token").click()

    expect(page.get_by_role("alert")).to_be_visible()
