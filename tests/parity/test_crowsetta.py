"""What we write read by crowsetta 5.1.2, and TextGrids as praatio 6.2.0 reads and writes them.

Needs an environment of its own, so it runs only when asked to:

    EARFUL_PARITY=1 pytest tests/parity/test_crowsetta.py

``EARFUL_CROWSETTA_ENV`` names the folder of that environment; it is made where it lacks.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from earful.index.annotations import (
    Event,
    ExportOptions,
    RecordingRow,
    event_id,
    export_events,
    read_annotations,
)

HERE = Path(__file__).parent
LABELS = ["wren", 'a "wren"', '"as above', '"soft', "=x", "two\ttabs", "wr\u00e9n", "x" * 200]
RECORDING = RecordingRow(recording="night.wav", sample_rate=16_000, duration_s=60.0)
WRITE_TEXTGRID = """
import sys
from praatio import textgrid
grid = textgrid.Textgrid()
entries = [(0.5, 1.25, 'wren "loud"'), (2.0, 3.5, "wr\\u00e9n")]
grid.addTier(textgrid.IntervalTier("species", entries, 0, 10))
grid.addTier(textgrid.PointTier("clicks", [(4.0, "click")], 0, 10))
grid.save(sys.argv[1], format=sys.argv[2], includeBlankSpaces=True)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EARFUL_PARITY"), reason="set EARFUL_PARITY=1 to make its environment"
    ),
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = os.environ.get("EARFUL_CROWSETTA_ENV") or tmp_path_factory.mktemp("crowsetta")
    subprocess.run([HERE / "make_crowsetta_environment.sh", folder], check=True)
    return Path(folder) / "bin/python"


def read(python: Path, kind: str, path: Path) -> list[list[object]]:
    command = [str(python), "-P", str(HERE / "read_with_crowsetta.py"), kind, str(path)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    rows: list[list[object]] = json.loads(found.stdout)
    return rows


def events() -> list[Event]:
    return [
        Event(
            event_id=event_id("ab" * 32, label, at, at + 0.5),
            recording="night.wav",
            recording_sha256="ab" * 32,
            start_s=at + 0.125,
            end_s=at + 0.625,
            label=label,
            score=0.83,
            low_hz=500.0,
            high_hz=4_000.5,
        )
        for at, label in enumerate(LABELS)
    ]


@pytest.mark.parametrize("kind", ["raven", "raven-combined", "audacity", "audacity-band"])
def test_every_event_is_read_with_its_times_and_label(
    tmp_path: Path, python: Path, kind: str
) -> None:
    options = ExportOptions(audacity_band=kind == "audacity-band")
    written = kind.removesuffix("-band")
    paths = export_events(events(), [RECORDING], tmp_path, [written], options=options)
    found = read(python, kind.removesuffix("-combined"), paths[0])
    ours = read_annotations(paths)
    assert len(found) == len(LABELS)
    assert [row[:3] for row in found] == [[a.start_s, a.end_s, a.label] for a in ours]
    if kind != "audacity":
        assert [row[3:] for row in found] == [[a.low_hz, a.high_hz] for a in ours]


@pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid"])
def test_textgrids_are_read_as_praatio_reads_them(tmp_path: Path, python: Path, form: str) -> None:
    path = tmp_path / "night.TextGrid"
    subprocess.run([python, "-P", "-c", WRITE_TEXTGRID, path, form], check=True)
    ours = read_annotations(path)
    theirs = read(python, "textgrid", path)
    assert [[a.start_s, a.end_s, a.label, "species"] for a in ours] == theirs
    assert any("tier 'clicks' holds 1 point" in note for note in ours.notes)
