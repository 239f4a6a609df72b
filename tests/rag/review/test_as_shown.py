"""What was shown is what is kept, whatever detectors find meanwhile."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earful.rag.review import ReviewItem, ReviewSession
from earful.rag.review.candidates import Candidate, Found
from tests.support.review_scans import Clock, made_scan, opened, said


@pytest.fixture(autouse=True)
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def refit(session: ReviewSession, monkeypatch: pytest.MonkeyPatch, by_s: float = 0.2) -> None:
    """Fit detectors that find all events a little later, with a lower score."""
    moved = [
        replace(
            one,
            start_s=one.start_s + by_s,
            end_s=one.end_s + by_s,
            score=(one.score or 0) - 0.1,
            threshold=0.45,
        )
        for one in session._source.candidates
    ]

    def find(*_: Any) -> Found:
        return Found(candidates=tuple(moved), labels=("wren",))

    monkeypatch.setattr(session._source, "find", find)
    session._refitter._was_fitted = False
    assert session.refit() is not None


def kept(one: Any) -> tuple[Any, ...]:
    return one.start_s, one.end_s, one.score, one.threshold, one.guess


def wrote(session: ReviewSession, shown: ReviewItem, client: str, **fields: Any) -> tuple[Any, ...]:
    """Label an item as the server does: its stretch is what the session says of it."""
    item = session.item(shown.item, reviewer="ana", client=client)
    return kept(session.label(said(item, guess="", **fields), client=client).label)


def test_an_item_on_the_screen_is_kept_as_it_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7]), clock)
    (item,) = session.next_items(1, reviewer="ana", client="p", strategy="top")
    refit(session, monkeypatch)
    clock.now += 300  # its lease has ended, too
    assert wrote(session, item, "p") == (0.0, 1.0, 0.9, 0.5, "wren")
    assert kept(session.item(item.item)) == (0.2, 1.2, 0.8, 0.45, "wren")
    (other,) = session.next_items(1, reviewer="ana", client="p", strategy="top")
    assert kept(other) == (2.2, 3.2, pytest.approx(0.7), 0.45, "wren")


def test_two_pages_keep_what_each_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    session = opened(made_scan(tmp_path, [0.9]), clock)
    (old,) = session.next_items(1, reviewer="ana", client="old", strategy="top")
    clock.now += 300
    refit(session, monkeypatch)
    (new,) = session.next_items(1, reviewer="ben", client="new", strategy="top")
    assert (old.start_s, new.start_s) == (0.0, 0.2)
    assert session.label(said(new, reviewer="ben"), client="new").label.start_s == 0.2
    assert wrote(session, old, "old")[:3] == (0.0, 1.0, 0.9)


@pytest.mark.parametrize("client", ["p", ""])
def test_an_undo_returns_what_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    scan = made_scan(tmp_path, [0.9, 0.8, 0.7])
    session = opened(scan)
    (item,) = session.next_items(1, reviewer="ana", client=client, strategy="top")
    first = session.label(said(item), client=client).label
    refit(session, monkeypatch)
    session.undo(first.seq, "ana", client=client)
    (again,) = session.next_items(1, reviewer="ana", client=client, strategy="random")
    assert (again.item, again.queue) == (item.item, "returned")
    assert kept(again) == kept(item)
    refit(session, monkeypatch, by_s=0.3)
    assert wrote(session, item, client) == kept(item)


def test_an_undo_after_a_restart_returns_what_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = made_scan(tmp_path, [0.9, 0.8])
    session = opened(scan)
    (item,) = session.next_items(1, reviewer="ana", client="p", strategy="top")
    label = session.label(said(item), client="p").label
    session = opened(scan)
    refit(session, monkeypatch)
    session.undo(label.seq, "ana", client="p")
    assert kept(session.item(item.item, reviewer="ana", client="p")) == kept(item)


def test_an_answered_item_is_shown_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(made_scan(tmp_path, [0.9]))
    (item,) = session.next_items(1, reviewer="ana", client="p")
    session.label(said(item), client="p")
    refit(session, monkeypatch)
    assert isinstance(session._board.find(item.item), Candidate)
    assert session.item(item.item, reviewer="ana", client="p").start_s == 0.2
