"""The demo's long recording: five minutes, mixed from its sounds, with the truth about them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earful.demo.corpus import DemoCorpus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

N_EXAMPLES: Final = 5
"""Times that the label of the long recording is marked."""

# 44.1 kHz, five minutes, sounds some 8 dB above the background.
_SEED, _RATE, _LENGTH_S = 7, 44_100, 300.0
_N_LAUGHS, _N_OTHERS = 20, 40
_BACKGROUND_LEVEL, _EVENT_LEVEL = 0.02, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRecording:
    """A recording mixed from the demo's sounds, with its truth.

    Attributes:
        audio: The recording, FLAC; named as a field recorder names its files.
        examples: Label track of the first five times that the label sounds.
        reference: Label track of every time.
        label: What is looked for.
        complete_until_s: Up to here everything that the examples do not mark is something else.
    """

    audio: Path
    examples: Path
    reference: Path
    label: str
    complete_until_s: float


def mix_long_recording(corpus: DemoCorpus, folder: Path) -> LongRecording:
    """Mix five minutes of background, in which somebody laughs twenty times.

    The first five laughs are of one voice, the others of two, each a little faster or slower and
    louder or softer; shouts, doors, bells and splashes lie between them. The result is the same
    on every call.

    Args:
        corpus: The demo's sounds.
        folder: Where to write; made if it is missing.

    Raises:
        AudioError: A sound cannot be read.
        OSError: The folder cannot be written.
    """
    import numpy as np
    import soundfile

    from earful.model.audio import load_audio

    random = np.random.default_rng(_SEED)
    voices = [
        sorted(corpus.queries.parent.glob("examples/laughter/*.flac")),
        sorted(corpus.queries.glob("laughter/*.flac")),
    ]
    others = [
        path
        for label in ("shout", "bell", "water", "wood-hit", "whoosh")
        for path in sorted((corpus.sounds / label).glob("*.flac"))
    ] + sorted(corpus.queries.glob("door/*.flac"))
    laughs = [voices[0]] * N_EXAMPLES + [voices[0] + voices[1]] * (_N_LAUGHS - N_EXAMPLES)
    # Each sound has a slot of its own, so that no two overlap; the last ones are not always laughs.
    n_slots = _N_LAUGHS + _N_OTHERS
    is_laugh = np.zeros(n_slots, bool)
    is_laugh[random.permutation(n_slots)[:_N_LAUGHS]] = True
    mixed = _background(random)
    slot_s = _LENGTH_S / n_slots
    marks: list[tuple[float, float]] = []
    for slot, laughing in enumerate(is_laugh):
        pool = laughs[len(marks)] if laughing else others
        sound = load_audio(pool[int(random.integers(len(pool)))], sample_rate=_RATE).samples
        pace = random.uniform(0.94, 1.06)
        sound = np.interp(np.arange(0, sound.size - 1, pace), np.arange(sound.size), sound)
        sound *= _EVENT_LEVEL * 10 ** (random.uniform(-3, 3) / 20) / max(sound.std(), 1e-6)
        start_s = slot_s * slot + random.uniform(0.2, slot_s - sound.size / _RATE - 0.2)
        start = round(start_s * _RATE)
        mixed[start : start + sound.size] += sound
        if laughing:
            marks.append((start / _RATE, (start + sound.size) / _RATE))
    name = "WARD2_20260503_043000"
    found = LongRecording(
        audio=folder / f"{name}.flac",
        examples=folder / "examples" / f"{name}.txt",
        reference=folder / "reference" / f"{name}.txt",
        label="laughter",
        complete_until_s=math.ceil(marks[N_EXAMPLES - 1][1]),
    )
    for path in (found.audio, found.examples, found.reference):
        path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(found.audio, mixed.clip(-1, 1), _RATE, subtype="PCM_16")
    for path, shown in ((found.examples, marks[:N_EXAMPLES]), (found.reference, marks)):
        lines = [f"{start_s:.6f}\t{end_s:.6f}\t{found.label}\n" for start_s, end_s in shown]
        path.write_text("".join(lines), encoding="utf-8")
    return found


def _background(random: np.random.Generator) -> NDArray[np.float64]:
    """Return pink noise that swells and fades, with a hum below it."""
    import numpy as np

    n = round(_LENGTH_S * _RATE)
    spectrum = np.fft.rfft(random.standard_normal(n))
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    spectrum[: round(_LENGTH_S * 20)] = 0  # nothing below 20 Hz
    noise = np.fft.irfft(spectrum, n)
    noise *= _BACKGROUND_LEVEL / noise.std()
    time_s = np.arange(n) / _RATE
    swell = 1 + 0.5 * np.sin(2 * np.pi * time_s / 47)
    return np.asarray(noise * swell + 0.5 * _BACKGROUND_LEVEL * np.sin(2 * np.pi * 100 * time_s))
