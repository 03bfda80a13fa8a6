"""Intervals lose no count when they are joined, and quantiles lie where the counts say."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.monitoring.domain import (
    DAY,
    HOUR,
    WIDTHS,
    Figures,
    Interval,
    floored,
    oldest,
    quantile,
    resampled,
    step_for,
    thinned,
    total,
    width_at,
)

NOW = 1_800_000_123.0
BOUNDS = (0.0, 0.001, 0.01, 0.1, 1.0, math.inf)
BUCKETS = list(pairwise(BOUNDS))
counts = st.integers(0, 1000)
histograms = st.dictionaries(st.sampled_from(BUCKETS), st.integers(1, 1000))
figures = st.builds(
    Figures,
    codes=st.dictionaries(st.sampled_from(["200", "400", "429", "503"]), st.integers(1, 1000)),
    instances=counts,
    shadowed=counts,
    total=histograms,
    model=histograms,
    batch=histograms,
    batch_instances=counts,
    logged=counts,
    unlogged=counts,
    most_memory=counts,
)
young = st.integers(1, int(399 * DAY)).map(lambda age: int(NOW) - age)
intervals = st.builds(
    lambda start, width, figures: Interval(start=floored(start, width), width=width, figures=figures),
    young,
    st.sampled_from(WIDTHS),
    figures,
)


@given(st.lists(intervals, max_size=30))
def test_thinning_keeps_every_sum(kept: list[Interval]) -> None:
    assert total(one.figures for one in thinned(kept, NOW)) == total(one.figures for one in kept)


@given(st.lists(intervals, max_size=30))
def test_thinning_twice_is_thinning_once(kept: list[Interval]) -> None:
    once = thinned(kept, NOW)

    assert thinned(once, NOW) == once
    assert len({(one.start, one.width) for one in once}) == len(once)


@given(st.lists(intervals, max_size=30), st.floats(0, 2 * DAY))
def test_thinning_in_between_changes_nothing(kept: list[Interval], later: float) -> None:
    # All lie less than 399 days back, so none is forgotten by `later` but those near the end.
    kept = [one for one in kept if one.start > NOW - 397 * DAY]

    assert thinned(thinned(kept, NOW), NOW + later) == thinned(kept, NOW + later)


@given(young)
def test_what_is_too_old_for_its_width_is_what_thinning_would_join(start: int) -> None:
    width = width_at(start, NOW)

    assert start >= oldest(width, NOW)
    finer = WIDTHS[: WIDTHS.index(width)]
    assert all(start < oldest(one, NOW) for one in finer)


@pytest.mark.parametrize(
    ("age", "width"),
    [(0, 10), (HOUR / 2, 10), (2 * HOUR, 60), (2 * DAY, 600), (31 * DAY, HOUR), (402 * DAY, 0)],
)
def test_the_older_the_coarser(age: float, width: int) -> None:
    assert width_at(int(NOW - age), NOW) == width


@given(st.lists(intervals, max_size=30), st.sampled_from([HOUR, 6 * HOUR, DAY]))
def test_a_chart_holds_every_count(kept: list[Interval], step: int) -> None:
    points = resampled(kept, step)

    assert total(one.figures for one in points) == total(one.figures for one in kept)
    assert [one.start for one in points] == sorted({floored(one.start, step) for one in kept})


@given(st.floats(1, 400 * DAY), st.integers(0, 2 * DAY))
def test_a_chart_is_never_finer_than_what_is_kept(age: float, asked: int) -> None:
    step = step_for(NOW - age, NOW, NOW, asked=asked)

    finest = width_at(int(NOW - age), NOW) or HOUR
    assert step >= max(asked, finest)
    assert step % finest == 0
    assert asked or age / step <= 500


@given(figures, figures)
def test_what_came_since_then_is_the_difference(before: Figures, more: Figures) -> None:
    now = before + more

    again = before + now.since(before)
    assert (again.codes, again.total, again.batch, again.instances) == (
        now.codes,
        now.total,
        now.batch,
        now.instances,
    )


@given(figures)
def test_counters_that_went_back_began_anew(figures: Figures) -> None:
    before = figures + Figures(codes={"200": 1})

    assert figures.since(before) == figures


def test_quantiles_lie_within_their_bucket_as_if_values_were_spread_evenly() -> None:
    histogram = {(0.0, 0.001): 50, (0.001, 0.01): 40, (0.1, 1.0): 10}

    assert quantile(histogram, 0.5) == pytest.approx(0.001)
    assert quantile(histogram, 0.25) == pytest.approx(0.0005)
    assert quantile(histogram, 0.7) == pytest.approx(0.001 + 0.009 / 2)
    assert quantile(histogram, 0.95) == pytest.approx(0.55)
    assert quantile({(1.0, math.inf): 3}, 0.5) == 1.0
    assert quantile({}, 0.5) is None


@given(histograms, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_larger_share_has_no_smaller_quantile(
    histogram: dict[tuple[float, float], int], one: float, other: float
) -> None:
    few, many = quantile(histogram, min(one, other)), quantile(histogram, max(one, other))

    assert (few is None) == (many is None) == (not histogram)
    if few is not None and many is not None:
        assert few <= many + 1e-12
