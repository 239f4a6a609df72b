"""Tones in noise, a pitch a label, and what scripted models hear in them."""

import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.model import ClipRef, Prompt, Text

RATE = 16_000
HZ = {"low": 200.0, "middle": 900.0, "high": 3500.0, "hiss": 0.0}


def tone(
    hz: float,
    seed: int | Sequence[int],
    *,
    rate: int,
    seconds: float = 0.25,
    detune: float = 0.0,
    noise: float,
) -> NDArray[np.float64]:
    """Return a tone in noise, or noise alone at 0 Hz; every seed is another take.

    Args:
        hz: Frequency.
        seed: Of the noise, and of the pitch where it varies.
        rate: Sample rate in Hz.
        seconds: Duration.
        detune: Largest change of the pitch, as a share of it.
        noise: Standard deviation of the noise.
    """
    random = np.random.default_rng(seed)
    if detune:
        hz *= random.uniform(1 - detune, 1 + detune)
    time_s = np.arange(round(seconds * rate)) / rate
    samples = 0.3 * np.sin(2 * np.pi * hz * time_s)
    return np.asarray(samples + random.normal(size=time_s.size) * noise)


def write_wav(path: Path, samples: NDArray[np.float64], rate: int) -> Path:
    """Write samples as 16-bit PCM, into a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def sound(label: str, take: int) -> NDArray[np.float64]:
    """Return half a second of a label's tone; of hiss, noise alone."""
    noise = 0.05 if HZ[label] else 0.3
    return tone(HZ[label], [take, len(label)], rate=RATE, seconds=0.5, detune=0.1, noise=noise)


def write_sound(path: Path, label: str, take: int) -> Path:
    """Write one take of a label."""
    return write_wav(path, sound(label, take), RATE)


def label_of(clip: ClipRef) -> str:
    """Return the label of a recording, the name of its folder; silence has none."""
    return Path(str(clip.audio)).parent.name if isinstance(clip.audio, Path) else ""


def prefers(label: str) -> Callable[[Prompt, str], float]:
    """Return log-probabilities of a model that always prefers one label."""
    return lambda _prompt, answer: 0.0 if answer == label else -2.0


def texts(prompt: Prompt, kind: str, *, answers: bool = False) -> list[str]:
    """Return a prompt's texts of one kind: questions, or answers."""
    return [
        part.text
        for part in prompt.parts
        if isinstance(part, Text) and part.kind == kind and part.is_answer == answers
    ]
