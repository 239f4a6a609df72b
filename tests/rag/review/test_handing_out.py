"""Items that are handed out, given back and handed out again."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from earful.rag.review import ReviewSession
from tests.support.review_scans import Clock, made_scan, opened, said


@pytest.fixture(autouse=True)
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def ids(session: ReviewSession, strategy: str, *, client: str = "p", n: int = 9) -> list[str]:
    """Return what ana is shown."""
    return [
        one.item for one in session.next_items(n, reviewer="ana", client=client, strategy=strategy)
    ]


def disputed(session: ReviewSession, n: int) -> list[str]:
    """Make reviewers contradict each other about some items."""
    items = session.next_items(n, reviewer="ana", strategy="top")
    for one in items:
        session.label(said(one))
        session.label(said(one, "negative", reviewer="ben"))
    return sorted(one.item for one in items)


def test_what_is_disputed_comes_until_it_is_answered(tmp_path: Path) -> None:
    clock = Clock()
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6, 0.55]), clock)
    two = disputed(session, 2)
    assert ids(session, "disputed") == two
    assert ids(session, "disputed") == two  # the same page comes again
    assert ids(session, "disputed", n=1) == two[:1]
    assert len(ids(session, "top")) == 3  # another order gives them back
    assert ids(session, "disputed") == two
    session.release("p")  # the page is left
    assert ids(session, "disputed", client="q") == two
    clock.now += 300  # the page was killed
    assert ids(session, "disputed", client="r") == two
    (item, _) = session.next_items(2, reviewer="ana", client="r", strategy="disputed")
    again = session.label(said(item), client="r").label  # she stays with her word
    assert again.queue == "disputed"
    assert ids(session, "disputed", client="r") == two[1:]
    session.undo(again.seq, "ana", client="r")
    assert sorted(ids(session, "disputed", client="r")) == two
    assert len(session.next_items(9, reviewer="ben", client="b", strategy="disputed")) == 0


@pytest.mark.parametrize("strategy", ["mix", "top", "margin", "diverse", "random", "target=0.4"])
def test_other_orders_give_the_same_page_its_items_again(tmp_path: Path, strategy: str) -> None:
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6]))
    first = ids(session, strategy, n=2)
    assert ids(session, strategy, n=2) == first
    assert set(ids(session, strategy)) == {one.event_id for one in session.events}
    session.release("p")
    assert set(ids(session, strategy, client="q")) == {one.event_id for one in session.events}


def test_what_is_flagged_comes_first_to_others(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7]))
    *_, last = session.next_items(3, reviewer="ana", client="a", strategy="top")
    session.label(said(last, flagged=True), client="a")
    (first,) = session.next_items(1, reviewer="ben", client="b", strategy="top")
    assert (first.item, first.queue) == (last.item, "second")
    assert first.why == "a reviewer asks for another opinion"
    assert first.said == ()  # ben is not told what ana said
    assert last.item not in ids(session, "top", client="c")
    session.label(said(first, reviewer="ben"), client="b")
    others = session.next_items(1, reviewer="eva", client="e", strategy="top")
    assert last.item not in [one.item for one in others]


@pytest.mark.parametrize("strategy", ["mix", "top", "margin", "diverse", "random", "target=0.4"])
def test_what_cannot_be_heard_comes_last(tmp_path: Path, strategy: str) -> None:
    scan = made_scan(tmp_path, [0.9, 0.2] * 10)
    session = opened(scan)
    moved = tmp_path / "gone.wav"
    for one in list(session._board.current.values())[::2]:
        session._board.update(replace(one, recording=str(moved)))
    shown = session.next_items(20, reviewer="ana", strategy=strategy)
    assert [one.missing for one in shown] == [False] * 10 + [True] * 10
    session.release("")
    moved.write_bytes(b"is back")
    shown = session.next_items(20, reviewer="ana", strategy=strategy)
    assert not any(one.missing for one in shown)


def test_a_recording_that_goes_meanwhile_is_asked_about_last(tmp_path: Path) -> None:
    session = opened(made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6]))
    moved = tmp_path / "gone.wav"
    moved.write_bytes(b"is there")
    first, second, third, fourth = list(session._board.current.values())
    session._board.update(replace(second, recording=str(moved)))
    assert ids(session, "top", n=1) == [first.item]
    moved.unlink()
    assert ids(session, "top") == [first.item, third.item, fourth.item, second.item]
