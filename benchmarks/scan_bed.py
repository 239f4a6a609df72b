"""Recordings of five minutes with known events, made of the demo sounds: the test bed of scans.

Each holds 30 events of one target label, 30 of other labels, and a background; the first five
events of the target are the examples. **What flatters**: a recording draws its target events
from at most six clips, so the very clip of an example may come again, faster or slower and at
another level. Synthetic mixtures of clean clips are easier than the field: no reverberation, no
far callers, backgrounds that hardly change. They compare ways of detecting; they promise nothing
about a forest.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from earful.model.audio import load_audio

DEMO: Final = Path(__file__).resolve().parent.parent / "notebooks" / "demo"
RATE: Final = 44100
TARGETS: Final = (
    "bell",
    "door",
    "gunshot",
    "laughter",
    "saxophone",
    "shout",
    "thunder",
    "vinyl scratch",
)
DISTRACTORS: Final = (
    "bass",
    "bird",
    "brass",
    "choir",
    "cymbal",
    "flute",
    "guitar",
    "hand drum",
    "machine",
    "metal hit",
    "piano",
    "water",
    "whoosh",
    "wood hit",
)
BACKGROUNDS: Final = ("pink", "wind", "rain", "drone")
SNRS_DB: Final = (15, 5, -3)
DURATION_S: Final = 300.0
N_EVENTS: Final = 30
N_EXAMPLES: Final = 5
_LONGEST_S: Final = 2.5
_FEWEST_CLIPS, _MOST_CLIPS = 3, 6
_BACKGROUND_RMS: Final = 0.02

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class BedEvent:
    """A sound that was mixed in.

    Attributes:
        label: What it is.
        start_s: Where it begins, in seconds.
        end_s: Where it ends, in seconds.
        clip: File name of the clip that it was made of.
    """

    label: str
    start_s: float
    end_s: float
    clip: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BedRecording:
    """A recording of the test bed.

    Attributes:
        name: Unique in the bed.
        label: The target.
        snr_db: Level of events over the background, give or take 3 dB an event.
        background: One of ``BACKGROUNDS``.
        samples: float32, shape ``(n,)``, at 44100 Hz.
        events: Of the target, by time.
        distractors: Of other labels, by time.
    """

    name: str
    label: str
    snr_db: int
    background: str
    samples: Samples
    events: tuple[BedEvent, ...]
    distractors: tuple[BedEvent, ...]

    @property
    def examples(self) -> tuple[BedEvent, ...]:
        """The events that a detector is given."""
        return self.events[:N_EXAMPLES]

    @property
    def complete_until_s(self) -> float:
        """The end of the last example: before it all events are marked."""
        return self.examples[-1].end_s


def make_recording(label: str, snr_db: int, *, seed: int = 0) -> BedRecording:
    """Make a recording; the same arguments make the same samples."""
    number = TARGETS.index(label)
    # Events, their places and the background are the same at each level.
    random = np.random.default_rng([seed, number])
    background_name = BACKGROUNDS[(number + seed) % len(BACKGROUNDS)]
    n = int(DURATION_S * RATE)
    samples = _BACKGROUNDS[background_name](n, random)
    samples *= _BACKGROUND_RMS / np.sqrt(np.mean(samples**2))
    targets = _draw_clips(label, random)
    others = [clip for other in DISTRACTORS for clip in _clips()[other]]
    kinds = random.permutation([True] * N_EVENTS + [False] * N_EVENTS)
    slot_s = DURATION_S / kinds.size
    placed: dict[bool, list[BedEvent]] = {True: [], False: []}
    for slot, is_target in enumerate(kinds):
        pool = targets if is_target else others
        clip = pool[random.integers(len(pool))]
        own_label = label if is_target else clip.parent.name.replace("-", " ")
        sound = _at_speed(_sound_of(clip), random.uniform(0.94, 1.06))
        start = int(
            (slot + random.uniform(0.05, 0.95) * (1 - sound.size / RATE / slot_s)) * slot_s * RATE
        )
        start = min(max(start, 0), n - sound.size)
        level_db = snr_db + random.uniform(-3, 3)
        gain = _BACKGROUND_RMS * 10 ** (level_db / 20) / np.sqrt(np.mean(sound**2))
        samples[start : start + sound.size] += gain * sound
        placed[bool(is_target)].append(
            BedEvent(
                label=own_label,
                start_s=start / RATE,
                end_s=(start + sound.size) / RATE,
                clip=f"{clip.parent.name}/{clip.name}",
            )
        )
    return BedRecording(
        name=f"{label.replace(' ', '-')}-{snr_db}dB-{seed}",
        label=label,
        snr_db=snr_db,
        background=background_name,
        samples=samples.astype(np.float32),
        events=tuple(placed[True]),
        distractors=tuple(placed[False]),
    )


@cache
def _clips() -> Mapping[str, Sequence[Path]]:
    """Return the demo clips by label, in order of their names."""
    found: dict[str, list[Path]] = {}
    for folder in ("sounds", "unseen/examples", "unseen/queries"):
        for path in sorted((DEMO / folder).glob("*/*.flac")):
            found.setdefault(path.parent.name.replace("-", " "), []).append(path)
    return found


@cache
def _groups() -> Mapping[Path, str]:
    """Return the source of each clip."""
    found: dict[Path, str] = {}
    for folder in ("sounds", "unseen/examples", "unseen/queries"):
        with (DEMO / folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[DEMO / folder / row["file_name"]] = row["group"]
    return found


def _draw_clips(label: str, random: np.random.Generator) -> list[Path]:
    """Draw clips of a label from two sources, more where those hold fewer than three."""
    by_group: dict[str, list[Path]] = {}
    for clip in _clips()[label]:
        by_group.setdefault(_groups()[clip], []).append(clip)
    drawn: list[Path] = []
    for count, group in enumerate(random.permutation(sorted(by_group)), start=1):
        drawn += by_group[str(group)]
        if count >= 2 and len(drawn) >= _FEWEST_CLIPS:
            break
    return [drawn[row] for row in random.permutation(len(drawn))[:_MOST_CLIPS]]


@cache
def _sound_of(path: Path) -> NDArray[np.float64]:
    """Return what is heard in a clip: from 40 dB below its peak to there again."""
    clip = load_audio(path)
    samples = soxr.resample(clip.samples.astype(np.float64), clip.sample_rate, RATE)
    hop = RATE // 100
    padded = np.pad(samples, (0, -samples.size % hop)).reshape(-1, hop)
    loud = np.flatnonzero(np.sqrt((padded**2).mean(axis=1)) > 0.01 * np.abs(samples).max())
    samples = samples[loud[0] * hop : (loud[-1] + 1) * hop][: int(_LONGEST_S * RATE)]
    fade = min(RATE // 100, samples.size // 4)
    samples = samples.copy()
    samples[:fade] *= np.linspace(0, 1, fade)
    samples[-fade:] *= np.linspace(1, 0, fade)
    return np.asarray(samples)


def _at_speed(samples: NDArray[np.float64], speed: float) -> NDArray[np.float64]:
    """Play a sound faster or slower, as a tape would."""
    n = int(samples.size / speed)
    return np.asarray(np.interp(np.arange(n) * speed, np.arange(samples.size), samples))


def _shaped_noise(
    n: int, random: np.random.Generator, exponent: float, low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    """Return noise whose power falls with a power of the frequency, within a band."""
    n_fft = 1 << (n - 1).bit_length()
    frequencies = np.fft.rfftfreq(n_fft, 1 / RATE)
    gains = np.zeros(frequencies.size)
    inside = (frequencies >= low_hz) & (frequencies <= high_hz)
    gains[inside] = frequencies[inside] ** (-exponent / 2)
    phases = random.standard_normal((2, frequencies.size))
    noise = np.fft.irfft(gains * (phases[0] + 1j * phases[1]))[:n]
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _slow(
    n: int, random: np.random.Generator, period_s: float, depth_db: float
) -> NDArray[np.float64]:
    """Return gains that wander, by ``depth_db`` either way."""
    points = random.uniform(-depth_db, depth_db, int(n / RATE / period_s) + 2)
    return 10 ** (np.interp(np.arange(n), np.arange(points.size) * period_s * RATE, points) / 20)


def _pink(n: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _shaped_noise(n, random, 1.0, 20, 20000) * _slow(n, random, 8.0, 3.0)


def _wind(n: int, random: np.random.Generator) -> NDArray[np.float64]:
    rumble = _shaped_noise(n, random, 2.0, 20, 600) * _slow(n, random, 1.5, 8.0)
    return np.asarray(rumble / np.sqrt(np.mean(rumble**2)) + 0.5 * _pink(n, random))


def _rain(n: int, random: np.random.Generator) -> NDArray[np.float64]:
    drops = np.zeros(n)
    places = random.integers(0, n - 400, int(12 * n / RATE))
    lengths = np.exp(-np.arange(400) / 40)
    for place in places:
        pitch = random.uniform(1500, 7000)
        drops[place : place + 400] += (
            random.uniform(0.2, 2.0) * lengths * np.sin(2 * np.pi * pitch * np.arange(400) / RATE)
        )
    return _shaped_noise(n, random, 0.5, 400, 16000) * _slow(n, random, 10.0, 2.0) + drops


def _drone(n: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a hum of slowly beating harmonics, as machines and strings make it."""
    time_s = np.arange(n) / RATE
    base_hz = random.uniform(55, 110)
    hum = np.zeros(n)
    for harmonic in range(1, 13):
        detuned = base_hz * harmonic * (1 + random.uniform(-0.003, 0.003))
        beats = 1 + 0.5 * np.sin(2 * np.pi * random.uniform(0.05, 0.6) * time_s)
        hum += beats * np.sin(2 * np.pi * detuned * time_s + random.uniform(0, 6)) / harmonic
    return np.asarray(hum / np.sqrt(np.mean(hum**2)) + 0.5 * _pink(n, random))


_BACKGROUNDS: Final = {"pink": _pink, "wind": _wind, "rain": _rain, "drone": _drone}
