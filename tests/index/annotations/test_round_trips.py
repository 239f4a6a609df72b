"""Every format that is written and can be read gives the same events back."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.annotations import (
    EXPORT_FORMATS,
    Annotation,
    Event,
    RecordingRow,
    event_id,
    export_events,
    read_annotations,
    read_events,
    read_recordings,
    write_events_csv,
    write_events_json,
    write_events_jsonl,
    write_events_parquet,
    write_examples_csv,
    write_recordings_csv,
)

SHA = "ab" * 32
HARD_LABELS = (
    *("=SUM(A1)", "+wren", "-wren", "@wren", "'=wren", "'tis", "two, cells", 'a "wren"', '"'),
    *("two\ncells", "tab\tbed", "car\rriage", "\u202ewren\u202c", "wr\u00e9n", "a|b", "['a']"),
    *("x" * 200, "\\\t1\t2", "sep=;", "NA", "nocall", "Troglodytes troglodytes_Eurasian Wren"),
)
LABELS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20
).filter(str.strip) | st.sampled_from(HARD_LABELS)
MS = st.integers(0, 10_000_000)
NUMBERS = st.none() | st.integers(-9_999, 99_999).map(lambda n: n / 10_000)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
WRITERS: dict[str, Callable[[Path, list[Event]], None]] = {
    "csv": write_events_csv,
    "json": write_events_json,
    "jsonl": write_events_jsonl,
    "parquet": write_events_parquet,
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    start_ms = draw(MS)
    start_s, end_s = start_ms / 1000, (start_ms + draw(st.integers(1, 60_000))) / 1000
    label = draw(LABELS)
    moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=ZONES)
    return Event(
        event_id=event_id(SHA, label, start_s, end_s),
        recording=draw(st.sampled_from(["a.wav", "b/=c.flac", "-d.wav"])),
        recording_sha256=SHA,
        start_s=start_s,
        end_s=end_s,
        label=label,
        score=draw(st.integers(-9_999, 99_999)) / 10_000,
        margin=draw(NUMBERS),
        n_reviewed=draw(st.none() | st.integers(0, 99)),
        starts_at=draw(st.none() | moments.map(lambda at: at.replace(microsecond=125_000))),
        site=draw(LABELS),
        latitude=draw(st.none() | st.just(-33.868_819)),
        low_hz=draw(st.none() | st.just(312.5)),
        review=draw(st.sampled_from(["", "positive", "negative", "unknown"])),
    )


def key(event: Event) -> tuple[object, ...]:
    """What of an event every own format keeps to the last digit."""
    score, margin = round(event.score, 4), event.margin and round(event.margin, 4)
    times = (event.recording, event.start_s, event.end_s, event.label, event.event_id)
    texts = (event.site, event.review, event.recording_sha256)
    return (*times, *texts, score, margin, event.starts_at, event.latitude, event.low_hz)


@pytest.mark.parametrize("kind", WRITERS)
@given(st.lists(events(), max_size=4, unique_by=lambda e: (e.recording, e.event_id)))
@settings(max_examples=40, deadline=None)
def test_our_own_tables_keep_events(
    tmp_path_factory: pytest.TempPathFactory, kind: str, found: list[Event]
) -> None:
    path = tmp_path_factory.mktemp("t") / "anything.at-all"
    WRITERS[kind](path, found)
    again = read_events(path)
    assert sorted(map(key, again), key=repr) == sorted(map(key, found), key=repr)
    assert [(e.recording, e.start_s) for e in again] == sorted(
        (e.recording, e.start_s) for e in found
    )


def event(label: str, start_s: float = 1.0, recording: str = "night.wav") -> Event:
    return Event(
        event_id=event_id(SHA, label, start_s, start_s + 0.5),
        recording=recording,
        recording_sha256=SHA,
        start_s=start_s,
        end_s=start_s + 0.5,
        label=label,
        score=0.83,
        low_hz=500.0,
        high_hz=4_000.0,
    )


RECORDINGS = [
    RecordingRow(recording="day.wav", sample_rate=16_000, duration_s=100.0),
    RecordingRow(recording="night.wav", sample_rate=16_000, duration_s=60.0),
    RecordingRow(recording="broken.wav", status="failed", reason="is empty"),
]


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_hard_labels_leave_every_table_whole(tmp_path: Path, kind: str) -> None:
    found = [event(label, float(at)) for at, label in enumerate(HARD_LABELS)]
    paths = export_events(found, RECORDINGS, tmp_path, [kind])
    rows = read_annotations(paths)
    assert len(rows) == len(HARD_LABELS)
    tabs = kind in ("raven", "raven-combined", "audacity")
    for row, one in zip(sorted(rows, key=lambda row: row.start_s), found, strict=True):
        assert (row.start_s, row.end_s) == (one.start_s, one.end_s)
        expected = re.sub('^"', "\u201c", " ".join(one.label.split())) if tabs else one.label
        if kind.startswith("birdnet") and "_Eurasian" in one.label:
            expected = "Eurasian Wren"
        assert row.label == expected
        assert Path(row.recording).stem == "night"


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_without_events_every_table_has_its_header(tmp_path: Path, kind: str) -> None:
    paths = export_events([], RECORDINGS, tmp_path, [kind])
    n_files = 2 if kind in ("raven", "audacity", "birdnet-r") else 1
    assert len(paths) == n_files
    assert len(read_annotations(paths)) == 0
    if kind not in ("audacity", "jsonl"):
        assert all(path.stat().st_size for path in paths)


def test_bands_and_scores_come_back(tmp_path: Path) -> None:
    for kind in ("raven", "csv", "json", "parquet"):
        (row,) = read_annotations(export_events([event("wren")], RECORDINGS[1:2], tmp_path, [kind]))
        assert (row.low_hz, row.high_hz) == (500.0, 4_000.0)
        assert row.score == pytest.approx(0.83)


def test_recordings_and_examples_come_back(tmp_path: Path) -> None:
    rows = [
        RecordingRow(
            recording="=a.wav",
            sha256=SHA,
            status="cut short",
            reason="ends at 3 s",
            duration_s=3.25,
            sample_rate=44_100,
            channels=2,
            bytes=10,
            starts_at=datetime(2026, 5, 3, 4, 30),
            notes=("silence 3 %", "clipping"),
            extra={"TE": "10", "Make": "=x"},
        ),
        RecordingRow(recording="b.wav", status="failed", reason="is empty"),
    ]
    write_recordings_csv(tmp_path / "recordings.csv", rows)
    assert read_recordings(tmp_path / "recordings.csv") == rows
    write_events_json(tmp_path / "x.json", [event("wren")], rows, {"version": 1})
    assert read_recordings(tmp_path / "x.json") == rows
    with pytest.raises(CorpusError, match="is no table of events: has no column event_id"):
        read_events(tmp_path / "recordings.csv")
    examples = [
        Annotation(recording="a.wav", start_s=1, end_s=2, label="-wren", where="x.txt:3"),
        Annotation(recording="a.wav", start_s=4, end_s=5, label="owl", polarity="negative"),
    ]
    write_examples_csv(tmp_path / "examples.csv", examples)
    again = read_annotations(tmp_path / "examples.csv")
    assert [(a.label, a.polarity, a.start_s) for a in again] == [
        ("-wren", "positive", 1),
        ("owl", "negative", 4),
    ]
