"""Detectors that are fitted again from what reviewers said, on beeps in noise."""

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import earful
from earful.errors import ScanMismatchError
from earful.rag.review import ReviewSession
from earful.rag.scan import Events, ExampleSources
from tests.support.review_scans import WRENS, opened, said, scanned_beeps
from tests.support.tone_recordings import ToneSteps, every, record, write_track


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings and a scan, which nobody changes."""
    folder = tmp_path_factory.mktemp("scanned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARFUL_DECODE", "here")
        scanned_beeps(folder)
    return folder


@pytest.fixture
def scan(scanned: Path, tmp_path: Path) -> Path:
    """The same scan, to write labels into."""
    shutil.copytree(scanned / "night.scan", tmp_path / "night.scan")
    return tmp_path / "night.scan"


def finds(events: Events) -> list[Any]:
    return [(one.event_id, one.score, one.nearest_example, one.similarity) for one in events]


def label_all(session: ReviewSession, n: int) -> None:
    """Say yes to what lies in a beep, no to the rest."""
    for _ in range(n):
        (item,) = session.next_items(1, reviewer="ana")
        beeps = WRENS if item.recording.endswith("A.wav") else every(20, 2, "wren")
        middle = (item.start_s + item.end_s) / 2
        is_beep = any(start_s <= middle < end_s for start_s, end_s, _ in beeps)
        session.label(said(item, "positive" if is_beep else "negative"))


def test_the_first_fit_finds_the_events_of_the_scan_and_peaks(scan: Path) -> None:
    session = opened(scan, lowest_score=0.05)
    before = session.events
    # Five of ten events are the examples, which nobody is asked about.
    assert session.progress().n_items == 5
    refit = session.refit()
    assert refit is not None
    assert (refit.n_events_before, refit.n_events_after) == (10, 10)
    assert refit.text == "wren: 10 events"
    assert session.events == before
    # Peaks that nobody has spoken of are counted apart.
    assert session.progress().n_items == 5
    n_peaks = session.progress().n_peaks
    assert n_peaks > 0
    items = session.next_items(100, reviewer="ana", strategy="top")
    assert {item.score is not None and item.score > 0.5 for item in items} == {True, False}
    assert len(items) == 5 + n_peaks
    peak = items[-1]
    assert peak.nearest is not None
    assert peak.nearest.source is not None
    assert peak.nearest.source.name == "A.wav"
    assert 0 < (peak.nearest.similarity or 0) < 1
    assert session.refit() is None  # nothing was said since
    done = session.label(said(peak, "negative"))
    assert (session.progress().n_items, session.progress().n_peaks) == (6, n_peaks - 1)
    session.undo(done.label.seq, "ana")
    assert (session.progress().n_items, session.progress().n_peaks) == (5, n_peaks)


def test_a_fit_finds_what_a_scan_with_these_labels_finds(scan: Path, scanned: Path) -> None:
    session = opened(scan, lowest_score=0.05)
    session.refit()
    told: list[Any] = []
    session.on_change = lambda kind, data: told.append((kind, data["scan"]))
    label_all(session, 12)
    assert session.refit_due == ("wren",)
    refit = session.refit()
    assert refit is not None
    assert refit.text.startswith("wren: 5 yes, 7 no; 10")
    assert told == [("label", "night.scan")] * 12 + [("refit", "night.scan")]
    assert not session.refit_due
    again = earful.scan(
        scanned / "night",
        examples=ExampleSources(annotations=(scanned / "A.txt",), journal=scan),
        out=scan,
        embedder=ToneSteps(),
    )
    mine = {(one.event_id, one.score, one.similarity) for one in session.events}
    # Ids are those of the first form, and so may be those of events that moved a little.
    assert {(score, similar) for _, score, similar in mine} == {
        (one.score, one.similarity) for one in again
    }
    best = session.item(session.events.best(1)[0].event_id)
    change = session.label(said(best, reviewer="bo")).changed
    assert "; 10 → 10 events" in change.text


def test_what_somebody_looks_at_stays(scan: Path) -> None:
    session = opened(scan, lowest_score=0.05)
    session.refit()
    shown = session.next_items(4, reviewer="bo", client="bo", strategy="margin")
    label_all(session, 10)
    ids = {one.event_id for one in session.events}
    assert session.refit() is not None
    assert [session.item(one.item) for one in shown] == shown
    held = session.next_items(4, reviewer="bo", client="bo", strategy="margin")
    assert [one.item for one in held] == [one.item for one in shown]
    assert {one.event_id for one in session.events} == ids
    for one in shown:
        written = session.label(said(one, "negative", reviewer="bo"), client="bo").label
        assert written.score == one.score


def test_labels_may_come_while_a_detector_is_fitted(
    scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(scan, lowest_score=0.05)
    session.refit()
    label_all(session, 5)
    begun, go_on = threading.Event(), threading.Event()
    find = session._source.find

    def slow(*given: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return find(*given)

    monkeypatch.setattr(session._source, "find", slow)
    refits: list[Any] = []
    thread = threading.Thread(target=lambda: refits.append(session.refit()))
    thread.start()
    assert begun.wait(60)
    assert session.progress().is_fitting
    assert session.refit() is None  # one at a time
    label_all(session, 2)
    go_on.set()
    thread.join()
    assert refits[0].n_positive + refits[0].n_negative == 7
    assert session.progress().n_reviewed == 7
    assert session.refit() is not None  # two labels came meanwhile


def test_without_kept_steps_the_events_stay_and_a_note_says_why(scan: Path) -> None:
    shutil.rmtree(scan / "vectors")
    session = opened(scan)
    before = session.events
    assert session.refit() is None
    assert len(session.notes) == 1
    assert "no detector can be fitted again" in session.notes[0]
    assert session.events[:] == before[:]
    assert len(session.next_items(10, reviewer="ana")) == 5


def test_of_a_recording_whose_steps_are_gone_the_events_stay(scan: Path) -> None:
    session = opened(scan)
    events = session.events
    gone = next(row.sha256 for row in events.recordings if row.recording.endswith("B.wav"))
    for path in (scan / "vectors").rglob("*.json"):
        if gone in path.read_text():
            path.with_suffix(".npy").unlink()
            path.unlink()
    assert session.refit() is not None
    assert finds(session.events) == finds(events)
    assert any("B.wav" in note and "earful scan" in note for note in session.notes)


def test_steps_of_another_encoder_are_not_mixed(scan: Path) -> None:
    class OtherSteps(ToneSteps):
        steps_fingerprint = earful.Fingerprint(
            name="other", revision="", weights_sha256="", dim=16, sample_rate=4000, windowing="s"
        )

    session = ReviewSession.open(scan, embedder=OtherSteps())
    assert session.refit() is None
    assert "made by another encoder" in session.notes[0]


def test_an_index_of_another_encoder_is_refused(scan: Path, tmp_path: Path) -> None:
    class OtherEmbedder(ToneSteps):
        fingerprint = earful.Fingerprint(
            name="other", revision="", weights_sha256="", dim=16, sample_rate=4000, windowing="s"
        )

    index = earful.Index.create(tmp_path / "an.index", OtherEmbedder.fingerprint)
    with pytest.raises(ScanMismatchError, match="built with 'other'"):
        ReviewSession.open(scan, index)


def test_the_first_question_begins_to_look_for_peaks(scan: Path) -> None:
    session = ReviewSession.open(scan, embedder=ToneSteps())
    told = threading.Event()
    session.on_change = lambda kind, _: told.set() if kind == "refit" else None
    assert session.next_items(1, reviewer="ana")
    assert told.wait(60)


def test_each_recording_by_its_own_examples(tmp_path: Path) -> None:
    record(tmp_path / "night/A.wav", 60, WRENS)
    record(tmp_path / "night/B.wav", 60, every(6, 8, "wren"), seed=1)
    (tmp_path / "reference").mkdir()
    tracks = [write_track(tmp_path / "reference" / f"{name}.txt", WRENS) for name in "AB"]
    events = earful.scan(
        tmp_path / "night",
        examples=ExampleSources(first=3, reference=tuple(tracks)),
        out=tmp_path / "night.scan",
        embedder=ToneSteps(),
    )
    session = opened(tmp_path / "night.scan")
    assert session.refit() is not None
    assert finds(session.events) == finds(events)


def test_recordings_that_were_heard_slower(tmp_path: Path) -> None:
    from earful.index.recordings import Hearing
    from earful.rag.scan import ScanOptions

    record(tmp_path / "night/A.wav", 30, every(6, 4, "wren"), rate=8000)
    track = write_track(tmp_path / "A.txt", every(6, 2, "wren"))
    events = earful.scan(
        tmp_path / "night",
        examples=track,
        out=tmp_path / "night.scan",
        embedder=ToneSteps(),
        options=ScanOptions(hearing=Hearing(slow=2)),
    )
    session = opened(tmp_path / "night.scan")
    assert session.refit() is not None
    assert finds(session.events) == finds(events)
    (item, *_) = session.next_items(1, reviewer="ana", strategy="top")
    assert item.nearest is not None
    assert item.nearest.end_s - item.nearest.start_s == pytest.approx(1)


def test_an_example_counts_as_an_item_once_somebody_has_judged_it(scan: Path) -> None:
    session = opened(scan)
    asked = {one.item for one in session.next_items(9, reviewer="eva")}
    example = next(one for one in session.events if one.event_id not in asked)
    done = session.label(said(session.item(example.event_id), "negative"))
    assert session.progress().n_items == opened(scan).progress().n_items == 6
    session.undo(done.label.seq, "ana")
    assert session.progress().n_items == opened(scan).progress().n_items == 5


def test_what_a_reviewer_said_stays_an_item_when_a_scan_learnt_of_it(
    scan: Path, scanned: Path
) -> None:
    session = opened(scan)
    items = session.next_items(5, reviewer="ana", strategy="top")
    for one in items:
        label = session.label(said(one)).label
    earful.scan(
        scanned / "night",
        examples=ExampleSources(annotations=(scanned / "A.txt",), journal=scan),
        out=scan,
        embedder=ToneSteps(),
    )
    session = opened(scan, double=100)
    # The first five are given examples, about which nobody is asked.
    assert session.progress().n_items == 5
    others = session.next_items(9, reviewer="ben", strategy="top")
    assert {one.item for one in others} == {one.item for one in items}
    assert {one.queue for one in others} == {"second"}
    assert session.next_items(9, reviewer="ana", strategy="top") == []
    session.undo(label.seq, "ana")
    assert opened(scan).progress().n_items == 5
