"""Cached decoding of a prompt, and scoring of many answers in one pass.

Decoding has two modes. ``full``: a new token looks at every audio before it, which is
what the model computes without a cache. ``compat``: a new token looks at the first slot
only, as the release does when it decodes with its cache, which is always (with one audio
there is no difference). Published few-shot numbers come from ``compat``.

Scoring packs the answers behind one copy of the prompt as a tree: an answer's token sees
the prompt and its own beginning, at the position it would have alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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

Mode = Literal["full", "compat"]

_MOST_PACKED = 1024  # tokens of answers in one pass; the mask's memory grows with its square
_LOGIT_ROWS = 64  # rows of the vocabulary at once; more is no faster and costs 200 KB a row


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
    room = min(options.max_new_tokens, model.config.max_positions - batch.ids.shape[1])
    if room < 1:
        raise ValueError(
            f"prompt of {batch.ids.shape[1]} tokens: expected fewer than "
            f"{model.config.max_positions}"
        )
    stops = torch.tensor(list(stop_ids), device=batch.ids.device)
    stopped = torch.zeros(len(batch.ids), dtype=torch.bool, device=batch.ids.device)
    choose = _Sampler(options, n_rows=len(batch.ids))
    with torch.inference_mode():
        reading = _Reading(model, batch, room=room, mode=mode)
        hidden = reading.read_prompts(batch)
    for n_left in reversed(range(room)):
        # Entered again for each step: a generator's caller runs between two steps.
        with torch.inference_mode():
            logits = model.logits(hidden).float()
            ids = choose(logits).masked_fill(stopped, model.config.pad_id)
            stopped = stopped | torch.isin(ids, stops)
        yield Step(ids=ids, logits=logits)
        if not n_left or bool(stopped.all()):
            return
        with torch.inference_mode():
            hidden = reading.read_token(ids)


class _Sampler:
    """Greedy choice at temperature 0, else sampling by inverse transform, a generator per row."""

    def __init__(self, options: GenerationOptions, *, n_rows: int) -> None:
        self._options = options
        self._draws = [np.random.default_rng(options.seed) for _ in range(n_rows)]

    def __call__(self, logits: Tensor) -> Tensor:
        options = self._options
        if options.temperature == 0.0:
            return logits.argmax(dim=-1)
        scaled = logits.double() / options.temperature
        ranked, order = scaled.sort(dim=-1, descending=True, stable=True)
        if options.top_k:
            ranked[:, options.top_k :] = -torch.inf
        probabilities = ranked.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        # As transformers: the token that crosses top_p is the last one kept.
        kept = probabilities.masked_fill(before >= options.top_p, 0.0)
        cumulative = kept.cumsum(dim=-1)
        draws = torch.tensor([draw.random() for draw in self._draws], device=logits.device)
        targets = draws.double()[:, None] * cumulative[:, -1:]
        rank = (cumulative <= targets).sum(dim=-1, keepdim=True)
        return order.gather(1, rank.clamp(max=order.shape[1] - 1))[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """Answers as a tree that shares their beginnings; an answer's last token is never read.

    Attributes:
        tokens: Token of each node; parents stand before their children.
        parents: Row of the node before, -1 for the prompt's end.
        depths: Tokens between the prompt and the node.
        lookups: For every answer, ``(row to read from, token to look up)`` along it.
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    lookups: list[list[tuple[int, int]]]


def _build_tree(answers: Sequence[Sequence[int]]) -> _Tree:
    tree = _Tree(tokens=[], parents=[], depths=[], lookups=[])
    rows: dict[tuple[int, int], int] = {}
    for answer in answers:
        row = -1
        lookups: list[tuple[int, int]] = []
        for depth, token in enumerate(answer):
            lookups.append((row, token))
            if depth == len(answer) - 1:
                break
            if (row, token) not in rows:
                rows[row, token] = len(tree.tokens)
                tree.tokens.append(token)
                tree.parents.append(row)
                tree.depths.append(depth)
            row = rows[row, token]
        tree.lookups.append(lookups)
    return tree


def score_packed(
    model: Flamingo,
    batch: FlamingoBatch,
    answers: Sequence[Sequence[int]],
    *,
    mode: Mode = "full",
    most_packed: int = _MOST_PACKED,
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
    longest = max(map(len, answers), default=0)
    if not all(len(answer) for answer in answers):
        raise ValueError("an answer has no token: expected at least one")
    if n_prompt + longest - 1 > model.config.max_positions:
        raise ValueError(
            f"prompt of {n_prompt} tokens and answer of {longest}: expected at most "
            f"{model.config.max_positions} together"
        )
    trees = [_build_tree(group) for group in _groups(answers, most_packed)]
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


def _groups(answers: Sequence[Sequence[int]], most: int) -> Iterator[list[Sequence[int]]]:
    """Yield answers in groups of at most so many tokens."""
    group: list[Sequence[int]] = []
    n_tokens = 0
    for answer in answers:
        if group and n_tokens + len(answer) > most:
            yield group
            group, n_tokens = [], 0
        group.append(answer)
        n_tokens += len(answer)
    if group:
        yield group


def _tree_visible(tree: _Tree, device: torch.device) -> Tensor:
    """Return a mask in which each node sees itself and its ancestors; bool, ``(N, N)``."""
    visible = np.eye(len(tree.tokens), dtype=bool)
    for row, parent in enumerate(tree.parents):
        if parent >= 0:
            visible[row] |= visible[parent]
    return torch.from_numpy(visible).to(device)


def _read_first(reading: _Reading, batch: FlamingoBatch, tree: _Tree) -> Tensor:
    """Read prompt and tree in one pass; return ``(1 + N, H)``, the prompt's end first."""
    model = reading.model
    device = batch.ids.device
    n_prompt, n_nodes = batch.ids.shape[1], len(tree.tokens)
    visible = torch.zeros(n_prompt + n_nodes, n_prompt + n_nodes, dtype=torch.bool, device=device)
    visible[:n_prompt, :n_prompt] = True
    visible.tril_()
    visible[n_prompt:, :n_prompt] = True
    visible[n_prompt:, n_prompt:] = _tree_visible(tree, device)
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


def _read_more(reading: _Reading, n_prompt: int, tree: _Tree) -> Tensor:
    """Read another tree behind the cached prompt; return ``(N, H)``."""
    model = reading.model
    if not tree.tokens:  # answers of one token each: the prompt's end is enough
        return torch.empty(0, model.config.hidden_dim, dtype=model.dtype, device=model.device)
    device = reading.window_mask.device
    own = _tree_visible(tree, device)
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


def _log_probabilities(model: Flamingo, hidden: Tensor, tree: _Tree) -> list[NDArray[np.float64]]:
    """Look up every answer's tokens; hidden rows are shifted by one for the prompt's end."""
    lookups = [(row + 1, token) for answer in tree.lookups for row, token in answer]
    rows = torch.tensor([row for row, _ in lookups], device=hidden.device)
    tokens = torch.tensor([token for _, token in lookups], device=hidden.device)
    found = torch.empty(len(lookups), dtype=torch.float64, device=hidden.device)
    for start in range(0, len(hidden), _LOGIT_ROWS):
        logits = model.logits(hidden[start : start + _LOGIT_ROWS]).float()
        here = (rows >= start) & (rows < start + _LOGIT_ROWS)
        chosen = logits[rows[here] - start, tokens[here]]
        found[here] = (chosen - logits.logsumexp(dim=-1)[rows[here] - start]).double()
    ends = np.cumsum([len(answer) for answer in tree.lookups])[:-1]
    return [np.asarray(part) for part in np.split(found.cpu().numpy(), ends)]
