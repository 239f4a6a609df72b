"""The table in which owners say when and where: cells, and the recordings that rows name."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import RecordingsTable, read_recordings_table

HEAD = "recording,starts_at,site,latitude,longitude"


def table(folder: Path, *lines: str, name: str = "t.csv") -> RecordingsTable:
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_recordings_table(path)


def test_a_row_says_when_and_where(tmp_path: Path) -> None:
    rows = table(
        tmp_path,
        HEAD + ",habitat",
        "a.wav,2026-05-03T04:30:12+03:00,Mill,60.17,24.94,bog",
        "b.wav,2026-05-03 04:30,,,,",
        "c.wav,,Pond,0,0,",
        ",,,,,",
    ).rows
    assert list(rows) == ["a.wav", "b.wav", "c.wav"]
    a, b, c = rows.values()
    assert (
        a.starts_at
        == datetime(2026, 5, 3, 4, 30, 12, tzinfo=timezone(timedelta(hours=3)))
        == datetime(2026, 5, 3, 1, 30, 12, tzinfo=UTC)
    )
    assert (a.site, a.latitude, a.longitude, a.time_source) == (
        "Mill",
        60.17,
        24.94,
        "recordings table",
    )
    assert dict(a.extra) == {"habitat": "bog"}
    assert (b.starts_at, b.site, b.latitude) == (datetime(2026, 5, 3, 4, 30), "", None)
    assert (c.starts_at, c.site, c.latitude, c.longitude) == (None, "Pond", 0.0, 0.0)


def test_a_spreadsheet_with_semicolons_may_have_decimal_commas(tmp_path: Path) -> None:
    rows = table(tmp_path, "File;Site;Lat;Lon", "a.wav;Mill;60,17;24,94").rows
    assert (rows["a.wav"].latitude, rows["a.wav"].longitude) == (60.17, 24.94)


def test_other_kinds_of_tables(tmp_path: Path) -> None:
    assert table(tmp_path, '{"recording": "a.wav", "latitude": 60.5, "longitude": 24}',
                 name="t.jsonl").rows["a.wav"].latitude == 60.5  # fmt: skip
    assert table(tmp_path, "recording\tsite", "a.wav\tMill", name="t.tsv").rows["a.wav"].site


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((HEAD, "a.wav,yesterday,,,"), ["t.csv:2", "starts_at", "'yesterday'", "2026-05-03T"]),
        ((HEAD, "a.wav,2026-02-30T04:30:12,,,"), ["t.csv:2", "2026-02-30"]),
        ((HEAD, "a.wav,2026-05-03,,,"), ["t.csv:2", "a date and a time"]),
        ((HEAD, "a.wav,03.05.2026 04:30,,,"), ["t.csv:2", "03.05.2026"]),
        ((HEAD, "b.wav,,x,,", "a.wav,,,91,0"), ["t.csv:3", "latitude", "-90 to 90"]),
        ((HEAD, "a.wav,,,0,181"), ["longitude", "-180 to 180"]),
        ((HEAD, "a.wav,,,north,0"), ["latitude", "'north'"]),
        ((HEAD, "a.wav,,,nan,0"), ["latitude", "'nan'"]),
        ((HEAD, "a.wav,,,60.17,"), ["latitude", "no longitude"]),
        ((HEAD, "a.wav,,,,24.94"), ["longitude", "no latitude"]),
        ((HEAD, ",,Mill,,"), ["t.csv:2", "recording is empty"]),
        ((HEAD, "/,,Mill,,"), ["t.csv:2", "no name"]),
        ((HEAD, "a.wav,,A,,", "a.wav,,B,,"), ["t.csv:3", "t.csv:2", "'a.wav'"]),
        ((HEAD, "a.wav,,a\u202eb,,"), ["t.csv:2", "site", "U+202E"]),
        (("recording,habitat", "a.wav,bog"), ["recording and one or more of", "habitat"]),
        (("name,site", "a.wav,bog"), ["recording and one or more of"]),
        ((HEAD,), ["no rows"]),
    ],
)
def test_a_bad_cell_is_named_with_its_place(
    tmp_path: Path, lines: tuple[str, ...], words: list[str]
) -> None:
    with pytest.raises(CorpusError) as caught:
        table(tmp_path, *lines)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "paths", "found"),
    [
        ("a.wav", ["night/a.wav", "night/b.wav"], "night/a.wav"),
        ("night/a.wav", ["night/a.wav", "day/a.wav"], "night/a.wav"),
        ("s1/a.wav", ["/data/s1/a.wav", "/data/s2/a.wav"], "/data/s1/a.wav"),
        ("s1\\a.wav", ["/data/s1/a.wav", "/data/s2/a.wav"], "/data/s1/a.wav"),
        ("A.WAV", ["night/a.wav"], "night/a.wav"),
        ("a", ["night/a.flac"], "night/a.flac"),
        ("a.wav", ["night/a.flac"], "night/a.flac"),
        ("a.wav", ["night/a.wav", "night/a.flac"], "night/a.wav"),
        ("b.wav", ["night/a.wav"], ""),
        ("1/a.wav", ["s1/a.wav"], ""),
        ("v1.2/a.wav", ["v1.3/a.wav"], ""),
    ],
)
def test_a_row_names_a_recording(tmp_path: Path, name: str, paths: list[str], found: str) -> None:
    rows = table(tmp_path, "recording,site", f"{name},Mill")
    matched, unmatched = rows.match(paths)
    assert list(matched) == ([found] if found else [])
    assert unmatched == (() if found else (name,))


def test_a_path_from_the_tables_folder_goes_before_others(tmp_path: Path) -> None:
    rows = table(tmp_path, "recording,site", "a.wav,Mill")
    here, there = str(tmp_path / "a.wav"), str(tmp_path / "s1" / "a.wav")
    assert list(rows.match([there, here])[0]) == [here]


def test_a_name_of_several_recordings_and_two_names_of_one_are_refused(tmp_path: Path) -> None:
    rows = table(tmp_path, "recording,site", "20260503_043000.WAV,Mill")
    with pytest.raises(CorpusError, match=r"t.csv:2.*2 recordings.*s1.*folders"):
        rows.match(["s1/20260503_043000.WAV", "s2/20260503_043000.WAV"])
    rows = table(tmp_path, "recording,site", "a.wav,Mill", "s1/a.wav,Pond")
    with pytest.raises(CorpusError, match=r"t.csv:3.*'a.wav' at .*t.csv:2"):
        rows.match(["s1/a.wav"])
