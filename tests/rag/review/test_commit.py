"""Labels of a journal as rows of an index."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from earful import Exemplar, Index, open_corpus
from earful.errors import IndexBusyError, LabelError
from earful.index import build_index
from earful.index.annotations import Event, RecordingRow
from earful.index.labels import Label, LabelJournal, journal_path
from earful.index.storage import IndexFolder
from earful.model.audio import file_sha256
from earful.rag.review import CommitReport, commit_labels
from earful.rag.scan import Events
from tests.support.levels import Levels, write_level

SCAN = Path("night.scan")
SITES = Path("night/s7/a.wav"), Path("night/b.wav")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of two recordings, and an index of a corpus."""
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(SITES):
        write_level(path, 0.2 + number / 10, seconds=3.0)
    Events(
        recordings=tuple(
            RecordingRow(recording=str(path), sha256=file_sha256(path), duration_s=3.0)
            for path in SITES
        ),
        scan={"paths": ["night"]},
    ).write(SCAN)
    write_level(Path("sounds/owl/0.wav"), 0.6)
    write_level(Path("sounds/fox/1.wav"), 0.7)
    build_index(open_corpus("sounds"), "i", embedder=Levels())


def say(item: str, polarity: str = "positive", *, where: int = 0, **said: Any) -> Label:
    path = SITES[where]
    start_s = said.pop("start_s", 0.5)
    given = {
        "recording": str(path),
        "recording_sha256": file_sha256(path) if path.exists() else "",
        "start_s": start_s,
        "end_s": start_s + 0.5,
        "label": "wren",
        "guess": "wren",
        "polarity": polarity,
        "reviewer": "ana",
        "score": 0.83,
        "detector": "d1",
    }
    return LabelJournal(journal_path(SCAN)).append(Label(item=item, **(given | said)))


def commit(**given: Any) -> CommitReport:
    return commit_labels(SCAN, "i", embedder=given.pop("embedder", Levels()), **given)


def rows() -> dict[str, Exemplar]:
    found = Index.open("i").vectors().exemplars
    return {one.id: one for one in found if one.id.startswith("review/")}


def test_labels_become_rows_and_rows_go_with_them() -> None:
    say("a")
    no = say("b", "negative", start_s=1.0)
    say("c", "unknown", start_s=1.5)
    say("d", "skip", start_s=2.0)
    say("e", where=1)
    say("e", "negative", where=1, reviewer="ben")
    told = commit(dry_run=True)
    assert (told.n_rows, told.is_dry_run, rows()) == (2, True, {})
    report = commit()
    assert report.added == ("review/a", "review/b")
    assert report.left_out == {"disputed": 1, "skip": 1, "unknown": 1}
    assert report.text == "2 rows added, 0 changed, 0 removed, 0 as before"
    found = rows()
    assert (found["review/a"].labels, found["review/a"].not_labels) == (("wren",), ())
    assert (found["review/b"].labels, found["review/b"].not_labels) == ((), ("wren",))
    one = found["review/a"]
    assert (str(one.audio), one.start_s, one.end_s) == ("s7/a.wav", 0.5, 1.0)
    assert one.group == "night/s7/a.wav"
    assert dict(one.meta) == {
        "reviewer": "ana",
        "reviewed_at": one.meta["reviewed_at"],
        "source": "review",
        "detector": "d1",
        "score": "0.83",
    }
    # Nothing is decoded or written again.
    embedder, state = Levels(), Index.open("i").state
    assert commit(embedder=embedder).n_unchanged == 2
    assert (embedder.n_clips, Index.open("i").state) == (0, state)
    LabelJournal(journal_path(SCAN)).undo(no.seq, "ana")
    say("a", label="robin")
    say("e", source="resolve", where=1, reviewer="eva")
    report = commit(embedder=embedder)
    assert (report.added, report.changed, report.removed) == (
        ("review/e",),
        ("review/a",),
        ("review/b",),
    )
    assert rows()["review/a"].labels == ("robin",)
    assert embedder.n_clips == 1  # other labels take no audio
    say("a", "unknown")
    assert commit().removed == ("review/a",)
    assert list(rows()) == ["review/e"]
    assert json.loads(json.dumps(report.to_dict()))["left_out"] == {"skip": 1, "unknown": 1}


def test_moved_ends_are_embedded_again() -> None:
    say("a")
    commit()
    say("a", start_s=1.25)
    embedder = Levels()
    report = commit(embedder=embedder)
    assert (report.changed, embedder.batches) == (("review/a",), [[0.5]])
    assert rows()["review/a"].start_s == 1.25


def test_a_recording_that_is_gone_waits_by_name() -> None:
    say("a")
    say("b", where=1)
    commit()
    say("b", "negative", where=1)
    say("c", where=1, start_s=2.0)
    shutil.move(SITES[1], "elsewhere.wav")
    report = commit()
    assert report.missing == (("night/b.wav", 1),)
    assert report.changed == ("review/b",)  # which takes no audio
    shutil.move("elsewhere.wav", SITES[1])
    assert commit().added == ("review/c",)


def test_a_recording_is_found_beside_its_scan_and_as_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("a")
    Path("away").mkdir()
    monkeypatch.chdir("away")
    report = commit_labels("../night.scan", "../i", embedder=Levels())
    assert report.added == ("review/a",)
    monkeypatch.chdir(tmp_path)
    assert commit().n_unchanged == 1


def test_other_content_is_not_what_was_labelled() -> None:
    say("a")
    write_level(SITES[0], 0.5, seconds=3.0)
    report = commit()
    ((name, why),) = report.failed
    assert name == "night/s7/a.wav"
    assert "another recording than was labelled" in why
    assert (report.added, rows()) == ((), {})


def test_what_cannot_be_decoded_is_told() -> None:
    SITES[0].write_bytes(b"no audio")
    say("a")
    say("b", where=1)
    report = commit()
    assert report.added == ("review/b",)
    assert report.failed[0][0] == "night/s7/a.wav"
    assert commit().failed == report.failed


def test_a_row_of_another_root_is_made_anew() -> None:
    say("a")
    commit()
    folder = IndexFolder.open("i")
    (row,) = folder.rows(["review/a"]).values()
    folder.remove(["review/a"])
    write_level(Path("other/s7/a.wav"), 0.9, seconds=3.0)
    from dataclasses import replace

    folder.add([replace(row, root=Path("other").resolve(), file_sha256="0" * 64)])
    assert commit().changed == ("review/a",)
    assert IndexFolder.open("i").rows(["review/a"])["review/a"] == row


def test_an_index_that_is_written_is_left_alone() -> None:
    say("a")
    with IndexFolder.open("i").writer(), pytest.raises(IndexBusyError):
        commit()
    assert commit().n_rows == 1


def test_an_open_index_sees_the_rows(tmp_path: Path) -> None:
    say("a")
    index = Index.open("i")
    index.vectors()
    commit_labels(Events.open(SCAN), index, embedder=Levels())
    assert "review/a" in {one.id for one in index.vectors().exemplars}


def test_labels_of_an_index_change_its_own_rows() -> None:
    journal = LabelJournal(journal_path("i"))

    def say_of(item: str, label: str, polarity: str, **said: Any) -> Label:
        given: dict[str, Any] = {
            "recording": item,
            "recording_sha256": "",
            "start_s": 0.0,
            "end_s": 0.05,
            "reviewer": "ana",
            "source": "index",
            "guess": "owl",
        }
        return journal.append(
            Label(item=item, label=label, polarity=polarity, **(given | said))  # type: ignore[arg-type]
        )

    def row(id_: str) -> Exemplar:
        return {one.id: one for one in Index.open("i").vectors().exemplars}[id_]

    before = row("owl/0.wav")
    no = say_of("owl/0.wav", "owl", "negative")
    assert commit_labels("i", "i").changed == ("owl/0.wav",)
    one = row("owl/0.wav")
    assert (one.labels, one.not_labels, one.answer) == ((), ("owl",), "")
    yes = say_of("owl/0.wav", "cat", "positive")
    assert commit_labels("i", "i").changed == ("owl/0.wav",)
    one = row("owl/0.wav")
    assert (one.labels, one.not_labels, one.answer) == (("cat",), (), "cat")
    assert one.meta["reviewer"] == "ana"
    assert commit_labels("i", "i").n_unchanged == 1
    journal.undo(yes.seq, "ana")
    journal.undo(no.seq, "ana")
    assert commit_labels("i", "i").changed == ("owl/0.wav",)
    assert row("owl/0.wav") == before
    # A row that somebody has removed stays away.
    say_of("fox/1.wav", "fox", "positive", recording=str(Path("sounds/fox/1.wav").absolute()))
    Index.open("i").remove(["fox/1.wav"])
    report = commit_labels("i", "i", embedder=Levels())
    assert report.added == ()
    assert report.notes == ("1 label about rows that somebody has removed left out",)
    # What never was a row of the index becomes one.
    say_of("u1", "dog", "positive", recording=str(SITES[0].absolute()), end_s=0.5, source="ask")
    assert commit_labels("i", "i", embedder=Levels()).added == ("review/u1",)


def test_what_is_neither_scan_nor_index_is_refused() -> None:
    with pytest.raises(LabelError, match="neither"):
        commit_labels("night", "i")
    shutil.copytree("i", "j")
    with pytest.raises(LabelError, match="into itself"):
        commit_labels("j", "i")


def test_reviewed_events_are_no_rows_of_their_own() -> None:
    event = Event(
        event_id="a",
        recording=str(SITES[0]),
        recording_sha256="",
        start_s=0.0,
        end_s=1.0,
        label="wren",
        score=1.0,
    )
    with pytest.raises(LabelError, match="not written"):
        commit_labels(Events(rows=(event,)), "i")


def test_a_recording_is_hashed_once_and_an_encoder_asked_for_when_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed, asked = [], []

    def digest(path: Path, **given: Any) -> str:
        hashed.append(path)
        return file_sha256(path, **given)

    def embedder() -> Levels:
        asked.append(1)
        return Levels()

    monkeypatch.setattr("earful.model.audio.file_sha256", digest)
    assert commit(embedder=embedder).n_rows == 0
    assert not asked
    for n in range(2):
        say(f"item-{n}", start_s=0.5 + n)
        assert commit(embedder=embedder).n_rows == 1
    assert len(hashed) == 1
    assert len(asked) == 2
