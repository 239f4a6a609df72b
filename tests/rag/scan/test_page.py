"""The events page: what stands in it, and where, in a browser."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.index.annotations import Event, RecordingRow, event_id
from earful.model.encoders import overview
from earful.rag.scan import ScanPart, write_events_page
from tests.support.browser import opened

RATE, STEP = 44_100, 8192
LENGTH_S = 900.0
BEGINS = datetime(2026, 5, 3, 4, 30, tzinfo=timezone(timedelta(hours=2)))
NASTY = "<img src=x onerror=alert(1)>"
# Starts, labels and scores; the second is doubtful.
FOUND = ((30.0, "wren", 1.2), (700.0, NASTY, 0.52), (840.0, "wren", 0.95))


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of an hour with a tone at each event."""
    path = tmp_path_factory.mktemp("night") / "SITE7_20260503_043000.wav"
    samples = np.random.default_rng(0).normal(0, 0.002, round(LENGTH_S * RATE)).astype(np.float32)
    tone = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE).astype(np.float32)
    for start_s, _, _ in FOUND:
        samples[round(start_s * RATE) :][:RATE] += tone
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture
def events(night: Path) -> list[Event]:
    return [
        Event(
            event_id=event_id("ab" * 32, label, start_s, start_s + 1),
            recording=str(night),
            recording_sha256="ab" * 32,
            start_s=start_s,
            end_s=start_s + 1,
            label=label,
            score=score,
            starts_at=BEGINS + timedelta(seconds=start_s),
            site="SITE7",
        )
        for start_s, label, score in FOUND
    ]


@pytest.fixture
def recordings(night: Path) -> list[RecordingRow]:
    row = RecordingRow(
        recording=str(night), duration_s=LENGTH_S, starts_at=BEGINS, site="SITE7", n_events=3
    )
    empty = RecordingRow(recording="empty.wav", duration_s=60.0)
    return [row, empty, RecordingRow(recording="no.wav", status="failed", reason="is no audio")]


def levels_of(row: RecordingRow) -> NDArray[np.uint8] | None:
    if not Path(row.recording).exists():
        return None
    return overview(soundfile.read(row.recording, dtype="float32")[0], RATE, STEP)


@pytest.fixture
def page(events: list[Event], recordings: list[RecordingRow], tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "night.html"
    write_events_page(events, recordings, path, title="night.scan", overview_of=levels_of)
    with opened(path) as found:
        yield found


@pytest.mark.slow
def test_marks_stand_where_the_sounds_are(page: Any) -> None:
    whole = page.locator(".strip svg").first
    left = whole.bounding_box()["x"]
    width = whole.bounding_box()["width"]
    marks = whole.locator(".event rect.shade")
    assert marks.count() == len(FOUND)
    for number, (start_s, _, _) in enumerate(FOUND):
        box = marks.nth(number).bounding_box()
        assert box["x"] - left == pytest.approx(start_s / LENGTH_S * width, abs=1.5)
    # The tone is bright below its mark, at its height, and dark beside it.
    bright = page.evaluate(
        """async ([start, length]) => {
        const image = document.querySelector(".strip image");
        const picture = new Image();
        picture.src = image.href.baseVal;
        await picture.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [picture.width, picture.height];
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0);
        const sum = x => {
          const {data} = context.getImageData(x, 0, 1, picture.height);
          return Math.max(...Array.from({length: picture.height}, (_, y) => data[4 * y + 1]));
        };
        const at = Math.floor((start + 0.5) / length * picture.width);
        return [sum(at), sum(at + 20), picture.height];
        }""",
        [FOUND[0][0], LENGTH_S],
    )
    assert bright[0] > bright[1] + 50
    assert bright[2] == 48


@pytest.mark.slow
def test_a_mark_and_a_row_play_their_event(page: Any) -> None:
    page.locator(".strip .event[data-sound]").first.locator("rect").first.click()
    page.wait_for_function("document.querySelector('audio').src.startsWith('data:')")
    page.wait_for_function("document.querySelector('audio').duration > 1.9")
    assert page.locator(".event.playing").count() == 1
    page.locator("#table-events .play").nth(1).click()
    assert page.locator(".play.playing").count() == 1


@pytest.mark.slow
def test_the_page_says_what_to_do_and_keeps_labels_as_text(page: Any) -> None:
    assert page.locator(".verdict strong").inner_text() == (
        "Listen to 1 doubtful event first: 3 events in 1 of 3 recordings"
    )
    assert NASTY in page.locator("#table-labels").inner_text()
    assert page.locator("#table-labels img").count() == 0
    failed = page.locator("#table-recordings").inner_text()
    assert "failed: is no audio" in failed
    # Two of the stretches of ten minutes hold events; their times are the recorder's.
    titles = page.locator(".strip figcaption").all_inner_texts()
    assert [title.partition(", ")[2] for title in titles if ", from" in title] == [
        "from 04:30:00 to 04:40:00",
        "from 04:40:00 to 04:45:00",
    ]
    bars = page.locator(".hours rect.c0").evaluate_all(
        "bars => bars.map(bar => Number(bar.getAttribute('height')))"
    )
    assert [hour for hour, high in enumerate(bars) if high] == [4]


def test_a_scan_without_events_has_a_page(tmp_path: Path) -> None:
    path = tmp_path / "none.html"
    write_events_page([], [RecordingRow(recording="a.wav", duration_s=5.0)], path)
    text = path.read_text()
    assert "Nothing was found in 1 recording" in text
    assert "a.wav" in text


def test_an_overview_is_read_once_for_all_pictures_of_its_recording(
    events: list[Event], recordings: list[RecordingRow], tmp_path: Path
) -> None:
    asked = []

    def note(row: RecordingRow) -> None:
        asked.append(row.recording)

    later = RecordingRow(recording="later.wav", duration_s=LENGTH_S)
    moved = [replace(event, recording="later.wav") for event in events]
    path = tmp_path / "two.html"
    rows = [*recordings[:2], later]
    write_events_page([*events, *moved], rows, path, overview_of=note)
    assert sorted(asked) == sorted(row.recording for row in rows)
    assert path.read_text().count('<figure class="strip">') == 3 + 4


def test_rates_are_of_what_was_scanned(
    events: list[Event], recordings: list[RecordingRow], tmp_path: Path
) -> None:
    copy = RecordingRow(recording="copy.wav", duration_s=LENGTH_S, status="skipped")
    path = tmp_path / "rates.html"
    # Two wrens in a quarter of an hour and a minute, the copy apart.
    write_events_page(events, [*recordings, copy], path)
    assert f">{2 / (960 / 3600):.1f}" in path.read_text().replace("\n", "")
    # From 04:30 to 04:35 is a twelfth of an hour; nothing tells when the minute was.
    write_events_page(events, recordings, path, part=ScanPart.between("04:00-04:35"))
    text = path.read_text()
    assert ">24.0" in text.replace("\n", "")
    assert "the highest bar is 36.0 an hour" in " ".join(text.split())


def test_the_best_and_the_most_doubtful_get_players(
    events: list[Event], recordings: list[RecordingRow], tmp_path: Path
) -> None:
    path = tmp_path / "two.html"
    write_events_page(events, recordings, path, most=2)
    _, _, sounds = path.read_text().partition('id="sounds">')
    assert events[0].event_id in sounds
    assert events[1].event_id in sounds
    assert events[2].event_id not in sounds


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"most": -1}, "most=-1"), ({"most_minutes": float("nan")}, "most_minutes=nan")],
)
def test_limits_outside_their_range_are_refused(
    limits: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match=words):
        write_events_page([], [], tmp_path / "a.html", **limits)


def test_a_page_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be written"):
        write_events_page([], [], tmp_path / "missing" / "a.html")
