"""Log-mel spectrograms in batched torch, with one parameter set per family of checkpoints.

Encoders are trained on one exact front end and drift when given another, so the parameters
that libraries leave to defaults (filter shape, normalisation, floor) are explicit here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import torch


_FRAMES_AT_ONCE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMelConfig:
    """Everything that decides a log-mel spectrogram.

    Attributes:
        sample_rate: In Hz.
        fft_samples: Length of the Hann window and of its spectrum.
        hop_samples: Distance between spectra; spectra are centred, the ends mirrored.
        n_mels: Number of bands.
        low_hz: Lower edge of the lowest band.
        high_hz: Upper edge of the highest band.
        filters: ``"slaney"``: librosa's default, triangles of equal area on Slaney's scale.
            ``"htk"``: torchaudio's default, triangles of equal height on the HTK scale.
        floor: Lower power counts as this; 1e-10 is -100 dB.
        filter_sample_rate: Sample rate that the filters are made for, in Hz, where it is not
            ``sample_rate``: MS-CLAP was trained with filters that lie elsewhere in the
            spectrum than their edges in Hz say.
    """

    sample_rate: int
    fft_samples: int
    hop_samples: int
    n_mels: int
    low_hz: float
    high_hz: float
    filters: Literal["slaney", "htk"] = "slaney"
    floor: float = 1e-10
    filter_sample_rate: int | None = None


class LogMel:
    """Front end that computes log-mel spectrograms on one device.

    Args:
        config: The parameters.
        device: Where to begin; window and filters move to the device of the waves.
    """

    def __init__(self, config: LogMelConfig, device: torch.device | None = None) -> None:
        import torch
        from torchaudio.functional import melscale_fbanks

        self.config = config
        # These must be real numbers even within a module that is built without its weights.
        with torch.device("cpu"):
            filters: torch.Tensor = melscale_fbanks(
                n_freqs=config.fft_samples // 2 + 1,
                f_min=config.low_hz,
                f_max=config.high_hz,
                n_mels=config.n_mels,
                sample_rate=config.filter_sample_rate or config.sample_rate,
                norm="slaney" if config.filters == "slaney" else None,
                mel_scale=config.filters,
            )
            window = torch.hann_window(config.fft_samples, dtype=torch.float64)
        # Single precision would add a noise floor some 110 dB below a loud tone, which is
        # above ``floor``; the spectra cost little compared with any encoder.
        self._window = window.to(device)
        self._filters = filters.to(dtype=torch.float64, device=device)
        used = filters.any(dim=1).nonzero()
        # Bins outside of all filters need no power.
        self._bins = slice(int(used.min()), int(used.max()) + 1)
        self._band_filters = filters[self._bins].to(device)

    @property
    def filters(self) -> torch.Tensor:
        """The filters, float64, shape ``(fft_samples // 2 + 1, n_mels)``."""
        return self._filters

    def __call__(self, waves: torch.Tensor) -> torch.Tensor:
        """Compute the spectrograms of a batch.

        Args:
            waves: shape ``(n, n_samples)``, longer than half of ``fft_samples``.

        Returns:
            float32, shape ``(n, 1 + n_samples // hop_samples, n_mels)``, in dB, where
            0 dB is a power of 1 in the unscaled transform.
        """
        import torch
        from torch.nn import functional

        if waves.device != self._window.device:
            self._window = self._window.to(waves.device)
            self._filters = self._filters.to(waves.device)
            self._band_filters = self._band_filters.to(waves.device)
        n, n_samples = waves.shape
        n_frames = 1 + n_samples // self.config.hop_samples
        levels = waves.new_empty((n, n_frames, self.config.n_mels), dtype=torch.float32)
        half = self.config.fft_samples // 2
        # A CPU's cache holds the spectra of some frames; a GPU is fastest with all at once.
        is_cpu = waves.device.type == "cpu"
        n_waves, n_at_once = (1, _FRAMES_AT_ONCE) if is_cpu else (max(n, 1), n_frames)
        for row in range(0, n, n_waves):
            mirrored = functional.pad(waves[row : row + n_waves], (half, half), mode="reflect")
            frames = mirrored.unfold(1, self.config.fft_samples, self.config.hop_samples)
            for first in range(0, n_frames, n_at_once):
                levels[row : row + n_waves, first : first + n_at_once] = self._decibels(
                    frames[:, first : first + n_at_once]
                )
        return levels

    def _decibels(self, frames: torch.Tensor) -> torch.Tensor:
        """Map frames ``(n, frames, fft_samples)`` to levels ``(n, frames, n_mels)``."""
        import torch

        spectra = torch.fft.rfft(frames * self._window)[:, :, self._bins]
        # From here on all terms have one sign: float32 loses a few last bits, no more.
        squares = torch.view_as_real(spectra).float().square_()
        bands = (squares[..., 0] + squares[..., 1]) @ self._band_filters
        levels: torch.Tensor = bands.clamp_(min=self.config.floor).log10_().mul_(10)
        return levels
