"""``earful-tiny``: the small sound-effect encoder that ships in the package.

A convolutional network of 4.7 M parameters by A. B. Ma and A. Lerch ("Representation
Learning for the Automatic Indexing of Sound Effects Libraries", ISMIR 2022; published as
``aisfx``, weights CC BY 4.0), trained on sound-effect libraries. It needs no hub and no
GPU. The module and the front end are our own; the weights are the published ones,
converted by ``training/convert_aisfx.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load

from earful.errors import ModelError
from earful.model.audio import Clip, require_sample_rate
from earful.model.device import pick_device
from earful.model.protocols import Fingerprint

SAMPLE_RATE = 44_100
FRAME_SAMPLES = 2048
HOP_SAMPLES = 1024
N_MELS = 96
WINDOW_FRAMES = 100
WINDOW_HOP_FRAMES = WINDOW_FRAMES // 2
WINDOW_SAMPLES = (WINDOW_FRAMES - 1) * HOP_SAMPLES  # frames are centred: one at either end
DIM = 512
# Mel bands are compressed to log10(1 + 10000 power) and divided by the largest value
# that occurred in the original training.
_POWER_GAIN = 1e4
_LARGEST = 9.457798957824707
_CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
_POOLED = frozenset({1, 3, 5})
_WINDOWS_AT_ONCE = 8
_FRAMES_AT_ONCE = 2048
# A million times full scale is no recording any more, but its power must not overflow.
_LOUDEST = 1e6


def load_tiny(
    name: str = "earful-tiny", *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> TinyEmbedder:
    """Load the shipped encoder.

    Args:
        name: The registered name.
        revision: Empty, or the release that ships: an index asks for the one that made it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: ``"float32"``, the only arithmetic offered.

    Raises:
        ModelError: Another release or dtype is asked for, the device is not there, or the
            shipped weights are missing or not what they were when the package was made.
    """
    if dtype != "float32":
        raise ModelError(f"{name}: dtype {dtype!r}; want 'float32'")
    folder = files("earful.model") / "weights"
    try:
        about = json.loads((folder / "earful-tiny.json").read_text(encoding="utf-8"))
        data = (folder / about["file"]).read_bytes()
    except OSError as error:
        raise ModelError(
            f"{name}: the shipped weights cannot be read ({error}); reinstall earful"
        ) from error
    if revision not in {"", about["release"]}:
        raise ModelError(
            f"{name}: release {revision!r} is asked for; this earful ships {about['release']!r}. "
            "Install the earful that shipped it, or build the index anew"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != about["sha256"]:
        raise ModelError(
            f"{name}: the shipped weights have sha256 {digest}; want {about['sha256']}. "
            "Reinstall earful"
        )
    network = read_network(data, name)
    fingerprint = Fingerprint(
        name=name,
        revision=about["release"],
        weights_sha256=digest,
        dim=DIM,
        sample_rate=SAMPLE_RATE,
        windowing=(
            f"{WINDOW_FRAMES} frames every {WINDOW_HOP_FRAMES}, last at end, mean; short: repeat"
        ),
        dtype=dtype,
    )
    return TinyEmbedder(network, pick_device(device), fingerprint)


class TinyEmbedder:
    """Audio to 512-d unit vectors; an ``Embedder``.

    A recording is cut into windows of 100 frames (2.3 s) every 50 frames, the last one
    aligned to its end; a shorter one is repeated until it fills a window. The network's
    outputs are averaged over the windows and normalised. Loudness matters, as it did in
    training: a recording made much softer moves towards silence.

    Args:
        network: Maps frames ``(n, 100, 96)`` to ``(n, 512)``.
        device: Where to compute.
        fingerprint: What to record in an index.
    """

    def __init__(
        self, network: torch.nn.Module, device: torch.device, fingerprint: Fingerprint
    ) -> None:
        self._fingerprint = fingerprint
        # This layout of memory is a fifth faster on a CPU.
        self._network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._filters = torch.from_numpy(mel_filters()).to(device)
        # The symmetric window of the original's front end, not the periodic one of an STFT.
        self._window = torch.hann_window(FRAME_SAMPLES, periodic=False, device=device)

    @property
    def fingerprint(self) -> Fingerprint:
        """What makes its vectors comparable with others."""
        return self._fingerprint

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Returns:
            float32, shape ``(n, 512)``; unit rows.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: The network gave a vector that is zero or not finite.
        """
        require_sample_rate(clips, SAMPLE_RATE)
        sums = np.zeros((len(clips), DIM))
        windows = self._windows(clips)
        while batch := list(islice(windows, _WINDOWS_AT_ONCE)):
            outputs = self.encode(torch.stack([window for _, window in batch]))
            for (row, _), output in zip(batch, outputs.cpu().numpy(), strict=True):
                sums[row] += output
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise ModelError(
                f"{self._fingerprint.name}: a vector is zero or not finite; the device computes "
                "wrongly, try device 'cpu'"
            )
        vectors: NDArray[np.float32] = (sums / norms).astype(np.float32)
        return vectors

    def frames(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Compute the log-mel frames the network sees.

        Args:
            samples: shape ``(n_samples,)``, at 44100 Hz.

        Returns:
            float32, shape ``(1 + ceil(n_samples / 1024), 96)``; 0 is silence, and music at
            full scale reaches 1. Frames are centred on multiples of 1024 samples, up to the
            first one past the end.
        """
        half = FRAME_SAMPLES // 2
        n_frames = 1 - (-samples.size // HOP_SAMPLES)
        end = (n_frames - 1) * HOP_SAMPLES + half - samples.size
        wave = np.pad(samples, (half, end))
        np.clip(wave, -_LOUDEST, _LOUDEST, out=wave)
        cuts = torch.from_numpy(wave).to(self._device).unfold(0, FRAME_SAMPLES, HOP_SAMPLES)
        # In pieces: the frames of half an hour, laid out side by side, take gigabytes.
        bands = []
        for start in range(0, n_frames, _FRAMES_AT_ONCE):
            spectra = torch.fft.rfft(cuts[start : start + _FRAMES_AT_ONCE] * self._window)
            bands.append((spectra.real.square() + spectra.imag.square()) @ self._filters)
        return torch.log10(1 + _POWER_GAIN * torch.cat(bands)) / _LARGEST

    def encode(self, windows: torch.Tensor) -> torch.Tensor:
        """Map windows of frames, shape ``(n, 100, 96)``, to raw outputs, ``(n, 512)``."""
        # TF32, a GPU's default in convolutions, would give other vectors than a CPU.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            outputs: torch.Tensor = self._network(windows)
        return outputs

    def _windows(self, clips: Sequence[Clip]) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the row of each clip with each of its windows, shape ``(100, 96)``."""
        for row, clip in enumerate(clips):
            frames = self.frames(fill_window(clip.samples))
            for start in window_starts(len(frames)):
                yield row, frames[start : start + WINDOW_FRAMES]


class Network(torch.nn.Module):
    """The convolutional encoder: frames ``(n, n_frames, 96)`` to ``(n, 512)``.

    Eight 3x3 convolutions, each followed by ReLU, with 2x2 max-pooling after the second,
    fourth and sixth; then the mean over mel bands and the maximum over time. The original's
    batch normalisation is part of the convolutions' weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv2d(before, after, kernel_size=3, padding=1)
            for before, after in pairwise(_CHANNELS)
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode windows, each by itself."""
        maps = frames.unsqueeze(1)
        for number, convolution in enumerate(self.convolutions):
            maps = torch.relu_(convolution(maps))
            if number in _POOLED:
                maps = torch.nn.functional.max_pool2d(maps, 2)
        return maps.mean(dim=3).amax(dim=2)


def read_network(data: bytes, name: str) -> Network:
    """Build the network from the bytes of a safetensors file, ready for inference.

    Raises:
        ModelError: The file is damaged, or its tensors are not exactly the network's.
    """
    try:
        weights = load(data)
    except SafetensorError as error:
        raise ModelError(f"{name}: not a safetensors file: {error}; reinstall earful") from error
    with torch.device("meta"):  # nothing is initialised only to be overwritten
        network = Network()
    if faults := _faults(network.state_dict(), weights):
        raise ModelError(f"{name}: wrong weights: {'; '.join(faults)}. Reinstall earful")
    network.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    return network.eval().requires_grad_(False)


def fill_window(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat a short recording until it fills a window; return a longer one as it is.

    Silence would fill it too, and the original did that; on labelled clips repetition found
    the right neighbour more often.
    """
    if samples.size >= WINDOW_SAMPLES:
        return samples
    return np.resize(samples, WINDOW_SAMPLES)


def window_starts(n_frames: int) -> list[int]:
    """Place windows every 50 frames, the last one at the end.

    Args:
        n_frames: At least 100.

    >>> window_starts(100), window_starts(210)
    ([0], [0, 50, 100, 110])
    """
    return [*range(0, n_frames - WINDOW_FRAMES, WINDOW_HOP_FRAMES), n_frames - WINDOW_FRAMES]


def mel_filters() -> NDArray[np.float32]:
    """Return the mel filter bank, float32, shape ``(1025, 96)``.

    Triangles between points equally spaced on the HTK mel scale from 0 to 22050 Hz whose
    flanks are straight on the mel scale, each scaled to a sum of 1: the bank of the
    original front end, which libraries with straight flanks in Hz do not reproduce.
    """
    bins_mel = _mel(np.arange(FRAME_SAMPLES // 2 + 1) * SAMPLE_RATE / FRAME_SAMPLES)
    points = np.linspace(0.0, _mel(np.float64(SAMPLE_RATE / 2)), N_MELS + 2)
    low, middle, high = points[:-2], points[1:-1], points[2:]
    rising = (bins_mel[:, None] - low) / (middle - low)
    falling = (high - bins_mel[:, None]) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = weights / weights.sum(axis=0, keepdims=True)
    return filters.astype(np.float32)


def _mel(hz: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(1127.01048 * np.log1p(np.asarray(hz) / 700.0))


def _faults(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> list[str]:
    """Name every tensor that is missing, unexpected or of another shape."""
    faults = [f"missing {key}" for key in sorted(wanted.keys() - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - wanted.keys())]
    faults += [
        f"{key} has shape {tuple(found[key].shape)}, want {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & found.keys())
        if found[key].shape != wanted[key].shape
    ]
    return faults
