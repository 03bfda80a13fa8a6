"""What every page stands in: menu, languages, theme, sign-in, and what nobody may read."""

from __future__ import annotations

from tests.browser.conftest import Console


def test_the_first_address_leads_to_the_jobs_of_the_first_project(console: Console):
    console.page.goto(console.server.endpoint + "/console")

    console.page.wait_for_url("**/console/p/local/jobs")
    assert console.page.locator("h1").inner_text() == "Jobs"
