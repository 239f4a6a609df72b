"""LAION-CLAP embedder: audio and sentences in one space of vectors.

The weights are the published ones (``checkpoint``), and the towers compute what the published
ones do (``towers``); the front end differs, because the published pipeline crops recordings
over ten seconds at random. Here a long recording becomes overlapping ten-second windows at
fixed places, and its vector is the direction of the mean of their projections: the same
recording always has the same vector.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip, require_sample_rate
from earful.model.clap.checkpoint import (
    HUB_FILES,
    WEIGHTS_NAME,
    import_transformers,
    load_hub_folder,
    weights_digest,
)
from earful.model.clap.front_end import ClapFrontEnd, read_front_end, repeat_pad, window_starts
from earful.model.clap.tokenizer import ClapTokenizer, has_tokenizer
from earful.model.encoders import LogMel
from earful.model.protocols import Fingerprint
from earful.model.runtime import (
    MAX_SIMILARITY_LOSS,
    MIN_COSINE,
    agreement,
    fetch_from_hub,
    has_bfloat16,
    pick_device,
    test_sounds,
    unit_rows,
)
from earful.values import embedder_repr
from earful.wording import as_argument

if TYPE_CHECKING:
    import torch

    from earful.model.clap.towers import ClapTowers

HUB_IDS = (
    "laion/clap-htsat-unfused",
    "laion/clap-htsat-fused",
    "laion/larger_clap_general",
    "laion/larger_clap_music",
    "laion/larger_clap_music_and_speech",
)
"""The checkpoints that LAION has published on the hub."""

_BATCH_WINDOWS = 8  # per thread; more is no faster on a CPU, and this many fit any GPU
_BATCH_TEXTS = 64
_REMEDY = "its weights are damaged, load another copy"


def load_clap(
    name: str, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> ClapEmbedder:
    """Load a LAION-CLAP embedder.

    Args:
        name: A hub id such as those in ``HUB_IDS``, or a local folder in the hub's layout.
        revision: Branch, tag or commit of a hub id; empty for its main branch.
        device: ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda:1"``, ….
        dtype: Arithmetic of the towers: ``"float32"``; ``"bfloat16"``; or ``"auto"``, which
            is bfloat16 where the device has it and the weights tolerate it (see
            ``runtime.precision``).

    Warns:
        RuntimeWarning: ``"auto"`` chose float32 because the weights do not tolerate bfloat16.

    Raises:
        ModelError: The weights cannot be found, fetched, read or trusted.
        MissingExtraError: The extra ``clap`` is not installed.
        ValueError: ``dtype`` is unknown, or a revision is given for a local path.
    """
    if dtype not in ("float32", "bfloat16", "auto"):
        raise ValueError(f"dtype={dtype!r}: expected 'float32', 'bfloat16' or 'auto'")
    # Find the folder of the weights: a local one, or fetched.
    import_transformers()
    path = Path(name)
    if path.is_file():
        raise ModelError(
            f"{name}: is a file, and its weights are not unpickled here; convert it: "
            f"`earful models convert-clap {as_argument(name)} --out DIR`, and give DIR"
        )
    is_local = name not in HUB_IDS and path.exists()
    if is_local and revision:
        raise ValueError(f"{name}: revision={revision!r}, but only a hub id has revisions")
    folder = path if is_local else _fetch(name, revision)
    # Load the towers, and choose their arithmetic.
    sha256 = weights_digest(folder)
    towers = load_hub_folder(folder)
    front_end = read_front_end(folder, fused=towers.config.audio_config.enable_fusion)
    towers.to(pick_device(device))
    if dtype == "auto":
        dtype = _fastest_dtype(towers, front_end, name)
    fingerprint = Fingerprint(
        # A path must stay loadable from anywhere: an index opens its embedder by this name.
        name=str(path.resolve()) if is_local else name,
        # The hub keeps each commit in a folder of that name.
        revision="" if is_local else folder.name,
        weights_sha256=sha256,
        dim=towers.config.projection_dim,
        sample_rate=front_end.mel.sample_rate,
        windowing=front_end.describe(),
        dtype=dtype,
    )
    towers.set_precision(dtype)
    return ClapEmbedder(
        towers=towers,
        front_end=front_end,
        fingerprint=fingerprint,
        find_tokenizer=partial(_tokenizer_of, folder),
    )


def _fetch(name: str, revision: str) -> Path:
    try:
        return fetch_from_hub(name, revision=revision, files=HUB_FILES, one_of=[WEIGHTS_NAME])
    except ModelError as error:
        raise ModelError(
            f"{error}. If its weights are a pickle only: `earful models convert-clap "
            f"{as_argument(name)} --out DIR`, and give DIR"
        ) from error


def _fastest_dtype(towers: ClapTowers, front_end: ClapFrontEnd, name: str) -> str:
    """Return bfloat16 where the device has it and it agrees with float32 on test sounds."""
    import torch

    device = towers.audio_projection.linear1.weight.device
    if not has_bfloat16(device):
        return "float32"
    waves = test_sounds(front_end.window_samples, front_end.mel.sample_rate)
    log_mel = LogMel(front_end.mel, device)
    rough_towers = towers.audio_copy("bfloat16")
    with torch.inference_mode():
        decibels = log_mel(torch.from_numpy(waves).to(device))
        exact, rough = (
            some.project_audio(decibels).float().cpu().numpy() for some in (towers, rough_towers)
        )
    found = agreement(exact, rough)
    if found.suffices:
        return "bfloat16"
    warnings.warn(
        f"{name}: runs in float32. In bfloat16 its vectors of test sounds have a cosine of "
        f"{found.cosine:.4f} to the exact ones (expected {MIN_COSINE} or more) and neighbours are "
        f"up to {found.lost:.4f} less similar (expected {MAX_SIMILARITY_LOSS} or less)",
        RuntimeWarning,
        stacklevel=3,
    )
    return "float32"


class ClapEmbedder:
    """Embedder of audio and text with one LAION-CLAP checkpoint.

    Args:
        towers: In evaluation mode, on their device and in the precision of ``fingerprint``.
        front_end: Its log-mel parameters and windows.
        fingerprint: To record in an index; its ``dtype`` is the arithmetic used.
        find_tokenizer: Returns the folder of the RoBERTa tokenizer; called by the first
            ``embed_text``, so that audio needs no tokenizer.
    """

    def __init__(
        self,
        *,
        towers: ClapTowers,
        front_end: ClapFrontEnd,
        fingerprint: Fingerprint,
        find_tokenizer: Callable[[], Path],
    ) -> None:
        self._towers = towers
        self._front_end = front_end
        self._fingerprint = fingerprint
        self._find_tokenizer = find_tokenizer
        self._tokenizer: ClapTokenizer | None = None
        self._device: torch.device = next(towers.parameters()).device
        self._log_mel = LogMel(front_end.mel, self._device)

    __repr__ = embedder_repr

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides which vector a clip gets."""
        return self._fingerprint

    @property
    def band_hz(self) -> tuple[float, float]:
        """Lowest and highest frequency that it hears, in Hz."""
        return self._front_end.mel.low_hz, self._front_end.mel.high_hz

    def n_windows(self, n_samples: int) -> int:
        """Return how many windows are averaged for a recording of so many samples."""
        front_end = self._front_end
        return len(window_starts(n_samples, front_end.window_samples, front_end.stride_samples))

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at ``fingerprint.sample_rate``, each of any length.

        Returns:
            float32, shape ``(n, dim)``; unit rows.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: The towers gave a vector that is zero or not finite.
        """
        window = self._front_end.window_samples
        require_sample_rate(clips, self._fingerprint.sample_rate)
        places: list[tuple[int, int]] = []
        for row, clip in enumerate(clips):
            starts = window_starts(len(clip.samples), window, self._front_end.stride_samples)
            places += [(row, start) for start in starts]

        def windows(first: int, stop: int) -> NDArray[np.float32]:
            cut = np.empty((stop - first, window), dtype=np.float32)
            for number, (row, start) in enumerate(places[first:stop]):
                cut[number] = repeat_pad(clips[row].samples[start : start + window], window)
            return cut

        sums = np.zeros((len(clips), self._fingerprint.dim))
        for (row, _), projection in zip(places, self._project(windows, len(places)), strict=True):
            sums[row] += projection
        return unit_rows(sums, self._fingerprint.name, remedy=_REMEDY)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed sentences.

        Args:
            texts: ``n`` sentences, plain text throughout: ``"<mask>"`` is six characters.
                Text beyond ``MAX_TEXT_TOKENS`` is cut off, as in training.

        Returns:
            float32, shape ``(n, dim)``; unit rows in the space of ``embed``.

        Raises:
            ModelError: The tokenizer cannot be found, read or trusted.
            PromptError: A sentence holds half a character.
        """
        import torch

        if self._tokenizer is None:
            self._tokenizer = ClapTokenizer.open(
                self._find_tokenizer(),
                n_words=self._towers.config.text_config.vocab_size,
                model=self._fingerprint.name,
            )
        rows = np.zeros((len(texts), self._fingerprint.dim))
        for first in range(0, len(texts), _BATCH_TEXTS):
            batch = list(texts[first : first + _BATCH_TEXTS])
            ids, mask = map(torch.from_numpy, self._tokenizer.encode(batch))
            with torch.inference_mode(), self._arithmetic():
                projections = self._towers.project_text(ids.to(self._device), mask.to(self._device))
            rows[first : first + len(batch)] = projections.float().cpu().numpy()
        return unit_rows(rows, self._fingerprint.name, remedy=_REMEDY)

    def _project(
        self, windows: Callable[[int, int], NDArray[np.float32]], n: int
    ) -> NDArray[np.float32]:
        """Compute the raw projections of ``n`` windows, ``(n, dim)``.

        Args:
            windows: Returns the windows from a first to before a last one.
            n: Number of windows.
        """
        import torch

        from earful.model.runtime import in_parts

        projections = torch.empty((n, self._fingerprint.dim), device=self._device)

        def project(first: int, stop: int) -> None:
            waves = torch.from_numpy(windows(first, stop))
            if self._device.type != "cpu":
                # Pinned memory is copied while the next windows are being prepared.
                waves = waves.pin_memory().to(self._device, non_blocking=True)
            projections[first:stop] = self._towers.project_audio(self._log_mel(waves))

        in_parts(project, n, at_most=_BATCH_WINDOWS, device=self._device)
        numbers: NDArray[np.float32] = projections.cpu().numpy()
        return numbers

    def _arithmetic(self) -> torch.autocast:
        """Set the text tower's precision of products; its norms and sums stay float32."""
        import torch

        return torch.autocast(
            self._device.type,
            dtype=torch.bfloat16,
            enabled=self._fingerprint.dtype == "bfloat16",
        )


def _tokenizer_of(folder: Path) -> Path:
    """Return the folder if it has a tokenizer's files."""
    if has_tokenizer(folder):
        return folder
    raise ModelError(
        f"{folder}: no tokenizer (tokenizer.json, or vocab.json and merges.txt), so it embeds "
        "audio but no text; copy these files from the checkpoint's folder on the hub"
    )
