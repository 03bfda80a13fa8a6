"""Reading requests where there is no orjson, as in old environments: the same verdicts by other means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.runtimes.model import Refused
from mlengine.serving.worker import answers, decode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(autouse=True, scope="module")
def without_orjson() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "orjson", None)
        patch.setattr(answers, "orjson", None)
        yield


@given(instances=st.lists(JSON, min_size=1, max_size=5))
def test_instances_arrive_as_they_were_sent(instances: list[object]) -> None:
    body = json.dumps({"instances": instances, "signature_name": "s"}).encode()

    request = decode.read_request(body, ignores_unknown_keys=False)

    assert (request.instances.values, request.signature_name) == (instances, "s")


@given(instances=st.lists(JSON, min_size=1, max_size=5))
def test_predictions_go_out_as_they_are(instances: list[object]) -> None:
    assert json.loads(answers.predictions(instances)) == {"predictions": instances}


@given(instances=st.lists(JSON, min_size=1, max_size=3))
def test_a_request_said_to_be_without_booleans_has_none(instances: list[object]) -> None:
    def holds_boolean(value: object) -> bool:
        if isinstance(value, (list, dict)):
            return any(map(holds_boolean, value.values() if isinstance(value, dict) else value))
        return isinstance(value, bool)

    read = decode.read_request(json.dumps({"instances": instances}).encode(), ignores_unknown_keys=False)

    assert read.instances.booleans or not holds_boolean(instances)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1" + "0" * 400])
def test_numbers_that_no_float_holds_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        decode.loads(f"[{text}]".encode())


def test_whole_numbers_past_64_bits_become_floats() -> None:
    assert decode.loads(b"[18446744073709551615, 18446744073709551617000]") == [
        2**64 - 1,
        1.8446744073709552e22,
    ]
    assert isinstance(decode.loads(b"18446744073709551617000"), float)


def test_unknown_keys_are_passed_over_only_where_google_did_and_never_when_misspelt() -> None:
    body = b'{"instances": [1], "key": 1}'

    assert decode.read_request(body, ignores_unknown_keys=True).instances.values == [1]
    with pytest.raises(Refused, match="Unknown key 'key'"):
        decode.read_request(body, ignores_unknown_keys=False)
    with pytest.raises(Refused, match="Did you mean 'signature_name'"):
        decode.read_request(b'{"instances": [1], "signatureName": "s"}', ignores_unknown_keys=True)


def test_an_error_is_valid_json_even_if_it_quotes_half_a_character() -> None:
    assert json.loads(answers.error(400, "'\ud800' is not one of a."))["error"]["message"].startswith(
        "'\ud800'"
    )
