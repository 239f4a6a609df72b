"""The demo: the main job, end to end, on the recordings that come with the repository.

An index is built from the labelled demo corpus. Then clips are classified whose labels are
not in that index, from the few examples that a task file has. Last, a long recording is mixed
from the same sounds, and one of them is looked for in it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earful.errors import CorpusError
from earful.model import DEFAULT_EMBEDDER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earful.index.builder import BuildProgress, BuildReport
    from earful.rag import Answer, FewShot

_FOLDER = Path("notebooks/demo")
N_EXAMPLES: Final = 5
"""Times that the label of the long recording is marked."""

# The long recording: 44.1 kHz, five minutes, sounds some 8 dB above the background.
_SEED, _RATE, _LENGTH_S = 7, 44_100, 300.0
_N_LAUGHS, _N_OTHERS = 20, 40
_BACKGROUND_LEVEL, _EVENT_LEVEL = 0.02, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCorpus:
    """Paths of the demo's parts.

    Attributes:
        sounds: Labelled corpus that becomes the index.
        task: Task file with a few examples of labels that the index lacks.
        queries: Folder per label of clips to classify, none of them an example.
    """

    sounds: Path
    task: Path
    queries: Path

    @classmethod
    def find(cls) -> DemoCorpus:
        """Find the corpus that ``EARFUL_DEMO`` names, or in this checkout, or below this folder.

        Raises:
            CorpusError: It is not there, as in an installation from a wheel.
        """
        named = os.environ.get("EARFUL_DEMO")
        checkout = Path(__file__).resolve().parent.parent.parent
        roots = [Path(named)] if named else [checkout / _FOLDER, Path.cwd() / _FOLDER]
        for root in roots:
            found = cls(
                sounds=root / "sounds", task=root / "unseen.toml", queries=root / "unseen/queries"
            )
            if all(part.exists() for part in (found.sounds, found.task, found.queries)):
                return found
        if named:
            raise CorpusError(
                f"the demo recordings are not all in EARFUL_DEMO={named}; they come with the "
                "repository: let it name the notebooks/demo folder of a clone, or unset it there"
            )
        raise CorpusError(
            f"the demo recordings are neither in {roots[0]} nor in {roots[1]}; they come with the "
            "repository, not with the wheel. Run the demo in a clone, or let EARFUL_DEMO name its "
            "notebooks/demo folder"
        )


def build_demo_index(
    corpus: DemoCorpus,
    index: Path,
    *,
    embedder: str = DEFAULT_EMBEDDER,
    progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Embed the demo's labelled sounds into ``index``; only new ones when it exists."""
    from earful.index.builder import build_index

    return build_index(corpus.sounds, index, embedder=embedder, progress=progress)


def classify_unseen(corpus: DemoCorpus, few: FewShot) -> Iterator[tuple[str, Answer]]:
    """Classify every query clip and yield ``(true label, answer)`` in a fixed order."""
    from earful.index.corpus import open_corpus
    from earful.rag.task import load_task

    task = load_task(corpus.task)
    queries = open_corpus(corpus.queries)
    for row in queries:
        path = Path(os.path.relpath(queries.path(row.exemplar)))
        yield row.exemplar.answer, few.classify(path, task=task, group=row.exemplar.group)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRecording:
    """A recording mixed from the demo's sounds, with its truth.

    Attributes:
        audio: The recording, FLAC; named as a field recorder names its files.
        examples: Label track of the first five times that the label sounds.
        reference: Label track of every time.
        label: What is looked for.
        complete_until_s: Up to here everything that the examples do not mark is something else.
    """

    audio: Path
    examples: Path
    reference: Path
    label: str
    complete_until_s: float


def mix_long_recording(corpus: DemoCorpus, folder: Path) -> LongRecording:
    """Mix five minutes of background, in which somebody laughs twenty times.

    The first five laughs are of one voice, the others of two, each a little faster or slower and
    louder or softer; shouts, doors, bells and splashes lie between them. The result is the same
    on every call.

    Args:
        corpus: The demo's sounds.
        folder: Where to write; made if it is missing.

    Raises:
        AudioError: A sound cannot be read.
        OSError: The folder cannot be written.
    """
    import numpy as np
    import soundfile

    from earful.model.audio import load_audio

    random = np.random.default_rng(_SEED)
    voices = [
        sorted(corpus.queries.parent.glob("examples/laughter/*.flac")),
        sorted(corpus.queries.glob("laughter/*.flac")),
    ]
    others = [
        path
        for label in ("shout", "bell", "water", "wood-hit", "whoosh")
        for path in sorted((corpus.sounds / label).glob("*.flac"))
    ] + sorted(corpus.queries.glob("door/*.flac"))
    laughs = [voices[0]] * N_EXAMPLES + [voices[0] + voices[1]] * (_N_LAUGHS - N_EXAMPLES)
    # Each sound has a slot of its own, so that no two overlap; the last ones are not always laughs.
    n_slots = _N_LAUGHS + _N_OTHERS
    is_laugh = np.zeros(n_slots, bool)
    is_laugh[random.permutation(n_slots)[:_N_LAUGHS]] = True
    mixed = _background(random)
    slot_s = _LENGTH_S / n_slots
    marks: list[tuple[float, float]] = []
    for slot, laughing in enumerate(is_laugh):
        pool = laughs[len(marks)] if laughing else others
        sound = load_audio(pool[int(random.integers(len(pool)))], sample_rate=_RATE).samples
        pace = random.uniform(0.94, 1.06)
        sound = np.interp(np.arange(0, sound.size - 1, pace), np.arange(sound.size), sound)
        sound *= _EVENT_LEVEL * 10 ** (random.uniform(-3, 3) / 20) / max(sound.std(), 1e-6)
        start_s = slot_s * slot + random.uniform(0.2, slot_s - sound.size / _RATE - 0.2)
        start = round(start_s * _RATE)
        mixed[start : start + sound.size] += sound
        if laughing:
            marks.append((start / _RATE, (start + sound.size) / _RATE))
    name = "WARD2_20260503_043000"
    found = LongRecording(
        audio=folder / f"{name}.flac",
        examples=folder / "examples" / f"{name}.txt",
        reference=folder / "reference" / f"{name}.txt",
        label="laughter",
        complete_until_s=math.ceil(marks[N_EXAMPLES - 1][1]),
    )
    for path in (found.audio, found.examples, found.reference):
        path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(found.audio, mixed.clip(-1, 1), _RATE, subtype="PCM_16")
    for path, shown in ((found.examples, marks[:N_EXAMPLES]), (found.reference, marks)):
        lines = [f"{start_s:.6f}\t{end_s:.6f}\t{found.label}\n" for start_s, end_s in shown]
        path.write_text("".join(lines), encoding="utf-8")
    return found


def _background(random: np.random.Generator) -> NDArray[np.float64]:
    """Return pink noise that swells and fades, with a hum below it."""
    import numpy as np

    n = round(_LENGTH_S * _RATE)
    spectrum = np.fft.rfft(random.standard_normal(n))
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    spectrum[: round(_LENGTH_S * 20)] = 0  # nothing below 20 Hz
    noise = np.fft.irfft(spectrum, n)
    noise *= _BACKGROUND_LEVEL / noise.std()
    time_s = np.arange(n) / _RATE
    swell = 1 + 0.5 * np.sin(2 * np.pi * time_s / 47)
    return np.asarray(noise * swell + 0.5 * _BACKGROUND_LEVEL * np.sin(2 * np.pi * 100 * time_s))
