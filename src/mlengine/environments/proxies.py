"""By which proxy a host is reached, as environment variables say it. Pure; shared by jobs and gateway."""

from __future__ import annotations

from collections.abc import Mapping

# TensorFlow's gs:// has these compiled in. A job reaches them by our proxy, which stands in for them.
STORAGE_HOSTS = ("www.googleapis.com", "storage.googleapis.com")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
# Programs differ in which of the two spellings they prefer.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def https_proxy(machine: Mapping[str, str]) -> str:
    """The URL of the proxy by which `machine` reaches https hosts; "" for none."""
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    return next(filter(None, (machine.get(name) for name in names)), "")


def no_proxy(machine: Mapping[str, str]) -> str:
    """The hosts that `machine` reaches without a proxy, separated by commas."""
    return machine.get("no_proxy") or machine.get("NO_PROXY") or ""


def excepted(host: str, without_proxy: str) -> bool:
    """Whether a value of `no_proxy` says that `host` is reached straight."""
    return any(covers(entry, host) for entry in without_proxy.split(","))


def covers(entry: str, host: str) -> bool:
    """Whether one entry of a `no_proxy` means `host`: "*", the name itself, or a domain above it."""
    entry, host = entry.strip().lower(), host.lower()
    domain = entry.removeprefix("*").removeprefix(".")
    return entry == "*" or (domain != "" and (host == domain or host.endswith(f".{domain}")))


def proxies_of_job(machine: Mapping[str, str], *, proxy: str, straight: tuple[str, ...]) -> dict[str, str]:
    """The proxy variables of a job whose https goes by our proxy.

    Args:
        machine: The variables of the machine. Its own proxy for http stays; ours asks the one for https.
        proxy: The URL of ours, with the job's credentials.
        straight: Hosts which the job reaches without any proxy, besides those that the machine excepts.
    """
    entries = [entry.strip() for entry in no_proxy(machine).split(",") if entry.strip()]
    # One for all hosts or for Google's would keep TensorFlow from our storage. Our proxy honours them.
    kept = [entry for entry in entries if not any(covers(entry, host) for host in STORAGE_HOSTS)]
    variables = {"https_proxy": proxy, "HTTPS_PROXY": proxy}
    if "*" not in entries:
        variables |= {
            name: machine[name] for name in PROXY_VARIABLES if name not in variables and machine.get(name)
        }
    without = ",".join(dict.fromkeys((*kept, *straight)))
    return variables | {"no_proxy": without, "NO_PROXY": without}
