"""Times with colons: read, refused where they may mean several things, and written."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.audio import clock_stretch, clock_time, is_clock_time, parse_time_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:02", 2.0),
        ("00:02", 2.0),
        ("1:02:03.5", 3723.5),
        ("0:02,5", 2.5),
        (" 12:30 ", 750.0),
        ("90:00", 5400.0),
        ("100:00:00", 360_000.0),
        ("12.5", 12.5),
        ("1e3", 1000.0),
    ],
)
def test_what_a_time_means(text: str, seconds: float) -> None:
    assert parse_time_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("0:2", "1:2:03", "0:60", "1:60:00", "0:00:02:12", ":30", "0:", "-0:02", "1_0", "2m"),
        *("0:02pm", "2026-05-03 04:30:00", "", "inf", "nan", "\u0660:\u0660\u0662", "1:02:03:"),
    ],
)
def test_what_may_mean_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected seconds as a number, or a time such as 0:02"):
        parse_time_s(text)
    assert not is_clock_time(text)


@given(st.integers(0, 10**9))
def test_what_is_written_is_read(thousandths: int) -> None:
    seconds = thousandths / 1000
    written = clock_time(seconds)
    assert is_clock_time(written)
    assert parse_time_s(written) == pytest.approx(seconds, abs=1e-9)


@given(st.timedeltas(timedelta(hours=1), timedelta(hours=23, minutes=59, seconds=59)))
def test_hours_agree_with_the_standard_library(length: timedelta) -> None:
    written = (datetime(2026, 1, 1) + length).strftime("%H:%M:%S.%f")
    assert parse_time_s(written) == pytest.approx(length.total_seconds(), abs=1e-9)


def test_a_stretch_is_written_only_where_it_is_not_the_whole() -> None:
    assert clock_stretch(0.0, None) == ""
    assert clock_stretch(12.4, 13.1) == "0:12.4-0:13.1"
    assert clock_stretch(3600.0, None) == "1:00:00-end"
