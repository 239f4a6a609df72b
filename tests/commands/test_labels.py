"""``earful labels`` as a user types it."""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from earful import Events, Index, build_index, open_corpus
from earful.index.annotations import Event, RecordingRow, event_id
from earful.index.labels import Label, LabelJournal, journal_path
from earful.model.audio import file_sha256
from earful.rag.scan import LabelSummary
from tests.support.levels import Levels, write_level

Run = Callable[..., tuple[int, str, str]]
OUT = "night.scan"


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def events(run: Run) -> tuple[Event, ...]:
    """Four events of a scan, and nothing said of them."""
    write_level(Path("night/a.wav"), 0.3, seconds=12.0)
    sha = file_sha256("night/a.wav")
    found = tuple(
        Event(
            event_id=event_id(sha, "wren", float(start), start + 1.0),
            recording="night/a.wav",
            recording_sha256=sha,
            start_s=float(start),
            end_s=start + 1.0,
            label="wren",
            score=0.5 + start / 100,
        )
        for start in (1, 3, 5, 7)
    )
    summary = LabelSummary(
        label="wren", n_examples=5, detector="neighbours", background="gaps", threshold=0.5
    )
    row = RecordingRow(recording="night/a.wav", sha256=sha, duration_s=12.0, sample_rate=8000)
    Events(rows=found, recordings=(row,), summaries=(summary,), scan={"paths": ["night"]}).write(
        OUT
    )
    return found


def say(event: Event, reviewer: str, polarity: str, name: str = "wren") -> Label:
    return LabelJournal(journal_path(OUT)).append(
        Label(
            item=event.event_id,
            recording=event.recording,
            recording_sha256=event.recording_sha256,
            start_s=event.start_s,
            end_s=event.end_s,
            label=name,
            guess=event.label,
            polarity=polarity,  # type: ignore[arg-type]
            reviewer=reviewer,
        )
    )


def test_labels_are_shown_taken_back_compared_and_settled(
    run: Run, events: tuple[Event, ...]
) -> None:
    code, out, _ = run("labels", "show", OUT)
    assert (code, out.strip()) == (0, "night.scan: 0 labelled items")
    assert "no item has" in run("labels", "agreement", OUT)[1]
    say(events[0], "ana", "positive")
    say(events[1], "ana", "negative")
    say(events[1], "ben", "positive")
    say(events[2], "ana", "positive", "robin")
    code, out, _ = run("labels", "show", OUT)
    assert code == 0
    assert [line.split()[-1] for line in out.splitlines()[2:6]] == [
        *("yes", "disputed", "disputed", "yes")
    ]
    assert out.splitlines()[-1] == "night.scan: 3 labelled items: 1 disputed, 2 positive"
    found = json.loads(run("labels", "show", OUT, "--status", "disputed", "--json")[1])
    assert [one["seq"] for one in found["labels"]] == [2, 3]
    assert found["by_label"] == {
        "robin": {"positive": 1, "negative": 0},
        "wren": {"positive": 1, "negative": 0},
    }
    assert "ben" not in run("labels", "show", OUT, "--reviewer", "ana", "--last", "1")[1]

    code, out, _ = run("labels", "agreement", OUT)
    assert code == 0
    assert "they differ about 1, of which 0 are settled" in out
    assert events[1].event_id in out
    assert json.loads(run("labels", "agreement", OUT, "--json")[1])["pairs"][0]["n"] == 1

    code, _, err = run("labels", "undo", OUT, "3", "--reviewer", "ana")
    assert code == 1
    assert "of 'ben'" in err
    assert (
        "is not disputed" in run("labels", "resolve", OUT, events[0].event_id, "--reviewer", "e")[2]
    )
    assert "none begins so" in run("labels", "resolve", OUT, "zz", "--reviewer", "e")[2]
    words = ("labels", "resolve", OUT, events[1].event_id[:8], "--reviewer", "eva")
    code, _, err = run(*words)
    assert code == 2
    err = " ".join(err.split())
    assert "(ana: negative wren; ben: positive wren)" in err
    start = f"earful labels resolve {OUT} {events[1].event_id} --label wren --polarity"
    assert f"`{start} negative --reviewer eva` or `{start} positive --reviewer eva`" in err
    assert len(LabelJournal(journal_path(OUT)).read()) == 4
    code, out, _ = run(*words, "--label", "wren")
    assert (code, out.strip()) == (0, "settled as 5: positive wren")
    code, out, _ = run("labels", "undo", OUT, "4", "1", "--reviewer", "ana", "--json")
    assert [one["seq"] for one in json.loads(out)] == [4, 1]
    out = run("labels", "show", OUT)[1]
    assert [line.split()[-1] for line in out.splitlines()[2:7]] == [
        *("back", "outvoted", "agrees", "back", "yes")
    ]
    code, _, err = run("labels", "undo", OUT, "5", "1", "2", "--reviewer", "eva")
    assert code == 1
    assert "taken back before it: 5" in err


def test_flags_comments_and_items_are_shown(run: Run, events: tuple[Event, ...]) -> None:
    say(events[0], "ana", "positive")
    assert "comment" not in run("labels", "show", OUT)[1]
    journal = LabelJournal(journal_path(OUT))
    doubted = replace(say(events[1], "ben", "negative"), seq=0, at=None)
    journal.append(replace(doubted, flagged=True, comment="a far\nwren?"))
    out = run("labels", "show", OUT)[1]
    head, _, first, *_, last, _ = out.splitlines()
    assert head.split()[-2:] == ["flag", "comment"]
    assert first.split()[1] == events[0].event_id
    assert first.split()[-1] == "yes"
    assert last.split()[1] == events[1].event_id
    assert last.split()[-4:] == ["flagged", "a", "far", "wren?"]
    found = json.loads(run("labels", "show", OUT, "--flagged", "--json")[1])["labels"]
    assert [(one["seq"], one["item"], one["comment"], one["flagged"]) for one in found] == [
        (3, events[1].event_id, "a far\nwren?", True)
    ]
    assert events[1].event_id not in run("labels", "show", OUT, "--flagged", "--reviewer", "ana")[1]


def test_tables_come_in_and_go_out(run: Run, events: tuple[Event, ...]) -> None:
    with open(f"{OUT}/events.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, (review, name) in zip(
        rows, [("yes", ""), ("NEG", ""), ("", ""), ("y", "robin")], strict=True
    ):
        row["review"], row["label"] = review, name or row["label"]
    rows[1]["reviewer"], rows[1]["reviewed_at"] = "ben", "2026-05-04T09:12:03+02:00"
    with open("reviewed.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    words = ("labels", "import", OUT, "reviewed.csv", "--reviewer", "ana")
    code, out, _ = run(*words, "--dry-run")
    assert out.startswith("3 labels would be added, 0 known already; 3 of events")
    assert not journal_path(OUT).exists()
    code, out, _ = run(*words)
    assert code == 0, out
    assert out.splitlines()[0].startswith("3 labels added")
    assert "1 row of which nobody has said anything" in out
    first, second, third = LabelJournal(journal_path(OUT)).read()
    assert isinstance(first, Label)
    assert isinstance(second, Label)
    assert isinstance(third, Label)
    assert (first.item, first.reviewer, first.source) == (events[0].event_id, "ana", "import")
    assert (second.reviewer, second.polarity, str(second.at)) == (
        "ben",
        "negative",
        "2026-05-04 07:12:03+00:00",
    )
    assert (third.label, third.guess) == ("robin", "wren")
    assert run(*words)[1].startswith("0 labels added, 3 known already")

    # Raven's table: an event that was moved a little, a sound that was missed, another night.
    Path("night.Table.1.selections.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tLabel\n"
        "1\t5.1\t6.0\ta.wav\twren\n2\t9.0\t10.0\ta.wav\towl\n3\t1.0\t2.0\tother.wav\twren\n"
    )
    code, out, _ = run(
        *("labels", "import", OUT, "night.Table.1.selections.txt", "--reviewer", "ana")
    )
    assert code == 0, out
    assert out.startswith("2 labels added, 0 known already; 1 of events")
    assert "1 row about recordings that are not of this scan left out: other.wav" in out
    opened = Events.open(OUT)
    assert [one.review for one in opened] == ["positive", "negative", "positive", "negative"]
    assert [one.label for one in opened.missed] == ["robin", "owl"]

    code, out, _ = run("labels", "export", OUT, "--format", "csv,raven,audacity", "-o", "x")
    assert code == 0, out
    assert out.startswith("1 negative, 4 positive written to 3 files in x")
    assert "raven, audacity cannot say more than the positives" in out
    with open("x/events.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert [(one["label"], one["review"], one["start_s"]) for one in written] == [
        ("wren", "positive", "1.000"),
        ("wren", "negative", "3.000"),
        ("wren", "positive", "5.100"),
        ("robin", "positive", "7.000"),
        ("owl", "positive", "9.000"),
    ]
    assert written[1]["reviewer"] == "ben"
    assert len(Path("x/a.audacity.txt").read_text().splitlines()) == 4
    # What went out comes in as what is known.
    code, out, _ = run("labels", "import", OUT, "x/events.csv", "--reviewer", "ana")
    assert out.startswith("0 labels added, 5 known already")
    code, out, _ = run("events", "export", OUT, "--format", "csv", "-o", "y")
    with open("y/events.csv", newline="") as file:
        assert [one["review"] for one in csv.DictReader(file)] == [
            *("positive", "negative", "positive", "positive", "negative", "positive")
        ]


def test_a_table_is_refused_by_its_place(run: Run, events: tuple[Event, ...]) -> None:
    code, _, err = run("labels", "import", OUT, f"{OUT}/events.csv", "--reviewer", "ana")
    assert code == 2
    assert "nobody has said anything" in err
    Path("t.csv").write_text("recording,start_s,end_s,label\nother.wav,1,2,wren\n")
    code, _, err = run("labels", "import", OUT, "t.csv", "--reviewer", "ana")
    assert code == 2
    assert "none of 1 row is about a recording of this scan, such as 'other.wav'" in err
    long = "x" * 201
    Path("t.csv").write_text(f"recording,start_s,end_s,label\na.wav,1,2,{long}\n")
    code, _, err = run("labels", "import", OUT, "t.csv", "--reviewer", "ana")
    assert code == 1
    assert "t.csv:2: label" in err
    assert "201 characters; expected 1 to 200" in err
    assert not journal_path(OUT).exists()


def test_clips_and_tables_reviewed_in_part(run: Run, events: tuple[Event, ...]) -> None:
    assert run("events", "clips", OUT)[0] == 0
    table = Path(OUT, "clips/clips.csv")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["review"] = "negative"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert run("labels", "import", OUT, str(table), "--reviewer", "ana")[0] == 0
    (one,) = LabelJournal(journal_path(OUT)).read()
    assert isinstance(one, Label)
    assert (one.item, one.start_s, one.polarity) == (rows[0]["event_id"], 1.0, "negative")
    Path("t.csv").write_text(
        "recording,start_s,end_s,label,presence\na.wav,1,2,wren,yes\na.wav,3,4,wren,\n"
    )
    _, out, _ = run("labels", "import", OUT, "t.csv", "--reviewer", "ana")
    assert out.startswith("1 label added")
    assert "1 row of which nobody has said anything" in out


def test_labels_go_into_an_index(
    run: Run, events: tuple[Event, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earful.model.load_embedder", lambda *_, **__: Levels())
    write_level(Path("sounds/owl/0.wav"), 0.6)
    build_index(open_corpus("sounds"), "i", embedder=Levels())
    say(events[0], "ana", "positive")
    say(events[1], "ana", "negative")
    say(events[2], "ana", "unknown")
    words = ("labels", "commit", OUT, "--index", "i")
    code, out, _ = run(*words, "--dry-run")
    assert out.splitlines() == [
        "i: would be: 2 rows added, 0 changed, 0 removed, 0 as before",
        "left out: 1 unknown",
    ]
    code, out, _ = run(*words)
    assert (code, out.splitlines()[0]) == (0, "i: 2 rows added, 0 changed, 0 removed, 0 as before")
    assert len(Index.open("i")) == 3
    assert json.loads(run("index", "info", "i", "--json")[1])["label_counts"] == {
        "owl": {"positive": 1, "negative": 0},
        "wren": {"positive": 1, "negative": 1},
    }
    code, _, err = run("labels", "commit", OUT)
    assert code == 2
    assert "--index" in err
    say(events[3], "ana", "positive")
    Path("night/a.wav").rename("a.wav")
    code, out, _ = run(*words)
    assert code == 3
    assert "waits for night/a.wav, which is not there: 1 label" in out
    assert json.loads(run(*words, "--json")[1])["missing"] == [["night/a.wav", 1]]
    # An index has labels of its own.
    LabelJournal(journal_path("i")).append(
        replace(say(events[0], "eva", "positive", "fox"), item="owl/0.wav", guess="owl", seq=0)
    )
    code, out, _ = run("labels", "commit", "i")
    assert (code, out.strip()) == (0, "i: 0 rows added, 1 changed, 0 removed, 0 as before")
    assert "fox" in run("labels", "show", "i")[1]
    assert run("labels", "export", "i", "--format", "jsonl", "-o", "z")[0] == 0
    code, _, err = run("labels", "import", "i", "t.csv", "--reviewer", "ana")
    assert code == 2
    assert "earful index add" in err


def test_what_is_neither_scan_nor_index_is_a_usage_error(run: Run) -> None:
    Path("empty").mkdir()
    for name in ("show", "agreement"):
        code, _, err = run("labels", name, "empty")
        assert code == 2
        assert "earful scan --out" in err
    soundfile.write("a.wav", [0.0, 0.1], 8000)
    assert run("labels", "show", "a.wav")[0] == 2
