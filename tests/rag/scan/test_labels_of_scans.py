"""Scans and the labels that reviewers set: folded in, kept, and used as examples."""

import os
from pathlib import Path
from typing import Any

import pytest

import earful
from earful import Events, ExampleSources, ScanSettings
from earful.errors import CorpusError, LabelError, ScanMismatchError
from earful.index.annotations import Event
from earful.index.labels import Label, LabelJournal, journal_path
from earful.rag.scan import evaluate_scan
from tests.support.tone_recordings import ToneSteps, every, record, write_track

OUT = Path("night.scan")


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.chdir(tmp_path)


def scan(**given: Any) -> Events:
    given.setdefault("examples", ExampleSources(annotations=("a.txt",)))
    return earful.scan("night", embedder=ToneSteps(), out=OUT, **given)


def night(beeps: list[Any], n_marked: int = 3) -> Path:
    path = record(Path("night/a.wav"), beeps[-1][1] + 4, beeps)
    write_track(Path("a.txt"), beeps[:n_marked])
    return path


def say(event: Event, polarity: str, **said: Any) -> Label:
    given: dict[str, Any] = {
        "item": event.event_id,
        "recording": event.recording,
        "recording_sha256": event.recording_sha256,
        "start_s": event.start_s,
        "end_s": event.end_s,
        "label": event.label,
        "guess": event.label,
        "polarity": polarity,
        "reviewer": "ana",
    }
    return LabelJournal(journal_path(OUT)).append(Label(**(given | said)))


def test_reviews_outlast_a_scan_and_are_further_examples() -> None:
    beeps = every(4, 8, "wren") + every(4, 3, "fox", first_s=39)
    night(sorted(beeps))
    found = scan()
    assert len(found) == 8
    say(found[0], "positive")
    say(found[3], "positive")
    say(found[4], "negative")
    missed = say(
        found[5], "positive", item="m", start_s=39.0, end_s=40.0, label="fox", source="missed"
    )
    content = journal_path(OUT).read_bytes()
    opened = Events.open(OUT)
    assert [one.review for one in opened][:6] == ["positive", "", "", "positive", "negative", ""]
    assert [one.event_id for one in opened.missed] == ["m"]
    assert "positive" not in (OUT / "events.csv").read_text()
    again = scan(settings=ScanSettings(threshold=0.6))
    assert journal_path(OUT).read_bytes() == content
    assert [bool(one.review) for one in again] == [True, False, False, True, True] + [False] * 3

    learnt = scan(examples=ExampleSources(annotations=("a.txt",), journal=OUT))
    assert journal_path(OUT).read_bytes() == content
    assert set(learnt.labels) == {"wren", "fox"}
    by_label = {one.label: one for one in learnt.summaries}
    # The first event was given as an example already, and does not count twice.
    assert (by_label["wren"].n_examples, by_label["fox"].n_examples) == (4, 1)
    assert any("4 labels of reviewers: 3 positive, 1 negative" in note for note in learnt.notes)
    assert learnt.notes[-1] == "events of each label, against the scan before: fox from 0 to 3"
    foxes = [one for one in learnt if one.label == "fox"]
    assert foxes[0].review == "positive"
    assert learnt.missed == ()
    LabelJournal(journal_path(OUT)).undo(missed.seq, "ana")
    assert not any(one.label == "fox" and one.review for one in Events.open(OUT))


def test_a_yes_to_the_background_is_named() -> None:
    night(every(4, 12, "wren"))
    found = scan()
    for event in found[3:7]:
        say(event, "positive")
    journal = ExampleSources(annotations=("a.txt",), journal=OUT)
    assert not any("listen again" in note for note in scan(examples=journal).notes)
    gap_s = (found[7].end_s + found[8].start_s) / 2
    say(found[7], "positive", item="m", start_s=gap_s, end_s=gap_s + 0.5, source="missed")
    learnt = scan(examples=journal)
    told = [note for note in learnt.notes if "listen again" in note]
    assert len(told) == 1
    assert "by ana resembles its background more than the other examples" in told[0]


def test_a_yes_to_what_others_called_no_is_named() -> None:
    night(sorted(every(4, 8, "wren") + every(4, 4, "fox", first_s=39)))
    found = scan()
    for event in found[3:6]:
        say(event, "positive")
    for n, start_s in enumerate((39.0, 43.0, 47.0)):
        said = {"item": f"m{n}", "start_s": start_s, "end_s": start_s + 1, "source": "missed"}
        say(found[0], "negative" if n < 2 else "positive", **said)
    notes = scan(examples=ExampleSources(annotations=("a.txt",), journal=OUT)).notes
    (told,) = (note for note in notes if "listen again" in note)
    assert "wren: the yes at 0:47" in told
    assert "by ana resembles what is known not to be wren more than" in told


def test_twenty_reviewed_events_give_probabilities() -> None:
    night(sorted(every(4, 26, "wren")))
    found = scan()
    assert {one.probability for one in found} == {None}
    for number, event in enumerate(found[3:25]):
        say(event, "positive" if number % 2 else "negative")
    learnt = scan(examples=ExampleSources(annotations=("a.txt",), journal=OUT))
    known = [one for one in learnt if one.n_reviewed]
    assert known
    # The examples of the track were marked by somebody, too.
    assert {one.n_reviewed for one in known} == {25}
    assert all(0 <= (one.probability or 0) <= 1 for one in known)


def test_labels_alone_may_be_the_examples_and_exclude_first() -> None:
    night(every(4, 6, "wren"))
    for event in scan()[:2]:
        say(event, "positive")
    found = scan(examples=ExampleSources(journal=OUT / "labels.jsonl"))
    assert len(found) == 6
    with pytest.raises(CorpusError, match="--with-labels"):
        ExampleSources(journal=OUT, first=2, reference=("a.txt",))
    (OUT / "labels.jsonl").write_text("nonsense\n{}\n" + (OUT / "labels.jsonl").read_text())
    with pytest.raises(LabelError, match="line 1"):
        Events.open(OUT)


def test_a_journal_alone_does_not_make_a_folder_foreign() -> None:
    night(every(4, 6, "wren"))
    OUT.mkdir()
    (OUT / "labels.jsonl").touch()
    assert len(scan()) == 6
    (OUT / "scan.json").unlink()
    with pytest.raises(ScanMismatchError):
        scan()


def test_a_reviewed_scan_is_a_reference() -> None:
    night(every(4, 8, "wren"))
    found = scan()
    for event in found[:5]:
        say(event, "positive")
    say(found[5], "negative")
    say(found[6], "positive", item="m", start_s=1.0, end_s=2.0, source="missed")
    (f1,) = evaluate_scan(Events.open(OUT), OUT, n_given=0)
    one = f1.by_label["wren"]
    assert (one.found, one.false, one.missed) == (5, 1, 1)
