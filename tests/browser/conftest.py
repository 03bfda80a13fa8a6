"""The console as a person sees it: Debian's Chromium, driven by Playwright, at a server of the module's own.

A page error, an error in the browser's console (a breach of the content security policy is one) or a request
that leaves the server fails the test, unless the test says that it expects it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.stories.conftest import Server, Shell
from tests.stories.conftest import titanic_data as titanic_data

HERE = Path(__file__).parent
IMAGES = HERE.parents[1] / "docs" / "images"
expect.set_options(timeout=40_000)  # long enough for busy cores
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Console:
    """A tab with the console in it; unpacks as (page, base_url, server).

    Attributes:
        page: Playwright's page.
        base_url: "http://127.0.0.1:PORT/console/p/local"
        server: The server behind it, with its `shell`.
        problems: What the browser complained about, beside what is expected.
    """

    def __init__(self, context: BrowserContext, server: Server, project: str = "local") -> None:
        self.context = context
        self.server = server
        self.base_url = f"{server.endpoint}/console/p/{project}"
        self.problems: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        self.page = context.new_page()
        self._listen(self.page)
        context.on("page", self._listen)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.page, self.base_url, self.server))

    def open(self, path: str = "/jobs", *, until: str = "h1") -> Page:
        """Go to a place in the console ("/jobs/my_job?tab=logs") and wait until `until` is there."""
        self.page.goto(self.base_url + path)
        self.page.locator(until).first.wait_for()
        return self.page

    def settle(self) -> None:
        """Wait until nothing is being loaded any more."""
        expect(self.page.locator(".loading")).to_have_count(0)

    def expects(self, pattern: str) -> None:
        """Let the browser complain about this: say that "status of 404" is what the test is about."""
        self._expected.append(re.compile(pattern))

    def dress(self, *, scheme: str = "light", width: int = 1440, height: int = 900) -> None:
        """Light or dark, wide or narrow."""
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        self.page.set_viewport_size({"width": width, "height": height})

    def speak(self, language: str) -> None:
        """Have the console in "en" or "ko", from the next page on."""
        self.page.evaluate("language => localStorage.setItem('mlengine.language', language)", language)

    def overflows(self) -> bool:
        """Whether the page is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def accessibility(self) -> list[str]:
        """What axe finds that is serious or critical: "rule: element"."""
        self.page.evaluate((HERE / "axe" / "axe.min.js").read_text())
        found = self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations'],"
            " runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
        )
        return [
            f"{rule['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def unexpected(self) -> list[str]:
        return [said for said in self.problems if not any(known.search(said) for known in self._expected)]

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("console", self._said)
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, message: Any) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.server.endpoint, "blob:", "data:", "about:")):
            self.problems.append(f"a request to elsewhere: {url}")


# Not for the whole session: while Playwright is there, no other test can run an event loop of its own.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's browser, which scripts/test installs."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail("The browser tests want Chromium: apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for one module of tests."""
    folder = tmp_path_factory.mktemp("console")
    server = Server(folder / "data", Shell(folder))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def console(chromium: Browser, console_server: Server) -> Iterator[Console]:
    """A fresh tab: nothing in its storage, English, light, 1440 pixels wide."""
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-US", color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(40_000)
    opened = Console(context, console_server)
    yield opened
    unexpected = opened.unexpected()
    context.close()
    assert unexpected == []
