"""Locks: what is read from them, and what is written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlengine.environments.lockfile import Pin, lock_hash, merged, read_lock, write_lock

LOCK = """\
# a comment
six==1.17.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
torch==2.13.0 ; sys_platform == 'darwin' \\
    --hash=sha256:cc
torch==2.13.0+cpu ; sys_platform == 'linux' \\
    --hash=sha256:dd
wheel==0.48.0
"""

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?", fullmatch=True)
PINS = st.builds(
    lambda name, version, hashes: Pin(name=name, version=version, hashes=tuple(hashes)),
    NAMES,
    st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}(\+cpu|rc1)?", fullmatch=True),
    st.lists(st.from_regex(r"sha256:[0-9a-f]{8}", fullmatch=True), max_size=3, unique=True),
)


def test_a_lock_says_which_version_a_system_gets_and_from_which_archives() -> None:
    assert read_lock(LOCK, system="linux") == (
        Pin(name="six", version="1.17.0", hashes=("sha256:aa", "sha256:bb")),
        Pin(name="torch", version="2.13.0+cpu", hashes=("sha256:dd",)),
        Pin(name="wheel", version="0.48.0"),
    )
    assert read_lock(LOCK, system="darwin")[1].version == "2.13.0"


@given(st.lists(PINS, max_size=8, unique_by=lambda pin: pin.name))
def test_what_is_written_is_read_again(pins: list[Pin]) -> None:
    text = write_lock(pins, heading=["Python 3.11"])

    assert text.startswith("# Python 3.11\n")
    assert read_lock(text, system="linux") == tuple(sorted(pins, key=lambda pin: pin.name))


def test_the_order_of_the_packages_does_not_matter_but_their_versions_do() -> None:
    one, two = Pin(name="a", version="1"), Pin(name="b", version="1")

    assert lock_hash(write_lock([one, two])) == lock_hash(write_lock([two, one]))
    assert lock_hash(write_lock([one])) != lock_hash(write_lock([Pin(name="a", version="2")]))


def test_what_lies_above_takes_the_place_of_what_lies_below() -> None:
    below = [Pin(name="six", version="1.17.0"), Pin(name="idna", version="3.20")]
    above = {"six": Pin(name="six", version="1.16.0"), "trainer": Pin(name="trainer", version="0.1")}

    versions = {pin.name: pin.version for pin in merged(below, above)}

    assert versions == {"six": "1.16.0", "idna": "3.20", "trainer": "0.1"}
