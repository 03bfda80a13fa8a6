"""How long the console's pages take to their first rows: with 100,000 jobs and a log of 1,000,000 lines.

    python -m benchmarks.console [--jobs 100000] [--lines 1000000] [--rounds 7]

A server of its own, SQLite; jobs are written into its database and the log into its folder. Each round is a
new browser profile (Debian's Chromium, nothing cached), from the address to when the rows are on the page.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.queue import fill, say, server

Act = Callable[[Page], None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long the console's pages take to their first rows.")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        fill(Path(folder), asked.jobs)
        job = f"j{asked.jobs - 1}"
        write_log(Path(folder) / "logs" / "local" / job, asked.lines)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with server(Path(folder)) as (endpoint, _):
            base = f"{endpoint}/console/p/local"
            say(f"{asked.jobs:,} jobs, {asked.lines:,} lines; seconds until the rows are there:\n")
            say("| page | median | longest |\n|---|---|---|")
            for name, path, rows, act in _PAGES:
                times = [once(browser, base + path.format(job=job), rows, act) for _ in range(asked.rounds)]
                say(f"| {name} | {statistics.median(times):.2f} | {max(times):.2f} |")
        browser.close()


def write_log(folder: Path, count: int) -> None:
    """The log of a job, as its task writes it."""
    folder.mkdir(parents=True)
    began = datetime(2026, 11, 2, tzinfo=UTC)
    with (folder / "master-replica-0.00000000.jsonl").open("w") as file:
        for number in range(count):
            moment = (began + timedelta(milliseconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            severity = "WARNING" if number % 1000 == 0 else "INFO"
            message = f"step {number} loss {1 / (number + 1):.6f}"
            record = {"seq": number + 1, "time": moment, "severity": severity, "message": message}
            file.write(json.dumps(record) + "\n")


def once(browser: Browser, url: str, rows: str, act: Act | None) -> float:
    """Seconds from the address, or from the act on its page, to the rows."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = context.new_page()
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.locator(rows).first.wait_for(timeout=60_000)
    if act is not None:
        began = time.monotonic()
        act(page)
    taken = time.monotonic() - began
    context.close()
    return taken


def _more(page: Page) -> None:
    page.get_by_role("button", name="Load more").click()
    page.locator("tbody tr").nth(60).wait_for(timeout=60_000)


def _older(page: Page) -> None:
    page.get_by_role("button", name="Load older lines").click()
    page.locator(".log .line").nth(700).wait_for(timeout=60_000)


_LOG = ".log .line"
_PAGES: tuple[tuple[str, str, str, Act | None], ...] = (
    ("list of jobs", "/jobs", "tbody tr", None),
    ("jobs that failed", "/jobs?state=FAILED", "tbody tr", None),
    ("jobs with a rare label", "/jobs?q=team%3Drare", "tbody tr", None),
    ("jobs whose id has 777", "/jobs?q=777", "tbody tr", None),
    ("the next page of jobs", "/jobs", "tbody tr", _more),
    ("one job, with the end of its log", "/jobs/{job}", _LOG, None),
    ("its warnings", "/jobs/{job}?tab=logs&severity=WARNING", _LOG, None),
    ("older lines", "/jobs/{job}?tab=logs", _LOG, _older),
)


if __name__ == "__main__":
    main()
