"""One contestant of ``benchmarks/embedding.py``: files to vectors, in one of several ways."""

from __future__ import annotations

import argparse
import itertools
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.contestant import serve
from numpy.typing import NDArray

RATE = 48_000
Embedding = NDArray[np.float32]


def earful(
    weights: Path, files: list[Path], dtype: str, stage: str, device: str
) -> tuple[Any, str]:
    """Return our way: a whole index build, or one stage of it by itself."""
    from earful.index import Index
    from earful.index.builder import build_index
    from earful.model.audio import load_audio
    from earful.model.clap import load_clap

    embedder = load_clap(str(weights), device=device, dtype=dtype)
    chosen = embedder.fingerprint.dtype
    if stage == "build":
        scratch = tempfile.TemporaryDirectory()
        number = itertools.count()
        first: list[float] = []

        def build() -> list[float]:
            index = Path(scratch.name) / f"{next(number)}.index"
            report = build_index(files[0].parent.parent, index, embedder=embedder)
            if report.accepted != len(files):
                raise RuntimeError(f"{report.accepted} of {len(files)} files; {report.rejected}")
            if not first:  # the round that does not count
                first.extend(Index.open(index).vectors().vectors[0].tolist())
            return first

        return build, chosen
    clips = [load_audio(path, sample_rate=RATE) for path in files]
    if stage == "embed":
        return lambda: embedder.embed(clips)[0].tolist(), chosen
    from earful.model.runtime import in_parts

    waves = torch.from_numpy(np.stack([clip.samples[: 10 * RATE] for clip in clips]))
    spectrograms = embedder._log_mel(waves.to(embedder._device))
    vectors = torch.empty(len(clips), 512, device=embedder._device)

    def encode(first: int, stop: int) -> None:
        vectors[first:stop] = embedder._towers.project_audio(spectrograms[first:stop])

    def encode_all() -> list[float]:
        in_parts(encode, len(clips), at_most=8)
        numbers: list[float] = unit(vectors[0]).tolist()
        return numbers

    return encode_all, chosen


def transformers_loop(
    weights: Path, files: list[Path], batch: int, device: str
) -> Callable[[], list[float]]:
    """Return the loop that one writes by hand, with ``transformers`` and ``librosa``."""
    import librosa
    import transformers

    model: Any = transformers.ClapModel.from_pretrained(weights)
    model.eval().to(device)
    extractor = transformers.ClapFeatureExtractor.from_pretrained(weights)

    def embed() -> list[float]:
        vectors = []
        with torch.inference_mode():
            for first in range(0, len(files), batch):
                waves = [librosa.load(path, sr=RATE)[0] for path in files[first : first + batch]]
                inputs = extractor(waves, sampling_rate=RATE, return_tensors="pt").to(device)
                found = model.get_audio_features(**inputs)
                vectors.append(getattr(found, "pooler_output", found))
        numbers: list[float] = unit(torch.cat(vectors)[0]).tolist()
        return numbers

    return embed


def unit(vector: torch.Tensor) -> torch.Tensor:
    """Scale a vector to norm 1."""
    return torch.nn.functional.normalize(vector, dim=0)


def zero_shot(
    weights: Path, files: list[Path], labels: list[str], way: str
) -> Callable[[], list[str]]:
    """Return the classification of files among labels, by the pipeline or by us."""
    if way == "pipeline":
        import librosa
        import transformers

        classify = transformers.pipeline(
            "zero-shot-audio-classification", model=str(weights), device="cpu"
        )

        def published() -> list[str]:
            waves = [librosa.load(path, sr=RATE)[0] for path in files]
            answers = [classify(wave, candidate_labels=labels) for wave in waves]
            return [max(answer, key=lambda row: row["score"])["label"] for answer in answers]

        return published
    from earful.model.audio import load_audio
    from earful.model.clap import load_clap

    embedder = load_clap(str(weights), device="cpu", dtype="auto")
    sentences = embedder.embed_text([f"This is a sound of {label}." for label in labels])

    def ours() -> list[str]:
        clips = [load_audio(path, sample_rate=RATE) for path in files]
        return [labels[row] for row in (embedder.embed(clips) @ sentences.T).argmax(axis=1)]

    return ours


def main() -> None:
    """Serve one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["earful", "transformers", "pipeline", "zero-shot"])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--stage", choices=["build", "embed", "encode"], default="build")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--labels", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    files = sorted(path for path in arguments.files.rglob("*") if path.is_file())
    if arguments.way == "earful":
        action, dtype = earful(
            arguments.weights, files, arguments.dtype, arguments.stage, arguments.device
        )
        serve(action, dtype=dtype)
    elif arguments.way == "transformers":
        loop = transformers_loop(arguments.weights, files, arguments.batch, arguments.device)
        serve(loop, dtype="float32")
    else:
        labels = [f"label number {number}" for number in range(arguments.labels)]
        serve(zero_shot(arguments.weights, files, labels, arguments.way))


if __name__ == "__main__":
    main()
