"""Events and what reviewers said of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from earful.index.annotations import Event, RecordingRow, event_id
from earful.index.labels import Label, LabelState, overlap, review_events
from earful.index.labels.fold import Fold

SHA = "ab" * 32


def event(start_s: float, end_s: float, name: str = "wren", sha: str = SHA) -> Event:
    return Event(
        event_id=event_id(sha, name, start_s, end_s),
        recording="night.wav",
        recording_sha256=sha,
        start_s=start_s,
        end_s=end_s,
        label=name,
        score=0.8,
    )


def state(*said: dict[str, Any]) -> LabelState:
    fold = Fold()
    for seq, one in enumerate(said, start=1):
        given: dict[str, Any] = {
            "recording": "night.wav",
            "recording_sha256": SHA,
            "start_s": 1.0,
            "end_s": 2.0,
            "label": "wren",
            "guess": "wren",
            "polarity": "positive",
            "reviewer": "ana",
            "at": datetime(2026, 5, 4, 9, seq, tzinfo=UTC),
        }
        fold.add(Label(**(given | one), seq=seq))
    return fold.state(())


def reviews(events: list[Event], said: LabelState) -> list[str]:
    return [one.review for one in review_events(events, said).events]


def test_an_item_is_the_event_of_its_id_or_the_one_that_overlaps_most() -> None:
    first, second, third = event(1, 2), event(5, 6), event(9, 10)
    said = state(
        {"item": first.event_id, "start_s": 1.2},
        {"item": "moved", "start_s": 5.2, "end_s": 6.2, "polarity": "negative"},
        {"item": "elsewhere", "start_s": 9.6, "end_s": 10.6},
    )
    found = review_events([first, second, third], said)
    assert [one.review for one in found.events] == ["positive", "negative", ""]
    assert found.events[0].reviewer == "ana"
    assert found.events[0].reviewed_at == datetime(2026, 5, 4, 9, 1, tzinfo=UTC)
    assert [(one.start_s, one.label, one.score) for one in found.missed] == [(9.6, "wren", 0.0)]


def test_each_event_is_of_one_item() -> None:
    said = state(
        {"item": "a", "start_s": 1.0, "end_s": 1.9},
        {"item": "b", "start_s": 1.3, "end_s": 2.2, "polarity": "negative"},
    )
    assert reviews([event(1, 2), event(1.2, 2.2)], said) == ["positive", "negative"]


@pytest.mark.parametrize(
    ("words", "review", "missed"),
    [
        ([{"polarity": "unknown"}], "unknown", []),
        ([{"polarity": "skip"}], "", []),
        ([{}, {"reviewer": "ben", "polarity": "negative"}], "unknown", []),
        ([{"label": "robin"}], "negative", ["robin"]),
        ([{"label": "robin", "polarity": "negative"}], "", []),
    ],
)
def test_what_an_item_is_becomes_the_review(
    words: list[dict[str, Any]], review: str, missed: list[str]
) -> None:
    one = event(1, 2)
    found = review_events([one], state(*({"item": one.event_id, **word} for word in words)))
    assert found.events[0].review == review
    assert [extra.label for extra in found.missed] == missed


def test_another_label_marks_the_event_that_has_it() -> None:
    wren, robin = event(1, 2), event(1.1, 2, "robin")
    found = review_events([wren, robin], state({"item": wren.event_id, "label": "robin"}))
    assert [one.review for one in found.events] == ["negative", "positive"]
    assert found.missed == ()


def test_a_missed_sound_is_placed_and_found_by_the_next_scan() -> None:
    said = state({"item": "m1", "source": "missed", "guess": "", "start_s": 30.0, "end_s": 31.0})
    row = RecordingRow(
        recording="copy.wav", sha256=SHA, starts_at=datetime(2026, 5, 3, 4, 30), site="S7"
    )
    (missed,) = review_events([event(1, 2)], said, [row]).missed
    assert (missed.event_id, missed.recording, missed.site) == ("m1", "copy.wav", "S7")
    assert missed.starts_at == datetime(2026, 5, 3, 4, 30, 30)
    found = review_events([event(30.1, 31.0)], said, [row])
    assert found.missed == ()
    assert found.events[0].review == "positive"


def test_other_recordings_do_not_match() -> None:
    assert reviews([event(1, 2, sha="cd" * 32)], state({"item": "x"})) == [""]


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 4), (1, 3)) == 0.5
    assert overlap((0, 1), (1, 2)) == 0.0


def test_what_was_denied_is_kept_when_it_is_no_event_any_more() -> None:
    said = state(
        {"item": "no", "polarity": "negative"},
        {"item": "other", "start_s": 5.0, "end_s": 6.0, "label": "robin"},
        {"item": "unsaid", "start_s": 9.0, "end_s": 9.5, "label": "robin", "polarity": "negative"},
        {"item": "skipped", "start_s": 20.0, "end_s": 21.0, "polarity": "skip"},
    )
    found = review_events([], said)
    assert [(one.event_id, one.label, one.review, one.score) for one in found.denied] == [
        ("no", "wren", "negative", 0.0),
        ("other", "wren", "negative", 0.0),
    ]
    assert [one.label for one in found.missed] == ["robin"]
    # As long as it is an event, it is the event that is denied.
    found = review_events([event(1.1, 2.0), event(5, 6)], said)
    assert found.denied == ()
    assert [one.review for one in found.events] == ["negative", "negative"]
