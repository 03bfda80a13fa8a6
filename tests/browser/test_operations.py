"""The pages of those who run the server: machine, runtimes, access, audit log, settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console

PAGES = ("machine", "runtimes", "accounts", "audit", "settings")


@pytest.mark.parametrize("name", PAGES)
def test_operations_can_be_used_by_everybody_on_every_screen(console: Console, name: str) -> None:
    page = console.open(f"/{name}")
    console.settle()
    assert console.accessibility() == []

    console.speak("ko")
    console.dress(scheme="dark", width=390)
    console.open(f"/{name}")
    console.settle()

    assert re.search("[가-힣]", page.locator("h1").inner_text())
    assert console.accessibility() == []
    assert not console.overflows()


def test_an_account_gets_a_key_once_and_a_role_and_loses_both(console: Console, tmp_path: Path) -> None:
    page = console.open("/accounts")
    page.get_by_role("button", name="New service account").click()
    page.get_by_label("Account id").fill("console-made")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("button", name="Keys console-made").click()
    page.get_by_role("button", name="New key").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Download console-made-.*json")).click()
    key = json.loads(Path(download.value.path()).read_text())
    assert key["client_email"] == "console-made@local.iam.gserviceaccount.com"
    assert "account=console-made" in page.url

    page.reload()
    expect(page.get_by_text(key["private_key_id"])).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Download"))).to_have_count(0)
    page.get_by_role("button", name=f"Delete key {key['private_key_id']}").click()
    page.get_by_role("alert").get_by_role("button", name="Delete key").click()
    expect(page.get_by_text("This account has no key")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("tab", name="Roles").click()
    page.get_by_role("button", name="Give a role").click()
    member = f"serviceAccount:{key['client_email']}"
    page.get_by_label("Member").fill(member)
    page.get_by_role("dialog").get_by_role("combobox", name=re.compile("^Role")).select_option(
        "roles/ml.developer"
    )
    expect(page.get_by_role("dialog")).to_contain_text(
        f"mlengine projects add-iam-policy-binding local --member {member} --role roles/ml.developer"
    )
    page.get_by_role("button", name="Give", exact=True).click()
    given = page.get_by_role("row").filter(has_text=member)
    expect(given).to_contain_text("roles/ml.developer")
    policy = console.server.shell.json("projects", "get-iam-policy", "local")
    assert {"role": "roles/ml.developer", "members": [member]} in policy["bindings"]

    given.get_by_role("button", name=re.compile("Take away")).click()
    page.get_by_role("dialog").get_by_role("button", name="Take away").click()
    expect(given).to_have_count(0)


def test_the_audit_log_filters_and_keeps_the_filter_in_its_address(console: Console) -> None:
    console.server.shell.run("storage", "mb", "gs://seen-bucket")
    console.server.shell.run("models", "create", "seen", "--region", "us-central1")
    page = console.open("/audit")
    expect(page.get_by_role("cell", name="buckets/seen-bucket")).to_be_visible()

    page.get_by_label("Method (contains)").fill("models")

    expect(page.get_by_role("cell", name="buckets/seen-bucket")).to_have_count(0)
    expect(page.get_by_role("cell", name="projects/local/models/seen")).to_be_visible()
    expect(page.locator(".command")).to_contain_text("--filter 'method:\"models\"'")
    page.reload()
    expect(page.get_by_label("Method (contains)")).to_have_value("models")
    expect(page.get_by_role("cell", name="projects/local/models/seen")).to_be_visible()


def test_settings_are_found_by_name_and_by_origin(console: Console) -> None:
    page = console.open("/settings")
    expect(page.get_by_role("rowheader", name="standbys")).to_be_visible()

    page.get_by_label("Only what is not the default").check()
    expect(page.get_by_role("rowheader", name="standbys")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="TCP port; 0 takes a free one")
    expect(row).to_contain_text("flag")

    page.get_by_label("Search").fill("nothing like this")
    expect(page.get_by_text("No setting fits.")).to_be_visible()


def test_the_machine_shows_its_health_and_goes_on_by_itself(console: Console) -> None:
    page = console.open("/machine")

    expect(page.locator(".health li")).to_have_count(4)
    expect(page.locator(".health .bad")).to_have_count(0)
    with page.expect_response("**/mlengine/v1/machine", timeout=10_000):
        pass


def test_a_runtime_shows_every_package_of_its_lock(console: Console) -> None:
    page = console.open("/runtimes")
    page.get_by_role("button", name="2026.11-tensorflow", exact=True).click()

    page.get_by_label(re.compile("Search")).fill("tensorboard")

    expect(page.get_by_role("dialog").get_by_role("rowheader")).to_have_text(
        ["tensorboard", "tensorboard-data-server"]
    )
    assert "runtime=2026.11-tensorflow" in page.url
