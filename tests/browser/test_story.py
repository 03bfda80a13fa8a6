"""The console's own story, by mouse and keys alone: train, watch, serve, ask, see it in a chart, go back.

What it leaves behind is then looked at page by page: for everybody, in light and dark, wide and narrow.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import IMAGES, Console
from tests.stories.conftest import ROOT, Server

RUNTIME = "2026.11-sklearn"
_PAGES = (
    "/jobs",
    "/jobs/new",
    "/jobs/new?from=titanic_1",
    "/jobs/titanic_1",
    "/jobs/titanic_1?tab=charts",
    "/jobs/titanic_1?tab=input",
    "/jobs/titanic_1?tab=input&as=json",
    "/jobs/titanic_1?tab=environment",
    "/jobs/titanic_1?tab=files",
    "/jobs/none_such",
    "/models",
    "/models?origin=gs%3A%2F%2Ftitanic%2Fout",
    "/models/titanic",
    "/models/titanic?tab=compare",
    "/models/titanic?tab=history",
    "/models/titanic/new",
    "/models/titanic/v1",
    "/models/titanic/v1?tab=resources",
    "/models/titanic/v1?tab=test",
    "/models/titanic/v1?tab=test&edit=json",
    "/models/titanic/v1?tab=schema",
    "/models/titanic/v1?tab=origin",
    "/models/titanic/v1?tab=settings",
    "/monitoring",
    "/buckets",
    "/buckets/titanic",
    "/buckets/titanic/data",
    "/buckets/titanic/data/eval.csv?file=1",
    "/buckets/titanic/out/metrics.json?file=1",
    "/tables",
    "/tables/query",
    "/machine",
    "/runtimes",
    "/accounts",
    "/audit",
    "/settings",
    "/no/such/page",
)


_MAIN = (
    "/jobs",
    "/jobs/new?from=titanic_1",
    "/jobs/titanic_1",
    "/models/titanic",
    "/models/titanic/v1?tab=test",
    "/buckets/titanic",
    "/tables",
    "/machine",
)


@pytest.fixture(scope="module")
def ground(console_server: Server, titanic_data: Path) -> Iterator[Server]:
    """The passenger data in a bucket."""
    shell = console_server.shell
    shell.run("runtimes", "build", RUNTIME, timeout=600)
    shell.run("storage", "mb", "gs://titanic")
    shell.run(
        "storage", "cp", str(titanic_data / "train.csv"), str(titanic_data / "eval.csv"), "gs://titanic/data/"
    )
    yield console_server


@pytest.fixture(scope="module")
def finished(ground: Server) -> Server:
    """What the story leaves behind, made by commands where the story itself was left out."""
    shell = ground.shell
    if shell.run("models", "describe", "titanic", code=None).returncode == 0:
        return ground
    shell.run(
        "jobs", "submit", "training", "titanic_1", "--module-name", "trainer.task",
        "--package-path", str(ROOT / "examples" / "titanic" / "trainer"), "--job-dir", "gs://titanic/out",
        "--region", "us-central1", "--runtime-version", RUNTIME, "--stream-logs", "--",
        "--train-files", "gs://titanic/data/train.csv", "--eval-files", "gs://titanic/data/eval.csv",
        "--train-steps", "1000", "--eval-steps", "100",
        timeout=600,
    )  # fmt: skip
    shell.run("models", "create", "titanic")
    origin = ("--origin", "gs://titanic/out/model", "--runtime-version", RUNTIME)
    shell.run("versions", "create", "v1", "--model", "titanic", *origin, timeout=600)
    return ground


def picture(page: Page, name: str, folder: Path) -> None:
    """A picture of what is seen; scripts that write the README's say where by MLENGINE_IMAGES."""
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    assert path.stat().st_size > 10_000
    if os.environ.get("MLENGINE_IMAGES"):
        IMAGES.mkdir(exist_ok=True)
        shutil.copy(path, IMAGES / path.name)


def test_from_a_trainer_to_a_version_that_is_rolled_back(console: Console, ground: Server, tmp_path: Path):
    page, base, _ = console
    console.dress(height=1000)

    # Submit the trainer of the example from the form.
    console.open("/jobs", until=".empty")
    page.get_by_role("link", name="New job").click()
    page.locator("#jobId").fill("titanic_1")
    expect(page.get_by_role("button", name="Choose a trainer folder")).to_be_enabled()
    trainer = tmp_path / "trainer"
    shutil.copytree(ROOT / "examples" / "titanic" / "trainer", trainer)
    page.locator("input[webkitdirectory]").set_input_files(trainer)
    expect(page.locator("#packages")).to_have_value(re.compile("^gs://titanic/packages/"))
    page.locator("#jobDir").fill("gs://titanic/out")
    page.locator("#runtimeVersion").fill(RUNTIME)
    page.locator("#args").fill(
        "--train-files gs://titanic/data/train.csv --eval-files gs://titanic/data/eval.csv\n"
        "--train-steps 1000 --eval-steps 100"
    )
    expect(page.locator(".findings .fine")).to_be_visible()
    picture(page, "console-new-job", tmp_path)
    page.get_by_role("button", name="Submit").click()

    # Watch its log and its charts.
    page.wait_for_url("**/jobs/titanic_1")
    expect(page.locator(".log")).to_contain_text("Holdout accuracy", timeout=120_000)
    expect(page.locator(".heading .state")).to_have_text("SUCCEEDED", timeout=60_000)
    page.get_by_role("tab", name="CPU and memory").click()
    expect(page.locator(".chart canvas")).to_have_count(4)
    expect(page.locator(".chart [role=img]").first).to_have_attribute(
        "aria-label", re.compile(r"master-replica-0 \d")
    )
    page.get_by_role("tab", name="Overview").click()
    expect(page.locator(".log")).to_contain_text("Holdout accuracy")
    picture(page, "console-job", tmp_path)

    # Make two versions of what it wrote.
    page.get_by_role("link", name="Make a version of it").click()
    page.get_by_label(re.compile("^Name")).fill("titanic")
    page.get_by_role("button", name="Continue").click()
    for version in ("v1", "v2"):
        page.wait_for_url("**/models/titanic/new?*")
        expect(page.locator("input[name=origin]")).to_have_value("gs://titanic/out/model")
        page.locator("input[name=runtime]").fill(RUNTIME)
        page.get_by_role("button", name="Create").click()
        page.wait_for_url(f"**/models/titanic/{version}")
        expect(page.locator(".heading .state")).to_have_text("READY", timeout=120_000)
        if version == "v1":
            page.goto(f"{base}/models/titanic/new?origin=gs%3A%2F%2Ftitanic%2Fout")
    page.get_by_role("button", name="Make default").click()
    page.get_by_role("dialog").get_by_role("button", name="Make default").click()
    expect(page.locator(".mark")).to_have_text("default")

    # Ask it, and see its latency move.
    page.get_by_role("tab", name="Test").click()
    for _ in range(3):
        page.get_by_role("button", name="Predict").click()
        expect(page.get_by_label("Answer")).to_contain_text("predictions")
    picture(page, "console-test", tmp_path)
    page.get_by_role("tab", name="Performance").click()
    latency = page.get_by_role("img", name=re.compile("^Latency in all"))
    expect(latency).to_have_attribute("aria-label", re.compile(r"p95 [\d.]+ (ms|µs)"), timeout=30_000)

    # Go back.
    page.get_by_role("link", name="titanic", exact=True).last.click()
    page.wait_for_url("**/models/titanic")
    page.get_by_role("button", name="Roll back to v1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back to v1").click()
    expect(page.locator("tbody tr", has_text="v1").first.locator(".mark")).to_be_visible()
    assert ground.shell.json("models", "describe", "titanic")["defaultVersion"]["name"].endswith("/v1")


def wrong_for_some(
    console: Console, paths: tuple[str, ...], schemes: tuple[str, ...]
) -> dict[str, list[str]]:
    """What axe finds serious, by page and scheme."""
    console.expects("status of 404")
    wrong = {}
    for path in paths:
        console.open(path)
        console.settle()
        for scheme in schemes:
            console.dress(scheme=scheme)
            if found := console.accessibility():
                wrong[f"{path} ({scheme})"] = found
    return wrong


def too_wide(console: Console, paths: tuple[str, ...], language: str) -> list[str]:
    """Pages that a telephone does not hold."""
    console.expects("status of 404")
    console.open()
    console.speak(language)
    console.dress(width=390, height=844)
    wide = []
    for path in paths:
        console.open(path)
        console.settle()
        if console.overflows():
            wide.append(path)
    return wide


def test_the_main_pages_are_for_everybody_and_fit_a_telephone(console: Console, ground: Server):
    assert wrong_for_some(console, _MAIN, ("light",)) == {}
    assert too_wide(console, _MAIN, "ko") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_page_is_for_everybody_in_light_and_dark(console: Console, finished: Server):
    assert wrong_for_some(console, _PAGES, ("light", "dark")) == {}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_page_fits_a_telephone(console: Console, finished: Server, language: str):
    assert too_wide(console, _PAGES, language) == []
