"""Resources for the tests of formats and filters, made up by hand and at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from mlengine.cli.formats.printers import printed
from mlengine.cli.formats.projection import read_format
from mlengine.cli.formats.tables import Style

JOB = {
    "jobId": "train_1",
    "state": "SUCCEEDED",
    "createTime": "2020-05-01T10:00:00Z",
    "startTime": "2020-05-01T10:01:00Z",
    "endTime": "2020-05-01T11:02:03Z",
    "labels": {"team": "a", "dense/Softmax:0": "odd", "x.y": "dots"},
    "trainingInput": {
        "args": ["--epochs", "3"],
        "pythonModule": "trainer.task",
        "region": "us-central1",
        "scaleTier": "BASIC",
    },
    "trainingOutput": {
        "consumedMLUnits": 0.5,
        "trials": [
            {"trialId": "10", "finalMetric": {"objectiveValue": 0.9, "trainingStep": "200"}},
            {"trialId": "9", "hyperparameters": {"lr": "0.1", "depth": "3"}},
        ],
    },
}

# Texts as terminals and parsers fear them, and fields of one resource that are not in the next.
TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "train_1",
        "TRAIN_10",
        "10",
        "9",
        "-1.5",
        "true",
        "2020-05-01T10:00:00Z",
        "한국어",
        "\x1b[31m",
        'a"b,c\n',
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
NAMES = ("name", "state", "size", "createTime")
RESOURCES = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES))


PLAIN = Style()


def show(form: str, *resources: Any, listed: bool = True, style: Style = PLAIN) -> str:
    """What `--format FORM` prints of these resources."""
    return printed(read_format(form), resources, listed=listed, style=style)


Show = Callable[..., str]
