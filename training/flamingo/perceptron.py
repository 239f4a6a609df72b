"""A perceptron on the evidence of labels, with which the Flamingo's first feed-forward begins.

Similarity, name and acoustics add up to the rule of label means and a little more, but what a step
of each is worth depends on the others. That is learned here in seconds, from many more questions
than the whole network will be asked; ``model.initialise`` writes it into the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from training.flamingo.label_slots import MOST_SHOWN, LabelSlots, draw_slots
from training.flamingo.sounds import Corpus

from earful.model.small import CHANNEL_GAINS, N_CHANNELS

N_HIDDEN: Final = 16
TEMPERATURE: Final = 0.09
"""Difference of similarity that one unit of score stands for."""
N_QUESTIONS = 9000
STEPS = 600
_BATCH = 512
_RATE = 3e-3
_DECAY = 0.05
_UNNAMED = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron:
    """One layer of hidden units; what it says is added to the weighted channels.

    Attributes:
        inner: float32, shape ``(N_HIDDEN, N_CHANNELS)``.
        outer: float32, shape ``(N_HIDDEN,)``.
        usual: Mean score of right slots, about which the scores that decide lie.
    """

    inner: Tensor
    outer: Tensor
    usual: float = 0.0

    def scores(self, channels: Tensor) -> Tensor:
        """Return the scores of slots, whose channels are the last axis."""
        return linear_scores(channels) + functional.gelu(channels @ self.inner.T) @ self.outer


def linear_scores(channels: Tensor) -> Tensor:
    """Return the scores of slots by the rule of label means and a share of acoustics."""
    gains = torch.tensor(CHANNEL_GAINS)
    return channels[..., : len(gains)] @ gains / TEMPERATURE


def fit_perceptron(
    folds: Sequence[Corpus], *, seed: int = 0, n_questions: int = N_QUESTIONS, steps: int = STEPS
) -> Perceptron:
    """Fit a perceptron to questions about training labels.

    Args:
        folds: Sounds, each fold by heads that do not know its families.
        seed: Of the questions and the weights.
        n_questions: How many to fit to.
        steps: Of gradient descent.
    """
    rng = np.random.default_rng([seed, len(folds)])
    asked: list[LabelSlots] = []
    for number in range(n_questions):
        slots = draw_slots(folds[number % len(folds)], rng)
        asked.append(slots.without_names() if rng.random() < _UNNAMED else slots)
    channels, shown, right = collate_slots(asked)
    generator = torch.Generator().manual_seed(seed)
    inner = nn.Parameter(torch.randn(N_HIDDEN, N_CHANNELS, generator=generator) / 2)
    outer = nn.Parameter(torch.zeros(N_HIDDEN))
    optimizer = torch.optim.AdamW([inner, outer], lr=_RATE, weight_decay=_DECAY)
    for step in range(steps):
        rows = torch.randint(len(asked), (_BATCH,), generator=generator)
        scores = Perceptron(inner=inner, outer=outer).scores(channels[rows])
        loss = functional.cross_entropy(scores.masked_fill(~shown[rows], -1e9), right[rows])
        optimizer.param_groups[0]["lr"] = _RATE * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    fitted = Perceptron(inner=inner.detach(), outer=outer.detach())
    scores = fitted.scores(channels)
    usual = float(scores[torch.arange(len(right)), right].mean())
    return replace(fitted, usual=usual)


def collate_slots(asked: Sequence[LabelSlots]) -> tuple[Tensor, Tensor, Tensor]:
    """Put questions side by side.

    Returns:
        Channels, float32, shape ``(n, MOST_SHOWN, N_CHANNELS)``; which slots there are, bool,
        shape ``(n, MOST_SHOWN)``; and which is right, int64, shape ``(n,)``.
    """
    channels = torch.zeros(len(asked), MOST_SHOWN, N_CHANNELS)
    shown = torch.zeros(len(asked), MOST_SHOWN, dtype=torch.bool)
    for row, slots in enumerate(asked):
        own = np.concatenate(slots.features())[:, -N_CHANNELS:]
        channels[row, : len(own)] = torch.from_numpy(own)
        shown[row, : len(own)] = True
    return channels, shown, torch.tensor([slots.right for slots in asked])
