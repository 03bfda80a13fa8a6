"""What the database looks for never leaves out a job that the filter wants."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.jobs.domain import Job, State
from mlengine.jobs.selection import ALL, Selection, selection
from mlengine.jobs.wire import FILTERED, to_json
from mlengine.web.conditions import condition
from tests.unit.jobs.test_domain import NOW, job


def covers(selected: Selection, found: Job) -> bool:
    return (
        found.state in selected.states
        and (selected.since is None or found.created >= selected.since)
        and (selected.until is None or found.created <= selected.until)
        and selected.labels.items() <= found.labels.items()
        and selected.job_id in ("", found.name.job)
        and all(part.lower() in found.name.job.lower() for part in selected.id_parts)
    )


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", ALL),
        ("state=FAILED", Selection(states=frozenset({State.FAILED}), exact=True)),
        ("state:cancel", Selection(states=frozenset({State.CANCELLED, State.CANCELLING}), exact=True)),
        ("NOT state=SUCCEEDED", Selection(states=frozenset(State) - {State.SUCCEEDED}, exact=True)),
        (
            "state=FAILED OR state=RUNNING",
            Selection(states=frozenset({State.FAILED, State.RUNNING}), exact=True),
        ),
        ("labels.team=a state=FAILED", Selection(states=frozenset({State.FAILED}), labels={"team": "a"})),
        ("job_id=a", Selection(job_id="a")),
        ("jobId:train AND jobId:7", Selection(id_parts=("train", "7"))),
        ("jobId:tr*", ALL),
        ("createTime>=2026-11-02T09:30:00Z", Selection(since=NOW)),
        ("trainingInput.region:us", ALL),
        (
            "errorMessage:disk",
            Selection(states=frozenset({State.FAILED, State.CANCELLING, State.CANCELLED})),
        ),
        ("labels.team=a OR labels.team=b", ALL),
        ("what is this", ALL),
    ],
)
def test_a_filter_becomes_what_indices_know(text: str, selected: Selection) -> None:
    found = selection(text, FILTERED)

    assert (found.states, found.since, found.until, found.labels, found.job_id) == (
        selected.states,
        selected.since,
        selected.until,
        selected.labels,
        selected.job_id,
    )


TERMS = st.sampled_from(
    [
        *("state=FAILED", "state!=FAILED", "state:ED", "state=RUN*", "NOT state=QUEUED", "labels.team=a"),
        *(
            "labels:team",
            "labels.team!=a",
            "jobId=a",
            "jobId:a",
            "createTime>2026-11-02",
            "NOT labels.team=a",
        ),
        *(
            "createTime<=2026-11-02T09:30:00Z",
            "createTime!=2026-11-02T09:30:00Z",
            "jobId=b",
            "labels.team=a*",
        ),
        *("-(state=FAILED labels.team=a)", "(state=RUNNING OR labels.team=a)", "(jobId=a OR jobId=b)"),
    ]
)


@given(
    terms=st.lists(st.tuples(TERMS, st.sampled_from([" AND ", " OR ", " "])), min_size=1, max_size=5),
    state=st.sampled_from(State),
    job_id=st.sampled_from(["a", "b", "ab"]),
    labels=st.sampled_from([{}, {"team": "a"}, {"team": "b"}, {"team": "a", "x": "y"}]),
    minutes=st.integers(-1, 1),
)
def test_no_wanted_job_falls_outside(
    terms: list[tuple[str, str]], state: State, job_id: str, labels: dict[str, str], minutes: int
) -> None:
    text = "".join(term + joint for term, joint in terms[:-1]) + terms[-1][0]
    found = job(job_id, state=state, labels=labels, created=NOW + timedelta(minutes=minutes))

    if condition(text, FILTERED)(to_json(found)):
        assert covers(selection(text, FILTERED), found), text
