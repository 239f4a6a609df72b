"""Same recordings: whether two segments are one recording in two forms, told by their signals.

Vectors only propose pairs: machines at one speed, or two cuts of one noise, are as near to each
other as a copy is. What tells a copy is the phase. Where two signals are one recording, the
phases of all their frequencies differ by one common delay, however loud, cut, resampled or coded
they are; where they are two recordings of the same kind, they differ at random. So spectra are
correlated over all delays, in two forms:

- **whitened**: every frequency counts alike, which is decided by what is noise in a sound, and
  steady tones hardly count;
- **flattened**: loud partials count for more, for sounds with nothing but partials, of which a
  codec keeps no more than these.

One recording is what agrees in one of the two. The two bounds were set on stationary noises and
the demo recordings, as they are and in fourteen other encodings, and are kept by
``tests/index/health/test_same_recording.py``. Missed are tones without any noise at the lowest
rates of MP3 and AAC, and a beginning cut off that held most of a short sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import load_isolated, probe_isolated

_RATE = 8_000
_READ_S = 20.0
_HEARD_SAMPLES = 4 * _RATE
_FEWEST_SAMPLES = _RATE // 10
# Longer than what is heard, so that delays of up to a second do not wrap around.
_N = 5 * _RATE
_BAND = slice(round(100 * _N / _RATE), round(3400 * _N / _RATE))
_N_BINS = _BAND.stop - _BAND.start
# A recording begins where it is first above -60 dB of its peak; below -120 dBFS there is nothing.
_BEGINS = 1e-3
_NOTHING = 1e-6
# Frequencies 60 dB below the loudest ones hold what a codec makes up.
_FLOOR = 1e-6
_FADE_WHITENED, _FADE_FLATTENED = 0.5, 0.1
_SMOOTH_WHITENED, _SMOOTH_FLATTENED = 301, 1501
# From half a second; of less sound, down to a tenth, more has to agree.
_BOUNDS = (0.4, 0.85)
_BOUNDS_OF_SHORT = (0.7, 0.97)
_LONG_SAMPLES = _RATE // 2
# Mean square of the power over the square of its mean: 2 in noise, more where partials stand out.
_TONAL = 3.0
_GROUP = 16
# The others of a group are noise beside a copy, and may take this much off its peak.
_SLACK = 0.12
_AT_ONCE = 32

Spectra = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a recording, in seconds from the start of its file; ``None`` for its end."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Result of comparing the signals of pairs.

    Attributes:
        same: Whether each pair is one recording, bool, shape ``(n_pairs,)``.
        unheard: Why segments could not be compared, by their position.
    """

    same: NDArray[np.bool_]
    unheard: Mapping[int, str]


def compare_signals(
    segments: Sequence[Segment],
    pairs: NDArray[np.intp],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Compared:
    """Tell which pairs of segments are one recording.

    Each segment is read once, the first 20 s at most, of which 4 s are compared; it takes 66 kB of
    memory. Pairs are looked at sixteen at once: all those of 600 alike segments take ten seconds,
    or a minute where steady tones are alike, too.

    Args:
        segments: What the pairs are of.
        pairs: Positions in ``segments``, shape ``(n_pairs, 2)``.
        progress: Called with the number of segments read and the number of all that are in pairs.
    """
    same = np.zeros(len(pairs), dtype=np.bool_)
    needed = np.unique(pairs)
    prints = np.zeros((2, len(needed), 2 * _N_BINS), dtype=np.int8)
    lengths = np.zeros(len(needed), dtype=np.intp)
    is_tonal = np.zeros(len(needed), dtype=np.bool_)
    unheard: dict[int, str] = {}
    for place, position in enumerate(needed.tolist()):
        if progress is not None:
            progress(place, len(needed))
        samples, why = _read(segments[position])
        if why:
            unheard[position] = why
        else:
            spectra = _spectra(samples)
            prints[:, place] = _packed(spectra)
            lengths[place] = len(samples)
            is_tonal[place] = _N_BINS * (np.abs(spectra[1]) ** 4).sum() > _TONAL
    firsts, seconds = np.searchsorted(needed, pairs).reshape(-1, 2).T
    n_groups = -(-len(needed) // _GROUP)
    sums = np.zeros((2, n_groups, _N_BINS), dtype=np.complex64)
    for group in range(n_groups):
        own = slice(group * _GROUP, (group + 1) * _GROUP)
        for form in range(2):
            sums[form, group] = _unpacked(prints[form, own]).sum(axis=0)
    order = np.argsort(firsts, kind="stable")
    ends = np.flatnonzero(np.diff(firsts[order], append=-1)) + 1
    for mine in np.split(order, ends[:-1]) if order.size else ():
        first = firsts[mine[0]]
        groups = np.unique(seconds[mine] // _GROUP)
        # What is noise in both forms agrees in the whitened one, if at all.
        for form in range(2 if is_tonal[first] else 1):
            query = _unpacked(prints[form, first])
            likely = groups[_peaks(query, sums[form], groups) >= _BOUNDS[form] - _SLACK]
            asked = mine[np.isin(seconds[mine] // _GROUP, likely) & ~same[mine]]
            if asked.size:
                peaks = _peaks(query, prints[form], seconds[asked])
                shorter = np.minimum(lengths[seconds[asked]], lengths[first])
                same[asked] = peaks >= _bounds(form, shorter)
    return Compared(same=same, unheard=unheard)


def _bounds(form: int, lengths: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how far two signals have to agree, by the samples of the shorter one."""
    at = (_FEWEST_SAMPLES, _LONG_SAMPLES)
    return np.asarray(np.interp(lengths, at, (_BOUNDS_OF_SHORT[form], _BOUNDS[form])))


def _read(segment: Segment) -> tuple[NDArray[np.float32], str]:
    """Return what of a segment is compared, and why there is nothing."""
    nothing = np.zeros(0, dtype=np.float32)
    until_s = segment.start_s + _READ_S
    end_s = segment.end_s
    try:
        if end_s is None or end_s > until_s:
            end_s = until_s if probe_isolated(segment.path).duration_s > until_s else end_s
        clip = load_isolated(segment.path, sample_rate=_RATE, start_s=segment.start_s, end_s=end_s)
    except AudioError as error:
        return nothing, str(error)
    samples = clip.samples - clip.samples.mean(dtype=np.float64).astype(np.float32)
    levels = np.abs(samples)
    peak = float(levels.max(initial=0.0))
    if peak < _NOTHING:
        return nothing, f"{segment.path}: silent, so it agrees with nothing"
    begin = int(np.argmax(levels > peak * _BEGINS))
    heard = samples[begin : begin + _HEARD_SAMPLES]
    if len(heard) < _FEWEST_SAMPLES:
        return nothing, f"{segment.path}: less than 0.1 s of sound, too short to tell"
    return heard, ""


def _spectra(samples: NDArray[np.float32]) -> Spectra:
    """Return the whitened and the flattened spectrum, each of norm 1, shape ``(2, n_bins)``."""
    whitened, power = _spectrum(samples, _FADE_WHITENED)
    level = _smoothed(power, _SMOOTH_WHITENED)
    whitened *= level / (level + _FLOOR * level.max()) / np.maximum(np.abs(whitened), 1e-30)
    flattened, power = _spectrum(samples, _FADE_FLATTENED)
    level = _smoothed(power, _SMOOTH_FLATTENED)
    flattened /= np.sqrt(level + _FLOOR * level.max())
    both = np.stack([whitened, flattened])
    return np.asarray(both / np.linalg.norm(both, axis=1, keepdims=True), dtype=np.complex64)


def _spectrum(
    samples: NDArray[np.float32], faded: float
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return a spectrum's band and its power; ``faded`` is the share of fades in and out."""
    n = max(round(faded * len(samples) / 2), 1)
    fade = np.sin(np.linspace(0.0, np.pi / 2, n, endpoint=False)) ** 2
    window = np.ones(len(samples))
    window[:n], window[-n:] = fade, fade[::-1]
    # A hair of noise, always the same: without any power there would be no phase.
    quiet = 1e-9 * np.random.default_rng(0).standard_normal(_N_BINS)
    spectrum = np.fft.rfft(samples * window, _N)[_BAND] + quiet
    return spectrum, np.abs(spectrum) ** 2


def _smoothed(power: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the mean over ``n`` neighbours, fewer at the ends."""
    whole = np.concatenate([[0.0], np.cumsum(power)])
    places = np.arange(len(power))
    low, high = np.maximum(places - n // 2, 0), np.minimum(places + n // 2 + 1, len(power))
    return np.asarray(np.maximum(whole[high] - whole[low], 0.0) / (high - low))


def _packed(spectra: Spectra) -> NDArray[np.int8]:
    """Keep a spectrum in 8 bits a part, as loud as its loudest one allows."""
    parts = spectra.view(np.float32)
    loudest = np.abs(parts).max(axis=1, keepdims=True)
    return np.asarray(np.rint(parts * (127.0 / loudest)), dtype=np.int8)


def _unpacked(packed: NDArray[np.int8] | Spectra) -> Spectra:
    """Return spectra of norm 1 again, of an unheard segment all zeros; sums of them as they are."""
    if np.iscomplexobj(packed):
        return np.asarray(packed, dtype=np.complex64)
    parts = packed.astype(np.float32)
    norms = np.linalg.norm(parts, axis=-1, keepdims=True)
    return np.asarray((parts / np.maximum(norms, 1.0)).view(np.complex64))


def _peaks(
    query: Spectra, others: Spectra | NDArray[np.int8], rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return how far a spectrum agrees with each row of others, at the delay that suits best."""
    peaks = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        theirs = _unpacked(others[rows[start : start + _AT_ONCE]])
        products = np.zeros((len(theirs), _N // 2 + 1), dtype=np.complex64)
        products[:, _BAND] = query * theirs.conj()
        # A recording turned upside down is the same.
        peaks[start : start + len(theirs)] = np.abs(np.fft.irfft(products, _N)).max(axis=1)
    return peaks * np.float32(_N / 2)
