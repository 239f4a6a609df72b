"""Train the small Flamingo on a corpus, resumably.

    python -m training.flamingo --corpus DIR --out DIR [--embedder DIR]

The same command goes on where it was stopped. With ``--device cuda`` it uses a GPU. ``DIR/weights``
is a folder that ``--model`` takes, and ``--embedder``. The vocabulary is that of ``earful-tiny``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import load as load_numbers
from safetensors.numpy import save as save_numbers
from training.convert_aisfx import pack
from training.flamingo.episodes import Episodes
from training.flamingo.model import initialise, sizes
from training.flamingo.perceptron import fit_perceptron
from training.flamingo.progress import Probe, fit_blend
from training.flamingo.sounds import hear_corpus
from training.flamingo.train import Batches, Plan, train
from training.threads import use_threads
from training.vocabulary import read_words

from earful.model import tiny
from earful.model.flamingo import Flamingo, FlamingoTokenizer
from earful.model.runtime import read_part, round_rows
from earful.model.small import DESCRIPTION, NAME, load_small, read_small_release

_LONGEST_NAME = 8


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--embedder", default=NAME, help="a folder that training.small wrote")
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/american-english"))
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--batch", type=int, default=Plan().batch)
    parser.add_argument("--rate", type=float, default=Plan().rate)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--hidden-dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--authors", default="the earful developers")
    parser.add_argument("--licence", default="CC-BY-4.0")
    parser.add_argument("--data", default="training/corpus/manifest.csv; see ATTRIBUTION.md")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    use_threads(options.threads)
    embedder = load_small(options.embedder, device="cpu")
    halves = tuple(len(head.project) for head in (embedder.heads.narrow, embedder.heads.yamnet))
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "sounds.pickle"
    if not kept.exists():
        kept.write_bytes(pickle.dumps(hear_corpus(options.corpus, embedder)))
    sounds = pickle.loads(kept.read_bytes())
    vocabulary = read_part(tiny.read_release(), "tokenizer")
    tokenizer = FlamingoTokenizer.from_bytes(vocabulary, source="the vocabulary that ships")
    config = sizes(
        tokenizer.vocab_size,
        dim=sum(halves),
        hidden_dim=options.hidden_dim,
        n_layers=options.layers,
    )
    model = Flamingo(config)
    plan = Plan(steps=options.steps, batch=options.batch, rate=options.rate)
    perceptron = fit_perceptron(sounds.folds, seed=plan.seed)
    initialise(model, torch.Generator().manual_seed(plan.seed), halves, perceptron)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{n_parameters / 1e6:.2f} M parameters", flush=True)
    words = [word for word in read_words(options.words) if 3 <= len(word) <= _LONGEST_NAME]
    episodes = Episodes(sounds.folds, tokenizer, words, windows_per_audio=config.windows_per_audio)
    asked = {"train": sounds.folds}
    if sounds.held_out.labels:
        asked["held out"] = (sounds.held_out,)
    probe = Probe(asked, episodes)

    def report(step: int, loss: float, seconds: float) -> None:
        print(f"step {step}: loss {loss:.3f}, {seconds:.0f} s", flush=True)

    def measure(model: Flamingo) -> dict[str, float]:
        measured = probe(model)
        print(" ", {name: round(value, 3) for name, value in measured.items()}, flush=True)
        return measured

    model.eval()
    measure(model)
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
    model.eval()
    weight, temperature = fit_blend(model, probe)
    print(f"weight beside the vote: {weight:.2f}, at temperature {temperature:.2f}")
    weights = round_rows({name: x.detach().cpu() for name, x in model.state_dict().items()})
    write(
        options.out / "weights",
        options.embedder,
        flamingo=pack(weights, {"licence": options.licence}),
        acoustics=save_numbers(sounds.scale.tensors()),
        about={"authors": options.authors, "licence": options.licence, "data": options.data},
        settings={
            "parameters": n_parameters,
            "config": config.to_dict(),
            "blend": {"weight": weight, "temperature": round(temperature, 3)},
        },
    )
    for path in sorted((options.out / "weights").iterdir()):
        print(f"{path}: {path.stat().st_size} bytes")


def write(
    folder: Path,
    embedder: str,
    *,
    flamingo: bytes,
    acoustics: bytes,
    about: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """Write a folder that ``--model`` and ``--embedder`` take.

    Args:
        folder: Where to; made if need be.
        embedder: What the Flamingo hears by: a folder, or the name of what ships.
        flamingo: Weights of the Flamingo.
        acoustics: Scale of acoustic descriptors.
        about: Authors, licence and data of both.
        settings: Sizes of the Flamingo, and its weight beside the vote.
    """
    folder.mkdir(parents=True, exist_ok=True)
    release = read_small_release(embedder)
    told: dict[str, Any] = {"name": NAME, "release": release.number, "licence": release.licence}
    told["parts"] = {name: dict(part) for name, part in release.parts.items()}
    for name in ("encoder", "words"):
        data = read_part(release, name, embedder)
        (folder / told["parts"][name]["file"]).write_bytes(data)
    n_acoustics = sum(tensor.size for tensor in load_numbers(acoustics).values())
    for name, data, own in (
        ("flamingo", flamingo, settings),
        ("acoustics", acoustics, {"parameters": n_acoustics}),
    ):
        file = f"{NAME}-{name}.safetensors"
        (folder / file).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        told["parts"][name] = {"file": file, "sha256": digest, **about, **own}
    (folder / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
