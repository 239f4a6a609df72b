"""Evaluation of events: hand-worked cases, and a matcher that tries everything."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import EvaluationError
from earful.index.annotations import Annotation
from earful.rag.scan.metrics import (
    Counts,
    IouRule,
    KeptScores,
    Metric,
    PsdsSettings,
    evaluate_events,
)

NIGHT = {"night.wav": 60.0}


def marked(
    *spans: tuple[float, float], label: str = "wren", polarity: str = "positive"
) -> list[Annotation]:
    return [
        Annotation(
            recording="night.wav",
            start_s=start_s,
            end_s=end_s,
            label=label,
            polarity=polarity,  # type: ignore[arg-type]
        )
        for start_s, end_s in spans
    ]


def counts_of(
    found: list[Annotation], true: list[Annotation], metric: Metric = "iou", n_given: int = 0
) -> Counts:
    evaluated = evaluate_events(found, true, NIGHT, metric=metric, n_given=n_given)
    return evaluated.by_label["wren"]


def test_an_event_matches_one_that_it_overlaps_by_three_tenths() -> None:
    true = marked((10, 20), (30, 40))
    # 3 of 10 seconds are shared, then 2.9; the last one is elsewhere.
    found = marked((17, 20), (37.1, 40), (50, 51))
    assert counts_of(found, true) == Counts(found=1, false=2, missed=1)


def test_each_event_is_in_one_pair_and_pairs_are_as_many_as_can_be() -> None:
    # The long one could stand for either; only if it takes the second are there two pairs.
    found, true = marked((0, 4), (0, 1.5)), marked((0, 2), (2, 4))
    assert counts_of(found, true) == Counts(found=2, false=0, missed=0)
    assert counts_of(found[:1], true) == Counts(found=1, false=0, missed=1)


def test_what_is_given_does_not_count_and_neither_does_what_is_found_there() -> None:
    true = marked(*((2.0 * place, 2.0 * place + 1) for place in range(7)))
    assert counts_of(true, true, n_given=5) == Counts(found=2, false=0, missed=0)
    # An event beside the examples is not an invention; one after them is.
    assert counts_of(marked((3.2, 3.8), (20, 21)), true, n_given=5).false == 1


def test_unknown_stretches_are_neither_right_nor_wrong() -> None:
    true = marked((0, 1)) + marked((10, 11), (20, 21), polarity="unknown")
    assert counts_of(marked((0, 1), (10, 11)), true) == Counts(found=1, false=0, missed=0)
    # One unknown stretch excuses one event.
    found = marked((0, 1), (10, 11), (10, 11))
    assert counts_of(found, true) == Counts(found=1, false=1, missed=0)
    assert counts_of(marked((10.1, 10.9)), true, "segment") == Counts(missed=1)


def test_negative_annotations_change_nothing() -> None:
    true = marked((0, 1)) + marked((10, 11), polarity="negative")
    assert counts_of(marked((10, 11)), true) == Counts(found=0, false=1, missed=1)


def test_ends_may_be_off_by_a_collar_or_half_the_length() -> None:
    true = marked((10, 14))
    assert counts_of(marked((10.2, 12)), true, "collar").found == 1
    assert counts_of(marked((10.21, 14)), true, "collar").found == 0
    assert counts_of(marked((10, 11.9)), true, "collar").found == 0


def test_seconds_are_counted_where_an_event_touches_them() -> None:
    counted = counts_of(marked((10.5, 12.5)), marked((11.0, 14.0)), "segment")
    assert counted == Counts(found=2, false=1, missed=1)


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda x: (x[0], x[0] + x[1])),
        max_size=9,
    ),
    n_found=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_no_assignment_has_more_pairs(spans: list[tuple[int, int]], n_found: int) -> None:
    found, true = spans[:n_found][:5], spans[n_found:][:5]

    def fits(a: tuple[int, int], b: tuple[int, int]) -> bool:
        shared = min(a[1], b[1]) - max(a[0], b[0])
        return shared > 0 and 10 * shared >= 3 * (max(a[1], b[1]) - min(a[0], b[0]))

    few, many = sorted((found, true), key=len)
    best = max(
        sum(fits(a, b) for a, b in zip(few, chosen, strict=True))
        for chosen in itertools.permutations(many, len(few))
    )
    evaluated = evaluate_events(marked(*found), marked(*true), NIGHT, labels=["wren"])
    assert evaluated.by_label["wren"] == Counts(
        found=best, false=len(found) - best, missed=len(true) - best
    )


def test_labels_and_recordings_count_apart() -> None:
    true = marked((0, 1)) + marked((5, 6), label="owl")
    found = marked((0, 1), (5, 6)) + marked((20, 21), label="fox")
    evaluated = evaluate_events(found, true, NIGHT | {"day.wav": 3540.0})
    assert evaluated.by_label == {
        "fox": Counts(false=1),
        "owl": Counts(missed=1),
        "wren": Counts(found=1, false=1),
    }
    # The mean is over labels that are somewhere: 0 of the owl, 2/3 of the wren.
    assert evaluated.value == pytest.approx(1 / 3)
    assert evaluated.by_recording["day.wav"] == Counts()
    assert evaluated.false_per_hour == pytest.approx(2.0)
    assert "fox" in evaluated.notes[0]
    assert evaluated.interval is not None


def test_sets_are_joined_by_a_harmonic_mean_with_a_floor() -> None:
    true = [
        Annotation(recording=name, start_s=0, end_s=1, label="wren") for name in ("a", "b", "c")
    ]
    sites = {"a": "north", "b": "north", "c": "south"}
    evaluated = evaluate_events(true[:2], true, dict.fromkeys("abc", 10.0), sets=sites)
    assert [evaluated.by_set[name].f1 for name in ("north", "south")] == [1.0, 0.0]
    assert evaluated.harmonic_mean == pytest.approx(2 / (1 + 1e5))


def test_scores_of_the_truth_itself_are_worth_everything() -> None:
    true = marked((10, 12), (30, 35))
    inside = np.array([10 <= at < 12 or 30 <= at < 35 for at in range(60)], dtype=float)
    kept = KeptScores(labels=("wren",), scores=inside[None], step_s=1.0)
    evaluated = evaluate_events([], true, NIGHT, metric="psds", scores={"night.wav": kept})
    assert evaluated.value == 1.0
    turned = KeptScores(labels=("wren",), scores=1 - inside[None], step_s=1.0)
    # Upside down nothing is found before everything is one event.
    assert evaluate_events([], true, NIGHT, metric="psds", scores={"night.wav": turned}).value == 0
    # Of the half that comes after the first event all is found, too.
    given = evaluate_events(
        [], true, NIGHT, metric="psds", scores={"night.wav": kept}, n_given=1, psds=PsdsSettings()
    )
    assert given.value == 1.0
    assert given.hours == pytest.approx(48 / 3600)


def test_it_is_a_document_and_one_line() -> None:
    evaluated = evaluate_events(marked((0, 1)), marked((0, 1)), NIGHT, rule=IouRule(least=0.9))
    told = json.loads(json.dumps(evaluated.to_dict()))
    assert told["by_label"]["wren"]["f1"] == 1.0
    assert told["interval"] is None
    assert repr(evaluated) == "EventEvaluation(iou: mean F1 1.00, 0.0 h)"


def test_what_cannot_be_evaluated_is_named() -> None:
    elsewhere = [Annotation(recording="day.wav", start_s=0, end_s=1, label="wren")]
    with pytest.raises(EvaluationError, match=r"day\.wav.*1 recordings that were searched"):
        evaluate_events(elsewhere, [], NIGHT)
    with pytest.raises(EvaluationError, match="no recordings"):
        evaluate_events([], [], {})
    with pytest.raises(EvaluationError, match=r"night\.wav.*--keep-scores"):
        evaluate_events([], marked((0, 1)), NIGHT, metric="psds")
    with pytest.raises(EvaluationError, match="'f1'"):
        evaluate_events([], [], NIGHT, metric="f1")  # type: ignore[arg-type]
