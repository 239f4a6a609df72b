"""Decoding with torch: ``Flamingo`` continues prompts, and scores answers, with a cache.

``decoding`` says how; ``TorchFlamingo`` is what Audio Flamingo's language model asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earful.model.flamingo.config import FlamingoConfig
from earful.model.flamingo.decoding import (
    LOGIT_ROWS,
    MOST_PACKED,
    AnswerTree,
    Mode,
    PromptArrays,
    pack_answers,
    room_to_write,
)
from earful.model.flamingo.masks import (
    CrossMask,
    audio_mask,
    causal_bias,
    count_audios,
    hidden_bias,
    positions_of,
)
from earful.model.flamingo.network import Flamingo, KeyValueCache
from earful.model.protocols import GenerationOptions
from earful.model.writing import Sampler


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlamingoBatch:
    """A batch of prompts as tensors, on the model's device.

    Attributes:
        ids: int64, shape ``(B, T)``, padded on the right.
        attention_mask: Shape ``(B, T)``; 0 where padded.
        features: float32, shape ``(B, L, D)``; one vector a window.
        window_mask: Shape ``(B, L)``; 0 for a window without audio.
    """

    ids: Tensor
    attention_mask: Tensor
    features: Tensor
    window_mask: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One decoded token of every row.

    Attributes:
        ids: int64, shape ``(B,)``; the padding id in rows that have stopped.
        logits: float32, shape ``(B, V)``, from which the tokens were chosen.
    """

    ids: Tensor
    logits: Tensor


class _Reading:
    """A batch of prompts read into a cache, ready to be continued."""

    def __init__(self, model: Flamingo, batch: FlamingoBatch, *, room: int, mode: Mode) -> None:
        config = model.config
        n_rows, length = batch.ids.shape
        self.model = model
        self.mode = mode
        self.window_mask = batch.window_mask
        self.media = model.read_audio(batch.features)
        self.cache = KeyValueCache(
            config, n_rows, length + room, like=model.decoder.embed_tokens.weight
        )
        self.lengths = batch.attention_mask.long().sum(dim=1)
        self.n_audios = (batch.ids == config.audio_id).sum(dim=1)
        self.seen = torch.zeros(n_rows, length + room, dtype=torch.bool, device=batch.ids.device)
        self.seen[:, :length] = batch.attention_mask.bool()

    def audios_of_prompt(self, batch: FlamingoBatch) -> Tensor:
        """Count the audios up to each token of the prompts, ``(B, T)``."""
        n_slots = self.window_mask.shape[1] // self.model.config.windows_per_audio
        return count_audios(batch.ids == self.model.config.audio_id, n_slots)

    def audios_of_new(self, n_tokens: int) -> Tensor:
        """Count the audios at which ``n_tokens`` new tokens of every row look."""
        seen = self.n_audios if self.mode == "full" else torch.ones_like(self.n_audios)
        return seen[:, None].expand(-1, n_tokens)

    def mask(self, n_audios: Tensor) -> CrossMask:
        config = self.model.config
        return audio_mask(
            n_audios,
            self.window_mask,
            windows_per_audio=config.windows_per_audio,
            dtype=self.model.dtype,
            with_latest=config.latest_audio_layers > 0,
        )

    def read_prompts(self, batch: FlamingoBatch) -> Tensor:
        """Read the prompts; return the hidden state of each row's last token, ``(B, H)``."""
        hidden = self.model.decoder(
            batch.ids,
            positions_of(batch.attention_mask),
            causal_bias(batch.attention_mask, self.model.dtype),
            self.media,
            self.mask(self.audios_of_prompt(batch)),
            self.cache,
        )
        last: Tensor = hidden[torch.arange(len(hidden), device=hidden.device), self.lengths - 1]
        return last

    def read_token(self, ids: Tensor) -> Tensor:
        """Read one more token of every row, ``(B,)``; return its hidden state, ``(B, H)``."""
        column = self.cache.length
        self.seen[:, column] = True
        self.n_audios = self.n_audios + (ids == self.model.config.audio_id)
        dtype = self.model.dtype
        hidden: Tensor = self.model.decoder(
            ids[:, None],
            self.lengths[:, None],
            hidden_bias(self.seen[:, None, None, : column + 1], dtype),
            self.media,
            self.mask(self.audios_of_new(1)),
            self.cache,
        )
        self.lengths = self.lengths + 1
        return hidden[:, 0]


def decode(
    model: Flamingo,
    batch: FlamingoBatch,
    options: GenerationOptions,
    *,
    stop_ids: Sequence[int],
    mode: Mode = "full",
) -> Iterator[Step]:
    """Continue prompts token by token.

    A row's tokens do not depend on the rows beside it.

    Args:
        model: In evaluation mode.
        batch: Prompts.
        options: How tokens are chosen; every row begins with the same ``seed``.
        stop_ids: A row stops after one of these, which it yields.
        mode: Which audios new tokens look at; see the module.

    Yields:
        One step per token, until every row has stopped or has its ``max_new_tokens``.

    Raises:
        ValueError: A prompt leaves no position for a new token.
    """
    room = room_to_write(
        options, n_prompt=batch.ids.shape[1], max_positions=model.config.max_positions
    )
    stops = torch.tensor(list(stop_ids), device=batch.ids.device)
    stopped = torch.zeros(len(batch.ids), dtype=torch.bool, device=batch.ids.device)
    samplers = [Sampler(options) for _ in batch.ids]
    with torch.inference_mode():
        reading = _Reading(model, batch, room=room, mode=mode)
        hidden = reading.read_prompts(batch)
    for n_left in reversed(range(room)):
        # Entered again for each step: a generator's caller runs between two steps.
        with torch.inference_mode():
            logits = model.logits(hidden).float()
            rows = logits.cpu().numpy()
            chosen = [choose(row) for choose, row in zip(samplers, rows, strict=True)]
            ids = torch.tensor(chosen, device=logits.device)
            ids = ids.masked_fill(stopped, model.config.pad_id)
            stopped = stopped | torch.isin(ids, stops)
        yield Step(ids=ids, logits=logits)
        if not n_left or bool(stopped.all()):
            return
        with torch.inference_mode():
            hidden = reading.read_token(ids)


def score_packed(
    model: Flamingo,
    batch: FlamingoBatch,
    answers: Sequence[Sequence[int]],
    *,
    mode: Mode = "full",
    most_packed: int = MOST_PACKED,
) -> list[NDArray[np.float64]]:
    """Score answers to one prompt, which is read only once.

    Args:
        model: In evaluation mode.
        batch: One prompt, without padding.
        answers: Token ids of each answer, of any lengths above 0.
        mode: Which audios the answers' tokens look at; see the module.
        most_packed: Most tokens in one pass; for more, the cached prompt serves more passes.

    Returns:
        For each answer the log-probability of each of its tokens, float64, given the
        prompt and the earlier tokens.

    Raises:
        ValueError: There is more than one prompt, an answer is empty, or prompt and
            answer together are longer than the model's positions.
    """
    n_rows, n_prompt = batch.ids.shape
    if n_rows != 1 or not bool(batch.attention_mask.all()):
        raise ValueError(f"{n_rows} prompts or padding: expected one prompt without padding")
    trees = pack_answers(
        answers, n_prompt=n_prompt, max_positions=model.config.max_positions, most=most_packed
    )
    room = max((len(tree.tokens) for tree in trees), default=0)
    scores: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        reading = _Reading(model, batch, room=room, mode=mode)
        for tree in trees:
            if not reading.cache.length:
                hidden = _read_first(reading, batch, tree)
                end_of_prompt = hidden[:1]
            else:
                hidden = torch.cat([end_of_prompt, _read_more(reading, n_prompt, tree)])
            reading.cache.length = n_prompt
            scores += _log_probabilities(model, hidden, tree)
    return scores


def _read_first(reading: _Reading, batch: FlamingoBatch, tree: AnswerTree) -> Tensor:
    """Read prompt and tree in one pass; return ``(1 + N, H)``, the prompt's end first."""
    model = reading.model
    device = batch.ids.device
    n_prompt, n_nodes = batch.ids.shape[1], len(tree.tokens)
    visible = torch.zeros(n_prompt + n_nodes, n_prompt + n_nodes, dtype=torch.bool, device=device)
    visible[:n_prompt, :n_prompt] = True
    visible.tril_()
    visible[n_prompt:, :n_prompt] = True
    visible[n_prompt:, n_prompt:] = torch.from_numpy(tree.visible()).to(device)
    n_audios = torch.cat([reading.audios_of_prompt(batch), reading.audios_of_new(n_nodes)], dim=1)
    ids = torch.cat([batch.ids[0], torch.tensor(tree.tokens, dtype=torch.long, device=device)])
    positions = [*range(n_prompt), *(n_prompt + depth for depth in tree.depths)]
    hidden: Tensor = model.decoder(
        ids[None],
        torch.tensor([positions], device=device),
        hidden_bias(visible, model.dtype)[None, None],
        reading.media,
        reading.mask(n_audios),
        reading.cache,
    )
    return hidden[0, n_prompt - 1 :]


def _read_more(reading: _Reading, n_prompt: int, tree: AnswerTree) -> Tensor:
    """Read another tree behind the cached prompt; return ``(N, H)``."""
    model = reading.model
    if not tree.tokens:  # answers of one token each: the prompt's end is enough
        return torch.empty(0, model.config.hidden_dim, dtype=model.dtype, device=model.device)
    device = reading.window_mask.device
    own = torch.from_numpy(tree.visible()).to(device)
    visible = torch.cat([own.new_ones(len(own), n_prompt), own], dim=1)
    hidden: Tensor = model.decoder(
        torch.tensor([tree.tokens], device=device, dtype=torch.long),
        torch.tensor([[n_prompt + d for d in tree.depths]], device=device, dtype=torch.long),
        hidden_bias(visible, model.dtype)[None, None],
        reading.media,
        reading.mask(reading.audios_of_new(len(tree.tokens))),
        reading.cache,
    )
    return hidden[0]


def _log_probabilities(
    model: Flamingo, hidden: Tensor, tree: AnswerTree
) -> list[NDArray[np.float64]]:
    """Look up every answer's tokens."""
    lookups = [lookup for answer in tree.lookups for lookup in answer]
    rows = torch.tensor([row for row, _ in lookups], device=hidden.device)
    tokens = torch.tensor([token for _, token in lookups], device=hidden.device)
    found = torch.empty(len(lookups), dtype=torch.float64, device=hidden.device)
    for start in range(0, len(hidden), LOGIT_ROWS):
        logits = model.logits(hidden[start : start + LOGIT_ROWS]).float()
        here = (rows >= start) & (rows < start + LOGIT_ROWS)
        chosen = logits[rows[here] - start, tokens[here]]
        found[here] = (chosen - logits.logsumexp(dim=-1)[rows[here] - start]).double()
    return tree.split(found.cpu().numpy())


class TorchFlamingo:
    """Torch's ``Flamingo`` as a ``FlamingoNetwork``.

    Args:
        model: In evaluation mode, on its device.
    """

    def __init__(self, model: Flamingo) -> None:
        self.model = model

    @property
    def config(self) -> FlamingoConfig:
        """Sizes and token ids."""
        return self.model.config

    def score(
        self, prompt: PromptArrays, answers: Sequence[Sequence[int]], *, mode: Mode = "full"
    ) -> list[NDArray[np.float64]]:
        """Score answers to a prompt; see ``FlamingoNetwork``."""
        return score_packed(self.model, self._batch(prompt), answers, mode=mode)

    def decode(
        self,
        prompt: PromptArrays,
        options: GenerationOptions,
        *,
        stop_ids: Sequence[int],
        mode: Mode = "full",
    ) -> Iterator[tuple[int, float]]:
        """Continue a prompt; see ``FlamingoNetwork``."""
        batch = self._batch(prompt)
        for step in decode(self.model, batch, options, stop_ids=stop_ids, mode=mode):
            token = int(step.ids[0])
            yield token, float(step.logits[0].log_softmax(dim=-1)[token])

    def _batch(self, prompt: PromptArrays) -> FlamingoBatch:
        device = self.model.device
        ids = torch.from_numpy(prompt.ids)[None].to(device)
        return FlamingoBatch(
            ids=ids,
            attention_mask=torch.ones_like(ids),
            features=torch.from_numpy(prompt.features)[None].to(device),
            window_mask=torch.from_numpy(prompt.window_mask)[None].to(device),
        )
