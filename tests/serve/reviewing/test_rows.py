"""Rows for pages: no path leaves the server."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from earful.index.annotations import Event, RecordingRow
from earful.serve.reviewing import event_row, recording_row

folders = st.lists(
    st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1),
    min_size=1,
    max_size=4,
)


@given(folders, st.booleans())
def test_an_event_tells_names_alone(parts: list[str], is_absolute: bool) -> None:
    path = ("/" if is_absolute else "") + "/".join([*parts, "night.wav"])
    event = Event(
        event_id="0123456789abcdef",
        recording=path,
        recording_sha256="ab" * 32,
        start_s=1.0,
        end_s=2.0,
        label="wren",
        score=1.0,
        nearest_example=f"{path} 1.000-2.000",
    )
    row = event_row(event, "night.scan")
    assert (row["recording"], row["source"]) == ("night.wav", "r-abababababababab")
    assert row["nearest_example"] == "night.wav 1.000-2.000"
    assert "/" not in json.dumps(row)


def test_a_failed_recording_tells_why_without_its_place() -> None:
    row = RecordingRow(
        recording="/home/ana/night/x.wav",
        status="failed",
        reason="/home/ana/night/x.wav: cannot be read, see /home/ana/night.scan/log",
        notes=("like /home/ana/other/y.wav",),
    )
    found = recording_row(row, "night.scan", [Path("/home/ana/night.scan")])
    assert found["reason"] == "x.wav: cannot be read, see night.scan/log"
    assert found["notes"] == ["like y.wav"]
    assert (found["source"], found["status"]) == (None, "failed")
