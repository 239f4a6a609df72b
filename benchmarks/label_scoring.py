"""How fast many answers to one few-shot prompt are scored, beside reading each one alone.

A classification asks how likely every label is after the same prompt: 7 shots and the
query, 8 slots of audio, 360 tokens. Five ways give the same scores from the same model:

- *packed*: ``score_packed``, prompt and all labels in one pass (what earful does);
- *separate*: the model is called once a label on prompt and label, as one would first
  write it, with logits for every token;
- *separate, few logits*: the same, with logits only where a label's tokens are told;
- *kept prompt*: the prompt is read once into a cache, and each label behind it;
- *kept prompt, batch*: the cache is copied for every label, and all are read as a batch.

Weights are random and gates open: what is measured is time, and that all agree. The ways
take turns, label by label and round by round, in one process. A way's time is its least
over the rounds; for the separate ones the sum of each label's least, so that a busy moment
counts against packed alone.

    ./dev bench label_scoring [--full] [--dtype bfloat16] [--device cuda] [--threads N]

writes ``benchmarks/results/label_scoring.json``, one entry a model, type, device and number
of threads. Where other programs take turns on the CPUs, one thread tells most.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from benchmarks.turns import place_name
from numpy.typing import NDArray

from earful.model.flamingo import (
    Flamingo,
    FlamingoBatch,
    FlamingoConfig,
    KeyValueCache,
    causal_bias,
    cross_mask,
    hidden_bias,
    mask_of,
    positions_of,
    score_packed,
)

RESULT = Path(__file__).resolve().parent / "results" / "label_scoring.json"
SMALL = FlamingoConfig(hidden_dim=768, n_layers=12, n_heads=12, ffn_dim=3072)
"""OPT-125M with a gated block before each layer; the audio side as released."""
N_AUDIOS = 8
HEARD_WINDOWS = 3  # of each slot's 16: a clip of about 10 s
PROMPT_TOKENS = 360
LABEL_TOKENS = (2, 3, 1, 4, 3, 5, 2, 4, 1, 5)  # an end of chunk follows
N_LABELS = (10, 50)
WANTED = {10: 10.0, 50: 35.0}
Scores = list[NDArray[np.float64]]
Timed = TypeVar("Timed")


def main() -> None:
    """Measure, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="OPT-1.3B, as released")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", choices=N_LABELS, default=N_LABELS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = FlamingoConfig() if arguments.full else SMALL
    model = random_model(config, dtype=arguments.dtype, device=arguments.device)
    size = "OPT-1.3B" if arguments.full else "OPT-125M"
    report: dict[str, Any] = {
        "model": f"{size} shape, {config.n_layers} layers of {config.hidden_dim}, each gated",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "weights": "random",
        "prompt_tokens": PROMPT_TOKENS,
        "slots": N_AUDIOS,
        "tokens_per_label": f"{min(LABEL_TOKENS)} to {max(LABEL_TOKENS)} and an end",
        "device": place_name(str(model.device)),
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    with torch.inference_mode():
        for n_labels in arguments.labels:
            told = compare(model, labels(config, n_labels), arguments.rounds)
            report[f"{n_labels} labels"] = told
            report[f"{n_labels} labels, rounds"] = arguments.rounds
            show(n_labels, told)
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    place = "GPU" if model.device.type == "cuda" else f"CPU with {arguments.threads} threads"
    results.setdefault(f"{size}, {arguments.dtype}, {place}", {}).update(report)
    RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def random_model(config: FlamingoConfig, *, dtype: str, device: str) -> Flamingo:
    """Return a model with OPT's initial spread of weights and open gates."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = Flamingo(config)
    model = model.to(getattr(torch, dtype)).to_empty(device=device)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(False)
        if name.endswith("_gate"):
            parameter.fill_(0.5)
        elif parameter.dim() == 1:
            parameter.fill_(float("norm.weight" in name or "feed_forward.0.weight" in name))
        else:
            parameter.normal_(std=0.02)
    return model.eval()


def prompt(config: FlamingoConfig, device: torch.device) -> FlamingoBatch:
    """Return a prompt of random tokens with a place for audio every so often."""
    rng = np.random.default_rng(1)
    ids = rng.integers(3, config.audio_id, (1, PROMPT_TOKENS))
    ids[0, 20 :: PROMPT_TOKENS // N_AUDIOS] = config.audio_id
    n_windows = N_AUDIOS * config.windows_per_audio
    heard = np.arange(n_windows) % config.windows_per_audio < HEARD_WINDOWS
    features = rng.standard_normal((1, n_windows, config.audio_dim)).astype(np.float32)
    tokens = torch.from_numpy(ids).to(device)
    return FlamingoBatch(
        ids=tokens,
        attention_mask=torch.ones_like(tokens),
        features=torch.from_numpy(features).to(device),
        window_mask=torch.from_numpy(heard)[None].float().to(device),
    )


def labels(config: FlamingoConfig, n: int) -> list[list[int]]:
    """Return labels of several lengths, each with an end of chunk."""
    rng = np.random.default_rng(2)
    lengths = [LABEL_TOKENS[number % len(LABEL_TOKENS)] for number in range(n)]
    words = [rng.integers(3, config.audio_id, length).tolist() for length in lengths]
    return [[*word, config.end_of_chunk_id] for word in words]


class Scorer:
    """Every way to score answers to one prompt."""

    def __init__(self, model: Flamingo, batch: FlamingoBatch) -> None:
        self.model = model
        self.batch = batch
        self.n_prompt = batch.ids.shape[1]

    def packed(self, answers: list[list[int]]) -> Scores:
        """Read the prompt and all answers in one pass."""
        return score_packed(self.model, self.batch, answers)

    def separate(self, answer: list[int]) -> NDArray[np.float64]:
        """Call the model on prompt and answer."""
        ids = self._joined(answer)
        batch = self.batch
        logits = self.model(ids, torch.ones_like(ids), batch.features, batch.window_mask)
        return _told(logits[0, self.n_prompt - 1 : -1], answer)

    def separate_few_logits(self, answer: list[int]) -> NDArray[np.float64]:
        """Call the decoder on prompt and answer, and the output table where it matters."""
        model, ids = self.model, self._joined(answer)
        mask = torch.ones_like(ids)
        media = model.read_audio(self.batch.features)
        bias = causal_bias(mask, model.dtype)
        hidden = model.decoder(ids, positions_of(mask), bias, media, self._cross_mask(ids))
        return _told(model.logits(hidden[0, self.n_prompt - 1 : -1]), answer)

    def kept_prompt(self, answers: list[list[int]]) -> Scores:
        """Read the prompt once, and every answer behind it in turn."""
        longest = max(map(len, answers)) - 1
        cache, media, end = self._read_prompt(longest)
        scores = []
        for answer in answers:
            hidden = torch.cat([end, self._continue([answer], media, cache)[0]])
            scores.append(_told(self.model.logits(hidden), answer))
            cache.length = self.n_prompt
        return scores

    def kept_prompt_batch(self, answers: list[list[int]]) -> Scores:
        """Read the prompt once, and all answers behind copies of it as one padded batch."""
        model, config = self.model, self.model.config
        longest, n = max(map(len, answers)) - 1, len(answers)
        cache, media, end = self._read_prompt(0)
        like = model.decoder.embed_tokens.weight
        wide = KeyValueCache(config, n, self.n_prompt + longest, like=like)
        nothing = like.new_empty(1, config.n_heads, 0, config.hidden_dim // config.n_heads)
        for layer in range(config.n_layers):
            keys, values = cache.extend(layer, nothing, nothing)
            wide.extend(layer, keys.expand(n, -1, -1, -1), values.expand(n, -1, -1, -1))
        wide.length = self.n_prompt
        padded = [answer + [config.pad_id] * (longest + 1 - len(answer)) for answer in answers]
        hidden = self._continue(padded, media, wide)
        return [
            _told(model.logits(torch.cat([end, rows[: len(answer) - 1]])), answer)
            for answer, rows in zip(answers, hidden, strict=True)
        ]

    def _joined(self, answer: list[int]) -> torch.Tensor:
        return torch.cat([self.batch.ids, self.batch.ids.new_tensor([answer])], dim=1)

    def _cross_mask(self, ids: torch.Tensor) -> Any:
        config = self.model.config
        return cross_mask(
            ids == config.audio_id,
            self.batch.window_mask,
            windows_per_audio=config.windows_per_audio,
            dtype=self.model.dtype,
        )

    def _read_prompt(self, room: int) -> tuple[KeyValueCache, Any, torch.Tensor]:
        model, batch = self.model, self.batch
        like = model.decoder.embed_tokens.weight
        cache = KeyValueCache(model.config, 1, self.n_prompt + room, like=like)
        media = model.read_audio(batch.features)
        bias = causal_bias(batch.attention_mask, model.dtype)
        positions = positions_of(batch.attention_mask)
        hidden = model.decoder(
            batch.ids, positions, bias, media, self._cross_mask(batch.ids), cache
        )
        return cache, media, hidden[0, -1:]

    def _continue(self, answers: list[list[int]], media: Any, cache: KeyValueCache) -> torch.Tensor:
        """Read answers of one length, but for their last tokens, behind the prompt."""
        model, n, n_prompt = self.model, len(answers), self.n_prompt
        ids = self.batch.ids.new_tensor(answers)[:, :-1]
        n_new = ids.shape[1]
        visible = torch.ones(n_new, n_prompt + n_new, dtype=torch.bool, device=ids.device)
        slots = torch.ones(1, n_new, self.batch.window_mask.shape[1], device=ids.device).bool()
        hidden: torch.Tensor = model.decoder(
            ids,
            torch.arange(n_prompt, n_prompt + n_new, device=ids.device).expand(n, -1),
            hidden_bias(visible.tril(n_prompt), model.dtype)[None, None],
            [(k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in media],
            mask_of(slots, self.batch.window_mask, model.dtype),
            cache,
        )
        return hidden


def _told(logits: torch.Tensor, answer: list[int]) -> NDArray[np.float64]:
    chosen = logits.float().log_softmax(dim=-1)[range(len(answer)), answer]
    return np.asarray(chosen.double().cpu().numpy())


def compare(model: Flamingo, answers: list[list[int]], rounds: int) -> dict[str, Any]:
    """Time every way, taking turns, and compare its scores with packed ones."""
    scorer = Scorer(model, prompt(model.config, model.device))
    at_once: dict[str, Callable[[list[list[int]]], Scores]] = {
        "packed": scorer.packed,
        "kept prompt": scorer.kept_prompt,
        "kept prompt, batch": scorer.kept_prompt_batch,
    }
    one_by_one = {
        "separate": scorer.separate,
        "separate, few logits": scorer.separate_few_logits,
    }
    seconds = {name: np.full(1, np.inf) for name in at_once}
    seconds |= {name: np.full(len(answers), np.inf) for name in one_by_one}
    nothing = np.empty(0)
    scores: dict[str, Scores] = {name: [nothing] * len(answers) for name in one_by_one}
    for way in at_once.values():  # the first call of a shape also allocates
        way(answers)
    for _ in range(rounds):
        for name, whole in at_once.items():
            scores[name], spent = timed(partial(whole, answers), model.device)
            seconds[name][0] = min(seconds[name][0], spent)
        for number, answer in enumerate(answers):
            for name, one in one_by_one.items():
                found, spent = timed(partial(one, answer), model.device)
                scores[name][number] = found
                seconds[name][number] = min(seconds[name][number], spent)
    packed = float(seconds["packed"].sum())
    return {
        name: {
            "seconds": round(float(spent.sum()), 4),
            "times_packed": round(float(spent.sum()) / packed, 2),
            "largest_difference": max(
                float(np.abs(own - other).max())
                for own, other in zip(scores["packed"], scores[name], strict=True)
            ),
        }
        for name, spent in seconds.items()
    }


def timed(work: Callable[[], Timed], device: torch.device) -> tuple[Timed, float]:
    """Return what it gives and the seconds it took."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    found = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return found, time.perf_counter() - started


def show(n_labels: int, told: dict[str, Any]) -> None:
    """Print a table."""
    ratio = told["separate"]["times_packed"]
    print(f"\n{n_labels} labels: {ratio:.1f} times as fast, want {WANTED[n_labels]:g}")
    print(f"{'':<24}{'seconds':>10}{'/ packed':>10}  largest difference of a log-probability")
    for name, row in told.items():
        print(
            f"{name:<24}{row['seconds']:>10.3f}{row['times_packed']:>10.2f}"
            f"  {row['largest_difference']:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
