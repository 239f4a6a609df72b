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

Then several prompts, as a batch of recordings asks them, the features of all exemplars kept:

- *8 prompts singly*, and *together*: of 4 exemplars of their own each, of 2 to 5 s, and 5 labels;
  one after the other, and filled up to the longest and read in one pass;
- *5 queries, each anew*, and *prefix kept*: behind the same 8 exemplars, 5 labels each, each prompt
  read wholly, and what they share read once.

Weights are random: what is measured is time, and that all agree. It is Audio Flamingo 3, its own
processor and classes, in a small size (``SIZE``), on the CPU.

    ./dev bench hub_models [--threads N] [--rounds N] [--only labels|prompts]

writes ``benchmarks/results/hub_models.json``, of which ``--only`` leaves the rest as it is. Rounds
take turns, and a way's time is its least; that of several prompts is the processor's.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from benchmarks.turns import RESULTS, keep, place_name
from numpy.typing import NDArray

from earful.model import ClipRef, Place, Prompt, Text
from earful.model.audio import Clip
from earful.model.hub_models import HubLanguageModel, load_hub_model
from earful.model.hub_models.reading import score_batch
from earful.testing.hub_models import audio_flamingo_3

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
N_PROMPTS = 8
N_QUERIES = 5
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
    parser.add_argument("--only", choices=("labels", "prompts"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = load_hub_model(str(random_model(Path(folder))), device="cpu", dtype="float32")
    place = {
        "device": place_name("cpu"),
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    path = RESULTS / "hub_models.json"
    report = json.loads(path.read_text("utf-8")) if arguments.only else {}
    if arguments.only != "prompts":
        report |= compare(model, arguments.rounds)
        report |= {
            "model": "Audio Flamingo 3 in a small size, random weights",
            "parameters": sum(parameter.numel() for parameter in model.network.model.parameters()),
            "labels": N_LABELS,
            "exemplars": N_EXEMPLARS,
            "seconds_each": SECONDS,
            **place,
        }
        enough = report["ways"]["separate"]["times_first"] >= WANTED
        print("enough" if enough else "too slow")
    if arguments.only != "labels":
        report["prompts"] = compare_prompts(model, arguments.rounds) | place
    keep("hub_models", report)
    for name, row in {**report["ways"], **report["prompts"]["ways"]}.items():
        print(f"{name:28} {row['seconds']:8.2f} s  {row['largest_difference']:.1e}")


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
            # The prompt is another one in every round, apart from its exemplars' features.
            model.network.kept.clear()
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


def compare_prompts(model: HubLanguageModel, n_rounds: int) -> dict[str, Any]:
    """Return the least times for several prompts, and how far their scores lie apart."""
    clips = [noise(seed) for seed in range(N_EXEMPLARS)]
    labels = ["rain", "dog", "car", "owl", "a siren"]
    lengths = np.random.default_rng(0)
    # Each with exemplars of its own, as retrieval finds them.
    ragged = [
        show([noise(1000 + 10 * n + k, float(lengths.uniform(2.0, 5.0))) for k in range(5)])
        for n in range(N_PROMPTS)
    ]
    queries = [show([*clips, noise(200 + n)]) for n in range(N_QUERIES)]
    asked = {
        name: [model._question(prompt, labels) for prompt in prompts]
        for name, prompts in {"ragged": ragged, "queries": queries}.items()
    }
    network = model.network

    def singly(name: str, *, keeps: bool) -> list[Scores]:
        network.keeps_prefixes = keeps
        try:
            return [network.score(own.prompt, own.features, own.answers) for own in asked[name]]
        finally:
            network.keeps_prefixes = True

    def together() -> list[Scores]:
        return score_batch(network, asked["ragged"])

    ways: dict[str, Callable[[], list[Scores]]] = {
        "8 prompts singly": lambda: singly("ragged", keeps=False),
        "8 prompts together": together,
        "5 queries, each anew": lambda: singly("queries", keeps=False),
        "5 queries, prefix kept": lambda: singly("queries", keeps=True),
    }
    least: dict[str, float] = {}
    found: dict[str, list[Scores]] = {}
    for _ in range(n_rounds):
        for name, way in ways.items():
            network.kept.clear()
            seconds, found[name] = timed(way, time.process_time)
            least[name] = min(seconds, least.get(name, np.inf))
    expected = {"8": found["8 prompts singly"], "5": found["5 queries, each anew"]}
    before = {"8": least["8 prompts singly"], "5": least["5 queries, each anew"]}
    return {
        "labels": len(labels),
        "ragged_tokens": [own.prompt.n_tokens for own in asked["ragged"]],
        "query_tokens": [own.prompt.n_tokens for own in asked["queries"]],
        "shared_tokens": asked["queries"][0].prompt.cuts[0],
        "ways": {
            name: {
                "seconds": seconds,
                "times": seconds / before[name[0]],
                "largest_difference": max(
                    float(np.abs(a - b).max())
                    for own, others in zip(found[name], expected[name[0]], strict=True)
                    for a, b in zip(own, others, strict=True)
                ),
            }
            for name, seconds in least.items()
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


def noise(seed: int, seconds: float = SECONDS) -> Clip:
    """Return a recording of noise."""
    random = np.random.default_rng(seed)
    samples = 0.1 * random.standard_normal(round(seconds * RATE), dtype=np.float32)
    return Clip(samples=samples, sample_rate=RATE)


def timed(
    way: Callable[[], Timed], clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Timed]:
    """Return how long a call took, and what it returned."""
    start = clock()
    result = way()
    return clock() - start, result


if __name__ == "__main__":
    main()
