"""KeptSteps: what a scan kept of its recordings, found by content and by name."""

from __future__ import annotations

import threading
from pathlib import Path, PurePath
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from earful.errors import ScanError, ScanMismatchError
from earful.index.recordings import KeptRecording, StepStore
from earful.model import StepEmbedder, load_step_embedder
from earful.rag.scan import vectors_folder
from earful.wording import counted, listed

Steps = NDArray[np.floating]

# Of steps and windows that are held in memory: about four hours of the shipped encoder's.
_MOST_BYTES: Final = 256 << 20


class PooledOnce:
    """A step embedder that pools the windows of steps in memory once.

    Pooling is most of what a fit costs, and each fit looks at the same windows.

    Args:
        embedder: Any.
    """

    def __init__(self, embedder: StepEmbedder) -> None:
        self._embedder = embedder
        self.steps_fingerprint = embedder.steps_fingerprint
        self.steps_rate = embedder.steps_rate
        self.step_samples = embedder.step_samples
        self.margin_steps = embedder.margin_steps
        self.step_dim = embedder.step_dim
        self.dim = embedder.steps_fingerprint.dim
        # By the memory that they lie in.
        self._held: dict[int, tuple[Steps, int, NDArray[np.float32]]] = {}

    def hold(self, steps: Steps, length: int) -> None:
        """Pool the windows of steps, which stay where they are in memory."""
        if len(steps) > length and steps.base is not None:
            self._held[id(steps.base)] = steps, length, self._embedder.pool_steps(steps, length)

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """Embed samples as the embedder does."""
        return self._embedder.embed_steps(samples, band_hz=band_hz)

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Pool windows as the embedder does, or return what it pooled before."""
        n = len(steps) - length + 1
        known = self._held.get(id(getattr(steps, "base", None)))
        if known is not None and n >= 1:
            held, own_length, pooled = known
            first, rest = divmod(_address(steps) - _address(held), held.strides[0])
            is_part = steps.strides == held.strides and rest == 0 and 0 <= first < len(held)
            if is_part and own_length == length:
                return pooled[first : first + n]
        return self._embedder.pool_steps(steps, length)


def _address(steps: Steps) -> int:
    return int(steps.__array_interface__["data"][0])


class KeptSteps:
    """Steps of a scan's recordings.

    Args:
        folder: That the scan wrote.
        embedder: That made the steps; ``None`` to load it by its name.

    Attributes:
        store: Where they are.
        embedder: As recordings were heard: not slowed.
        slow: How many times slower they were heard.
        window_steps: Steps of a window.
        notes: What cannot be read.

    Raises:
        ScanError: The store is missing, damaged, foreign or newer.
        ScanMismatchError: The embedder is another than that which made the steps.
        ModelError: The embedder cannot be loaded.
    """

    def __init__(
        self, folder: Path, *, embedder: StepEmbedder | None = None, window_s: float
    ) -> None:
        self.store = StepStore.open(vectors_folder(folder))
        settings = self.store.settings
        made_by = embedder or load_step_embedder(settings.fingerprint.name)
        if differences := settings.fingerprint.differences(made_by.steps_fingerprint):
            raise ScanMismatchError(
                f"{self.store.folder}: its steps were made by another encoder; kept / there: "
                f"{listed(differences)}; run the same `earful scan` again"
            )
        self.embedder = PooledOnce(made_by)
        self.slow = settings.slow
        self.step_s = self.embedder.step_samples / self.embedder.steps_rate
        self.window_steps = max(1, round(window_s / self.step_s))
        self.notes: tuple[str, ...] = ()
        self._by_content: dict[str, str] = {}
        self._abouts: dict[str, KeptRecording] = {}
        n_damaged = 0
        for key in self.store.keys():  # noqa: SIM118 - it is no mapping
            try:
                about = self.store.about(key)
            except ScanError:
                n_damaged += 1
                continue
            self._abouts[key] = about
            self._by_content.setdefault(about.sha256, key)
        if n_damaged:
            self.notes = (
                f"what is kept of {counted(n_damaged, 'recording')} is damaged; see `earful "
                "recordings verify`",
            )
        self._held: dict[str, Steps] = {}
        self._n_bytes = 0
        self._guard = threading.Lock()

    def key(self, sha256: str) -> str | None:
        """Return the key of a recording by its content; ``None`` if nothing is kept of it."""
        return self._by_content.get(sha256)

    def key_of_name(self, name: str) -> str | None:
        """Return the key of a recording by its path or the end of it, if one alone has that."""
        parts = PurePath(name).parts
        exact = [key for key, about in self._abouts.items() if about.path == name]
        ending = exact or [
            key
            for key, about in self._abouts.items()
            if parts and PurePath(about.path).parts[-len(parts) :] == parts
        ]
        return ending[0] if len(ending) == 1 else None

    def about(self, key: str) -> KeptRecording:
        """Return what is known of a recording."""
        return self._abouts[key]

    def steps(self, key: str, *, in_memory: bool = True) -> Steps:
        """Return the steps of a recording, float16, shape ``(n, step_dim)``.

        Args:
            key: Of the recording.
            in_memory: Whether to hold all of them for the next time, as far as there is room; else
                they are read slice by slice.

        Raises:
            ScanError: They are damaged, or gone.
        """
        with self._guard:
            if key in self._held:
                return self._held[key]
        opened = self.store.open_steps(key)
        n_bytes = len(opened) * (2 * self.store.settings.row_dim + 4 * self.embedder.dim)
        with self._guard:
            # Nothing makes room for another: in turns, none would be there the next time.
            if not in_memory or self._n_bytes + n_bytes > _MOST_BYTES:
                return cast("Steps", opened)
            self._n_bytes += n_bytes
        steps = opened[:]
        self.embedder.hold(steps, self.window_steps)
        with self._guard:
            self._held[key] = steps
        return steps

    def stretch_vector(self, key: str, start_s: float, end_s: float) -> NDArray[np.float32]:
        """Return the mean of a stretch's windows at unit length, float32, shape ``(dim,)``.

        Args:
            key: Of the recording.
            start_s: Where it begins, in seconds of the file.
            end_s: Where it ends.

        Raises:
            ScanError: The steps are damaged, or gone.
        """
        steps = self.steps(key, in_memory=False)
        half = self.window_steps / 2
        first = int(np.ceil(start_s * self.slow / self.step_s - half))
        stop = int(np.ceil(end_s * self.slow / self.step_s - half))
        most = max(0, len(steps) - self.window_steps)
        first = min(max(0, first), most)
        stop = max(min(stop, most + 1), first + 1)
        windows = self.embedder.pool_steps(
            steps[first : stop + self.window_steps - 1], self.window_steps
        )
        mean = windows.mean(axis=0, dtype=np.float64)
        length = np.linalg.norm(mean)
        vector: NDArray[np.float32] = (mean / length if length > 0 else mean).astype(np.float32)
        return vector
