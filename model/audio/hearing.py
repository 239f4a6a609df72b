"""Hearing check: finds recordings whose vector means little to an encoder.

Every encoder gives a vector of anything, of silence and of one sample as well, and a vote over such
a vector reads like any other. Queries and builds ask here; the answer becomes a note, a count in a
build, and a reason not to answer where nothing is left to hear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earful.model.audio.clip import Clip
from earful.model.audio.levels import decibels, levels_of, offset_and_swing, power_of
from earful.model.audio.next_steps import FIND_WHERE

FaultKind = Literal[
    "silent", "quiet", "offset", "cancelling", "out-of-band", "loud", "short", "long", "header"
]

# Of fifteen sounds brought to a peak of -70 dB of full scale the shipped encoders find the right
# one as often as by chance, and their vectors are those of silence; at -50 dB they find a third.
_QUIET_DB: Final = -50.0
_INAUDIBLE_DB: Final = -70.0
# Unlike channels lose half of their power in a mean of two, as chance has it: this is far more.
_CANCELLED: Final = 0.1
_LOST: Final = 0.9
# With a constant part so large a recording begins and ends in a click, as nothing stands before
# and behind it. Smaller ones are usual.
_LEAST_OFFSET: Final = 0.01
_DROWNS: Final = 2.0  # times the largest value of the sound
_EDGE_S: Final = 0.02
_LOUDEST: Final = 10.0  # 20 dB over full scale: numbers of another scale, not a hot recording
# No encoder's spectrum is shorter; what is a little longer is mostly padding.
_SHORTEST_S: Final = 0.025
_SHORT_S: Final = 0.1
# One window of the shipped encoder is then one of 26 in the average.
_LONG_S: Final = 60.0
_TOO_LONG_S: Final = 180.0
_SPECTRUM: Final = 4096
_SPECTRA_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFault:
    """One reason why an encoder hears little of a recording.

    Attributes:
        kind: Short name, to count by.
        text: What is wrong, as a clause whose subject is the recording.
        unusable: Whether nothing is left that could be heard.
    """

    kind: FaultKind
    text: str
    unusable: bool = False


@runtime_checkable
class HearsBand(Protocol):
    """Encoder that hears less of the spectrum than half its sample rate."""

    @property
    def band_hz(self) -> tuple[float, float]:
        """Lowest and highest frequency that it hears, in Hz."""
        ...


@runtime_checkable
class CountsWindows(Protocol):
    """Encoder whose vector of a recording is the average of those of its windows."""

    def n_windows(self, n_samples: int) -> int:
        """Return how many windows a recording has.

        Args:
            n_samples: Its length at the encoder's rate.
        """
        ...


def hearing_faults(clip: Clip, listener: object) -> tuple[AudioFault, ...]:
    """Return why an encoder hears little of a recording; see ``check_hearing``.

    Args:
        clip: At its rate.
        listener: The encoder; anything that says nothing of its band is taken to hear it all.
    """
    band_hz = listener.band_hz if isinstance(listener, HearsBand) else None
    n_windows = None
    if isinstance(listener, CountsWindows):
        n_windows = listener.n_windows(clip.samples.size)
    return check_hearing(clip, band_hz=band_hz, n_windows=n_windows)


def check_hearing(
    clip: Clip, *, band_hz: tuple[float, float] | None = None, n_windows: int | None = None
) -> tuple[AudioFault, ...]:
    """Return why an encoder hears little of a recording.

    Args:
        clip: At the encoder's rate, as it will be embedded.
        band_hz: Lowest and highest frequency that the encoder hears; ``None`` for all up to half
            its rate.
        n_windows: How many windows the recording's vector is the average of; ``None`` where the
            encoder does not say.

    Returns:
        The faults, those that leave nothing first; mostly none.
    """
    faults = [AudioFault(kind="header", text=note) for note in clip.notes]
    levels = clip.levels or levels_of(clip.samples, clip.sample_rate)
    if clip.duration_s < _SHORT_S:
        too_short = clip.duration_s < _SHORTEST_S
        why = "too short for one spectrum" if too_short else "the rest of a window is padding"
        text = f"it lasts {1000 * clip.duration_s:.3g} ms: {why}"
        faults.append(AudioFault(kind="short", text=text, unusable=too_short))
    if clip.duration_s > _LONG_S and n_windows != 1:
        why = ", too long for a short sound in it to be heard"
        if n_windows is not None:
            why = (
                f" and its vector is the average of {n_windows:,} windows: a short sound in it is "
                "not heard"
            )
        text = f"it lasts {clip.duration_s:.0f} s{why}; {FIND_WHERE}"
        too_long = clip.duration_s > _TOO_LONG_S
        faults.append(AudioFault(kind="long", text=text, unusable=too_long))
    if levels.peak > _LOUDEST:
        text = (
            f"it reaches {levels.peak:.3g} times full scale, and encoders expect 1 at most; "
            "scale it down"
        )
        faults.append(AudioFault(kind="loud", text=text))
    faults += _missing_sound(clip, band_hz)
    return tuple(sorted(faults, key=lambda fault: not fault.unusable))


def _missing_sound(clip: Clip, band_hz: tuple[float, float] | None) -> list[AudioFault]:
    """Describe a recording's power before and after preparation."""
    levels = clip.levels or levels_of(clip.samples, clip.sample_rate)
    if levels.power <= 0.0:
        text = "it is digital silence: all its samples are equal"
        return [AudioFault(kind="silent", text=text, unusable=True)]
    faults = []
    # Of unlike channels a mean keeps one part in their number.
    kept = levels.mono_power / levels.power
    offset = (
        levels.offset if abs(levels.offset) > max(_DROWNS * levels.swing, _LEAST_OFFSET) else 0.0
    )
    heard = _without_edges(clip) if offset else clip.samples
    power = power_of(heard)
    if levels.channels > 1 and kept * levels.channels < _CANCELLED:
        text = (
            f"its {levels.channels} channels cancel each other: their mean keeps "
            f"{_percent(kept)} of their power; give one of them"
        )
        unusable = decibels(power**0.5) < _QUIET_DB
        faults.append(AudioFault(kind="cancelling", text=text, unusable=unusable))
    low, high = band_hz or (0.0, clip.sample_rate / 2)
    # A higher rate loses nothing but what a file has at half its own.
    whole = levels.mono_power if levels.sample_rate > clip.sample_rate else power
    if band_hz is not None and power > 0.0:
        power *= _share_in_band(heard, clip.sample_rate, low, high)
    lost = 1.0 - power / whole if whole > 0.0 else 0.0
    if lost > _LOST:
        span = f"above {high:g} Hz" if not low else f"outside {low:g} to {high:g} Hz"
        text = (
            f"{_percent(lost)} of its power lies {span}, where the encoder hears nothing; "
            "bring it into that range first, as by slowing it down"
        )
        unusable = decibels(power**0.5) < _QUIET_DB
        faults.append(AudioFault(kind="out-of-band", text=text, unusable=unusable))
    is_explained = bool(faults)
    if offset:
        text = (
            f"its constant offset of {offset:.3g} of full scale is larger than its sound, which "
            f"peaks at {decibels(levels.swing):.0f} dB beside it; subtract the mean"
        )
        faults.append(AudioFault(kind="offset", text=text))
    if is_explained:
        return faults
    _, peak = offset_and_swing(heard)
    if decibels(peak) < _QUIET_DB:
        without = f" without its offset of {offset:.3g}" if offset else ""
        text = (
            f"it peaks at {decibels(peak):.0f} dB of full scale{without}, and encoders hear little "
            f"below {_QUIET_DB:.0f} dB; amplify it"
        )
        unusable = decibels(peak) < _INAUDIBLE_DB
        faults.append(AudioFault(kind="quiet", text=text, unusable=unusable))
    return faults


def _without_edges(clip: Clip) -> NDArray[np.float32]:
    """Return a clip's samples without its ends, where resampling smears an offset's edges."""
    n = round(_EDGE_S * clip.sample_rate)
    return clip.samples[n:-n] if clip.samples.size > 4 * n else clip.samples


def _share_in_band(samples: NDArray[np.float32], rate: int, low: float, high: float) -> float:
    """Return the share of the power of samples, shape ``(n,)``, that lies between two edges."""
    hz = np.fft.rfftfreq(_SPECTRUM, 1 / rate)
    inside = (hz >= low) & (hz <= high)
    whole = band = 0.0
    step = _SPECTRUM * _SPECTRA_AT_ONCE
    for start in range(0, samples.size, step):
        piece = samples[start : start + step]
        piece = piece - piece.mean()
        piece = np.pad(piece, (0, -piece.size % _SPECTRUM)).reshape(-1, _SPECTRUM)
        power = (np.abs(np.fft.rfft(piece)) ** 2).sum(axis=0)
        whole += float(power.sum())
        band += float(power[inside].sum())
    return band / whole if whole > 0.0 else 0.0


def _percent(share: float) -> str:
    """Write a share so that neither nothing nor all is said where there is a little.

    >>> _percent(0.25), _percent(0.9999), _percent(0.0)
    ('25 %', 'over 99.9 %', 'under 0.1 %')
    """
    if share > 0.999:
        return "over 99.9 %"
    return "under 0.1 %" if share < 0.001 else f"{100 * share:.3g} %"
