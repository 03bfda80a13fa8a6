"""The small parts of the gateway by themselves: spread choices, samples, reports of what is wanted, paths."""

from __future__ import annotations

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.serving.gateway.chances import RECORD, SHADOW, SPLIT, Chances
from mlengine.serving.gateway.events import Events
from mlengine.serving.gateway.orders import read_routes
from mlengine.serving.gateway.paths import Target, read, spellings
from mlengine.serving.gateway.records import Records
from mlengine.serving.gateway.settings import GatewaySettings
from mlengine.serving.messages import ARROW, PREDICT

SETTINGS = GatewaySettings(control_socket="c", admin_socket="a", queue_limit=7, wake_seconds=3.0)


@pytest.mark.parametrize("step", [SPLIT, SHADOW, RECORD])
@given(share=st.floats(0, 1), start=st.integers(0, 500))
def test_any_hundred_choices_keep_to_their_share(step: float, share: float, start: int) -> None:
    chances = Chances(step)
    for _ in range(start):
        chances.next()
    chosen = sum(chances.next() < share for _ in range(100))

    assert abs(chosen - 100 * share) <= 3


def test_a_split_and_its_shadow_do_not_hang_together() -> None:
    split, shadow = Chances(SPLIT), Chances(SHADOW)
    both = sum((split.next() < 0.5) and (shadow.next() < 0.5) for _ in range(1000))

    # A fourth; the shadow is asked only for what the split has chosen.
    assert 230 <= both <= 270


def test_samples_are_bounded_in_bytes_and_the_oldest_go_first() -> None:
    records = Records(most_bytes=100)
    for n in range(10):
        records.add("p/m/v", PREDICT, b"%d" % n * 10, b"x" * 20)
    taken = records.take(10)

    assert [record["request"] for record in taken["records"]] == [str(n) * 10 for n in (7, 8, 9)]
    assert (taken["dropped"], taken["droppedOf"]) == (7, {"p/m/v": 7})
    assert records.take(10) == {"records": [], "dropped": 0, "droppedOf": {}}


def test_samples_are_given_a_few_at_a_time_so_that_no_prediction_waits_for_them() -> None:
    records = Records()
    for n in range(10):
        records.add("p/m/v", PREDICT, b"%d" % n, b"x" * 100_000)

    given = [[record["request"] for record in records.take(200)["records"]] for _ in range(4)]

    assert given == [list("012"), list("345"), list("678"), list("9")]


def test_a_sample_larger_than_all_room_is_dropped_and_leaves_none_in_debt() -> None:
    records = Records(most_bytes=100)
    records.add("p/m/v", PREDICT, b"x" * 200, b"")
    records.add("p/m/v", PREDICT, b"small", b"")

    assert [record["request"] for record in records.take(10)["records"]] == ["small"]


def test_a_sample_that_is_no_text_is_told_in_base64() -> None:
    records = Records()
    records.add("p/m/v", ARROW, b"\xff\xff\xff\xff\x00", b'{"error": {}}')
    record = records.take(1)["records"][0]

    assert base64.b64decode(record["request"]) == b"\xff\xff\xff\xff\x00"
    assert record["response"] == '{"error": {}}'


def test_who_comes_late_or_from_another_life_hears_what_is_wanted_now() -> None:
    async def story() -> None:
        events = Events()
        events.wanted("p/m/a")
        events.wanted("p/m/b")
        events.settled("p/m/a")
        wanted = [{"kind": "wanted", "version": "p/m/b"}]
        assert await events.after(0, 0) == {"at": 2, "events": wanted}
        assert await events.after(2, 0) == {"at": 2, "events": []}
        assert await events.after(99, 0) == {"at": 2, "events": wanted}
        waiting = asyncio.create_task(events.after(2, 20))
        await asyncio.sleep(0)
        events.wanted("p/m/c")
        assert await waiting == {"at": 3, "events": [{"kind": "wanted", "version": "p/m/c"}]}

    asyncio.run(story())


@given(path=st.text(max_size=60))
def test_any_path_is_read_or_left(path: str) -> None:
    target = f"/v1/{path}".encode("latin-1", "replace")
    found = read(target, numbers={}, foreign={})

    assert found is None or found.model.count("/") == 1


def test_numbers_and_foreign_names_stand_for_what_they_are_told_to() -> None:
    numbers, foreign = {"123": "p"}, {"m": "p/m"}

    def model(path: str) -> Target | None:
        return read(path.encode(), numbers=numbers, foreign=foreign)

    assert model("/v1/projects/123/models/x:predict") == Target(PREDICT, "p/x", "")
    found = model("/v1/models/m/versions/7:predict")
    assert found is not None and (found.model, found.version) == ("p/m", "7")
    assert model("/v1/models/m:predict?unknown=1") is None
    assert spellings("7") == ("7", "v7", "V7") and spellings("v7") == ("v7",)


def test_what_an_order_leaves_out_the_settings_say() -> None:
    order = read_routes({"versions": {"p/m/v": {"sockets": ["/a", "/b"]}}}, SETTINGS)
    terms = order.versions["p/m/v"]

    assert (terms.nodes, terms.queue_limit, terms.wake_seconds, terms.log_fraction) == (2, 7, 3.0, 0.0)


@pytest.mark.parametrize("name", ["p/m", "p//v", "p/m/v/x", "p/m/v\r\nX: 1", ""])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="PROJECT/MODEL/VERSION"):
        read_routes({"versions": {name: {"sockets": []}}}, SETTINGS)
