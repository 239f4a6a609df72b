"""Clocks of a scan: what the owner's table and the zone that is given make of a recording."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from earful.index.recordings import FoundRecording
from earful.model.audio import probe_isolated
from earful.model.audio.recorders import RecorderOptions
from earful.rag.scan import ScanPart
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


def test_a_part_of_the_day_is_looked_up_as_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    names = ("035958", "040001", "050000", "060000")
    found = [
        FoundRecording(path=str(record(tmp_path / f"S_20260503_{name}.wav", 3, [])))
        for name in names
    ]
    found.append(FoundRecording(path="gone.wav", skipped="is a link"))
    told: list[tuple[int, int]] = []
    probed: list[str] = []
    probe = probe_isolated

    def counted(path: str, **given: Any) -> Any:
        probed.append(path)
        return probe(path, **given)

    monkeypatch.setattr("earful.rag.scan.clock.probe_isolated", counted)
    clocks = Clocks([one.path for one in found], RecorderOptions())
    part = ScanPart.between("04:00-06:00")
    planned = clocks.plan_all(found, part, jobs=2, on_planned=lambda *done: told.append(done))
    assert [bool(one.skipped) for one in planned] == [False, False, False, True, True]
    assert planned == [clocks.plan(one, part) for one in found]
    assert told == [(n, 5) for n in range(1, 6)]
    # The length of what begins inside decides nothing.
    assert {Path(path).stem[-6:] for path in probed} == {"035958", "060000"}
    told.clear()
    assert clocks.plan_all(found, ScanPart(), on_planned=lambda *done: told.append(done)) == found
    assert not told
