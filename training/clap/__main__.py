"""Make the audio head and the text tower of ``earful-tiny``, and put them into a folder.

python -m training.clap --corpus DIR --features F --vocabulary F --out DIR
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from training.clap.train import Plan, Windows, fit_head, train_text
from training.convert_aisfx import pack
from training.corpus_features import CorpusFeatures, read_features
from training.threads import use_threads

from earful.model.flamingo import FlamingoTokenizer

SYNONYMS = Path(__file__).resolve().parent.parent / "corpus" / "labels"


def read_synonyms(folder: Path) -> dict[str, list[str]]:
    """Return each label with other words for it, itself first."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                others = [x.strip() for x in row["synonyms"].split(";") if x.strip()]
                found[row["label"]] = [row["label"], *others]
    return found


def training_windows(found: CorpusFeatures, synonyms: dict[str, list[str]]) -> Windows:
    """Return the windows of the training split."""
    trains = np.array([row["split"] == "train" for row in found.rows])
    kept = np.flatnonzero(trains[found.row])
    names = sorted({row["label"] for row in found.rows if row["split"] == "train"})
    number = {name: place for place, name in enumerate(names)}
    rows = [found.rows[int(i)] for i in found.row[kept]]
    return Windows(
        outputs=found.outputs[kept],
        labels=np.array([number[row["label"]] for row in rows]),
        texts=[row["caption"] for row in rows],
        names=names,
        synonyms={name: synonyms.get(name, [name]) for name in names},
    )


def main() -> None:
    """Train on the corpus named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--seed", type=int, default=Plan().seed)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    use_threads(options.threads)
    windows = training_windows(
        read_features(options.corpus, options.features), read_synonyms(SYNONYMS)
    )
    print(f"{len(windows.labels)} windows of {len(windows.names)} labels", flush=True)
    plan = Plan(steps=options.steps, seed=options.seed)
    head = fit_head(windows, plan)
    text = train_text(
        windows,
        head,
        FlamingoTokenizer.load(options.vocabulary),
        plan,
        on_step=lambda step, loss: print(f"step {step}: loss {loss:.3f}", flush=True),
    )
    tensors = {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
    tensors |= {f"text.{name}": tensor for name, tensor in text.state_dict().items()}
    half = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "earful-tiny-clap.safetensors"
    path.write_bytes(pack(half, {"licence": "CC-BY-4.0"}))
    settings = {"dim": plan.dim}
    (options.out / "clap.json").write_text(json.dumps(settings, indent=1) + "\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: {path.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
