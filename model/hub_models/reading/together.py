"""Prompts read together: several of different lengths in one pass, and their answers behind them.

Shorter ones are filled up at their beginning, so that all end at one place and a window over the
last tokens holds the same ones as alone. Recordings were encoded alone before; only the language
model sees several at once. Whether it then says the same is for the self-test to find.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earful.model.hub_models.reading.network import HubNetwork, padded_answers
from earful.model.hub_models.reading.prefixes import Reading, cache_bytes, prefix_keys
from earful.model.hub_models.reading.rendered import Rendered

MOST_PROMPTS: Final = 8
"""Prompts that are read together at most."""

MOST_TOKENS: Final = 16_384
"""Tokens of all prompts that are read together, those that fill up included."""

MOST_FILLED: Final = 1.25
"""Tokens of all prompts, those that fill up included, for each of their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A prompt, and the answers to score behind it.

    Attributes:
        prompt: Its ids.
        features: float32, shape ``(n_audio_tokens, width)``: of its recordings, in order.
        answers: Ids of each, not empty.
    """

    prompt: Rendered
    features: NDArray[np.float32]
    answers: tuple[tuple[int, ...], ...]

    @property
    def key(self) -> str:
        """Digest of all of it, but for the answers."""
        n = self.prompt.n_tokens
        return prefix_keys(self.prompt.ids, self.prompt.is_audio, self.features, [n])[0]

    @property
    def beginnings(self) -> list[str]:
        """Digests of what it shares with others; see ``prefix_keys``."""
        prompt = self.prompt
        return prefix_keys(prompt.ids, prompt.is_audio, self.features, prompt.cuts)


def score_together(
    network: HubNetwork, questions: Sequence[Question]
) -> list[list[NDArray[np.float64]] | None]:
    """Score the answers of several prompts, as many at once as memory allows.

    A prompt that begins like another one of them, or like one that was kept, is left out, since
    going on from what is kept takes less; and so is one that no other is nearly as long as.

    Returns:
        For each in order what ``HubNetwork.score`` returns, or ``None`` where it was left out.
    """
    found: list[list[NDArray[np.float64]] | None] = [None] * len(questions)
    if not network.reuses_prompt:
        return found
    apart = [question.beginnings for question in questions]
    all_keys = [key for keys in apart for key in keys]
    alone = [
        place
        for place, keys in enumerate(apart)
        if questions[place].answers
        and not any(key in network.kept or all_keys.count(key) > 1 for key in keys)
        and questions[place].prompt.n_tokens <= network.most_alike
    ]
    # Those of nearly one length together, so that little is filled up.
    alone.sort(key=lambda place: questions[place].prompt.n_tokens)
    for places in _batches(alone, [question.prompt.n_tokens for question in questions], network):
        if len(places) > 1:
            scored = score_batch(network, [questions[place] for place in places])
            for place, scores in zip(places, scored, strict=True):
                found[place] = scores
    return found


def _batches(
    places: Sequence[int], lengths: Sequence[int], network: HubNetwork
) -> Iterator[list[int]]:
    """Yield places that fit into memory together, given by rising length."""
    most = min(MOST_TOKENS, network.budget_bytes // max(1, network.token_bytes))
    batch: list[int] = []
    for place in places:
        own = sum(lengths[other] for other in (*batch, place))
        n_tokens = lengths[place] * (len(batch) + 1)
        fits = n_tokens <= min(most, MOST_FILLED * own)
        if batch and not (fits and len(batch) < MOST_PROMPTS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def score_batch(
    network: HubNetwork, questions: Sequence[Question]
) -> list[list[NDArray[np.float64]]]:
    """Score the answers of several prompts that are read in one pass, as ``HubNetwork.score``."""
    reading, seen = _read(network, questions)
    first = reading.logits.log_softmax(-1)
    rows = [(row, place) for row, own in enumerate(questions) for place in range(len(own.answers))]
    # Long ones together, so that little of a batch is filled up.
    rows.sort(key=lambda at: len(questions[at[0]].answers[at[1]]))
    per_row = max(1, cache_bytes(reading.cache) // len(questions))
    size = max(1, network.budget_bytes // per_row) if network.batches_answers else 1
    found: dict[tuple[int, int], NDArray[np.float64]] = {}
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        answers = [questions[row].answers[place] for row, place in part]
        behind = _continue(network, reading, seen, [row for row, _ in part], answers)
        for (row, place), answer, others in zip(part, answers, behind, strict=True):
            head = first[row, answer[0]].double().cpu().numpy()
            found[row, place] = np.concatenate([head[None], others])
    return [
        [found[row, place] for place in range(len(own.answers))]
        for row, own in enumerate(questions)
    ]


def _read(network: HubNetwork, questions: Sequence[Question]) -> tuple[Reading, Tensor]:
    """Read prompts.

    Returns:
        What was read, its logits of shape ``(n_prompts, V)``; and the mask, ``(n_prompts, n)``.
    """
    prompts = [question.prompt for question in questions]
    longest = max(prompt.n_tokens for prompt in prompts)
    inputs: dict[str, Tensor] = {}
    for key in prompts[0].inputs:
        own = [prompt.inputs[key] for prompt in prompts]
        # Any token will do before the first one: none looks at it.
        fills = [values[0, 0] if key == "input_ids" else 0 for values in own]
        inputs[key] = torch.cat(
            [
                torch.cat([values.new_full((1, longest - values.shape[1]), fill), values], dim=1)
                for values, fill in zip(own, fills, strict=True)
            ]
        ).to(network.device)
    is_audio = np.zeros((len(prompts), longest), dtype=np.bool_)
    for row, prompt in enumerate(prompts):
        is_audio[row, longest - prompt.n_tokens :] = prompt.is_audio
    features = np.concatenate([question.features for question in questions])
    seen = inputs["attention_mask"]
    out = network.forward_heard(
        is_audio, features, **inputs, **_positions(network, seen.cumsum(-1) - 1), use_cache=True
    )
    reading = Reading(cache=out.cache, logits=out.logits[:, -1].float(), n_tokens=longest)
    return reading, seen


def _continue(
    network: HubNetwork,
    reading: Reading,
    seen: Tensor,
    rows: Sequence[int],
    answers: Sequence[Sequence[int]],
) -> list[NDArray[np.float64]]:
    """Return the log-probabilities of all tokens of answers but for the first ones."""
    longest = max(map(len, answers)) - 1
    if not longest:
        return [np.zeros(0)] * len(answers)
    ids, mask = padded_answers(answers)
    # Not on a device: layers may lie on several.
    which = torch.tensor(list(rows))
    cache: Any = reading.forked().cache
    cache.batch_select_indices(which)
    positions = seen[which].sum(-1, keepdim=True) + torch.arange(longest, device=seen.device)
    logits = network.forward(
        input_ids=ids.to(network.device),
        attention_mask=torch.cat([seen[which], mask.to(network.device)], dim=1),
        cache=cache,
        use_cache=True,
        **_positions(network, positions),
    ).logits
    return [
        network.picked(logits[row, : len(answer) - 1].float().log_softmax(-1), answer[1:])
        for row, answer in enumerate(answers)
    ]


def _positions(network: HubNetwork, positions: Tensor) -> dict[str, Tensor]:
    positions = positions.clamp(min=0)
    if network.family.three_axes:
        positions = positions.expand(3, *positions.shape)
    return {"position_ids": positions}
