"""A folder with all that the documentation's commands name, as a reader would have it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import soundfile

from earful.testing import write_flamingo
from tests.support.dataset_layouts import LAYOUTS

ROOT = Path(__file__).resolve().parents[2]
INDEXES = ("my.index", "sounds.index")
"""Indexes that ``build_indexes`` makes."""
SCAN = "night.scan"
_RATE_HZ = 22050
_TASK = """\
labels = ["hum", "beep"]
question = "What makes this sound?"
"""
_NIGHTS = "recording,site\nSITE7_20260503_043000.wav,ward\n"


def write_noisy_tone(path: Path, hz: float) -> None:
    """Write a second of a tone with a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(_RATE_HZ) / _RATE_HZ
    noise = np.random.default_rng(round(hz)).standard_normal(t.size)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * t) + 0.01 * noise, _RATE_HZ)


def write_reader_folder(folder: Path) -> None:
    """Write recordings, tables and small models of random weights.

    Args:
        folder: An empty folder; ``home`` in it is to be ``EARFUL_HOME``.
    """
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    # Recordings of several sources: tones would be near-duplicates of each other.
    for label, kind in (("hum", "machine"), ("beep", "bell")):
        (folder / "corpus" / label).mkdir(parents=True)
        for sound in sorted((ROOT / "notebooks/demo/sounds" / kind).glob("*.flac"))[:6]:
            shutil.copy(sound, folder / "corpus" / label)
    for n in range(3):
        write_noisy_tone(folder / f"examples/normal/{n}.wav", 200 + n)
        write_noisy_tone(folder / f"examples/faulty/{n}.wav", 3000 + n)
        write_noisy_tone(folder / f"labelled/normal/{n}.wav", 220 + n)
        write_noisy_tone(folder / f"labelled/faulty/{n}.wav", 2800 + n)
    slices = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in (1, 10):
        for number, name in ((3, "dog_bark"), (8, "siren")):
            slices.append(f"9{fold}-{number}-0-0.wav,9{fold}{number},0,1,1,{fold},{number},{name}")
            audio = f"data/UrbanSound8K/audio/fold{fold}/9{fold}-{number}-0-0.wav"
            write_noisy_tone(folder / audio, 99 * number + fold)
    table = folder / "data/UrbanSound8K/metadata/UrbanSound8K.csv"
    table.parent.mkdir()
    table.write_text("\n".join(slices) + "\n")
    LAYOUTS["fsd50k"](folder / "data/FSD50K")
    # Small random ones, where the fetched ones would be.
    for variant in ("foundation", "chat"):
        write_flamingo(folder / f"home/models/audio-flamingo-{variant}", variant=variant)
    write_flamingo(folder / "flamingo", variant="foundation")
    (folder / "questions.txt").write_text("What is it?\nIs it near?\n")
    for name in ("0", "1", "SITE7_20260503_043000"):
        write_noisy_tone(folder / f"night/{name}.wav", 2000)
    (folder / "nights.csv").write_text(_NIGHTS)
    (folder / "calls.csv").write_text("recording,start_s,end_s,label\nnight/0.wav,0.2,0.6,beep\n")
    (folder / "urban.toml").write_text(_TASK)
    (folder / "machines.toml").write_text('examples = "examples"\n[shots]\nk = 4\n')
    for name, hz in (("siren", 900), ("pump", 210), ("street", 150), ("rain", 2500)):
        write_noisy_tone(folder / f"{name}.wav", hz)


def build_results(folder: Path) -> None:
    """Build the indexes and the scan that pages take for granted, in a reader's folder."""
    import earful

    for name in INDEXES:
        earful.build_index(folder / "corpus", folder / name)
    earful.scan(folder / "night", examples=folder / "calls.csv", out=folder / SCAN)
