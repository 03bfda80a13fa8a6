"""The pages of models: from an export to a version that answers, its figures, traffic and the way back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.stories.conftest import Server, Shell

TRAIN = """
import sys, joblib, pandas
from sklearn.linear_model import LinearRegression
rides = pandas.DataFrame({"Kilometres": [0.0, 10.0, 20.0], "Night": [0.0, 1.0, 0.0]})
joblib.dump(LinearRegression().fit(rides, [2.0, float(sys.argv[2]), 42.0]), sys.argv[1])
"""
RUNTIME = "2026.11-sklearn"
TABS = ("performance", "resources", "test", "schema", "origin", "settings")


@pytest.fixture(scope="module")
def exports(console_server: Server) -> str:
    """A bucket folder like a job's, with a model in `model/`, and one with a broken model."""
    shell = console_server.shell
    python = shell.run("runtimes", "build", RUNTIME, timeout=600).stdout.split()[-1]
    shell.run("storage", "mb", "gs://rides")
    shell.program(python, "-c", TRAIN, str(shell.cwd / "model.joblib"), "22.0")
    shell.run("storage", "cp", "model.joblib", "gs://rides/job_1/model/")
    (shell.cwd / "model.joblib").write_text("no model at all")
    shell.run("storage", "cp", "model.joblib", "gs://rides/broken/")
    return "gs://rides/job_1"


@pytest.fixture(scope="module")
def fares(console_server: Server, exports: str) -> str:
    """A model whose v1 is the default, with v2 beside it."""
    shell: Shell = console_server.shell
    shell.run("models", "create", "fares", "--description", "what a ride costs")
    for version in ("v1", "v2"):
        shell.run("versions", "create", version, "--model", "fares", "--origin", f"{exports}/model",
                  "--runtime-version", RUNTIME)  # fmt: skip
    return "fares"


def fact(page: Page, name: str) -> str:
    return (
        page.locator(".facts div", has=page.locator("dt", has_text=re.compile(f"^{name}$")))
        .locator("dd")
        .inner_text()
    )


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_an_empty_list_tells_the_first_command(console: Console) -> None:
    page = console.open("/models", until=".empty")

    assert "mlengine models create" in page.locator(".empty code").inner_text()


def test_an_export_becomes_a_model_that_answers_and_its_figures_move(console: Console, exports: str) -> None:
    page = console.open(f"/models?origin={exports}", until="form.card")
    form = page.locator("form.card")
    form.get_by_role("combobox").select_option("")
    form.get_by_role("textbox").fill("taxi")
    button(page, "Continue")

    # The folder with the model in it was found, and an id is proposed.
    expect(page.locator("input[name=origin]")).to_have_value(f"{exports}/model")
    expect(page.locator("input[name=id]")).to_have_value("v1")
    page.locator("input[name=runtime]").fill(RUNTIME)
    assert (
        f"--origin {exports}/model --runtime-version {RUNTIME}"
        in page.locator(".command code").last.inner_text()
    )
    button(page, "Create")

    expect(page.locator(".heading .state")).to_have_text("READY", timeout=120_000)
    page.get_by_role("tab", name="Test").click()
    page.get_by_label(re.compile("^Kilometres")).fill("10")
    page.get_by_label(re.compile("^Night")).fill("1")
    assert '"Kilometres":10' in page.locator("pre").last.inner_text()
    button(page, "Predict")
    expect(page.get_by_role("region", name="Answer").locator("pre")).to_contain_text("22")

    page.get_by_role("tab", name="Performance").click()
    expect(page.locator(".facts").first).to_contain_text("p95", timeout=10_000)
    assert fact(page, "Requests") == "1"
    expect(page.get_by_role("img", name=re.compile("^Latency in all: p50"))).to_be_visible()


def test_traffic_is_divided_and_rolled_back(console: Console, fares: str) -> None:
    page = console.open(f"/models/{fares}", until="table")
    button(page, "Divide the traffic")
    page.get_by_label("v2: Share (%)", exact=True).fill("30")
    assert (
        "--split v2=30,v1=70" in page.locator("dialog code").inner_text()
        or "v1=70,v2=30" in page.locator("dialog code").inner_text()
    )
    button(page, "Apply")
    expect(page.get_by_role("row", name=re.compile("^v2 "))).to_contain_text("30 %")

    button(page, "Make default: v2")
    page.get_by_role("dialog").get_by_role("button", name="Make default").click()
    expect(page.get_by_role("row", name=re.compile("^v2 "))).to_contain_text("default")

    button(page, "Roll back to v1 70 %, v2 30 %")
    page.get_by_role("dialog").get_by_role("button", name="Roll back to").click()
    expect(page.get_by_role("row", name=re.compile("^v1 "))).to_contain_text("70 %")
    button(page, "Roll back to v1")
    page.get_by_role("dialog").get_by_role("button", name="Roll back to").click()
    expect(page.get_by_role("button", name="Roll back", exact=True)).to_be_disabled()
    page.get_by_role("tab", name="History").click()
    expect(page.locator("tbody tr")).to_have_count(5)


def test_a_version_that_fails_says_why_with_its_log(console: Console, fares: str) -> None:
    page = console.open(f"/models/{fares}/new", until="input[name=origin]")
    page.locator("input[name=id]").fill("bad")
    page.locator("input[name=origin]").fill("gs://rides/broken")
    button(page, "Create")

    expect(page.locator(".heading .state")).to_have_text("FAILED", timeout=120_000)
    expect(page.get_by_role("alert")).to_contain_text("Failed to load model")
    expect(page.locator("details pre")).to_contain_text("Traceback")
    button(page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile(f"/models/{fares}$"))
    expect(page.get_by_role("row", name=re.compile("^bad"))).to_have_count(0)


def test_settings_change_while_a_version_serves(console: Console, fares: str) -> None:
    page = console.open(f"/models/{fares}/v2?tab=settings", until="form")
    page.get_by_label("Largest batch").fill("16")
    page.get_by_label("Keys that the model does not know").select_option("IGNORE")
    assert "--max-batch-size 16 --unknown-fields ignore" in page.locator("form code").inner_text()
    button(page, "Save")
    expect(page.get_by_role("status").filter(has_text="Nothing is changed")).to_be_visible()

    described = console.server.shell.json("versions", "describe", "v2", "--model", fares)
    assert (described["mlengine"]["maxBatchSize"], described["mlengine"]["unknownFields"]) == (16, "IGNORE")


def test_the_refusal_of_a_prediction_is_in_the_servers_words(console: Console, fares: str) -> None:
    console.expects("status of 400")
    page = console.open(f"/models/{fares}/v1?tab=test&edit=json", until="textarea")
    page.locator("textarea").fill('{"Kilometres": "far"}')
    button(page, "Predict")

    expect(page.get_by_role("alert")).to_contain_text("Kilometres")


@pytest.mark.parametrize(("scheme", "width", "language"), [("light", 1440, "en"), ("dark", 390, "ko")])
def test_every_page_fits_and_can_be_read_by_all(
    console: Console, fares: str, scheme: str, width: int, language: str
) -> None:
    console.dress(scheme=scheme, width=width)
    console.open("/models")
    console.speak(language)
    places = [
        "/models",
        "/monitoring",
        f"/models/{fares}/new",
        *(f"/models/{fares}/v1?tab={tab}" for tab in TABS),
    ]
    for place in [*places, *(f"/models/{fares}?tab={tab}" for tab in ("versions", "compare", "history"))]:
        console.open(place)
        expect(console.page.locator(".loading")).to_have_count(0)
        assert not console.overflows(), place
        assert console.accessibility() == [], place


def test_monitoring_shows_versions_of_all_models(console: Console, fares: str) -> None:
    page = console.open("/monitoring", until="table")

    expect(page.get_by_role("link", name=f"{fares}/v1")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("metrics$")).first).to_be_visible()
