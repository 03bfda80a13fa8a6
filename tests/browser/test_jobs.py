"""The jobs pages: the form with its check, the list with its filter, one job with its tabs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.stories.conftest import Server, wait_until
from tests.trainer_package import trainer_package

RUNTIME = "2026.11-sklearn"
TRAINER = """
import argparse, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--lines", type=int, default=0)
parser.add_argument("--until", default="")
parser.add_argument("--fail", action="store_true")
parser.add_argument("--job-dir", default="")
given = parser.parse_args()
for number in range(given.lines):
    print("line", number)
print("all written", flush=True)
if given.fail:
    raise ValueError("the column Fare is missing")
while given.until and not pathlib.Path(given.until).exists():
    time.sleep(0.05)
print("seen", flush=True)
"""


@pytest.fixture(scope="module")
def package(console_server: Server) -> Iterator[str]:
    """A package in a bucket; whatever still runs at the end is cancelled."""
    shell = console_server.shell
    shell.run("runtimes", "build", RUNTIME, timeout=600)
    shell.run("storage", "mb", "gs://forms")
    (shell.cwd / "t-1.tar.gz").write_bytes(trainer_package(TRAINER))
    shell.run("storage", "cp", "t-1.tar.gz", "gs://forms/t-1.tar.gz")
    yield "gs://forms/t-1.tar.gz"


def submit(server: Server, package: str, job: str, *args: str, flags: tuple[str, ...] = ()) -> None:
    server.shell.run(
        "jobs", "submit", "training", job, "--module-name", "trainer.task", "--packages", package,
        "--region", "us-central1", "--runtime-version", RUNTIME, *flags, "--", *args,
    )  # fmt: skip


def state_of(server: Server, job: str) -> str:
    return str(server.shell.json("jobs", "describe", job)["state"])


def ended(server: Server, job: str) -> None:
    wait_until(lambda: state_of(server, job) in ("SUCCEEDED", "FAILED", "CANCELLED"), f"the end of {job}")


def findings(page: Page) -> str:
    expect(page.locator(".findings")).to_have_attribute("aria-busy", "false")
    return page.locator(".findings").inner_text()


def test_an_empty_list_tells_the_first_command(console: Console):
    page = console.open("/jobs", until=".empty")

    assert "mlengine jobs submit training" in page.locator(".empty code").inner_text()


def test_the_form_offers_what_there_is_and_checks_while_one_types(console: Console, package: str):
    page = console.open("/jobs/new", until="#jobId")
    assert re.fullmatch(r"job_\d{8}_\d{6}", page.locator("#jobId").input_value())
    expect(page.locator("#runtimeVersion-list option").first).to_be_attached()
    expect(page.locator("#jobDir")).to_have_value(re.compile(r"gs://forms/job_\d+_\d+"))

    page.locator("#packages").fill(package)
    page.locator("#pythonModule").fill("trainer.tsk")
    expect(page.locator("#pythonModule-about")).to_contain_text("trainer.tsk")
    assert page.locator("#pythonModule").get_attribute("aria-invalid") == "true"
    page.locator("#pythonModule").fill("trainer.task")
    expect(page.locator("#pythonModule")).not_to_have_attribute("aria-invalid", "true")
    page.locator("#jobDir").fill("gs://forms/")
    expect(page.locator("#jobDir-about .WARNING")).to_be_visible()

    assert "job-dir-bucket-root" in findings(page)


def test_the_command_beside_the_form_submits_the_same_job(console: Console, package: str):
    page, _, server = console
    console.open("/jobs/new", until="#jobId")
    page.locator("#jobId").fill("by_command")
    page.locator("#packages").fill(package)
    page.locator("#pythonModule").fill("trainer.task")
    page.locator("#jobDir").fill("gs://forms/by command")
    page.locator("#runtimeVersion").fill(RUNTIME)
    page.locator("#args").fill("--lines 3")
    page.locator("#labels").fill("team=a\nkind=test")
    page.locator("#longest").fill("2")
    page.get_by_role("tab", name="JSON").click()
    wanted = json.loads(page.locator(".job-form aside pre").inner_text())
    command = page.locator(".job-form aside .command code").inner_text()

    server.shell.program("bash", "-c", command)

    made = server.shell.json("jobs", "describe", "by_command")
    assert made["labels"] == wanted["labels"] == {"team": "a", "kind": "test"}
    for name in ("pythonModule", "packageUris", "args", "region", "jobDir", "runtimeVersion"):
        assert made["trainingInput"][name] == wanted["trainingInput"][name], name
    assert made["trainingInput"]["scheduling"]["maxRunningTime"] == "7200s"
    ended(server, "by_command")


def test_a_folder_of_a_trainer_is_packed_in_the_browser_and_runs(
    console: Console, package: str, tmp_path: Path
):
    page, _, server = console
    folder = tmp_path / "mytrainer"
    deep = folder / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "task.py").write_text("print('a word from', __name__, 'ü')\n")
    (deep / "data-ü.txt").write_text("x" * 700)
    console.open("/jobs/new", until="#jobId")
    page.locator("#jobId").fill("from_folder")
    expect(page.get_by_role("button", name="Choose a trainer folder")).to_be_enabled()

    page.locator("input[webkitdirectory]").set_input_files(folder)
    expect(page.locator("#packages")).to_have_value(re.compile(r"gs://forms/packages/.*mytrainer-0\.0\.0"))
    expect(page.locator("#pythonModule")).to_have_value("mytrainer.task")
    page.locator("#runtimeVersion").fill(RUNTIME)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/from_folder")

    ended(server, "from_folder")
    assert state_of(server, "from_folder") == "SUCCEEDED"
    assert "a word from" in server.shell.run("jobs", "stream-logs", "from_folder").stdout
    (server.shell.cwd / "p.tar.gz").unlink(missing_ok=True)
    uri = server.shell.json("jobs", "describe", "from_folder")["trainingInput"]["packageUris"][0]
    server.shell.run("storage", "cp", uri, "p.tar.gz")
    listed = server.shell.program("tar", "tzf", "p.tar.gz").stdout
    assert "setup.py" in listed
    assert listed.count("\n") == 4  # setup.py, two modules, one file of data


def test_a_job_is_cloned_under_the_next_id_with_all_it_was_given(console: Console, package: str):
    page, _, server = console
    submit(server, package, "clone_1", "--lines", "2", flags=("--job-dir", "gs://forms/clone_1"))
    console.open("/jobs/clone_1")
    page.get_by_role("link", name="Clone").click()

    expect(page.locator("#jobId")).to_have_value("clone_2")

    assert page.locator("#args").input_value() == "--lines 2"
    assert page.locator("#jobDir").input_value() == "gs://forms/clone_2"
    assert page.locator("#packages").input_value() == package
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/clone_2")
    ended(server, "clone_2")


def test_the_servers_refusal_is_shown_in_its_own_words(console: Console, package: str):
    console.expects("status of 400")
    page = console.open("/jobs/new", until="#jobId")
    page.locator("#jobId").fill("a b")

    page.get_by_role("button", name="Submit").click()

    expect(page.get_by_role("alert")).to_contain_text("'a b' is no job id")


def test_a_failed_job_says_why_and_each_tab_has_an_address(console: Console, package: str):
    page, base, server = console
    submit(server, package, "fails", "--fail", flags=("--labels", "team=vision"))
    ended(server, "fails")

    console.open("/jobs/fails", until=".cause")
    assert "the column Fare is missing" in page.locator(".cause").inner_text()
    page.get_by_role("tab", name="Environment").click()
    expect(page.locator("main pre").last).to_contain_text("--hash=sha256:")
    assert page.url == f"{base}/jobs/fails?tab=environment"
    page.goto(f"{base}/jobs/fails?tab=logs&severity=ERROR")
    expect(page.locator(".log .line").first).to_be_visible()
    assert "line" not in page.locator(".log .line").first.get_attribute("class").replace("line ", "")
    page.goto(f"{base}/jobs/fails?tab=input&as=json")
    expect(page.locator("main .json pre")).to_contain_text('"pythonModule": "trainer.task"')


def test_the_list_is_filtered_by_state_id_and_label(console: Console, package: str):
    page = console.open("/jobs", until="table")
    page.get_by_label("State").select_option("FAILED")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("State").select_option("")
    page.get_by_label("Search").fill("team=vision")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Search").fill("clone_")
    expect(page.locator("tbody tr")).to_have_count(2)

    assert "q=clone_" in page.url
    assert "--filter" in page.locator("main > .command code").last.inner_text()


def test_a_running_jobs_log_is_followed_with_few_requests_until_it_is_cancelled(
    console: Console, package: str, tmp_path: Path
):
    page, _, server = console
    sign = tmp_path / "sign"
    submit(server, package, "follows", "--lines", "10000", "--until", str(sign))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "entries:list" in request.url else None)
    console.open("/jobs/follows?tab=logs", until=".log .line")
    expect(page.locator(".log")).to_contain_text("all written")
    before = len(asked)
    assert page.locator(".log .line").count() <= 5000

    page.wait_for_timeout(4000)
    assert len(asked) - before <= 5
    sign.write_text("")
    expect(page.locator(".log")).to_contain_text("seen")
    page.get_by_label("Search").fill("line 77")
    page.get_by_label("Search").press("Enter")
    expect(page.locator(".log .line")).to_have_count(111)
    page.get_by_label("Search").fill("")
    page.get_by_label("Search").press("Enter")
    page.get_by_role("button", name="Load older lines").click()
    expect(page.locator(".log .line")).to_have_count(1000)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_text().count("line ") >= 10000
    ended(server, "follows")


def test_a_job_is_cancelled_after_a_question(console: Console, package: str):
    page, _, server = console
    submit(server, package, "endless", "--until", "/nowhere/at/all")
    console.open("/jobs/endless")

    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    assert "mlengine jobs cancel endless" in dialog.locator("code").inner_text()
    dialog.get_by_role("button", name="End the job").click()

    expect(page.locator(".heading .state")).to_have_text("CANCELLED")
    assert state_of(server, "endless") == "CANCELLED"


def test_everything_can_be_reached_by_keys(console: Console, package: str):
    page = console.open("/jobs", until="table")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "New job"
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    page.get_by_role("tab", name="Overview").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")

    expect(page.get_by_role("tab", name="CPU and memory")).to_be_focused()
    assert page.url.endswith("?tab=charts")
