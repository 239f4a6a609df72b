"""Peaks, and the ids that candidates keep."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.rag.review.candidates import (
    Candidate,
    CandidateKind,
    find_peaks,
    is_same_sound,
    keep_ids,
    without_same,
)


def candidate(
    item: str, start_s: float, end_s: float, *, guess: str = "wren", kind: CandidateKind = "event"
) -> Candidate:
    return Candidate(
        item=item, recording="night.wav", start_s=start_s, end_s=end_s, guess=guess, kind=kind
    )


def test_peaks_by_hand() -> None:
    #                   0    1    2    3    4    5    6    7    8    9
    scores = np.array([0.1, 0.4, 0.3, 0.1, 0.9, 0.5, 0.1, 0.2, 0.35, 0.1])
    found = find_peaks(
        scores, lowest=0.3, window_s=2.0, step_s=1.0, end_s=11.0, events=[(4.5, 6.5)]
    )
    # Windows 2 to 6 lie nearer than a window to the event; a window stands for its middle.
    assert [(one.start_s, one.end_s, one.score) for one in found] == [
        (1.0, 3.0, 0.4),
        (8.0, 10.0, 0.35),
    ]


def test_a_flat_stretch_is_one_peak_after_another_not_one_a_window() -> None:
    found = find_peaks(np.full(9, 0.4), lowest=0.3, window_s=3.0, step_s=1.0, end_s=11.0)
    assert [one.start_s for one in found] == [0.0, 3.0, 6.0]


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=80),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 8)), max_size=4),
)
def test_peaks_are_a_window_apart_and_none_is_near_an_event(
    tenths: list[int], width: int, spans: list[tuple[int, int]]
) -> None:
    scores = np.array(tenths) / 10
    events = [(float(start), float(start + length)) for start, length in spans]
    end_s = len(scores) + width - 1.0
    found = find_peaks(scores, lowest=0.3, window_s=width, step_s=1.0, end_s=end_s, events=events)
    for one in found:
        assert one.score >= 0.3
        assert 0 <= one.start_s < one.end_s <= end_s
    # Whatever is high enough is near an event, or near a peak that is as high.
    tops = [
        n
        for n, score in enumerate(scores)
        for one in found
        if score == one.score and one.start_s <= n + width / 2 <= one.end_s
    ]
    for n, score in enumerate(scores):
        middle = n + width / 2
        near_event = any(start - width < middle < end + width for start, end in events)
        if score >= 0.3 and not near_event:
            assert any(abs(n - top) < width and scores[top] >= score for top in tops) or any(
                scores[m] > score for m in (n - 1, n + 1) if 0 <= m < len(scores)
            )
    assert all(
        min(abs(a - b) for a in _tops(scores, one, width) for b in _tops(scores, other, width))
        >= width
        or max(abs(a - b) for a in _tops(scores, one, width) for b in _tops(scores, other, width))
        >= width
        for one, other in pairwise(found)
    )


def _tops(scores: np.ndarray, peak: object, width: int) -> list[int]:
    return [
        n
        for n in range(len(scores))
        if scores[n] == peak.score and peak.start_s <= n + width / 2 <= peak.end_s  # type: ignore[attr-defined]
    ]


def test_what_overlaps_longest_keeps_the_id() -> None:
    known = [candidate("a", 0, 10), candidate("b", 10, 20), candidate("c", 30, 31)]
    found = [
        candidate("x", 1, 9),
        candidate("y", 9, 19),
        candidate("z", 19, 21),  # overlaps b, which y has
        candidate("v", 30.5, 32, guess="owl"),
        candidate("w", 40, 41),
    ]
    assert [one.item for one in keep_ids(found, known)] == ["a", "b", "z", "v", "w"]
    # What has an id of its own among the known is that, whatever overlaps.
    assert [one.item for one in keep_ids([candidate("b", 0, 9), candidate("x", 9, 10)], known)] == [
        *("b", "a"),
    ]
    # What shares a moment with what was judged is another sound, to be asked about.
    (next_door,) = keep_ids([candidate("x", 9, 12)], [candidate("a", 0, 10)])
    assert next_door.item == "x"


def test_what_was_judged_under_another_id_is_not_asked_again() -> None:
    said = [candidate("a", 0, 10)]
    found = [candidate("a", 0, 4), candidate("x", 4, 12), candidate("y", 9, 20)]
    assert [one.item for one in without_same(found, said)] == ["a", "y"]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9), st.sampled_from("kf")), max_size=25)
)
def test_ids_are_kept_once_and_by_what_overlaps(rows: list[tuple[int, int, str]]) -> None:
    own = [
        candidate(f"{side}{n}", start, start + length)
        for n, (start, length, side) in enumerate(rows)
    ]
    known = [one for one in own if one.item.startswith("k")]
    found = [one for one in own if one.item.startswith("f")]
    kept = keep_ids(found, known)
    ids = [one.item for one in kept]
    assert len(ids) == len(set(ids))
    by_id = {one.item: one for one in known}
    for before, one in zip(found, kept, strict=True):
        assert replace(one, item=before.item) == before
        if one.item != before.item:
            other = by_id[one.item]
            assert is_same_sound(one, other)
        else:
            # All that it may be are taken by others.
            assert all(other.item in ids for other in known if is_same_sound(one, other))
    assert keep_ids(kept, known) == kept
    judged = without_same(kept, known)
    assert all(
        one.item in by_id or not any(is_same_sound(one, other) for other in known) for one in judged
    )
