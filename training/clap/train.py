"""The audio head in closed form, and the text tower trained towards it.

The head is within-class covariance normalisation (Hatch et al., Interspeech 2006): what
varies among recordings of one label is shrunk, then the space is turned to its principal
axes and cut. With some thousand clips from a few dozen sources it carries over to new
labels from new sources; heads trained by contrast (SupCon, CLAP) fitted the sources and
did worse there than the published network alone (docs/small-model.md).

The text tower is trained by contrast against the finished audio tower (CLAP: Elizalde et
al., arXiv 2206.04769), where every sentence about a sound's label counts as its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from training.torch_tiny import AudioHead, TextTower

from earful.model.flamingo import FlamingoTokenizer
from earful.model.tiny import OUTPUT_DIM, text_ids

_PATTERNS = ("{}", "{}", "the sound of {}", "a recording of {}", "this is {}", "{} sound")
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes, and how long the text tower is trained.

    Attributes:
        dim: Of the shared space.
        shrinkage: Added to every within-class variance, against their mean.
        steps: In all.
        batch: Windows a step.
        rate: Highest learning rate.
        seed: Of everything.
    """

    dim: int = 256
    shrinkage: float = 2.0
    steps: int = 1200
    batch: int = 256
    rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Labelled windows of training clips.

    Attributes:
        outputs: The trunk's, float16, shape ``(n, 512)``.
        labels: Number of each window's label, shape ``(n,)``.
        texts: For each window its clip's caption.
        names: The labels.
        synonyms: For each label other words for it, itself first.
    """

    outputs: NDArray[np.float16]
    labels: NDArray[np.int64]
    texts: Sequence[str]
    names: Sequence[str]
    synonyms: Mapping[str, Sequence[str]]


def fit_head(windows: Windows, plan: Plan) -> AudioHead:
    """Return the head; see the module.

    Labels with few windows say too little of what varies and are left out of that; each
    other label counts by the root of its size.
    """
    exact = windows.outputs.astype(np.float64)
    shift = exact.mean(axis=0)
    scale = 1.0 / (exact.std(axis=0) + 1e-2)
    standard = (exact - shift) * scale
    within = np.zeros((OUTPUT_DIM, OUTPUT_DIM))
    total = 0.0
    for label in range(len(windows.names)):
        own = standard[windows.labels == label]
        if len(own) >= _FEWEST:
            weight = 1.0 / np.sqrt(len(own))
            apart = own - own.mean(axis=0)
            within += weight * apart.T @ apart
            total += weight * len(own)
    within /= total
    variances, axes = np.linalg.eigh(within)
    shrunk = variances + plan.shrinkage * variances.mean()
    whiten = (axes / np.sqrt(shrunk)) @ axes.T
    directions = np.linalg.svd(standard @ whiten, full_matrices=False)[2][: plan.dim]
    head = AudioHead(plan.dim)
    with torch.no_grad():
        head.shift.copy_(torch.from_numpy(shift))
        head.project.weight.copy_(torch.from_numpy(directions @ whiten * scale))
    return head.eval().requires_grad_(False)


def train_text(
    windows: Windows,
    head: AudioHead,
    tokenizer: FlamingoTokenizer,
    plan: Plan,
    *,
    on_step: Callable[[int, float], None] | None = None,
) -> TextTower:
    """Train a text tower from scratch towards what the audio tower hears.

    Args:
        windows: What it learns from.
        head: The finished audio head.
        tokenizer: The vocabulary.
        plan: How long.
        on_step: Told step and loss every 100 steps.
    """
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    text = TextTower(vocab_size=tokenizer.vocab_size, dim=plan.dim)
    torch.nn.init.normal_(text.embed_tokens.weight, std=0.05)
    torch.nn.init.normal_(text.embed_positions.weight, std=0.01)
    sounds = head(torch.from_numpy(windows.outputs.astype(np.float32)))
    scale = torch.nn.Parameter(torch.tensor(np.log(10.0), dtype=torch.float32))
    optimizer = torch.optim.AdamW(
        [
            {"params": list(text.parameters()), "weight_decay": 0.05},
            {"params": [scale], "weight_decay": 0.0},
        ],
        lr=plan.rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.steps, pct_start=0.1
    )
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(windows.labels):
        rows_of[int(label)].append(row)
    known = sorted(rows_of)
    # Between every clip alike and every label alike.
    weights = np.array([len(rows_of[label]) for label in known]) ** 0.5
    weights = weights / weights.sum()
    for step in range(plan.steps):
        drawn = rng.choice(known, plan.batch, p=weights)
        rows = np.array([rng.choice(rows_of[int(label)]) for label in drawn])
        ids, mask = _texts(windows, rows, tokenizer, rng)
        labels = torch.from_numpy(windows.labels[rows])
        loss = _captioned(sounds[torch.from_numpy(rows)], text(ids, mask), labels, scale)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(text.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if on_step and step % 100 == 0:
            on_step(step, loss.item())
    return text.eval().requires_grad_(False)


def _texts(
    windows: Windows,
    rows: NDArray[np.int64],
    tokenizer: FlamingoTokenizer,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    found = []
    for row in rows:
        if rng.random() < 0.5:
            words = windows.texts[row]
        else:
            names = windows.synonyms[windows.names[windows.labels[row]]]
            name = names[int(rng.integers(len(names)))] if rng.random() < 0.5 else names[0]
            words = _PATTERNS[int(rng.integers(len(_PATTERNS)))].format(name)
        found.append(text_ids(tokenizer, words))
    ids = torch.zeros(len(found), max(map(len, found)), dtype=torch.long)
    mask = torch.zeros(ids.shape)
    for row, own in enumerate(found):
        ids[row, : len(own)] = torch.tensor(own)
        mask[row, : len(own)] = 1.0
    return ids, mask


def _captioned(sounds: Tensor, words: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    logits = sounds @ words.T * scale.exp().clamp(max=100.0)
    alike = (labels[:, None] == labels[None]).float()
    wanted = alike / alike.sum(dim=1, keepdim=True)
    there = functional.cross_entropy(logits, wanted)
    back = functional.cross_entropy(logits.T, wanted)
    return (there + back) / 2
