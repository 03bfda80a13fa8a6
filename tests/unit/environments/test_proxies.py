"""What `no_proxy` means, and which proxies a job is told of."""

from __future__ import annotations

import pytest

from mlengine.environments.proxies import covers, excepted, https_proxy, proxies_of_job

OURS = "http://job:token@127.0.0.1:8080"


@pytest.mark.parametrize(
    ("entry", "host", "meant"),
    [
        ("*", "anything.example", True),
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", True),
        (".example.com", "a.b.example.com", True),
        ("*.example.com", "a.example.com", True),
        (" Example.COM ", "a.EXAMPLE.com", True),
        ("example.com", "badexample.com", False),
        ("a.example.com", "example.com", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("", "example.com", False),
        (".", "example.com", False),
    ],
)
def test_an_entry_means_a_name_and_what_is_below_it(entry: str, host: str, meant: bool) -> None:
    assert covers(entry, host) is meant


def test_one_entry_of_many_is_enough() -> None:
    assert excepted("ml.intranet", "localhost, .intranet")
    assert not excepted("ml.example", "localhost, .intranet")
    assert not excepted("ml.example", "")


def test_the_way_of_https_is_the_first_that_is_told() -> None:
    assert https_proxy({"https_proxy": "", "HTTPS_PROXY": "a", "all_proxy": "b"}) == "a"
    assert https_proxy({"http_proxy": "a", "ALL_PROXY": "b"}) == "b"
    assert https_proxy({"http_proxy": "a"}) == ""


def test_https_goes_by_ours_and_http_as_before() -> None:
    machine = {"HTTPS_PROXY": "http://outer:1", "http_proxy": "http://outer:2", "no_proxy": "intranet"}

    found = proxies_of_job(machine, proxy=OURS, straight=("127.0.0.1",))

    assert found == {
        "https_proxy": OURS,
        "HTTPS_PROXY": OURS,
        "http_proxy": "http://outer:2",
        "no_proxy": "intranet,127.0.0.1",
        "NO_PROXY": "intranet,127.0.0.1",
    }


@pytest.mark.parametrize("entry", ["googleapis.com", ".googleapis.com", "storage.googleapis.com", "*.com"])
def test_no_exception_keeps_a_job_from_our_storage(entry: str) -> None:
    found = proxies_of_job({"no_proxy": f"intranet,{entry}"}, proxy=OURS, straight=("127.0.0.1",))

    assert found["no_proxy"] == found["NO_PROXY"] == "intranet,127.0.0.1"


def test_a_machine_that_excepts_all_hosts_gets_no_proxy_but_ours() -> None:
    found = proxies_of_job({"no_proxy": "*", "http_proxy": "http://outer:1"}, proxy=OURS, straight=("a",))

    assert found == {"https_proxy": OURS, "HTTPS_PROXY": OURS, "no_proxy": "a", "NO_PROXY": "a"}
