"""Scans of many hours, and of the demo's sounds by the shipped encoder."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earful
from earful.demo import DemoCorpus
from earful.model.audio import load_audio
from earful.rag.scan import evaluate_scan
from tests.support.command_line import run_fine
from tests.support.tone_recordings import write_track

pytestmark = pytest.mark.slow

MIB = 1 << 20
ROOT = Path(__file__).resolve().parents[3]
RATE = 22_050


def test_twelve_hours_take_hardly_more_memory_than_one(tmp_path: Path) -> None:
    peaks = {}
    for hours in (1, 12):
        words = ["-m", "tests.support.scan_in_child", str(tmp_path / str(hours)), str(hours * 3600)]
        told = subprocess.run(
            [sys.executable, *words], cwd=ROOT, check=True, capture_output=True, text=True
        )
        peaks[hours] = int(told.stdout)
    assert peaks[12] - peaks[1] < 300 * MIB
    # What is kept of twelve hours is 240 MB, none of which stays in memory.
    assert peaks[12] - peaks[1] < 100 * MIB


def test_a_sound_of_the_demo_is_found_by_the_shipped_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clips = sorted((DemoCorpus.find().sounds / "gunshot").iterdir())
    samples = np.random.default_rng(0).normal(0, 0.003, 90 * RATE)
    shots = []
    for number in range(9):
        clip = load_audio(clips[number % len(clips)], sample_rate=RATE).samples[:RATE]
        first = (5 + 9 * number) * RATE
        samples[first : first + len(clip)] += 0.3 * clip / np.abs(clip).max()
        shots.append((first / RATE, first / RATE + len(clip) / RATE, "shot"))
    soundfile.write("range.wav", samples, RATE)
    write_track(Path("range.txt"), shots)
    out = run_fine("scan", "range.wav", "--first", 5, "--reference", "range.txt", "-o", "r.scan")
    assert "range.wav: " in out
    out = run_fine("events", "evaluate", "r.scan", "range.txt")
    assert "the first 5 events of each recording are examples" in out
    (found,) = evaluate_scan(earful.Events.open("r.scan"), "range.txt")
    assert found.value >= 0.7
    run_fine("events", "export", "r.scan", "--format", "raven,birdnet,parquet,json")
    assert run_fine("events", "clips", "r.scan", "--most", 2).startswith("2 clips")
    corpus = earful.open_corpus("r.scan/clips/clips.csv")
    assert [row.exemplar.labels for row in corpus] == [("shot",), ("shot",)]
