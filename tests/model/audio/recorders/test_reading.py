"""Order of the sources, zones, what the owner says, and bounds."""

import os
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import AudioError
from earful.model.audio.recorders import (
    RecorderMetadata,
    RecorderOptions,
    override_metadata,
    parse_stamp,
    read_recorder_metadata,
    read_recorder_site,
)
from earful.model.audio.recorders.stamps import in_zone, load_zone
from tests.support.recorder_files import bext, flac, guano, moth, wamd, wav

HELSINKI = ZoneInfo("Europe/Helsinki")
NAME = "SITE7_20260503_043012.wav"


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def all_sources(*left_out: str) -> bytes:
    """A file in which each source has a minute of its own."""
    comment = "Recorded at 04:03:00 03/05/2026 (UTC) by AudioMoth 24F3190361DA3578"
    chunks = {
        "GUANO": guano("Timestamp: 2026-05-03T04:01:00Z\nWA|Song Meter|Prefix: G"),
        "wamd": wamd((5, b"2026-05-03 04:02:00+00:00"), (4, b"W")),
        "AudioMoth comment": moth(comment),
        "bext": bext("2026-05-03", "04:04:00"),
    }
    return wav(*(content for source, content in chunks.items() if source not in left_out))


def test_the_first_source_that_says_when_wins(tmp_path: Path) -> None:
    gone: list[str] = []
    for minute, source in enumerate(("GUANO", "wamd", "AudioMoth comment", "bext", "file name"), 1):
        path = put(tmp_path, "P_20260503_040500.wav", all_sources(*gone))
        found = read_recorder_metadata(path)
        assert found.time_source == source
        assert found.starts_at is not None
        assert found.starts_at.minute == minute
        assert found.site == {"GUANO": "G", "wamd": "W"}.get(source, "P")
        assert found.site_source == (source if source in ("GUANO", "wamd") else "file name")
        gone.append(source)
    path = put(tmp_path, "P_20260503_040500.flac", flac("DATE=2026-05-03T04:06:00"))
    assert read_recorder_metadata(path).time_source == "comment"


def test_each_field_comes_from_the_first_that_gives_it(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        NAME,
        wav(guano("Timestamp: 2026-05-03T04:30:12+03:00"), wamd((6, b"WGS84,60.17,N,24.94,E"))),
    )
    found = read_recorder_metadata(path)
    assert (found.time_source, found.site, found.latitude) == ("GUANO", "SITE7", 60.17)
    assert found.notes == ()


def test_sources_that_contradict_are_noted_once(tmp_path: Path) -> None:
    found = read_recorder_metadata(put(tmp_path, "P_20260503_040500.wav", all_sources()))
    (note,) = found.notes
    assert re.findall(r"2026-05-03T04:0\d", note) == [f"2026-05-03T04:0{n}" for n in range(1, 6)]
    assert "GUANO" in note


@pytest.mark.parametrize(
    ("stamp", "name", "agree"),
    [
        ("2026-05-03T04:30:14Z", "20260503_043012.WAV", True),
        ("2026-05-03T04:30:15Z", "20260503_043012.WAV", False),
        ("2026-05-03T07:30:12+03:00", "20260503_043012.WAV", True),  # the name is in UTC
        ("2026-05-03T04:30:12+03:00", "20260503_043012.WAV", True),  # the name is local
        ("2026-05-03T05:30:12+03:00", "20260503_043012.WAV", False),
        ("2026-05-03T04:30:12+03:00", "20260503T023012+0100.wav", True),
        ("2026-05-03T04:30:12", "20260503T043012+0100.wav", True),
        ("2026-05-04T04:30:12", "20260503_043012.wav", False),
    ],
)
def test_within_two_seconds_two_sources_agree(
    tmp_path: Path, stamp: str, name: str, agree: bool
) -> None:
    found = read_recorder_metadata(put(tmp_path, name, wav(guano(f"Timestamp: {stamp}"))))
    assert (found.notes == ()) is agree
    assert found.starts_at == parse_stamp(stamp)


def test_the_time_of_modification_says_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, "x.wav", wav())
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert read_recorder_metadata(path).starts_at is None


def test_the_folder_is_the_site_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "MILL" / "Data", "20260503_043012.WAV", wav())
    for folder, given_path in ((tmp_path, path), (path.parent, Path(path.name))):
        monkeypatch.chdir(folder)
        found = read_recorder_metadata(given_path)
        assert (found.site, found.site_source) == ("MILL", "folder")
    assert read_recorder_site(path) == ""


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        read_recorder_metadata(tmp_path / NAME)
    assert read_recorder_site(tmp_path / NAME) == "SITE7"


# --- zones ----------------------------------------------------------------------------------------


def test_without_a_zone_a_time_stays_without(tmp_path: Path) -> None:
    found = read_recorder_metadata(put(tmp_path, NAME, wav()))
    assert found.starts_at == datetime(2026, 5, 3, 4, 30, 12)
    assert not found.zone_is_known


@pytest.mark.parametrize(
    ("names_are", "timezone_name", "expected"),
    [
        (None, "Europe/Helsinki", "2026-05-03T04:30:12+03:00"),
        ("local", "Europe/Helsinki", "2026-05-03T04:30:12+03:00"),
        ("utc", "Europe/Helsinki", "2026-05-03T07:30:12+03:00"),
        ("utc", None, "2026-05-03T04:30:12+00:00"),
        ("local", None, "2026-05-03T04:30:12"),
        (None, "+02:00", "2026-05-03T04:30:12+02:00"),
        (None, "UTC", "2026-05-03T04:30:12+00:00"),
    ],
)
def test_a_zone_is_filled_in_and_names_are_shifted_only_when_told(
    tmp_path: Path, names_are: str, timezone_name: str, expected: str
) -> None:
    path = put(tmp_path, "20260503_043012.WAV", wav())
    found = read_recorder_metadata(path, timezone=timezone_name, names_are=names_are)  # type: ignore[arg-type]
    assert found.starts_at is not None
    assert found.starts_at.isoformat() == expected
    is_open = names_are is None and timezone_name is not None
    assert any("--names-are utc" in note for note in found.notes) is is_open


def test_a_zone_that_is_known_is_only_shown_in_another(tmp_path: Path) -> None:
    path = put(tmp_path, NAME, wav(guano("Timestamp: 2026-05-03T01:30:12Z")))
    found = read_recorder_metadata(path, timezone="Europe/Helsinki")
    assert found.starts_at is not None
    assert found.starts_at.isoformat() == "2026-05-03T04:30:12+03:00"
    assert found.notes == ()


def test_a_name_in_utc_agrees_with_the_file_whatever_zone_is_said(tmp_path: Path) -> None:
    comment = "Recorded at 04:30:12 03/05/2026 (UTC) by AudioMoth 24F3190361DA3578"
    path = put(tmp_path, "20260503_043012.WAV", wav(moth(comment)))
    for names_are in (None, "utc", "local"):
        found = read_recorder_metadata(path, timezone="Europe/Helsinki", names_are=names_are)
        assert found.starts_at is not None
        assert found.starts_at.isoformat() == "2026-05-03T07:30:12+03:00"
        assert found.notes == ()


def test_a_time_that_clocks_showed_twice_is_the_first_and_noted(tmp_path: Path) -> None:
    path = put(tmp_path, "P_20261025_033000.wav", wav())
    found = read_recorder_metadata(path, timezone="Europe/Helsinki")
    assert found.starts_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert found.starts_at.isoformat() == "2026-10-25T03:30:00+03:00"
    (note,) = found.notes
    assert "twice" in note
    # In UTC there is no doubt.
    found = read_recorder_metadata(path, timezone="Europe/Helsinki", names_are="utc")
    assert found.notes == ()
    assert found.starts_at is not None
    assert found.starts_at.isoformat() == "2026-10-25T05:30:00+02:00"


def test_a_time_that_clocks_never_showed_is_moved_and_noted(tmp_path: Path) -> None:
    path = put(tmp_path, "P_20260329_033000.wav", wav())
    found = read_recorder_metadata(path, timezone="Europe/Helsinki")
    assert found.starts_at is not None
    assert found.starts_at.isoformat() == "2026-03-29T04:30:00+03:00"
    (note,) = found.notes
    assert "never showed" in note
    assert "--timezone +02:00" in note


@given(
    # A recorder's name of a time says nothing of folds.
    st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(fold=0)
    )
)
def test_a_note_stands_where_two_folds_differ(naive: datetime) -> None:
    moment, note = in_zone(naive, HELSINKI)
    other = naive.replace(tzinfo=HELSINKI, fold=1)
    assert bool(note) is (other.utcoffset() != naive.replace(tzinfo=HELSINKI).utcoffset())
    assert moment.utcoffset() is not None
    if "never" not in note:
        assert moment.replace(tzinfo=None) == naive
    # An hour later is an hour later, over any change of the clocks.
    later = moment + timedelta(hours=1)
    assert later.astimezone(UTC) - moment.astimezone(UTC) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Helsinky", "Europe/Helsinki"),
        ("europe/helsinki", "Europe/Helsinki"),
        ("Helsinki", "Europe/Helsinki"),
        ("New York", "America/New_York"),
        ("America", ""),
        ("../../etc/passwd", ""),
        ("/etc/localtime", ""),
        ("", ""),
        ("EEST\0", ""),
    ],
)
def test_an_unknown_zone_is_named_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(AudioError, match="time zone") as caught:
        load_zone(name)
    assert (f"did you mean '{meant}'" in str(caught.value)) is bool(meant)


def test_without_data_about_zones_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load_zone.cache_clear()
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    with pytest.raises(AudioError, match="pip install tzdata"):
        load_zone("Europe/Helsinki")
    assert load_zone("+02:00") == timezone(timedelta(hours=2))
    load_zone.cache_clear()


# --- what the owner says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "start", "site"),
    [
        (r"(?P<date>\d{8})_(?P<time>\d{4})", "20260503_0430.wav", "2026-05-03T04:30:00", ""),
        (r"(?P<date>\d{6})-(?P<time>\d{6})", "260503-043012.wav", "2026-05-03T04:30:12", ""),
        (
            r"(?P<site>\w+) (?P<day>\d+)\.(?P<month>\d+)\.(?P<year>\d{4}) "
            r"(?P<hour>\d+)h(?P<minute>\d+)",
            "pond 3.5.2026 4h30.wav",
            "2026-05-03T04:30:00",
            "pond",
        ),
        (
            r"(?P<date>\d{8})_(?P<time>\d{6})(?P<zone>[+-]\d+)",
            "20260503_043012-03.wav",
            "2026-05-03T04:30:12-03:00",
            "",
        ),
        (r"(?P<date>\d+)_(?P<time>\d+)", "2026050_0430.wav", "", ""),
        (r"(?P<date>x)_(?P<time>\d+)", NAME, "", ""),
    ],
)
def test_a_pattern_says_how_names_are_read(
    tmp_path: Path, pattern: str, name: str, start: str, site: str
) -> None:
    found = read_recorder_metadata(put(tmp_path, name, wav()), time_pattern=pattern)
    assert ("" if found.starts_at is None else found.starts_at.isoformat()) == start
    assert found.site == (site or tmp_path.name)


def test_a_pattern_for_sites_goes_before_what_recorders_say(tmp_path: Path) -> None:
    path = put(tmp_path / "plot4", NAME, wav(wamd((4, b"SM4"))))
    found = read_recorder_metadata(path, site_pattern=r"(?P<site>plot\d)/")
    assert (found.site, found.site_source) == ("plot4", "site pattern")
    assert read_recorder_metadata(path, site_pattern=r"(?P<site>none)/").site == "SM4"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time_pattern": "("}, ["time pattern", "regular expression"]),
        ({"time_pattern": r"(?P<date>\d{8})"}, ["time pattern", "date and time"]),
        ({"time_pattern": r"\d{8}"}, ["time pattern", "found none"]),
        ({"site_pattern": "[a"}, ["site pattern", "regular expression"]),
        ({"site_pattern": "(plot)"}, ["site pattern", "group named site"]),
        ({"timezone": "Mars/Olympus"}, ["Mars/Olympus"]),
    ],
)
def test_a_wrong_option_is_one_clear_error(options: dict[str, str], words: list[str]) -> None:
    with pytest.raises(AudioError) as caught:
        RecorderOptions(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_names_are_of_two_kinds() -> None:
    with pytest.raises(ValueError, match="'utc' or 'local'"):
        RecorderOptions(names_are="both")  # type: ignore[arg-type]


def test_what_the_owner_says_goes_first() -> None:
    found = RecorderMetadata(
        starts_at=datetime(2026, 5, 3, 4, 30), time_source="file name", site="A", device="SM4"
    )
    given_row = RecorderMetadata(
        starts_at=datetime(2026, 5, 3, 5, 30), time_source="recordings table", site="B"
    )
    both = override_metadata(found, given_row)
    assert (both.starts_at, both.time_source) == (given_row.starts_at, "recordings table")
    assert (both.site, both.site_source, both.device) == ("B", "recordings table", "SM4")
    assert "file name" in both.notes[0]
    assert override_metadata(found, RecorderMetadata()).site == "A"
    zoned = override_metadata(found, given_row, timezone="Europe/Helsinki")
    assert zoned.starts_at == datetime(2026, 5, 3, 2, 30, tzinfo=UTC)


@given(st.text(max_size=40))
def test_any_text_is_a_stamp_or_none(text: str) -> None:
    assert parse_stamp(text) is None or parse_stamp(text) == parse_stamp(text.strip())


@given(
    st.datetimes(
        min_value=datetime(1971, 1, 1),
        max_value=datetime(2100, 1, 1),
        timezones=st.none() | st.sampled_from([UTC, timezone(timedelta(hours=5.75))]),
    )
)
def test_iso_stamps_are_read_as_python_reads_them(moment: datetime) -> None:
    assert parse_stamp(moment.isoformat()) == moment
    assert parse_stamp(moment.isoformat(sep=" ")) == moment
