"""What a page's server computes for a look at an hour of recording: processor time.

Spectrograms and audio of 4 s at places all over an hour, as WAV and as FLAC, decoded in the
sandbox; beside them soundfile, which reads the same samples in this process and nothing else.
Then tiles of the hour's overview as a scan keeps it, and 10,000 events listed in pages of 500,
beside the bare encoding of the same rows as JSON. The processor time of decoding processes
counts. They take turns.

    ./dev bench serve_media

writes ``benchmarks/results/serve_media.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
from benchmarks.turns import in_turns, keep, machine

from earful.index.annotations import Event, RecordingRow, event_id
from earful.rag.scan import Events
from earful.serve.media import Media, Overview, PlayedSource, SpectrogramView
from earful.serve.reviewing import EventTable, event_row

RATE = 44_100
HOUR_S = 3600
LOOK_S = 4.0
LOOKS = 20
N_EVENTS = 10_000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Let everything take turns, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        works: dict[str, Callable[[], object]] = {}
        for ending in (".wav", ".flac"):
            path = write_hour(Path(scratch) / f"hour{ending}")
            works[f"soundfile reads, {ending}"] = partial(read_alone, path)
            works[f"spectrogram, {ending}"] = partial(draw, path)
            works[f"audio, {ending}"] = partial(play, path)
        overview = Overview.of(
            np.random.default_rng(0).integers(40, 200, (19_380, 48), dtype=np.uint8),
            8192 / 44_100,
            RATE / 2,
        )
        works["overview, a tile of 4,096 columns"] = lambda: tiles(overview)
        found = events()
        works["events as JSON, bare"] = lambda: json.dumps(
            [event_row(event, "night") for event in found.rows]
        )
        works["events, pages of 500"] = lambda: list_events(found)
        seconds = in_turns(works, n_rounds=arguments.rounds, clock=cpu_s)
    report: dict[str, Any] = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "look_s": LOOK_S,
        "cpu_ms": {},
        "times": {},
    }
    for name, spent in seconds.items():
        n = 1 if name.startswith("events") else LOOKS
        report["cpu_ms"][name] = round(median(spent) * 1000 / n, 2)
        base = "soundfile reads, .wav" if ".wav" in name else "soundfile reads, .flac"
        base = "events as JSON, bare" if n == 1 else base
        ratios = [own / max(other, TICK_S) for own, other in zip(spent, seconds[base], strict=True)]
        report["times"][name] = round(median(ratios), 2)
        print(f"{name:<36} {report['cpu_ms'][name]:>8} ms  {report['times'][name]:>6} x of {base}")
    keep("serve_media", report)


def write_hour(path: Path) -> Path:
    """Write an hour of noise with tones that come and go."""
    noise = np.random.default_rng(0)
    time_s = np.arange(60 * RATE) / RATE
    tones = 0.2 * np.sin(2 * np.pi * 3000 * time_s) * (np.sin(2 * np.pi * 0.3 * time_s) > 0.9)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(HOUR_S // 60):
            file.write(tones + noise.normal(scale=0.02, size=time_s.size))
    return path


def looks() -> list[float]:
    """Return places all over the hour."""
    return [float(at) for at in np.linspace(10, HOUR_S - 10, LOOKS)]


def read_alone(path: Path) -> None:
    """Read each look by soundfile."""
    for at in looks():
        with soundfile.SoundFile(path) as file:
            file.seek(round(at * RATE))
            file.read(round(LOOK_S * RATE), dtype="float32")


def source_of(path: Path) -> PlayedSource:
    """Return the hour as a source."""
    return PlayedSource(
        id="r-0123456789abcdef",
        name=path.name,
        path=path,
        start_s=0.0,
        duration_s=float(HOUR_S),
        sample_rate=RATE,
    )


def draw(path: Path) -> None:
    """Draw each look; nothing is kept from before."""
    media, source = Media(), source_of(path)
    for at in looks():
        media.spectrogram(source, at, at + LOOK_S, SpectrogramView(width=800, height=256)).make()


def play(path: Path) -> None:
    """Encode each look as WAV."""
    media, source = Media(), source_of(path)
    for at in looks():
        media.audio(source, at, at + LOOK_S).make()


def tiles(overview: Overview) -> None:
    """Draw the first tile, so many times."""
    for _ in range(LOOKS):
        media = Media()
        media.overview(source_of(Path("gone.wav")), kept=lambda: overview).make()


def events() -> Events:
    """Return events all over a night."""
    rows = [
        Event(
            event_id=event_id("ab" * 32, "wren", float(at), at + 1.0),
            recording="night/SITE7_20260503_043000.wav",
            recording_sha256="ab" * 32,
            start_s=float(at),
            end_s=at + 1.0,
            label="wren",
            score=0.8,
            nearest_example="night/a.wav 1.000-2.000",
            similarity=0.9,
        )
        for at in range(N_EVENTS)
    ]
    recording = RecordingRow(recording=rows[0].recording, sha256="ab" * 32, duration_s=2e4)
    return Events(rows=tuple(rows), recordings=(recording,))


def list_events(found: Events) -> None:
    """List all events in pages of 500, each as JSON."""
    table = EventTable(found)
    cursor: str | None = ""
    while cursor is not None:
        page = table.page(cursor)
        json.dumps([event_row(event, "night") for event in page.rows])
        cursor = page.next


def cpu_s() -> float:
    """Return processor time of this process and of those that decode for it."""
    total = sum(os.times()[:4])
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * TICK_S
    return total


if __name__ == "__main__":
    main()
