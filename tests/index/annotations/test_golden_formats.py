"""Each written format, character by character, as it is kept in ``tests/golden/annotations``."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from earful.index.annotations import (
    EXPORT_FORMATS,
    Annotation,
    Event,
    ExportOptions,
    RecordingRow,
    event_id,
    export_events,
    write_examples_csv,
    write_recordings_csv,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden/annotations"
ZONE = timezone(timedelta(hours=3))
SCAN = {"version": 1, "labels": ["wren", "=owl"]}


def event(recording: str, label: str, start_s: float, end_s: float, score: float) -> Event:
    sha256 = recording.encode().hex()[:8] * 8
    return Event(
        event_id=event_id(sha256, label, start_s, end_s),
        recording=recording,
        recording_sha256=sha256,
        start_s=start_s,
        end_s=end_s,
        label=label,
        score=score,
        margin=0.125,
        starts_at=datetime(2026, 5, 3, 4, 30, tzinfo=ZONE) + timedelta(seconds=start_s),
        site="SITE7",
        latitude=60.170833,
        longitude=-24.9375,
        nearest_example="calls.txt:3",
        similarity=0.91,
        low_hz=2_100.0 if label == "wren" else None,
        high_hz=6_400.5 if label == "wren" else None,
        review="positive" if score > 1 else "",
        reviewer="ana" if score > 1 else "",
        reviewed_at=datetime(2026, 5, 4, 9, 12, 3, 120_000, tzinfo=UTC) if score > 1 else None,
    )


# Not in order: 12 s comes after 9 s as a number, not as a text.
EVENTS = [
    event("night/b.wav", "wren", 12.4, 13.15, 0.831),
    event("night/b.wav", "wren", 9.0, 9.7504, 1.25),
    event("night/b.wav", "=owl", 9.0, 9.5, 0.71),
    event("day.flac", 'Troglodytes troglodytes_Eurasian "Wren", song', 0.5, 1.0, 0.9),
]
RECORDINGS = [
    RecordingRow(
        recording="night/b.wav",
        sha256="ab" * 32,
        status="cut short",
        reason="ends at 59.000 s",
        duration_s=59.0,
        sample_rate=48_000,
        channels=2,
        bytes=11_328_044,
        starts_at=datetime(2026, 5, 3, 4, 30),
        time_source="file name",
        site="SITE7",
        n_steps=317,
        n_events=3,
        notes=("silence in 3 %",),
        extra={"TE": "1"},
    ),
    RecordingRow(
        recording="day.flac", duration_s=600.0, sample_rate=16_000, channels=1, n_events=1
    ),
    RecordingRow(recording="empty.wav", duration_s=30.0, sample_rate=16_000),
    RecordingRow(recording="lost.wav", status="failed", reason="is empty (0 bytes)"),
]
EXAMPLES = [
    Annotation(recording="calls.wav", start_s=1.5, end_s=2, label="wren", where="calls.txt:3"),
    Annotation(recording="calls.wav", start_s=4, end_s=5, label="wren", polarity="negative"),
]


def check(folder: Path, paths: list[Path]) -> None:
    for path in paths:
        golden = GOLDEN / path.relative_to(folder)
        if os.environ.get("EARFUL_WRITE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_bytes(path.read_bytes())
        assert path.read_bytes() == golden.read_bytes(), path.name


@pytest.mark.parametrize("name", [name for name in EXPORT_FORMATS if name != "parquet"])
def test_a_format_is_written_as_it_was(tmp_path: Path, name: str) -> None:
    options = ExportOptions(scan=SCAN)
    check(tmp_path, export_events(EVENTS, RECORDINGS, tmp_path, [name], options=options))


def test_audacity_may_have_scores_and_bands(tmp_path: Path) -> None:
    options = ExportOptions(audacity_score=True, audacity_band=True)
    folder = tmp_path / "with-score-and-band"
    check(tmp_path, export_events(EVENTS, RECORDINGS, folder, ["audacity"], options=options))


def test_recordings_and_examples_are_written_as_they_were(tmp_path: Path) -> None:
    write_recordings_csv(tmp_path / "recordings.csv", RECORDINGS)
    write_examples_csv(tmp_path / "examples.csv", EXAMPLES)
    check(tmp_path, [tmp_path / "recordings.csv", tmp_path / "examples.csv"])


def test_parquet_has_the_columns_and_types_of_the_specification(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    (path,) = export_events(
        EVENTS, RECORDINGS, tmp_path, ["parquet"], options=ExportOptions(scan=SCAN)
    )
    table = pq.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["start_s"] == types["end_s"] == "double"
    assert types["score"] == types["margin"] == types["similarity"] == "float"
    assert types["starts_at"] == types["reviewed_at"] == "timestamp[ms, tz=UTC]"
    assert types["label"].startswith("dictionary<values=string")
    assert table.schema.metadata[b"earful:scan"] == b'{"version":1,"labels":["wren","=owl"]}'
    header = (GOLDEN / "events.csv").read_text(encoding="utf-8").split("\n", 1)[0]
    assert ",".join(table.column_names) == header
    assert table.column("label").to_pylist()[1] == "=owl"


def test_moments_without_a_zone_get_none(tmp_path: Path) -> None:
    from dataclasses import replace

    import pyarrow.parquet as pq

    naive = [replace(one, starts_at=datetime(2026, 5, 3, 4, 30)) for one in EVENTS]
    export_events(naive, RECORDINGS, tmp_path, ["parquet"])
    assert str(pq.read_schema(tmp_path / "events.parquet").field("starts_at").type) == (
        "timestamp[ms]"
    )
    export_events([*naive[:2], *EVENTS[2:]], RECORDINGS, tmp_path, ["parquet"])
    assert str(pq.read_schema(tmp_path / "events.parquet").field("starts_at").type) == "string"


def test_birdnet_tables_have_the_columns_that_r_packages_expect(tmp_path: Path) -> None:
    """As NSNSDAcoustics' ``birdnet_format`` checks them, at c6f2389 and, for five columns, before.

    It takes each file whose name holds ``BirdNET_`` or ``BirdNET.``, and refuses any further
    column; ``birdnet_gather`` joins whatever has equal columns.
    """
    expected = ["filepath", "start", "end", "scientific_name", "common_name", "confidence"]
    expected += ["lat", "lon", "week", "overlap", "sensitivity", "min_conf", "species_list"]
    paths = export_events(EVENTS, RECORDINGS, tmp_path, ["birdnet-r"])
    assert [path.name for path in paths] == [
        "day.BirdNET.results.csv",
        "empty.BirdNET.results.csv",
        "b.BirdNET.results.csv",
    ]
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].split(",") == [*expected, "model"]
    (combined,) = export_events(EVENTS, RECORDINGS, tmp_path, ["birdnet"])
    header = combined.read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header[:5] == ["Start (s)", "End (s)", "Scientific name", "Common name", "Confidence"]
