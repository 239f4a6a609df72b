"""How fast 50 labels are scored behind 8 exemplars with their audio, beside 50 forward passes.

A model of the hub is asked how likely each label is as the answer to one prompt: 8 exemplars and
the query, each a recording of 5 s. Three ways give the same scores from the same weights:

- *earful*: each recording encoded alone, the prompt read once, the labels behind copies of it in
  batches that memory bounds; *first* with nothing kept, *again* with the exemplars' features kept,
  as from the second query of a session;
- *separate*: the model of ``transformers`` called once a label on all of the prompt and the label,
  as one would first write it: audio, text and logits of every token;
- *separate, heard*: the same with the features of all recordings given, so that only the language
  model reads the prompt again.

Weights are random: what is measured is time, and that all agree. It is Audio Flamingo 3, its own
processor and classes, in a small size (``SIZE``), on the CPU.

    ./dev bench hub_models [--threads N] [--rounds N]

writes ``benchmarks/results/hub_models.json``. Rounds take turns, and a way's time is its least.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from benchmarks.turns import keep, place_name
from numpy.typing import NDArray

from earful.model import ClipRef, Place, Prompt, Text
from earful.model.audio import Clip
from earful.model.hub_models import HubLanguageModel, load_hub_model
from tests.support.tiny_hub_models import audio_flamingo_3

SIZE: dict[str, Any] = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
}
ENCODER: dict[str, Any] = {
    "num_mel_bins": 128,
    "encoder_layers": 4,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 1024,
    "d_model": 256,
}
N_EXEMPLARS = 8
N_LABELS = 50
SECONDS = 5.0
RATE = 16_000
WANTED = 20.0

Scores = list[NDArray[np.float64]]
Timed = TypeVar("Timed")


def main() -> None:
    """Measure, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = load_hub_model(str(random_model(Path(folder))), device="cpu", dtype="float32")
    report = compare(model, arguments.rounds)
    report |= {
        "model": "Audio Flamingo 3 in a small size, random weights",
        "parameters": sum(parameter.numel() for parameter in model.network.model.parameters()),
        "labels": N_LABELS,
        "exemplars": N_EXEMPLARS,
        "seconds_each": SECONDS,
        "device": place_name("cpu"),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    keep("hub_models", report)
    for name, row in report["ways"].items():
        print(f"{name:20} {row['seconds']:8.2f} s  {row['times_first']:6.1f}")
    print("enough" if report["ways"]["separate"]["times_first"] >= WANTED else "too slow")


def random_model(folder: Path) -> Path:
    """Write a model with random weights in the hub's layout."""
    torch.manual_seed(0)
    processor, model = audio_flamingo_3(text=SIZE, encoder=ENCODER, n_mels=128)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # As they are, all of it hardly differs from what the last token says alone.
            if parameter.ndim > 1 and "embed" not in name:
                parameter.mul_(3.0)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def compare(model: HubLanguageModel, n_rounds: int) -> dict[str, Any]:
    """Return each way's least time, and how far their scores lie apart."""
    clips = [noise(seed) for seed in range(N_EXEMPLARS + 1)]
    prompt = show(clips)
    labels = [f"{a}{b}" for a in ("rain", "dog", "car", "owl", "hum") for b in "0123456789"]
    least: dict[str, float] = {}
    scores: dict[str, Scores] = {}
    ways: dict[str, Callable[[], Scores]] = {
        "earful, first": lambda: model.score(prompt, labels),
        "earful, again": lambda: model.score(prompt, labels),
        "separate": lambda: separate(model, prompt, clips, labels),
        "separate, heard": lambda: separate_heard(model, prompt, labels),
    }
    for _ in range(n_rounds):
        for name, way in ways.items():
            if name == "earful, first":
                model.keep_features(Nothing())
            seconds, scores[name] = timed(way)
            least[name] = min(seconds, least.get(name, np.inf))
    first = least["earful, first"]
    expected = scores["separate"]
    return {
        "prompt_tokens": model.measure(prompt).n_tokens,
        "ways": {
            name: {
                "seconds": least[name],
                "times_first": least[name] / first,
                "largest_difference": max(
                    float(np.abs(a - b).max()) for a, b in zip(scores[name], expected, strict=True)
                ),
            }
            for name in ways
        },
    }


class Nothing:
    """Cache that keeps nothing."""

    def get(self, _key: str) -> NDArray[np.float32] | None:
        """Return nothing."""
        return None

    def put(self, _key: str, _features: NDArray[np.float32]) -> None:
        """Keep nothing."""


def separate(
    model: HubLanguageModel, prompt: Prompt, clips: list[Clip], labels: list[str]
) -> Scores:
    """Score by one call of ``transformers`` a label, audio included."""
    found = []
    for label in labels:
        inputs = model.renderer.full(prompt, [clip.samples for clip in clips])
        ids = [*model.renderer.encode(label), model.renderer.end_id]
        added = torch.tensor([ids])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], added], dim=1)
        ones = torch.ones_like(added)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], ones], dim=1)
        with torch.inference_mode():
            logits = model.network.model(**inputs, use_cache=False).logits
        rows = logits[0, -len(ids) - 1 : -1].log_softmax(-1)
        found.append(rows[range(len(ids)), ids].double().numpy())
    return found


def separate_heard(model: HubLanguageModel, prompt: Prompt, labels: list[str]) -> Scores:
    """Score by one pass of the language model a label, with the recordings' features given."""
    model.network.reuses_prompt = False
    try:
        return model.score(prompt, labels)
    finally:
        model.network.reuses_prompt = True


def show(clips: list[Clip]) -> Prompt:
    """Return the prompt."""
    parts: list[Text | Place] = [Text(kind="system", text="The task is event classification.")]
    for clip in clips[:-1]:
        parts += [
            ClipRef(audio=clip, is_exemplar=True),
            Text(kind="exemplar", text="Classify this sound."),
            Text(kind="exemplar", text="rain0", is_answer=True),
        ]
    question = Text(kind="user", text="Classify this sound.")
    return Prompt(parts=(*parts, ClipRef(audio=clips[-1]), question))


def noise(seed: int) -> Clip:
    """Return a recording of noise."""
    random = np.random.default_rng(seed)
    samples = 0.1 * random.standard_normal(round(SECONDS * RATE), dtype=np.float32)
    return Clip(samples=samples, sample_rate=RATE)


def timed(way: Callable[[], Timed]) -> tuple[float, Timed]:
    """Return how long a call took, and what it returned."""
    start = time.perf_counter()
    result = way()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
