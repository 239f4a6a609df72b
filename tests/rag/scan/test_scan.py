"""``earful.scan`` on beeps in noise."""

import json
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import earful
from earful import Events, ExampleSources, ScanOptions, ScanSettings
from earful.errors import CorpusError, ScanError, ScanMismatchError
from earful.index.annotations import Event, RecordingRow, read_events, write_events_csv
from earful.index.recordings import Hearing
from earful.model.audio import stream_blocks
from earful.model.audio.recorders import RecorderOptions
from earful.rag.scan import (
    ScanPart,
    ScanProgress,
    count_density,
    evaluate_scan,
    write_scan_page,
)
from tests.support.step_stores import files
from tests.support.tone_recordings import Beep, ToneSteps, every, record, write_table, write_track

WRENS = every(6, 8, "wren")


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings with wrens, and a track that marks the first five of one."""
    monkeypatch.chdir(tmp_path)
    record(Path("night/SITE7_20260503_043000.wav"), 60, WRENS)
    record(Path("night/SITE8_20260503_210000.wav"), 60, every(20, 2, "wren"), seed=1)
    write_track(Path("SITE7_20260503_043000.txt"), WRENS[:5])
    return Path("night")


def scan(night: Path, **given: Any) -> Events:
    given.setdefault("examples", "SITE7_20260503_043000.txt")
    return earful.scan(night, embedder=given.pop("embedder", ToneSteps()), **given)


def found_beeps(events: Events, name: str, beeps: list[Beep]) -> bool:
    own = [event for event in events if name in event.recording]
    return len(own) == len(beeps) and all(
        abs(event.start_s - start_s) <= 0.3
        and abs(event.end_s - end_s) <= 0.3
        and event.label == label
        for event, (start_s, end_s, label) in zip(own, beeps, strict=True)
    )


def test_a_sound_is_found_where_it_is(night: Path) -> None:
    told: list[ScanProgress] = []
    rows: list[RecordingRow] = []
    events = scan(
        night,
        out="night.scan",
        on_progress=told.append,
        on_recording=lambda row, _: rows.append(row),
    )
    assert found_beeps(events, "SITE7", WRENS)
    assert found_beeps(events, "SITE8", every(20, 2, "wren"))
    assert events.labels == ("wren",)
    assert [row.n_events for row in events.recordings] == [8, 2]
    assert rows == list(events.recordings)
    first = events[0]
    assert first.site == "SITE7"
    assert first.starts_at is not None
    assert first.starts_at.strftime("%H:%M:%S") == "04:30:05"
    assert first.nearest_example == "night/SITE7_20260503_043000.wav 5.000-6.000"
    assert events.hours == pytest.approx(120 / 3600)
    (summary,) = events.summaries
    assert (summary.n_examples, summary.n_events, summary.n_recordings) == (5, 10, 2)
    assert summary.per_hour == pytest.approx(300)
    assert told[-1].encoding.audio_s == pytest.approx(120)
    assert repr(events) == "Events(10 in 0.03 h: 'wren' 10)"
    # What was written is what was returned.
    read = Events.open("night.scan")
    assert read.recordings == events.recordings
    assert [event.event_id for event in read] == [event.event_id for event in events]
    assert sorted(os.listdir("night.scan")) == [
        *("events.csv", "events.parquet", "examples.csv", "recordings.csv", "scan.json", "vectors")
    ]


def test_another_question_decodes_nothing(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opens: Counter[str] = Counter()
    stream = stream_blocks

    def counting(path: Any, **options: Any) -> Any:
        opens[os.path.basename(path)] += 1
        return stream(path, **options)

    monkeypatch.setattr("earful.index.recordings.encode.stream_blocks", counting)
    scan(night, out="night.scan")
    whole = files(Path("night.scan"))
    assert set(opens.values()) == {1}
    scan(night, out="night.scan")
    assert files(Path("night.scan")) == whole
    write_table(Path("others.csv"), [("SITE8_20260503_210000", 5, 6, "robin")])
    others = scan(night, out="night.scan", examples="others.csv")
    assert others.labels == ("robin",)
    settings = ScanSettings(threshold=0.95, window_s=0.4, join_s=0.0)
    scan(night, out="night.scan", settings=settings)
    os.rename("night", "moved")
    moved = scan(Path("moved"), out="night.scan")
    assert moved[0].recording == "moved/SITE7_20260503_043000.wav"
    assert sum(opens.values()) == 2


def test_a_broken_recording_is_a_row(night: Path) -> None:
    (night / "broken.wav").write_bytes(b"no audio")
    record(night / "silent.wav", 3)
    soundfile.write(night / "silent.wav", np.zeros(12_000), 4000)
    loud = np.clip(np.random.default_rng(0).normal(0, 1, 12_000), -1, 1)
    soundfile.write(night / "loud.wav", loud, 4000, subtype="FLOAT")
    record(night / "short.wav", 0.05, seed=3)
    content = (night / "SITE8_20260503_210000.wav").read_bytes()
    (night / "cut.wav").write_bytes(content[:-100_000])
    (night / "copy.wav").write_bytes(content)
    os.mkfifo(night / "pipe.wav")
    events = scan(night, out="night.scan")
    rows = {Path(row.recording).name: row for row in events.recordings}
    statuses = {name: row.status for name, row in rows.items()}
    assert statuses == {
        "SITE7_20260503_043000.wav": "ok",
        "SITE8_20260503_210000.wav": "ok",
        "broken.wav": "failed",
        "copy.wav": "skipped" if "SITE8_20260503_210000.wav" < "copy.wav" else "ok",
        "cut.wav": "cut short",
        "loud.wav": "ok",
        "pipe.wav": "skipped",
        "short.wav": "ok",
        "silent.wav": "ok",
    }
    assert "SITE8_20260503_210000.wav" in rows["copy.wav"].reason
    assert rows["cut.wav"].reason.startswith("cut short at")
    assert rows["silent.wav"].notes == ("digital silence",)
    assert "clipped" in rows["loud.wav"].notes[0]
    assert "shorter than a window" in rows["short.wav"].notes[0]
    assert [row.recording for row in events.failed] == ["night/broken.wav"]
    # A copy is counted once.
    assert events.hours * 3600 == pytest.approx(120 + 3 + 3 + 0.05 + 60 - 12.5, abs=0.1)


def test_no_events_write_all_tables(night: Path) -> None:
    events = scan(night, out="night.scan", settings=ScanSettings(threshold=50.0))
    assert len(events) == 0
    assert read_events("night.scan/events.csv") == []
    assert Path("night.scan/events.csv").read_text().startswith("event_id,recording,")
    assert [row.n_events for row in Events.open("night.scan").recordings] == [0, 0]


def test_each_label_is_told_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    beeps = sorted(every(12, 4, "wren") + every(12, 4, "owl", first_s=11))
    record(Path("a.wav"), 60, beeps)
    write_table(Path("calls.csv"), [("a.wav", *beep) for beep in beeps[:4]])
    both = earful.scan("a.wav", examples="calls.csv", embedder=ToneSteps())
    assert found_beeps(both, "a.wav", beeps)
    assert all(event.margin is not None and event.margin > 0.3 for event in both)
    only = earful.scan("a.wav", examples="calls.csv", labels=["owl"], embedder=ToneSteps())
    assert found_beeps(only, "a.wav", [beep for beep in beeps if beep[2] == "owl"])
    assert both.folder is None


def test_the_first_events_of_a_reference_are_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Each recording has its own sound under one name, as in DCASE.
    for number, label in enumerate(("wren", "owl")):
        record(Path(f"{number}.wav"), 60, every(6, 8, label), seed=number)
    record(Path("2.wav"), 10, seed=9)
    rows = [(f"{n}.wav", start_s, end_s, "Q") for n in range(2) for start_s, end_s, _ in WRENS]
    write_table(Path("all.csv"), rows)
    sources = ExampleSources(first=5, reference=("all.csv",))
    events = earful.scan(
        ["0.wav", "1.wav", "2.wav"], examples=sources, embedder=ToneSteps(), out="one.scan"
    )
    assert Counter(event.recording for event in events) == {"0.wav": 8, "1.wav": 8}
    assert events.recordings[2].status == "skipped"
    assert events.summaries[0].background == "gaps"
    assert events.summaries[0].n_examples == 10


def test_a_part_of_the_day_is_scanned(night: Path) -> None:
    options = ScanOptions(part=ScanPart.between("04:30-04:31", from_s=10))
    events = scan(night, out="night.scan", options=options)
    assert [event.start_s > 10 for event in events] == [True] * 7
    assert [row.status for row in events.recordings] == ["ok", "skipped"]
    assert events.summaries[0].per_hour == pytest.approx(7 / 50 * 3600)
    record(night / "when.wav", 2)
    read = scan(night, out="night.scan", options=options).recordings
    assert "nothing says when" in read[-1].reason


def test_times_and_sites_come_from_names_tables_and_zones(night: Path) -> None:
    Path("where.csv").write_text("recording,site\nSITE8_20260503_210000.wav,pond\nx.wav,y\n")
    options = ScanOptions(
        recorders=RecorderOptions(timezone="Europe/Helsinki"), recordings="where.csv"
    )
    events = scan(night, options=options)
    assert events[0].starts_at == datetime(2026, 5, 3, 1, 30, 5, tzinfo=UTC).replace(
        microsecond=events[0].starts_at.microsecond if events[0].starts_at else 0
    )
    assert [row.site for row in events.recordings] == ["SITE7", "pond"]
    assert any("x.wav" in note for note in events.notes)


def test_slowed_recordings_keep_the_times_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    slow = [(start_s / 4, end_s / 4, label) for start_s, end_s, label in WRENS]
    path = record(Path("a.wav"), 60, WRENS)
    samples, _ = soundfile.read(path)
    soundfile.write("bat.wav", samples, 16_000, subtype="PCM_16")
    write_table(Path("calls.csv"), [("bat.wav", *beep) for beep in slow[:5]])
    options = ScanOptions(hearing=Hearing(slow=4))
    events = earful.scan("bat.wav", examples="calls.csv", embedder=ToneSteps(), options=options)
    assert len(events) == 8
    assert all(
        abs(event.start_s - start_s) < 0.08
        for event, (start_s, _, _) in zip(events, slow, strict=True)
    )


def test_effort_is_the_time_that_recordings_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record(Path("B_20260503_235900.wav"), 60, WRENS)
    write_table(Path("calls.csv"), [("B_20260503_235900.wav", *beep) for beep in WRENS[:5]])
    plain = earful.scan(".", examples="calls.csv", embedder=ToneSteps(), out="plain.scan")
    # Heard four times slower, it still took a minute.
    options = ScanOptions(hearing=Hearing(slow=4))
    steps = ToneSteps()
    slowed = earful.scan(
        "B_20260503_235900.wav", examples="calls.csv", embedder=steps, options=options
    )
    assert plain.hours == slowed.hours == pytest.approx(1 / 60)
    assert [row.hours for row in count_density(slowed)] == [pytest.approx(1 / 60, abs=1e-4)]
    # A file that plays ten times slower than it was recorded took six seconds.
    content = Path("B_20260503_235900.wav").read_bytes()
    text = b"GUANO|Version:1.0\nTE:10\n"
    body = content[8:] + b"guan" + len(text).to_bytes(4, "little") + text
    Path("B_20260503_235900.wav").write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    expanded = earful.scan(
        "B_20260503_235900.wav", examples="calls.csv", embedder=ToneSteps(), out="x"
    )
    assert expanded.hours == pytest.approx(6 / 3600)
    (row,) = Events.open("x").recordings
    assert (row.time_expansion, row.duration_s, row.recorded_s) == (10.0, 60.0, 6.0)
    assert expanded.summaries[0].per_hour == pytest.approx(8 / 6 * 3600, rel=1e-3)
    (rate,) = count_density(Events.open("x"), ("site",))
    assert rate.per_hour == pytest.approx(8 / 6 * 3600, rel=0.05)
    write_scan_page(Events.open("x"), Path("page.html"))
    assert "<p>6.0 s of audio." in Path("page.html").read_text()
    (found,) = evaluate_scan(Events.open("x"), "calls.csv")
    assert found.hours == pytest.approx(6 / 3600)


def test_what_does_not_fit_is_refused(night: Path, tmp_path: Path) -> None:
    scan(night, out="night.scan")
    hearing = ScanOptions(hearing=Hearing(low_hz=300))
    with pytest.raises(ScanMismatchError, match=r"low_hz: 0\.0 / 300.*--vectors"):
        scan(night, out="night.scan", options=hearing)
    shared = replace(hearing, vectors="others")
    assert len(scan(night, out="night.scan", options=shared)) == 10
    assert Events.open("night.scan").scan["vectors"] == "../others"
    Path("mine").mkdir()
    Path("mine/notes.txt").touch()
    with pytest.raises(ScanMismatchError, match="--out"):
        scan(night, out="mine")
    with pytest.raises(ScanError, match=r"scan\.json: cannot be read"):
        Events.open("mine")
    said = json.loads(Path("night.scan/scan.json").read_text())
    Path("night.scan/scan.json").write_text(json.dumps({**said, "complete": False}))
    with pytest.raises(ScanError, match="not finished"):
        Events.open("night.scan")
    Path("night.scan/scan.json").write_text(json.dumps({**said, "version": 2}))
    with pytest.raises(ScanError, match="version"):
        scan(night, out="night.scan")


def test_reviews_of_events_that_are_found_again_stay(night: Path) -> None:
    events = scan(night, out="night.scan")
    reviewed = [replace(event, review="positive", reviewer="ana") for event in events[:1]]
    write_events_csv(Path("night.scan/events.csv"), [*reviewed, *events[1:]])
    again = scan(night, out="night.scan")
    assert [event.reviewer for event in again] == ["ana"] + [""] * 9


def test_scores_are_kept_when_asked_for(night: Path) -> None:
    events = scan(night, out="night.scan", options=ScanOptions(keep_scores=True))
    for row in events.recordings:
        scores = np.load(Path("night.scan/scores", f"{row.sha256}.npy"))
        assert scores.shape == (1, 596 - 1)
        assert scores.dtype == np.float16


def test_events_are_shown_and_exported(night: Path) -> None:
    events = scan(night, out="night.scan")
    hostile = replace(events[0], label="<img src=x onerror=alert(1)>", score=99.0)
    shown = replace(events, rows=(hostile, *events[1:]))._repr_html_()
    assert shown is not None
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown
    assert "data:audio/flac" in shown
    assert events.best(1)[0].score == max(event.score for event in events)
    with pytest.raises(CorpusError, match="robin"):
        events.select(labels=["robin"])
    events.write("copy.scan")
    assert Events.open("copy.scan").rows == Events.open("night.scan").rows
    pd = pytest.importorskip("pandas")
    frame = events.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 10
    assert isinstance(events[:2], tuple)
    assert isinstance(events[0], Event)


def test_a_scan_that_was_killed_as_it_began_its_store_goes_on(night: Path) -> None:
    Path("out/vectors").mkdir(parents=True)
    Path("out/vectors/.store.json.tmp").write_text("{")
    assert len(scan(night, out="out"))
    Path("other/vectors").mkdir(parents=True)
    Path("other/vectors/mine.txt").write_text("a file of somebody's")
    with pytest.raises(ScanMismatchError, match="holds files"):
        scan(night, out="other")
