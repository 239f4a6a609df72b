"""Names of recordings, as recorders and people give them."""

from datetime import datetime
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.audio.recorders import recorder_site
from earful.model.audio.recorders.names import folder_site, read_name
from earful.model.audio.recorders.options import RecorderOptions

# (name, start, site): as documented by the makers, or seen in public archives.
NAMES = [
    # Wildlife Acoustics: SM2, SM4, Mini, Micro, SM5
    ("SITE7_20260503_043000.wav", "2026-05-03T04:30:00", "SITE7"),
    ("SMA00646_20201017_130500.wav", "2020-10-17T13:05:00", "SMA00646"),
    ("2MA04827_20250227_073902.wav", "2025-02-27T07:39:02", "2MA04827"),
    ("1_20250302_205009.wav", "2025-03-02T20:50:09", "1"),
    ("FNQ-RBS_20190102_044802_010.wav", "2019-01-02T04:48:02", "FNQ-RBS"),
    ("MY-FOREST-PLOT_20240601_000000.WAV", "2024-06-01T00:00:00", "MY-FOREST-PLOT"),
    ("two_words_20240601_000000.flac", "2024-06-01T00:00:00", "two_words"),
    # SM3: which microphones, and $ for a position by GPS
    ("SM3PLOT_0+1_20140705_060000.wav", "2014-07-05T06:00:00", "SM3PLOT"),
    ("SM3PLOT_0+1_20140705$060000.wav", "2014-07-05T06:00:00", "SM3PLOT"),
    ("SM3PLOT_-0_20140705_060000.wav", "2014-07-05T06:00:00", "SM3PLOT"),
    ("SM3PLOT_1-_20140705_060000.wav", "2014-07-05T06:00:00", "SM3PLOT"),
    ("PLOT-3-1_20140705_060000.wav", "2014-07-05T06:00:00", "PLOT-3-1"),
    ("PLOT_1_20140705_060000.wav", "2014-07-05T06:00:00", "PLOT_1"),
    # Swift
    ("SWIFT01_20200101_060000.wav", "2020-01-01T06:00:00", "SWIFT01"),
    ("S1082_20200101_060000-0500.wav", "2020-01-01T06:00:00-05:00", "S1082"),
    # AudioMoth, new and old
    ("20260503_043000.WAV", "2026-05-03T04:30:00", ""),
    ("20260503_043000T.WAV", "2026-05-03T04:30:00", ""),
    ("24F3190361DA3578_20260503_043000.WAV", "2026-05-03T04:30:00", "24F3190361DA3578"),
    ("5EB0A2C8.WAV", "2020-05-04T23:18:32+00:00", ""),
    ("5AFCD4F4.WAV", "2018-05-17T01:03:48+00:00", ""),
    ("5eb0a2c8.wav", "", ""),  # a digest
    ("DEADBEEF.WAV", "", ""),  # 2088
    ("62345678.wav", "", ""),  # any number
    ("20260503.wav", "", ""),  # a day is no start
    # Frontier Labs: zone, position, the end behind the start
    ("20260503T043000+1000_REC.flac", "2026-05-03T04:30:00+10:00", ""),
    ("20191026T000000+1000_REC [-27.3888 152.8808].flac", "2019-10-26T00:00:00+10:00", ""),
    ("20210617T080000+0000_Rec_-18.2656+144.5564.wav", "2021-06-17T08:00:00+00:00", ""),
    (
        "S20240529T213000.032967+1000_E20240529T214000.1+1000_X.wav",
        "2024-05-29T21:30:00.032967+10:00",
        "",
    ),
    ("20091219T070006.789123+1130_00600.wav", "2009-12-19T07:00:06.789123+11:30", ""),
    ("20260503T043000Z.wav", "2026-05-03T04:30:00+00:00", ""),
    ("20260503T043000+10.wav", "2026-05-03T04:30:00+10:00", ""),
    ("20260503T043000-03.wav", "2026-05-03T04:30:00", ""),  # as likely the third part
    ("20260503T043000-0001.wav", "2026-05-03T04:30:00", ""),  # no zone on earth
    ("20260503T043000+9900.wav", "2026-05-03T04:30:00", ""),
    # Titley: Walkabout, Anabat Swift; SonoBat; SoundTrap
    ("2017-03-27 20-48-52.wav", "2017-03-27T20:48:52", ""),
    ("2018-05-20_21-30-05.wav", "2018-05-20T21:30:05", ""),
    ("CAVE2 2018-05-20 21-30-05.wav", "2018-05-20T21:30:05", "CAVE2"),
    ("CAVE2-20120612_213005-Myso.wav", "2012-06-12T21:30:05", "CAVE2"),
    ("671629352.181204100002.wav", "2018-12-04T10:00:02", ""),
    # Others
    ("pond_2026-05-03T04:30:12+03:00.wav", "2026-05-03T04:30:12+03:00", "pond"),
    ("20070415051314.wav", "2007-04-15T05:13:14", ""),
    ("pond-20260503-043012.mp3", "2026-05-03T04:30:12", "pond"),
    ("SERF_20130314_000021_000.wav", "2013-03-14T00:00:21", "SERF"),
    ("TAPE4_19650412_060000.wav", "1965-04-12T06:00:00", "TAPE4"),
    ("VID_20260503_043000.mp4", "2026-05-03T04:30:00", ""),
    ("Recording_20260503_043000.wav", "2026-05-03T04:30:00", ""),
    # Impossible dates are none, and the first possible one counts
    ("a_00000000_000000.wav", "", ""),
    ("a_99999999_999999.wav", "", ""),
    ("a_20260230_043000.wav", "", ""),
    ("a_20260503_240000.wav", "", ""),
    ("a_20260503_046000.wav", "", ""),
    ("a_12010101_000000.wav", "", ""),
    ("a_19700101_000012.wav", "", ""),  # a clock that nobody set
    ("99999999_999999_20260503_043000.wav", "2026-05-03T04:30:00", "99999999_999999"),
    ("120260503_043000.wav", "", ""),
    ("20260503_0430001.wav", "", ""),
    # Ordinary names
    ("dog_20200101_bark.wav", "", ""),
    ("dog.wav", "", ""),
    ("freesound_12345678_123456.wav", "", ""),
    ("1-100032-A-0.wav", "", ""),
    ("7061-6-0-0.wav", "", ""),
    ("fold1.wav", "", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("name", "start", "site"), NAMES)
def test_a_name_says_when_and_where(name: str, start: str, site: str) -> None:
    found = read_name(PurePath("here", name or "."), RecorderOptions())
    assert ("" if found.starts_at is None else found.starts_at.isoformat()) == start
    assert found.site == site


def test_a_name_of_frontier_labs_says_the_position() -> None:
    for name in (
        "20191026T000000+1000_REC [-27.3888 152.8808].flac",
        "20191026T000000+1000_-27.3888 152.8808_REC.flac",
        "20191026T000000+1000_Rec_-27.3888+152.8808.wav",
    ):
        found = read_name(PurePath(name), RecorderOptions())
        assert (found.latitude, found.longitude) == (-27.3888, 152.8808)


def test_the_site_alone() -> None:
    assert recorder_site("SITE7_20260503_043000.wav") == "SITE7"
    assert recorder_site("SITE7.wav") == ""


@pytest.mark.parametrize(
    ("folders", "site"),
    [
        (["/", "data", "SITE7"], "SITE7"),
        (["/", "SITE7", "Data_AC", "20260503"], "SITE7"),
        (["/", "SITE7", "2026-05-03"], "SITE7"),
        (["/", "SITE7", "DCIM", "Data", "20260503"], ""),  # no deeper than three
        (["/"], ""),
        ([], ""),
    ],
)
def test_a_folder_that_no_recorder_made_is_a_site(folders: list[str], site: str) -> None:
    assert folder_site(folders) == site


@given(st.text(max_size=300))
def test_any_name_is_read(name: str) -> None:
    found = read_name(PurePath("x", name.replace("\0", "")), RecorderOptions())
    assert found.starts_at is None or 1900 <= found.starts_at.year <= 2100


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)),
    st.from_regex(r"[A-Z]{2}[0-9]{1,3}", fullmatch=True),
)
def test_every_start_that_is_written_is_read(start: datetime, site: str) -> None:
    start = start.replace(microsecond=0)
    for form in ("%Y%m%d_%H%M%S", "%Y%m%dT%H%M%S", "%Y-%m-%d %H-%M-%S", "%Y%m%d%H%M%S"):
        found = read_name(PurePath(f"{site}_{start.strftime(form)}.wav"), RecorderOptions())
        assert (found.starts_at, found.site) == (start, site)
