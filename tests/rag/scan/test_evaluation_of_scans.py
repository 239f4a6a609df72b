"""``evaluate_scan``: what of a scan and its reference counts, and what is told of the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earful.index.annotations import Annotation, Event, RecordingRow, write_examples_csv
from earful.rag.scan import Events, evaluate_scan
from earful.rag.scan.events import LabelSummary
from tests.support.tone_recordings import write_table


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scan_of(*starts: float, **given: Any) -> Events:
    """Events of a second in the first of two recordings of 360 s, each a site."""
    rows = tuple(
        Event(
            event_id=str(number),
            recording="a.wav",
            recording_sha256="",
            start_s=start_s,
            end_s=start_s + 1,
            label="wren",
            score=1.0,
        )
        for number, start_s in enumerate(starts)
    )
    summary = LabelSummary(
        label="wren", n_examples=1, detector="neighbours", background="gaps", threshold=0.5
    )
    recordings = tuple(
        RecordingRow(recording=f"{name}.wav", duration_s=360.0, site=name) for name in "ab"
    )
    return Events(rows=rows, recordings=recordings, summaries=(summary,), **given)


def test_what_is_left_out_of_the_reference_is_told() -> None:
    rows = [("a.wav", 10, 11, "wren"), ("gone.wav", 1, 2, "wren"), ("a.wav", 30, 31, "owl")]
    write_table(Path("true.csv"), rows)
    (found,) = evaluate_scan(scan_of(10, 50), "true.csv")
    assert (found.total.found, found.total.false, found.total.missed) == (1, 1, 0)
    assert found.notes == (
        "1 event of the reference in recordings that were not scanned, such as 'gone.wav': left "
        "out",
        "the reference also marks 'owl', which the scan did not look for: left out",
        "the reference marks nothing in 1 of 2 recordings: all that was found there counts as "
        "false",
    )
    # The site without any event has no F1: one of two events right, none missed is 2/3.
    assert found.harmonic_mean == pytest.approx(2 / 3)


def test_only_what_was_scanned_counts() -> None:
    write_table(Path("true.csv"), [("a.wav", 10, 11, "wren"), ("a.wav", 200, 201, "wren")])
    part = {"options": {"part": {"from_s": 0.0, "to_s": 90.0}}}
    (found,) = evaluate_scan(scan_of(10, 50, scan=part), "true.csv")
    assert (found.total.found, found.total.false, found.total.missed) == (1, 1, 0)
    # Twice 90 s.
    assert found.hours == pytest.approx(0.05)
    assert found.false_per_hour == pytest.approx(20)
    assert "1 event outside of what was scanned of the recordings: left out" in found.notes


def test_examples_that_count_are_told() -> None:
    write_table(Path("true.csv"), [("a.wav", 10, 11, "wren"), ("a.wav", 50, 51, "wren")])
    example = Annotation(recording="a.wav", start_s=10.1, end_s=11, label="wren")
    Path("s").mkdir()
    write_examples_csv(Path("s/examples.csv"), [example, replace(example, start_s=10.8)])
    found = scan_of(10, 50, folder=Path("s"))
    flattered, honest = (evaluate_scan(found, "true.csv", n_given=n)[0] for n in (None, 1))
    assert (flattered.total.found, honest.total.found) == (2, 1)
    told = [one.notes[-1].startswith("1 of the events that are") for one in (flattered, honest)]
    assert told == [True, False]
