"""Measure what storing YAMNet's weights as float16 would change.

    python -m training.check_yamnet

embeds the recordings in ``notebooks/demo`` with the weights that ship and with the same
weights rounded, whole and in parts, and prints the largest relative change of a pooled
embedding, the largest change of a class score, and how many recordings keep their three
highest classes in the same order. float16 would be stored only if embeddings stayed within
1e-3 and no order changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.model.audio import load_audio
from earful.model.runtime import read_part, read_tensors
from earful.model.yamnet import (
    NAME,
    SAMPLE_RATE,
    Network,
    YamnetEmbedder,
    load_yamnet,
    read_yamnet_release,
)

DEMO = Path(__file__).resolve().parent.parent / "notebooks" / "demo"
N_HIGHEST = 3
# What is rounded: a tensor's name says.
ROUNDED: dict[str, Callable[[str], bool]] = {
    "all": lambda name: True,
    "all but biases": lambda name: name.endswith(".weight"),
    "pointwise and classifier": lambda name: _is_product(name),
    "the last four pointwise and classifier": lambda name: (
        _is_product(name) and not name.startswith(tuple(f"pointwise.{i}." for i in range(9)))
    ),
}


def main() -> None:
    """Print a line for each way to round."""
    paths = sorted(DEMO.glob("**/*.flac"))
    clips = [load_audio(path, sample_rate=SAMPLE_RATE) for path in paths]
    exact = load_yamnet(device="cpu")
    pooled = exact.pool(clips)
    scores = exact.scores_of(pooled)
    highest = _highest(scores)
    print(f"{len(clips)} recordings, {N_HIGHEST} highest classes")
    for title, is_rounded in ROUNDED.items():
        embedder, n_bytes = rounded(exact, is_rounded)
        found = embedder.pool(clips)
        change = np.linalg.norm(found - pooled, axis=1) / np.linalg.norm(pooled, axis=1)
        other_scores = embedder.scores_of(found)
        kept = int((_highest(other_scores) == highest).all(axis=1).sum())
        print(
            f"{title}: {n_bytes / 1e6:.1f} MB, embeddings change by up to {change.max():.1e} "
            f"(median {np.median(change):.1e}), class scores by up to "
            f"{np.abs(other_scores - scores).max():.3f}, {kept} of {len(clips)} keep their order"
        )


def rounded(exact: YamnetEmbedder, is_rounded: Callable[[str], bool]) -> tuple[YamnetEmbedder, int]:
    """Return the embedder with some weights rounded to float16, and the bytes they take."""
    tensors = read_tensors(read_part(read_yamnet_release(), "network", NAME), NAME)
    n_bytes = 0
    for name, tensor in tensors.items():
        n_bytes += tensor.size * (2 if is_rounded(name) else 4)
        if is_rounded(name):
            tensors[name] = tensor.astype(np.float16).astype(np.float32)
    network = Network(tensors)
    made = YamnetEmbedder(network, exact.class_names, exact.fingerprint, exact._read_words)
    return made, n_bytes


def _is_product(name: str) -> bool:
    return name.endswith(".weight") and name.startswith(("pointwise", "classifier"))


def _highest(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.argsort(-scores, axis=1, kind="stable")[:, :N_HIGHEST]


if __name__ == "__main__":
    main()
