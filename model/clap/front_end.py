"""LAION-CLAP's front end: windows of a recording as log-mel spectrograms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.encoders import LogMelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ClapFrontEnd:
    """Parameters that turn recordings into the spectrograms that the audio tower takes.

    The defaults are those of every checkpoint that LAION has published.

    Attributes:
        mel: Log-mel parameters.
        window_samples: Length of the window that the tower takes at once.
        fused: Whether the checkpoint has feature fusion; its windows are never marked as
            longer than that.
    """

    mel: LogMelConfig
    window_samples: int = 480_000
    fused: bool = False

    @property
    def stride_samples(self) -> int:
        """Distance between the starts of two windows of a long recording."""
        return self.window_samples // 2

    def describe(self) -> str:
        """Return everything that decides a vector as text, for the fingerprint.

        >>> published_front_end(fused=False).describe()
        '10 s every 5 s, last at end, mean; short: repeatpad; 64 mel slaney 50-14000 Hz 1024/480'
        """
        mel = self.mel
        return (
            f"{self.window_samples / mel.sample_rate:g} s every "
            f"{self.stride_samples / mel.sample_rate:g} s, last at end, mean; short: repeatpad; "
            f"{mel.n_mels} mel {mel.filters} {mel.low_hz:g}-{mel.high_hz:g} Hz "
            f"{mel.fft_samples}/{mel.hop_samples}{'; fused, never longer' if self.fused else ''}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return the fields of ``preprocessor_config.json``; see ``read_front_end``."""
        mel = self.mel
        return {
            "feature_extractor_type": "ClapFeatureExtractor",
            "sampling_rate": mel.sample_rate,
            "fft_window_size": mel.fft_samples,
            "hop_length": mel.hop_samples,
            "feature_size": mel.n_mels,
            "frequency_min": mel.low_hz,
            "frequency_max": mel.high_hz,
            "max_length_s": self.window_samples // mel.sample_rate,
            "truncation": "fusion" if self.fused else "rand_trunc",
            "padding": "repeatpad",
        }


def published_front_end(*, fused: bool) -> ClapFrontEnd:
    """Return the front end of the checkpoints that LAION has published.

    Args:
        fused: Whether it is for those with feature fusion, which have another filter bank.
    """
    mel = LogMelConfig(
        sample_rate=48_000,
        fft_samples=1024,
        hop_samples=480,
        n_mels=64,
        low_hz=50.0,
        high_hz=14_000.0,
        filters="htk" if fused else "slaney",
    )
    return ClapFrontEnd(mel=mel, fused=fused)


def read_front_end(folder: Path, *, fused: bool) -> ClapFrontEnd:
    """Read the front end's parameters from a folder in the hub's layout.

    Args:
        folder: Holds ``preprocessor_config.json``, or ``processor_config.json``, which newer
            versions of ``transformers`` save instead.
        fused: Whether the model in the folder has feature fusion.

    Raises:
        ModelError: There is no such file, or the towers were not made for its parameters.
    """
    alone, inside = folder / "preprocessor_config.json", folder / "processor_config.json"
    path = alone if alone.is_file() else inside
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if path is inside:
            found = found["feature_extractor"]
        truncation, padding = found["truncation"], found["padding"]
        front_end = ClapFrontEnd(
            mel=LogMelConfig(
                sample_rate=int(found["sampling_rate"]),
                fft_samples=int(found["fft_window_size"]),
                hop_samples=int(found["hop_length"]),
                n_mels=int(found["feature_size"]),
                low_hz=float(found["frequency_min"]),
                high_hz=float(found["frequency_max"]),
                filters="htk" if fused else "slaney",
            ),
            window_samples=int(found["max_length_s"]) * int(found["sampling_rate"]),
            fused=fused,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: expected the parameters of a ClapFeatureExtractor, got {error!r}; "
            "take the file from the folder's own checkpoint on the hub"
        ) from error
    expected = ("fusion" if fused else "rand_trunc", "repeatpad")
    if (truncation, padding) != expected:
        raise ModelError(
            f"{path}: truncation and padding are {truncation!r} and {padding!r}, expected "
            f"{expected[0]!r} and {expected[1]!r} for a model "
            f"{'with' if fused else 'without'} fusion"
        )
    return front_end


def window_starts(n_samples: int, window_samples: int, stride_samples: int) -> list[int]:
    """Return where the windows over a recording begin.

    Returns:
        Sample numbers, ascending: 0, then one every stride, then the one that ends where
        the recording ends. Only 0 when the recording fits one window.

    >>> window_starts(23, 10, 5)
    [0, 5, 10, 13]
    >>> window_starts(7, 10, 5)
    [0]
    """
    last = n_samples - window_samples
    return [0] if last <= 0 else [*range(0, last, stride_samples), last]


def repeat_pad(samples: NDArray[np.float32], window_samples: int) -> NDArray[np.float32]:
    """Fill a window with whole repetitions of the samples, then silence.

    Samples that fill it exactly are returned themselves, not copied.

    >>> repeat_pad(np.array([1, 2, 3], np.float32), 8).tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 0.0, 0.0]
    """
    if len(samples) == window_samples:
        return samples
    n_times = window_samples // len(samples)
    filled = np.zeros(window_samples, dtype=np.float32)
    filled[: n_times * len(samples)].reshape(n_times, -1)[:] = samples
    return filled
