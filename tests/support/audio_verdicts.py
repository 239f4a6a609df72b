"""Verdicts on files: what the loader must return for each, or the reason it must give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from earful.errors import AudioError
from earful.model.audio import load_audio, resample
from earful.model.audio.clip import probe_audio


@dataclass(frozen=True, slots=True)
class Accepted:
    """Accepted, by ``probe_audio`` and ``load_audio`` alike.

    Attributes:
        n_samples: Per channel.
        sample_rate: In Hz.
        channels: How many.
        slack_samples: By how much the length may differ, where a coding pads.
    """

    n_samples: int
    sample_rate: int
    channels: int = 1
    slack_samples: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused with one line.

    Attributes:
        reason: Words that the line has to contain.
        probed: What ``probe_audio`` finds where only decoding shows the fault, or what its
            own refusal has to contain; ``None`` where it refuses with the same line.
    """

    reason: str
    probed: Accepted | str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One nasty file.

    Attributes:
        name: For a test's id.
        place: Puts the file into a folder and returns its path.
        verdict: What has to become of it.
    """

    name: str
    place: Callable[[Path], Path]
    verdict: Accepted | Refused


def decode(path: Path, *, resampled_hz: int | None = None) -> tuple[Accepted | str, Accepted | str]:
    """Probe and load a file: what each finds, or the line it refuses it with.

    ``resampled_hz``: what is loaded is resampled to that, for what it takes.
    """
    channels = 1
    probed: Accepted | str
    try:
        info = probe_audio(path)
    except AudioError as error:
        probed = str(error)
    else:
        channels = info.channels
        n_samples = round(info.duration_s * info.sample_rate)
        probed = Accepted(n_samples, info.sample_rate, channels)
    try:
        clip = load_audio(path)
    except AudioError as error:
        return probed, str(error)
    if resampled_hz is not None:
        with suppress(AudioError):  # too short, or too loud
            resample(clip, resampled_hz)
    return probed, Accepted(clip.samples.size, clip.sample_rate, channels)


def fault(verdict: Accepted | Refused, probed: Accepted | str, loaded: Accepted | str) -> str:
    """Describe how the result differs from the verdict; empty where it does not."""
    if isinstance(verdict, Accepted):
        fits = _fits(verdict, probed) and _fits(verdict, loaded)
    else:
        fits = isinstance(loaded, str) and verdict.reason in loaded
        wanted = verdict.probed or loaded
        fits = fits and (_fits(wanted, probed) or str(wanted) in str(probed))
    return "" if fits else f"expected {verdict}; probed {probed}; loaded {loaded}"


def _fits(wanted: Accepted | str, found: Accepted | str) -> bool:
    if isinstance(wanted, str) or isinstance(found, str):
        return wanted == found
    near = abs(wanted.n_samples - found.n_samples) <= wanted.slack_samples
    same = (wanted.sample_rate, wanted.channels) == (found.sample_rate, found.channels)
    return near and same


def case(name: str, data: Callable[[], bytes], verdict: Accepted | Refused, file: str = "") -> Case:
    """A case that is a file of these bytes."""

    def place(folder: Path) -> Path:
        path = folder / (file or f"{name}.wav")
        path.write_bytes(data())
        return path

    return Case(name, place, verdict)
