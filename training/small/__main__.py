"""Fit ``earful-small`` to a corpus and write a folder that ``--embedder`` takes.

    python -m training.small --corpus DIR --out DIR [--release NAME]

The corpus is a folder with a ``manifest.csv`` (training/README.md); its split ``train`` is what
everything is fitted on. What ships was written with ``--out model/small/weights``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save as save_numbers
from training.convert_aisfx import pack
from training.features import load_trunk, read_corpus
from training.small.compress import N_WINDOWS, narrow
from training.small.fit import fit_heads, fit_words
from training.threads import use_threads

from earful.model.audio import Clip
from earful.model.small import (
    DESCRIPTION,
    NAME,
    Ears,
    Encoder,
    Heard,
    WordMaps,
    digests_beside,
    load_ears,
    window_groups,
)
from earful.model.tiny import SAMPLE_RATE, FrontEnd
from earful.model.yamnet import load_yamnet

_AUTHORS = "the earful developers"
_UPON = {
    "upon": "aisfx by Alison B. Ma and Alexander Lerch (CC-BY-4.0), YAMNet by Manoj Plakal and Dan "
    "Ellis (Apache-2.0)",
    "changes": "convolutions of aisfx narrowed, linear heads upon both, rounded to fp16",
}
_DATA = "training/corpus/manifest.csv; see ATTRIBUTION.md"
_CLIPS_AT_ONCE = 64


def fit(corpus: Path) -> tuple[Encoder, WordMaps]:
    """Fit everything on the training clips of a corpus.

    Raises:
        SystemExit: There is nothing to learn from.
    """
    rows, sounds = read_corpus(corpus)
    kept = [number for number, row in enumerate(rows) if row["split"] == "train"]
    if not kept:
        raise SystemExit(f"{corpus}: no clip has the split 'train'")
    labels = [rows[number]["label"] for number in kept]
    clips = [Clip(samples=sounds[number], sample_rate=SAMPLE_RATE) for number in kept]
    print(f"{len(clips)} clips of {len(set(labels))} labels", flush=True)
    with torch.inference_mode():
        factors = narrow(
            load_trunk(),
            first_windows(clips),
            on_layer=lambda number, lost: print(f"layer {number}: {lost:.3f} lost", flush=True),
        )
        yamnet = load_yamnet()
        heard = hear_all(load_ears(factors, yamnet), clips)
        heads = fit_heads(heard, labels)
    vectors = heads.join(heads.window_means(heard.outputs, heard.counts), heard.pooled)
    maps = fit_words(vectors, yamnet.scores_of(heard.pooled), labels, yamnet.class_words)
    return Encoder(factors=factors, heads=heads), maps


def first_windows(clips: list[Clip]) -> torch.Tensor:
    """Return the first window of clips, evenly spread over all, shape ``(n, 100, 96)``."""
    front_end = FrontEnd()
    step = -(-len(clips) // N_WINDOWS)
    windows = [next(window_groups(front_end, clip.samples))[0] for clip in clips[::step]]
    return torch.from_numpy(np.stack(windows))


def hear_all(ears: Ears, clips: list[Clip]) -> Heard:
    """Run both networks over a corpus."""
    parts = [
        ears.hear(clips[start : start + _CLIPS_AT_ONCE])
        for start in range(0, len(clips), _CLIPS_AT_ONCE)
    ]
    return Heard(
        outputs=np.concatenate([part.outputs for part in parts]),
        counts=tuple(count for part in parts for count in part.counts),
        pooled=np.concatenate([part.pooled for part in parts]),
    )


def write(
    folder: Path, encoder: Encoder, maps: WordMaps, *, release: str, about: Mapping[str, Any]
) -> None:
    """Write a folder of weights with its description.

    Args:
        folder: Where to; made if need be.
        encoder: Factors and heads.
        maps: What was fitted for words.
        release: What an index is told that it was made by.
        about: Authors, licence and data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: torch.from_numpy(x) for name, x in encoder.tensors().items()}
    words: dict[str, NDArray[np.generic]] = maps.tensors()
    dims = [len(encoder.heads.narrow.project), len(encoder.heads.yamnet.project)]
    licence = str(about["licence"])
    parts = {
        "encoder": (f"{NAME}.safetensors", pack(tensors, {"licence": licence})),
        "words": (f"{NAME}-words.safetensors", save_numbers(words)),
    }
    sizes = {
        "encoder": sum(tensor.numel() for tensor in tensors.values()),
        "words": sum(numbers.size for numbers in words.values()),
    }
    settings: dict[str, dict[str, Any]] = {
        "encoder": {**_UPON, "dims": dims, "beside": digests_beside()},
        "words": {},
    }
    told: dict[str, Any] = {"name": NAME, "release": release, "licence": licence, "parts": {}}
    for part, (file, data) in parts.items():
        (folder / file).write_bytes(data)
        told["parts"][part] = {
            "file": file,
            "sha256": hashlib.sha256(data).hexdigest(),
            "parameters": sizes[part],
            **about,
            **settings[part],
        }
    (folder / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n")


def main() -> None:
    """Fit to the corpus named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--release", default="own")
    parser.add_argument("--authors", default=_AUTHORS)
    parser.add_argument("--licence", default="CC-BY-4.0")
    parser.add_argument("--data", default=_DATA)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    use_threads(options.threads)
    encoder, maps = fit(options.corpus)
    about = {"authors": options.authors, "licence": options.licence, "data": options.data}
    write(options.out, encoder, maps, release=options.release, about=about)
    for file in sorted(options.out.iterdir()):
        print(f"{file}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
