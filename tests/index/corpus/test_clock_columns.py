"""Times with colons in tables."""

from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import open_corpus


def stretches(folder: Path, table: str, **columns: str) -> list[tuple[float, float | None]]:
    (folder / "night.wav").write_bytes(b"")
    (folder / "t.csv").write_text(table, encoding="utf-8")
    rows = open_corpus(folder / "t.csv", columns=columns)
    return [(row.exemplar.start_s, row.exemplar.end_s) for row in rows]


@pytest.mark.parametrize(
    "header",
    [
        *("file,label,start,end", "file,label,start_s,end_s", "file,label,begin,stop"),
        *("file,label,onset,offset", "file,label,Begin Time (s),End Time (s)"),
    ],
)
def test_colons_mean_minutes_and_hours(tmp_path: Path, header: str) -> None:
    table = f"{header}\nnight.wav,owl,0:02,0:03.5\nnight.wav,owl,1:02:03,1:02:04\n"
    assert stretches(tmp_path, table) == [(2.0, 3.5), (3723.0, 3724.0)]


def test_a_length_and_numbers_stand_beside_them(tmp_path: Path) -> None:
    table = "file,label,start,duration\nnight.wav,owl,0:02,0:01\nnight.wav,owl,5,0.5\n"
    assert stretches(tmp_path, table) == [(2.0, 3.0), (5.0, 5.5)]
    table = "file;label;start;end\nnight.wav;owl;0:02,5;0:03\n"
    assert stretches(tmp_path, table) == [(2.5, 3.0)]


def test_a_time_of_day_is_no_place_in_a_recording(tmp_path: Path) -> None:
    table = "file,label,start time,end time\nnight.wav,owl,04:30:00,04:35:00\n"
    assert stretches(tmp_path, table) == [(0.0, None)]
    assert stretches(tmp_path, "file,label,onset\nnight.wav,owl,04:30:00\n") == [(0.0, None)]
    # Who says what they are means it.
    table = "file,label,start time,end time\nnight.wav,owl,0:30,0:35\n"
    named = {"start_s": "start time", "end_s": "end time"}
    assert stretches(tmp_path, table, **named) == [(30.0, 35.0)]


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("start", "0:2", "a time such as 0:02"),
        ("start", "0:00:02:12", "'0:00:02:12'"),
        ("start (min)", "0:02", "says another unit"),
        ("start_ms", "0:02", "says another unit"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, column: str, cell: str, says: str) -> None:
    table = f"file,label,{column},end\nnight.wav,owl,{cell},9\n"
    with pytest.raises(CorpusError, match=says):
        stretches(tmp_path, table, start_s=column)
