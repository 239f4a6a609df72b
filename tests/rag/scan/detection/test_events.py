"""Events from scores: hand-worked cases and what must always hold."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.rag.scan.detection.events import (
    EXACT,
    Edges,
    Span,
    correct_edges,
    join_spans,
    limit_lengths,
    measure_edges,
    median,
    median_edges,
    spans_above,
)

STEP_S = 0.25
END_S = 12.0
scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=48)
joins = st.sampled_from([0.0, 0.2, 0.25, 0.6, 2.0])
edges = st.builds(
    Edges,
    start_s=st.sampled_from([-0.4, -0.1, 0.0, 0.2]),
    end_s=st.sampled_from([-0.2, 0.0, 0.1, 0.4]),
)
lengths = st.sampled_from([0.0, 0.3, 0.6])


def events(
    values: list[float], threshold: float, join_s: float, own: Edges, min_s: float
) -> list[Span]:
    found = join_spans(
        spans_above(np.array(values), threshold, step_s=STEP_S, first_s=STEP_S / 2), join_s
    )
    return limit_lengths(correct_edges(found, own, END_S), min_s, 1.5)


def covered(spans: list[Span]) -> set[int]:
    """Moments of a hundredth that lie inside."""
    return {
        moment
        for start_s, end_s in spans
        for moment in range(round(100 * start_s), round(100 * end_s))
    }


def test_a_window_stands_for_a_step_around_its_middle() -> None:
    found = spans_above(np.array([0.9, 0.1, 0.8, 0.8]), 0.5, step_s=0.5, first_s=1.0)
    assert found == [(0.75, 1.25), (1.75, 2.75)]
    assert spans_above(np.array([0.5]), 0.5, step_s=0.5, first_s=1.0) == []


def test_ends_move_by_the_median_error_of_the_examples() -> None:
    found = [(0.75, 2.25), (4.75, 6.5), (9.0, 9.5)]
    true = [(1.0, 2.0), (5.0, 6.0), (20.0, 21.0)]
    errors = measure_edges(found, true)
    # The third was not found and says nothing.
    assert len(errors) == 2
    own = median_edges(errors)
    assert own == Edges(start_s=-0.25, end_s=0.375)
    # What is shorter than the error vanishes.
    assert correct_edges([(3.0, 4.0), (7.0, 7.5)], own, 10.0) == [(3.25, 3.625)]


def test_of_several_the_one_that_overlaps_most_tells_the_error() -> None:
    found = [(0.0, 1.1), (1.25, 3.0)]
    assert measure_edges(found, [(1.0, 3.0)]) == [Edges(start_s=0.25, end_s=0.0)]


@given(true=st.lists(st.integers(0, 20), unique=True, min_size=1, max_size=8))
def test_examples_that_are_hit_exactly_correct_nothing(true: list[int]) -> None:
    spans = [(float(place), place + 0.5) for place in sorted(true)]
    assert median_edges(measure_edges(spans, spans)) == EXACT
    assert correct_edges(spans, EXACT, 30.0) == spans


@given(values=scores, join_s=joins)
def test_joining_twice_is_joining_once(values: list[float], join_s: float) -> None:
    once = join_spans(spans_above(np.array(values), 0.4, step_s=STEP_S, first_s=0.5), join_s)
    assert join_spans(once, join_s) == once


@given(values=scores, join_s=joins, own=edges, min_s=lengths)
@settings(deadline=None)
def test_a_higher_threshold_covers_nothing_more(
    values: list[float], join_s: float, own: Edges, min_s: float
) -> None:
    before = covered(events(values, 0.1, join_s, own, min_s))
    for threshold in (0.3, 0.6, 0.9):
        now = covered(events(values, threshold, join_s, own, min_s))
        assert now <= before
        before = now


@given(values=scores, join_s=joins, own=edges, min_s=lengths)
def test_events_are_in_order_apart_and_inside(
    values: list[float], join_s: float, own: Edges, min_s: float
) -> None:
    found = events(values, 0.4, join_s, own, min_s)
    flat = [time for span in found for time in span]
    assert flat == sorted(flat)
    assert all(0 <= start_s < end_s <= END_S for start_s, end_s in found)
    assert all(
        min_s <= 1e-9 + end_s - start_s <= 1.5 + 2e-9 or min_s > 0 for start_s, end_s in found
    )


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=9), st.integers(1, 3))
def test_the_median_is_numpy_s(values: list[float], n_columns: int) -> None:
    table = np.array([[value * column for column in range(n_columns)] for value in values])
    assert (median(table, axis=0) == np.median(table, axis=0)).all()
    assert median(values) == np.median(values)
