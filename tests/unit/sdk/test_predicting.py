"""Predictions of any size: how they are cut, put together, and what is said when a part fails."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine import AsyncClient
from mlengine.errors import FailedPrecondition, Internal, InvalidArgument
from mlengine.sdk.encoding import Encoder
from mlengine.sdk.predicting import Slicing, slices
from tests.unit.client.small_server import SmallServer, error
from tests.unit.sdk.conftest import Both

PATH = "/v1/projects/local/models/m:predict"


@pytest.fixture
def echo(server: SmallServer) -> SmallServer:
    """A model that answers with its instances."""
    server.answers[f"POST {PATH}"] = lambda seen: (200, {"predictions": seen.json["instances"]})
    return server


def predict(ask: Both, instances, options=None, **how):
    return ask(lambda client: client.predict("m", instances, **how), **(options or {}))


@given(st.lists(st.text(max_size=30) | st.integers() | st.none()), st.integers(1, 60), st.integers(1, 5))
def test_slices_hold_everything_once_in_order_and_within_the_limits(values, most_bytes, most_instances):
    slicing = Slicing(bytes=most_bytes, instances=most_instances, connections=1, seconds=1)

    cut = list(slices([values], Encoder("error"), slicing, "s"))

    assert [one for some in cut for one in json.loads(some.body)["instances"]] == values
    assert [some.start for some in cut] == [0, *(some.stop for some in cut)][: len(cut)]
    for some in cut:
        count = some.stop - some.start
        assert 1 <= count <= most_instances
        assert len(some.body) <= most_bytes or count == 1


def test_thousands_of_instances_come_back_in_order(echo: SmallServer, ask: Both):
    instances = [{"x": number} for number in range(5000)]

    assert predict(ask, instances, {"slice_instances": 70}) == instances
    assert len(echo.seen) == 72


def test_no_request_is_larger_than_the_limit(echo: SmallServer, ask: Both):
    instances = ["é" * 100] * 1000

    predict(ask, instances, {"slice_bytes": 5000})

    assert max(len(seen.body) for seen in echo.seen) <= 5000
    assert len(echo.seen) >= 40


def test_several_requests_are_under_way_but_never_more_than_allowed(server: SmallServer, ask: Both):
    meeting = threading.Barrier(3, timeout=30)

    def together(seen):
        meeting.wait()  # nobody goes on before three are here
        return 200, {"predictions": seen.json["instances"]}

    server.answers[f"POST {PATH}"] = together

    assert predict(ask, range(9), {"slice_instances": 1, "connections": 3}) == list(range(9))


def test_nothing_is_asked_for_no_instances(echo: SmallServer, ask: Both):
    assert predict(ask, []) == []
    assert echo.seen == []


def test_instances_are_numbered_in_the_whole_when_a_part_is_refused(server: SmallServer, ask: Both):
    def picky(seen):
        instances = seen.json["instances"]
        if -1 in instances:
            return error(400, "INVALID_ARGUMENT", f"Instance {instances.index(-1) + 1}: it is negative.")
        return 200, {"predictions": instances}

    server.answers[f"POST {PATH}"] = picky
    instances = [*range(250), -1, *range(749)]

    with pytest.raises(InvalidArgument, match="Instance 251: it is negative") as caught:
        predict(ask, instances, {"slice_instances": 100})

    assert caught.value.details[0] == {"instances": {"start": 200, "stop": 300}}
    assert caught.value.code == 400


def test_a_refusal_without_numbers_names_the_instances_that_were_sent(server: SmallServer, ask: Both):
    server.answers[f"POST {PATH}"] = error(400, "FAILED_PRECONDITION", "The model is out of order.")

    with pytest.raises(FailedPrecondition, match=r"Instances 1 to 10: The model is out of order"):
        predict(ask, range(30), {"slice_instances": 10, "connections": 1})

    assert len(server.seen) == 1, "nothing more was begun"


def test_a_full_queue_is_waited_for(server: SmallServer, ask: Both):
    full = error(429, "RESOURCE_EXHAUSTED", "Queue full.")
    server.answers[f"POST {PATH}"] = [full, full, (200, {"predictions": [1]})]

    assert predict(ask, [1]) == [1]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ({"predictions": [1]}, Internal, "2 instances were sent, and 1 predictions came back"),
        ({"wisdom": 42}, Internal, "no list of predictions"),
        ({"error": "Prediction failed: no luck"}, InvalidArgument, "Prediction failed: no luck"),
    ],
)
def test_an_answer_that_is_none_is_an_error(server: SmallServer, ask: Both, answer, kind, words):
    server.answers[f"POST {PATH}"] = (200, answer)

    with pytest.raises(kind, match=words):
        predict(ask, [1, 2])


def test_version_and_signature_are_named(server: SmallServer, ask: Both):
    path = "/v1/projects/local/models/m/versions/v1:predict"
    server.answers[f"POST {path}"] = (200, {"predictions": [1]})

    predict(ask, [1], version="v1", signature_name="serving")

    assert server.asked("POST", path)[0].json == {"instances": [1], "signature_name": "serving"}


FRAME = pd.DataFrame({"Age": [22.5, 38.0], "Sex": ["male", "female"], "Class": [3, 1]}, index=["a", "b"])
ROWS = [{"Age": 22.5, "Sex": "male", "Class": 3}, {"Age": 38.0, "Sex": "female", "Class": 1}]


@pytest.mark.parametrize(
    ("instances", "sent"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ((value for value in "ab"), ["a", "b"]),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array([1.5, 2.5]), [1.5, 2.5]),
        (np.zeros((2, 1, 2), dtype=np.float16), [[[0, 0]], [[0, 0]]]),
        (np.array([(1, b"x")], dtype=[("n", "i4"), ("s", "S1")]), [{"n": 1, "s": {"b64": "eA=="}}]),
        (np.array(["2026-11-02"], dtype="datetime64[ns]"), ["2026-11-02T00:00:00"]),
        ([np.float32(0.5), np.int64(7), np.array([1, 2])], [0.5, 7, [1, 2]]),
        (FRAME, ROWS),
        (FRAME["Age"], [22.5, 38.0]),
        (pa.Table.from_pandas(FRAME, preserve_index=False), ROWS),
        (pa.Table.from_pandas(FRAME, preserve_index=False).to_batches()[0], ROWS),
        (pa.array([1, None]), [1, None]),
        (pa.chunked_array([[1], [2]]), [1, 2]),
        (pl.DataFrame({"x": [1, None]}), [{"x": 1}, {"x": None}]),
        (pd.DataFrame({"x": pd.Categorical(["u", "v"])}), [{"x": "u"}, {"x": "v"}]),
        ([b"raw", {"image": b"raw"}], [{"b64": "cmF3"}, {"image": {"b64": "cmF3"}}]),
        (
            [datetime(2026, 11, 2, tzinfo=UTC), date(2026, 11, 2), pd.Timestamp("2026-11-02")],
            ["2026-11-02T00:00:00+00:00", "2026-11-02", "2026-11-02T00:00:00"],
        ),
    ],
)  # fmt: skip
def test_instances_may_come_as_any_of_these(echo: SmallServer, instances, sent):
    assert predict(Both(echo.endpoint, waits=False), instances) == sent


def test_tables_larger_than_a_piece_keep_their_order(echo: SmallServer, ask: Both):
    frame = pd.DataFrame({"n": range(5000)})

    assert [row["n"] for row in predict(ask, frame)] == list(range(5000))
    assert predict(ask, np.arange(5000)) == list(range(5000))
    assert [row["n"] for row in predict(ask, pa.table({"n": range(5000)}))] == list(range(5000))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (pd.DataFrame({"Age": [1.0, float("nan")]}), "Instance 2, field Age: NaN"),
        (pd.DataFrame({"Age": pd.array([1, pd.NA], dtype="Int64")}), "Instance 2, field Age: NaN"),
        (pd.DataFrame({"Age": [pd.Timestamp("2026-11-02"), pd.NaT]}), "Instance 2, field Age: NaN"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), "Instance 2, field 1: NaN"),
        ([{"a": 1}, {"a": {"b": [float("nan")]}}], r"Instance 2, field a\.b\.0: NaN"),
        (pa.table({"Age": [1.0, float("nan")]}), "Instance 2, field Age: NaN"),
    ],
)
def test_nan_is_refused_by_place_or_sent_as_null_as_one_chooses(echo: SmallServer, ask: Both, missing, words):
    with pytest.raises(InvalidArgument, match=words) as caught:
        predict(ask, missing)
    answer = predict(ask, missing, nan="null")

    assert "nan='null'" in caught.value.hint
    assert len(answer) == 2
    assert "null" in json.dumps(answer[1])


@pytest.mark.parametrize(
    ("instances", "words"),
    [
        ({"x": 1}, "instances is one dict"),
        ("text", "instances is one str"),
        (7, "instances is a int"),
        ([1, float("inf")], "Instance 2: inf is no JSON number"),
        ([{"x": {1, 2}}], "Instance 1, field x: a set cannot"),
        (["\ud800"], "Instance 1 cannot be written"),
        (np.array(1), "without dimensions"),
        (np.array([1j]), "Instance 1: a complex cannot"),
        (np.array([1], dtype="timedelta64[s]"), "durations"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "Two columns are called 'x'"),
        (pd.DataFrame([[1, 2]]), "The column 0 has no text"),
        (pd.DataFrame(index=[1, 2]), "no columns"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_place(echo: SmallServer, ask: Both, instances, words):
    with pytest.raises(InvalidArgument, match=words):
        predict(ask, instances)

    assert echo.seen == []


def test_an_instance_without_end_is_refused(echo: SmallServer, ask: Both):
    endless: list = []
    endless.append(endless)

    with pytest.raises(InvalidArgument, match="Instance 1 is nested too deeply"):
        predict(ask, [endless])


def test_predictions_come_as_numpy(echo: SmallServer, ask: Both):
    numbers = predict(ask, [[1, 2], [3, 4]], returns="numpy")
    columns = predict(ask, FRAME, returns="numpy")

    assert numbers.shape == (2, 2)
    assert columns["Age"].tolist() == [22.5, 38.0]


def test_predictions_come_as_pandas_with_the_index_of_what_was_given(echo: SmallServer, ask: Both):
    pd.testing.assert_frame_equal(predict(ask, FRAME, returns="pandas"), FRAME)
    pd.testing.assert_frame_equal(
        predict(ask, FRAME["Age"], returns="pandas"), FRAME[["Age"]].rename(columns={"Age": "prediction"})
    )
    assert list(predict(ask, [], returns="pandas").columns) == ["prediction"]


def test_predictions_come_as_arrow(echo: SmallServer, ask: Both):
    assert predict(ask, FRAME, returns="arrow").to_pylist() == ROWS
    assert predict(ask, [[1, 2], [3]], returns="arrow").column("prediction").to_pylist() == [[1, 2], [3]]
    assert predict(ask, [], returns="arrow").num_rows == 0


def test_predictions_that_are_not_alike_are_told_as_such(echo: SmallServer, ask: Both):
    with pytest.raises(FailedPrecondition, match="not alike enough for returns='numpy'"):
        predict(ask, [[1, 2], [3]], returns="numpy")
    with pytest.raises(FailedPrecondition, match="not alike enough"):
        predict(ask, [{"a": 1}, {"b": 2}], returns="numpy")


def test_a_mistyped_choice_is_refused(echo: SmallServer, ask: Both):
    with pytest.raises(InvalidArgument, match="returns is 'panda'") as caught:
        predict(ask, [1], returns="panda")
    with pytest.raises(InvalidArgument, match="nan is 'nul'"):
        predict(ask, [1], nan="nul")

    assert "pandas" in caught.value.hint


def test_a_caller_who_gives_up_waiting_stops_the_rest(server: SmallServer):
    release = threading.Event()
    server.answers[f"POST {PATH}"] = lambda seen: (
        release.wait(30),
        (200, {"predictions": seen.json["instances"]}),
    )[1]

    async def hurried() -> None:
        async with AsyncClient(endpoint=server.endpoint, slice_instances=1, connections=2) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.predict("m", range(100))

    asyncio.run(hurried())
    release.set()

    assert len(server.seen) == 2
