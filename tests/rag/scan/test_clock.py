"""Clocks of a scan: what the owner's table and the zone that is given make of a recording."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from earful.model.audio.recorders import RecorderOptions
from earful.rag.scan.clock import Clocks
from tests.support.tone_recordings import record


@pytest.mark.parametrize(
    ("said", "zone", "offset"),
    [
        ("2026-05-03T04:30:00", None, None),
        ("2026-05-03T04:30:00", "Europe/Helsinki", timedelta(hours=3)),
        ("2026-05-03T01:30:00Z", "+03:00", timedelta(hours=3)),
    ],
)
def test_times_of_the_owners_table_have_the_zone_that_is_given(
    tmp_path: Path, said: str, zone: str | None, offset: timedelta | None
) -> None:
    audio, table = tmp_path / "a.wav", tmp_path / "made.csv"
    record(audio, 1, [])
    table.write_text(f"recording,starts_at\na.wav,{said}\n")
    clocks = Clocks([str(audio)], RecorderOptions(timezone=zone), table)
    expected = datetime(2026, 5, 3, 4, 30, tzinfo=None if offset is None else timezone(offset))
    assert clocks.of(str(audio)).starts_at == expected
