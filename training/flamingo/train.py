"""Training the small Flamingo on episodes; resumable, with a fixed seed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from training.flamingo.episodes import Episode, Episodes

from earful.model.flamingo import Flamingo, FlamingoBatch
from earful.model.small import N_CHANNELS

_MOST_SHOTS = 7
_DENSE = (4, 5, 7, 11, 11)
"""Shots of episodes for matching alone: more than a prompt has, since each name told again
teaches."""
_SIMPLE = 0.3
"""Share of their names that are one token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how fast.

    Attributes:
        steps: In all.
        batch: Episodes a step.
        rate: Highest learning rate.
        embedding_share: Of that rate, for embeddings. At the full rate tokens that are seldom
            learned come to be copied less well than others: what is pushed away at every step
            is their embedding, as Gao et al. found ("Representation Degeneration Problem in
            Training Natural Language Generation Models", ICLR 2019).
        circuit_share: Of that rate, for what weighs evidence and copies names.
        warm_up: Steps until it is reached; afterwards it falls as a cosine.
        labels: Share of the batches that tell labels apart, each with a slot of its own.
        dense: Share that match recordings to names that mean nothing.
        unshown: Share of the other batches that are without shots.
        seed: Of everything.
        feature_noise: Scatter added to features, against their own.
    """

    steps: int = 6000
    batch: int = 24
    rate: float = 2e-4
    embedding_share: float = 0.1
    circuit_share: float = 0.1
    warm_up: int = 100
    labels: float = 0.35
    dense: float = 0.05
    unshown: float = 0.5
    seed: int = 0
    feature_noise: float = 0.3


class Batches:
    """Draws batches of episodes of one number of shots each.

    Args:
        episodes: Draws single ones.
        model: For sizes.
        plan: For seed, size and noise.
    """

    def __init__(self, episodes: Episodes, model: Flamingo, plan: Plan) -> None:
        self._episodes = episodes
        self._config = model.config
        self._plan = plan

    def draw(self, step: int) -> tuple[FlamingoBatch, Tensor]:
        """Return a step's batch and its targets, the same at every call."""
        plan = self._plan
        rng = np.random.default_rng([plan.seed, step])
        kind = rng.random()
        if kind < plan.labels:
            found = [self._episodes.draw_labels(rng) for _ in range(plan.batch)]
        elif kind < plan.labels + plan.dense:
            n_shots = int(rng.choice(_DENSE))
            found = [
                self._episodes.draw_nonce(n_shots, rng, simple=rng.random() < _SIMPLE)
                for _ in range(plan.batch)
            ]
        else:
            n_shots = 0 if rng.random() < plan.unshown else int(rng.integers(1, _MOST_SHOTS + 1))
            found = [self._episodes.draw(n_shots, rng) for _ in range(plan.batch)]
        batch, targets = collate(found, self._config.windows_per_audio, self._config.pad_id)
        return replace(batch, features=self._scatter(batch.features, rng)), targets

    def _scatter(self, features: Tensor, rng: np.random.Generator) -> Tensor:
        """Scatter vectors a little; evidence stays what it is."""
        dim = features.shape[-1] - N_CHANNELS
        vectors = features[..., :dim]
        scatter = torch.from_numpy(rng.standard_normal(vectors.shape, dtype=np.float32))
        length = vectors.norm(dim=-1, keepdim=True) / math.sqrt(dim)
        disturbed = vectors + self._plan.feature_noise * length * scatter
        return torch.cat([disturbed, features[..., dim:]], dim=-1)


def collate(episodes: Sequence[Episode], width: int, pad_id: int) -> tuple[FlamingoBatch, Tensor]:
    """Put episodes into one batch.

    Args:
        episodes: ``B`` of them.
        width: Windows a slot.
        pad_id: Fills up texts.

    Returns:
        The batch, and targets, int64, shape ``(B, T)``, -100 where nothing is learned.
    """
    n_tokens = max(len(episode.ids) for episode in episodes)
    n_slots = max(len(episode.audios) for episode in episodes)
    dim = episodes[0].audios[0].shape[1]
    ids = torch.full((len(episodes), n_tokens), pad_id)
    targets = torch.full((len(episodes), n_tokens), -100)
    features = np.zeros((len(episodes), n_slots * width, dim), dtype=np.float32)
    mask = np.zeros((len(episodes), n_slots * width), dtype=np.float32)
    for row, episode in enumerate(episodes):
        ids[row, : len(episode.ids)] = torch.tensor(episode.ids)
        targets[row, : len(episode.targets)] = torch.tensor(episode.targets)
        for slot, audio in enumerate(episode.audios):
            features[row, slot * width : slot * width + len(audio)] = audio
            mask[row, slot * width : slot * width + len(audio)] = 1.0
    batch = FlamingoBatch(
        ids=ids,
        attention_mask=(ids != pad_id).long(),
        features=torch.from_numpy(features),
        window_mask=torch.from_numpy(mask),
    )
    return batch, targets


def train(
    model: Flamingo,
    batches: Batches,
    plan: Plan,
    folder: Path,
    *,
    device: torch.device,
    on_step: Callable[[int, float, float], None] | None = None,
    evaluate: Callable[[Flamingo], dict[str, float]] | None = None,
    every: int = 500,
    most_seconds: float = math.inf,
) -> list[dict[str, float]]:
    """Train, going on where ``folder`` says an earlier run stopped.

    Args:
        model: Initialised.
        batches: What it learns from.
        plan: How long.
        folder: Where state and loss curve are kept.
        device: Where to compute.
        on_step: Told step, loss and seconds every 100 steps.
        evaluate: Measures, at every checkpoint.
        every: Steps between checkpoints.
        most_seconds: The learning rate falls and training ends by then, whatever steps remain.

    Returns:
        The curve: one row a checkpoint.
    """
    decoder = model.decoder
    embeddings = [decoder.embed_tokens.weight, decoder.embed_positions.weight]
    # What weighs evidence and copies names is right from the beginning.
    circuit = [
        *next(iter(decoder.cross_layers.values())).parameters(),
        *decoder.layers[0].get_submodule("self_attention").parameters(),
        *decoder.layers[1].get_submodule("self_attention").parameters(),
    ]
    slow = [*embeddings, *circuit]
    others = [x for x in model.parameters() if not any(x is y for y in slow)]
    optimizer = torch.optim.AdamW(
        [
            {"params": others, "share": 1.0},
            {"params": embeddings, "share": plan.embedding_share},
            {"params": circuit, "share": plan.circuit_share},
        ],
        lr=plan.rate,
        betas=(0.9, 0.98),
        weight_decay=0.01,
    )
    state_path, curve_path = folder / "state.pt", folder / "curve.json"
    curve: list[dict[str, float]] = []
    first, spent = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        if state["plan"] != asdict(plan):
            raise SystemExit(f"{state_path}: of another plan; remove the folder to begin anew")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, spent = state["step"], state["seconds"]
        curve = json.loads(curve_path.read_text())
    model.to(device).train()
    started = time.monotonic() - spent
    losses: list[float] = []
    for step in range(first, plan.steps + 1):
        seconds = time.monotonic() - started
        done = max(step / plan.steps, seconds / most_seconds)
        if step > first and (step % every == 0 or done >= 1.0):
            row = {"step": step, "seconds": round(seconds), "loss": float(np.mean(losses or [0]))}
            if evaluate:
                model.eval()
                row.update(evaluate(model))
                model.train()
            curve.append(row)
            losses.clear()
            torch.save(
                {
                    "plan": asdict(plan),
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "seconds": seconds,
                },
                state_path,
            )
            curve_path.write_text(json.dumps(curve, indent=1) + "\n")
        if done >= 1.0:
            break
        rise = min(1.0, (step + 1) / plan.warm_up)
        fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * group["share"] * rise * fall
        loss = _step(model, optimizer, *batches.draw(step), device)
        losses.append(loss)
        if on_step and step % 100 == 0:
            on_step(step, float(np.mean(losses[-100:])), seconds)
    return curve


def _step(
    model: Flamingo,
    optimizer: torch.optim.Optimizer,
    batch: FlamingoBatch,
    targets: Tensor,
    device: torch.device,
) -> float:
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model.read(
            batch.ids.to(device),
            batch.attention_mask.to(device),
            batch.features.to(device),
            batch.window_mask.to(device),
        )
        # The vocabulary is the largest product: only for positions that are learned.
        learned = (targets != -100).to(device)
        logits = model.logits(hidden[learned])
    loss = functional.cross_entropy(logits.float(), targets.to(device)[learned])
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()
