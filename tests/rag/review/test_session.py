"""A review of a scan whose events are made by hand."""

import os
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import LabelError, ReviewError
from earful.index.labels import LabelJournal
from earful.rag.review import LeasedError, ReviewItem, ReviewSession, UnknownItemError
from earful.rag.scan import Events
from tests.support.review_scans import Clock, made_scan, opened, said


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def session(tmp_path: Path) -> ReviewSession:
    return opened(made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6]))


def take(session: ReviewSession, reviewer: str = "ana", **given: Any) -> ReviewItem:
    (item,) = session.next_items(1, reviewer=reviewer, **given)
    return item


def test_an_item_says_what_is_known_of_it(session: ReviewSession, tmp_path: Path) -> None:
    item = take(session, strategy="top")
    event = max(Events.open(tmp_path / "night.scan"), key=lambda one: one.score)
    assert (item.item, item.guess, item.score, item.threshold) == (
        *(event.event_id, "wren", 0.9, 0.5),
    )
    assert (item.scan, item.queue, item.why) == ("night.scan", "top", "one of the highest scores")
    assert (item.duration_s, item.sample_rate, item.missing) == (9.0, 8000, False)
    assert item.source == tmp_path / "night.wav"
    plain = item.to_dict()
    assert plain["source"] == "night.wav"
    assert plain["said"] == []
    assert plain["leased_until"] == "1970-01-12T13:48:40+00:00"  # the clock's moment + 120 s
    assert session.item(item.item) == item


def test_what_is_said_is_kept_and_told(session: ReviewSession) -> None:
    told: list[tuple[str, Any]] = []
    session.on_change = lambda kind, data: told.append((kind, data))
    item = take(session, strategy="top")
    done = session.label(said(item))
    assert done.changed.text == "wren: 1 yes"
    written = done.label
    assert (written.guess, written.score, written.threshold, written.queue, written.source) == (
        *("wren", 0.9, 0.5, "top", "review"),
    )
    assert told == [
        (
            "label",
            {
                "scan": "night.scan",
                "label": written.to_dict(),
                "change": done.changed.to_dict(),
            },
        )
    ]
    second = session.label(said(take(session, strategy="top"), "negative"))
    assert second.changed.text == "wren: 1 yes, 1 no"
    unsure = session.label(said(take(session, strategy="top"), "unknown"))
    assert unsure.changed.text == "wren: 1 yes, 1 no, 1 unsure"
    progress = session.progress()
    assert (progress.n_items, progress.n_reviewed) == (4, 3)
    assert progress.to_dict()["by_label"] == {"wren": {"positive": 1, "negative": 1, "unknown": 1}}
    assert session.progress("bo").n_reviewed == 0
    assert session.item(item.item).said == ("wren",)
    assert [one.review for one in session.events] == ["positive", "negative", "unknown", ""]


def test_a_label_of_another_sound_says_that_the_guess_is_wrong(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6]), refit_after=1)
    done = session.label(said(take(session, strategy="top"), label="robin"))
    assert (done.changed.text, done.changed.refit_due) == ("robin: 1 yes", True)
    assert session.labels == ("wren", "robin")
    assert session.progress().to_dict()["by_label"] == {
        "robin": {"positive": 1, "negative": 0, "unknown": 0}
    }
    events = session.events
    assert (events[0].label, events[0].review) == ("wren", "negative")
    assert [(one.label, one.review) for one in events.missed] == [("robin", "positive")]
    reopened = opened(session.journal.path.parent)
    assert reopened.labels == ("wren", "robin")  # keys mean what they meant before


def test_an_undo_brings_the_very_item_back_even_after_a_restart(tmp_path: Path) -> None:
    scan = made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6])
    first = opened(scan)
    items = [take(first, strategy="top") for _ in range(1)]
    labels = [first.label(said(items[0])).label]
    items.append(take(first, strategy="top"))
    labels.append(first.label(said(items[1], "negative")).label)
    assert first.undo(labels[1].seq, "ana") == labels[1]
    back = take(first, strategy="top")
    assert (back.item, back.queue) == (items[1].item, "returned")
    assert first.progress().n_reviewed == 1
    again = opened(scan)
    assert again.undo(labels[0].seq, "ana").item == items[0].item
    assert take(again, strategy="top").item == items[0].item
    assert again.progress().n_reviewed == 0
    with pytest.raises(LabelError, match="taken back already"):
        again.undo(labels[0].seq, "ana")


def test_skipped_items_come_last_again(session: ReviewSession) -> None:
    seen = []
    for _ in range(6):
        item = take(session, strategy="top")
        seen.append((item.score, item.queue))
        assert session.label(said(item, "skip")).changed.text == "skipped"
    tops = [(0.9, "top"), (0.8, "top"), (0.7, "top"), (0.6, "top")]
    assert seen == [*tops, (0.9, "skipped"), (0.8, "skipped")]
    progress = session.progress()
    assert (progress.n_reviewed, progress.n_skipped) == (0, 4)
    # Who has not skipped it is asked as ever.
    assert take(session, "bo", strategy="top").score == 0.9


def test_leases_keep_people_and_windows_apart(tmp_path: Path) -> None:
    clock = Clock()
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6]), clock)
    mine = take(session, strategy="top", client="one")
    assert take(session, strategy="top", client="one") == mine  # such as after a reload
    assert take(session, strategy="top", client="two").score == 0.8
    assert take(session, "bo", strategy="top", client="bo").score == 0.7
    with pytest.raises(LeasedError, match="'ana'") as caught:
        session.label(said(mine, reviewer="bo"), client="bo")
    assert caught.value.lease.reviewer == "ana"
    with pytest.raises(LeasedError, match="in another window"):
        session.label(said(mine), client="two")
    clock.now += 121
    session.label(said(mine, reviewer="bo"), client="bo")
    session.release("two")
    assert take(session, "bo", strategy="top", client="bo").score == 0.8


def test_a_page_asks_for_what_it_does_not_show_yet(session: ReviewSession) -> None:
    first = session.next_items(2, reviewer="ana", client="one", strategy="top")
    skip = [item.item for item in first]
    more = session.next_items(5, reviewer="ana", client="one", strategy="top", skip=skip)
    assert [item.score for item in more] == [0.7, 0.6]
    # Asked for in another order, what is not shown is given back.
    other = session.next_items(1, reviewer="ana", client="one", strategy="margin", skip=skip[:1])
    assert [item.score for item in other] == [0.6]


def test_a_second_reviewer_is_not_told_what_the_first_said(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.9, 0.8]), double=100)
    item = take(session, strategy="top")
    session.label(said(item))
    second = take(session, "bo", strategy="top")
    assert (second.item, second.queue, second.said) == (item.item, "second", ())
    change = session.label(said(second, "negative", reviewer="bo")).changed
    assert change.is_disputed
    assert session.progress().n_disputed == 1
    assert take(session, "cy", strategy="top").score == 0.8
    third = take(session, "cy", strategy="disputed")
    assert (third.item, third.said) == (item.item, ("wren", "not wren"))
    session.label(said(third, reviewer="cy"))
    assert session.progress().n_disputed == 0
    assert session.events[0].review == "positive"
    assert not session.next_items(1, reviewer="dee", strategy="disputed")


def test_a_flag_asks_another_reviewer(session: ReviewSession) -> None:
    item = take(session, strategy="top")
    session.label(said(item, "unknown", flagged=True))
    assert not session.next_items(1, reviewer="ana", strategy="disputed")
    assert take(session, "bo", strategy="disputed").item == item.item


def test_what_was_missed_is_an_item_or_becomes_one(session: ReviewSession, tmp_path: Path) -> None:
    night = str(tmp_path / "night.wav")
    own = session.missed(night, 0.3, 1.2, "wren", "ana").label  # where an event is already
    assert own.item == session.events[0].event_id
    assert (own.source, own.guess) == ("missed", "wren")
    new = session.missed(night, 1.2, 1.9, "wren", "ana").label
    assert (new.source, new.guess, new.score) == ("missed", "", None)
    assert session.progress().n_items == 5
    assert [one.event_id for one in session.events.missed] == [new.item]
    assert session.item(new.item).said == ("wren",)
    session.undo(new.seq, "ana")
    assert session.progress().n_items == 4
    assert take(session, strategy="top").score == 0.8  # nobody is asked about it
    with pytest.raises(ReviewError, match=r"none of night\.scan"):
        session.missed("day.wav", 0, 1, "wren", "ana")
    with pytest.raises(ReviewError, match=r"after its end at 9\.00 s"):
        session.missed(night, 9, 10, "wren", "ana")


def test_of_a_recording_that_is_gone_only_a_skip_is_kept(tmp_path: Path) -> None:
    scan = made_scan(tmp_path, [0.9, 0.8])
    (tmp_path / "night.wav").unlink()
    session = opened(scan)
    item = take(session, strategy="top")
    assert item.missing
    with pytest.raises(ReviewError, match=r"night\.wav: is not there any more"):
        session.label(said(item))
    session.label(said(item, "skip"))
    assert session.progress().n_skipped == 1


def test_unknown_items_and_requests(session: ReviewSession) -> None:
    item = take(session)
    with pytest.raises(UnknownItemError, match="'no item'"):
        session.item("no item")
    with pytest.raises(UnknownItemError):
        session.label(said(item, item="0" * 16))
    with pytest.raises(ReviewError, match="n=0"):
        session.next_items(0, reviewer="ana")
    with pytest.raises(ReviewError, match="double=101"):
        opened(session.journal.path.parent, double=101)
    with pytest.raises(ReviewError, match="nothing to review"):
        ReviewSession.open()


def test_what_another_process_says_counts(session: ReviewSession) -> None:
    item = take(session, strategy="top")
    LabelJournal(session.journal.path).append(said(item, "negative", reviewer="bo"))
    assert session.progress().n_reviewed == 1
    assert take(session, "cy", strategy="top").score == 0.8


def test_random_items_tell_the_precision(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.55 + n / 100 for n in range(40)]))
    drawn = 0
    while items := session.next_items(1, reviewer="ana"):
        is_random = items[0].queue == "random"
        drawn += is_random
        done = session.label(said(items[0], "positive" if drawn % 2 else "negative"))
        assert done.label.source == ("random" if is_random else "review")
    own = session.progress().precision["wren"]
    assert (own.n, own.n_right) == (4, 2)
    assert (round(own.low, 3), round(own.high, 3)) == (0.15, 0.85)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(["mix", "top", "random"]), st.sampled_from([0, 50]))
def test_each_item_is_shown_once_to_one_client_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, seed: int, strategy: str, double: int
) -> None:
    chance = Random(seed)
    clock = Clock()
    scores = [chance.randint(6, 20) / 10 for _ in range(chance.randint(1, 20))]
    session = opened(made_scan(tmp_path_factory.mktemp("review"), scores), clock, double=double)
    holds: dict[str, list[ReviewItem]] = {"ana": [], "bo": []}
    shown: dict[str, Counter[str]] = {"ana": Counter(), "bo": Counter()}
    idle: set[str] = set()
    while len(idle) < 2:
        who = chance.choice(sorted(holds))
        clock.now += 1
        if holds[who] and chance.random() < 0.5:
            item = holds[who].pop(chance.randrange(len(holds[who])))
            session.label(said(item, reviewer=who), client=who)
            idle.clear()
            continue
        new = session.next_items(
            chance.randint(1, 4),
            reviewer=who,
            client=who,
            strategy=strategy,
            skip=[item.item for item in holds[who]],
        )
        holds[who] += new
        shown[who].update(item.item for item in new)
        ids = [item.item for own in holds.values() for item in own]
        assert len(ids) == len(set(ids))
        if new or holds[who]:
            idle.clear()
        else:
            idle.add(who)
    assert max([*shown["ana"].values(), *shown["bo"].values()]) == 1
    assert set(shown["ana"]) | set(shown["bo"]) == {one.event_id for one in session.events}
    assert session.progress().n_reviewed == len(scores)
    if not double:
        assert not set(shown["ana"]) & set(shown["bo"])


def test_several_threads_label_every_item_once(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.6 + n / 100 for n in range(40)]))
    failed: list[Exception] = []

    def review(who: str) -> None:
        try:
            while items := session.next_items(2, reviewer=who, client=who):
                for item in items:
                    session.label(said(item, reviewer=who), client=who)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=review, args=(who,)) for who in ("ana", "bo", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    lines = session.journal.read()
    assert len(lines) == session.progress().n_reviewed == 40


def test_a_label_that_comes_again_is_written_once(session: ReviewSession) -> None:
    item = take(session)
    first = session.label(said(item)).label
    assert first.at is not None
    waited = said(item, at=first.at - timedelta(seconds=2))  # when the key was pressed
    # In the meantime another is shown the item: nobody is refused what is kept already.
    session.next_items(9, reviewer="eva", client="2")
    assert session.label(waited).label == first
    assert len(session.journal.read()) == 1
    other = session.label(said(item, "negative", at=first.at - timedelta(seconds=1))).label
    assert other.seq == 2
    session.undo(2, "ana")
    session.undo(1, "ana")
    assert session.progress().n_reviewed == 0


def test_a_missed_event_keeps_its_own_time_and_makes_a_fit_due(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.9]), refit_after=1)
    at = datetime(2026, 5, 4, 9, 12, tzinfo=UTC)
    night = str(tmp_path / "night.wav")
    done = session.missed(night, 1.2, 1.9, "wren", "ana", at=at, flagged=True)
    assert (done.label.at, done.label.flagged) == (at, True)
    assert (done.changed.text, done.changed.refit_due) == ("wren: 1 yes", True)
