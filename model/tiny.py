"""``earful-tiny``: the small sound-effect encoder that ships in the package.

A convolutional network of 4.7 M parameters by A. B. Ma and A. Lerch ("Representation
Learning for the Automatic Indexing of Sound Effects Libraries", ISMIR 2022; published as
``aisfx``, weights CC BY 4.0), trained on sound-effect libraries. It needs no hub and no
GPU. The module, and the front end after the mel bands of the paper, are our own; the
weights are the published ones, converted by ``training/convert_aisfx.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.protocols import Fingerprint

if TYPE_CHECKING:
    import torch

SAMPLE_RATE = 44_100
FRAME_SAMPLES = 2048
HOP_SAMPLES = 1024
N_MELS = 96
WINDOW_FRAMES = 100
WINDOW_HOP_FRAMES = WINDOW_FRAMES // 2
DIM = 512
# Mel bands are compressed to log10(1 + 10000 power) and divided by the largest value
# that occurred in the original training.
_POWER_GAIN = 1e4
_LARGEST = 9.457798957824707
_CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
_WINDOWS_AT_ONCE = 16


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
        ModelError: Another release or dtype is asked for, or the shipped weights are
            missing or not what they were when the package was made.
    """
    import torch
    from safetensors.torch import load

    if dtype != "float32":
        raise ModelError(f"{name}: dtype {dtype!r}; want float32")
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
    where = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    )
    network = build_network()
    network.load_state_dict({key: tensor.float() for key, tensor in load(data).items()})
    network.eval().requires_grad_(False).to(where)
    fingerprint = Fingerprint(
        name=name,
        revision=str(about["release"]),
        weights_sha256=digest,
        dim=DIM,
        sample_rate=SAMPLE_RATE,
        windowing=(
            f"{WINDOW_FRAMES} frames every {WINDOW_HOP_FRAMES}, last one at the end, "
            "padded with silence; mean"
        ),
        dtype=dtype,
    )
    return TinyEmbedder(network, where, fingerprint)


class TinyEmbedder:
    """Audio to 512-d unit vectors; an ``Embedder``.

    A recording is cut into windows of 100 frames (2.3 s) every 50 frames, the last one
    aligned to its end; a shorter one is padded with silence. The network's outputs are
    averaged over the windows and normalised. Loudness matters, as it did in training: a
    recording made much softer moves towards silence.

    Attributes:
        fingerprint: What makes its vectors comparable with others.
    """

    def __init__(
        self, network: torch.nn.Module, device: torch.device, fingerprint: Fingerprint
    ) -> None:
        """Use ``load_tiny``."""
        import torch

        self.fingerprint = fingerprint
        self._network = network
        self._device = device
        self._filters = torch.from_numpy(mel_filters()).to(device)
        # The symmetric window of the original's front end, not the periodic one of an STFT.
        self._window = torch.hann_window(FRAME_SAMPLES, periodic=False, device=device)

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at 44100 Hz, of any length.

        Returns:
            float32, shape ``(n, 512)``, unit rows.

        Raises:
            ValueError: A clip has another sample rate.
        """
        import torch

        for clip in clips:
            if clip.sample_rate != SAMPLE_RATE:
                raise ValueError(f"{clip!r}: want {SAMPLE_RATE} Hz")
        if not clips:
            return np.empty((0, DIM), np.float32)
        with torch.inference_mode():
            windows = [self._windows(clip) for clip in clips]
            stacked = torch.cat(windows)
            outputs = torch.cat(
                [
                    self._network(stacked[start : start + _WINDOWS_AT_ONCE])
                    for start in range(0, len(stacked), _WINDOWS_AT_ONCE)
                ]
            )
            means = torch.stack([part.mean(0) for part in outputs.split([len(w) for w in windows])])
            vectors = torch.nn.functional.normalize(means, dim=1)
        result: NDArray[np.float32] = vectors.cpu().numpy()
        return result

    def _windows(self, clip: Clip) -> torch.Tensor:
        """Cut a clip's log-mel frames into windows, shape ``(n, 100, 96)``."""
        import torch

        frames = self._frames(clip.samples)
        n_frames = len(frames)
        if n_frames <= WINDOW_FRAMES:
            # A frame of zeros is a frame of silence: log10(1 + 0).
            padding = (0, 0, 0, WINDOW_FRAMES - n_frames)
            return torch.nn.functional.pad(frames, padding)[None]
        starts = list(range(0, n_frames - WINDOW_FRAMES, WINDOW_HOP_FRAMES))
        starts.append(n_frames - WINDOW_FRAMES)
        return torch.stack([frames[start : start + WINDOW_FRAMES] for start in starts])

    def _frames(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Compute scaled log-mel frames, shape ``(n_frames, 96)``."""
        import torch

        half = FRAME_SAMPLES // 2
        # Frames are centred on multiples of the hop, up to the first one past the end.
        n_frames = -(-samples.size // HOP_SAMPLES) + 1
        end = (n_frames - 1) * HOP_SAMPLES + half - samples.size
        wave = torch.nn.functional.pad(torch.from_numpy(samples).to(self._device), (half, end))
        frames = wave.unfold(0, FRAME_SAMPLES, HOP_SAMPLES) * self._window
        power = torch.fft.rfft(frames).abs().square()
        return torch.log10(1 + _POWER_GAIN * (power @ self._filters)) / _LARGEST


def build_network() -> torch.nn.Module:
    """Build the untrained network: ``(n, frames, 96)`` to ``(n, 512)``.

    Eight 3x3 convolutions, each followed by ReLU, with 2x2 max-pooling after every second
    one but the last; the mean over mel bands, then the maximum over time.
    """
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolutions = torch.nn.ModuleList(
                torch.nn.Conv2d(before, after, kernel_size=3, padding=1)
                for before, after in pairwise(_CHANNELS)
            )

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            maps = frames.unsqueeze(1)
            for number, convolution in enumerate(self.convolutions):
                maps = torch.relu_(convolution(maps))
                if number in {1, 3, 5}:
                    maps = torch.nn.functional.max_pool2d(maps, 2)
            return maps.mean(dim=3).amax(dim=2)

    return Network()


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
    return (weights / weights.sum(axis=0, keepdims=True)).astype(np.float32)


def _mel(hz: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(1127.01048 * np.log1p(np.asarray(hz) / 700.0))
