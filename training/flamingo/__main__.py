"""Train the small Flamingo on a corpus, resumably.

    python -m training.flamingo --corpus DIR --features F --vocabulary F --clap F --out DIR

The same command goes on where it was stopped. With ``--device cuda`` it uses a GPU.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from training.convert_aisfx import pack
from training.corpus_features import CorpusFeatures, read_features
from training.flamingo.episodes import Corpus, Episodes, Sound
from training.flamingo.model import initialise, sizes
from training.flamingo.progress import Probe
from training.flamingo.train import Batches, Plan, train
from training.vocabulary import read_words

from earful.model.flamingo import Flamingo, FlamingoTokenizer
from earful.model.runtime import round_rows
from earful.model.tiny import AudioHead, fill

_LONGEST_NAME = 8


def hear(found: CorpusFeatures, clap: Path, *, dim: int) -> list[Sound]:
    """Return every clip of a corpus as the audio tower hears it."""
    head = fill(AudioHead(dim), clap.read_bytes(), str(clap), prefix="head.")
    with torch.inference_mode():
        vectors = head(torch.from_numpy(found.outputs.astype(np.float32))).numpy()
    return [
        Sound(
            label=row["label"],
            coarse=row["coarse"],
            caption=row["caption"],
            group=row["group"],
            views=tuple(vectors[windows] for windows in found.views(number)),
        )
        for number, row in enumerate(found.rows)
    ]


def of_split(found: CorpusFeatures, sounds: Sequence[Sound], *splits: str) -> list[Sound]:
    """Return the sounds of some splits."""
    return [s for s, row in zip(sounds, found.rows, strict=True) if row["split"] in splits]


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "features", "vocabulary", "clap", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/american-english"))
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--batch", type=int, default=Plan().batch)
    parser.add_argument("--rate", type=float, default=Plan().rate)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--hidden-dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = json.loads((options.clap.parent / "clap.json").read_text())
    found = read_features(options.corpus, options.features)
    sounds = hear(found, options.clap, dim=settings["dim"])
    tokenizer = FlamingoTokenizer.load(options.vocabulary)
    config = sizes(
        tokenizer.vocab_size,
        audio_dim=settings["dim"],
        hidden_dim=options.hidden_dim,
        n_layers=options.layers,
    )
    model = Flamingo(config)
    plan = Plan(steps=options.steps, batch=options.batch, rate=options.rate)
    initialise(model, torch.Generator().manual_seed(plan.seed))
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{n_parameters / 1e6:.2f} M parameters", flush=True)
    words = [word for word in read_words(options.words) if 3 <= len(word) <= _LONGEST_NAME]
    trained = Corpus(of_split(found, sounds, "train"))
    episodes = Episodes(trained, tokenizer, words, windows_per_audio=config.windows_per_audio)
    probe = Probe(
        {"train": trained, "held out": Corpus(of_split(found, sounds, "held_out"))},
        episodes,
        words,
        config,
    )
    options.out.mkdir(parents=True, exist_ok=True)

    def report(step: int, loss: float, seconds: float) -> None:
        print(f"step {step}: loss {loss:.3f}, {seconds:.0f} s", flush=True)

    def measure(model: Flamingo) -> dict[str, float]:
        measured = probe(model)
        print(" ", {name: round(value, 3) for name, value in measured.items()}, flush=True)
        return measured

    train(
        model,
        Batches(episodes, model, plan),
        plan,
        options.out,
        device=torch.device(options.device),
        on_step=report,
        evaluate=measure,
        every=options.every,
        most_seconds=60 * options.minutes,
    )
    weights = round_rows({name: x.detach().cpu() for name, x in model.state_dict().items()})
    path = options.out / "earful-tiny-flamingo.safetensors"
    path.write_bytes(pack(weights, {"licence": "CC-BY-4.0"}))
    (options.out / "flamingo.json").write_text(json.dumps(config.to_dict(), indent=1) + "\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: {path.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
