"""The network of a Flamingo in NumPy, for the model that ships: the numbers of ``network``.

One prompt at a time, in float32, from the weights that torch trained, under their names there.
Shapes use T tokens, K tokens held and new, L windows, D audio features and H hidden units.

Products, attention and GELU are operations of ONNX Runtime (``operations/``, written by
``training/graphs.py``), in the thread that calls: NumPy has no error function, and shares each
product out among threads, which on a busy machine wait for each other for longer than they work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.flamingo.audio import sinusoids
from earful.model.flamingo.config import (
    AUDIO_NORM_EPS,
    NORM_EPS,
    POSITION_OFFSET,
    FlamingoConfig,
)
from earful.model.flamingo.decoding import (
    LOGIT_ROWS,
    MOST_PACKED,
    AnswerTree,
    Mode,
    PromptArrays,
    pack_answers,
    room_to_write,
)
from earful.model.protocols import GenerationOptions
from earful.model.runtime import OnnxNetwork
from earful.model.writing import Sampler

Numbers = NDArray[np.float32]
Flags = NDArray[np.bool_]

_HIDDEN: Final = np.float32(np.finfo(np.float32).min / 2)
_NO_BIAS: Final = np.zeros(1, dtype=np.float32)
_ALL_VISIBLE: Final = np.zeros((1, 1), dtype=np.float32)


class NumpyFlamingo:
    """Flamingo without its window encoder, as a ``FlamingoNetwork``.

    It holds nothing of a prompt, so several threads may ask it at once.

    Args:
        config: Sizes and ids.
        weights: float32 arrays of the shapes that ``flamingo_shapes`` returns.
    """

    def __init__(self, config: FlamingoConfig, weights: Mapping[str, Numbers]) -> None:
        self._config = config
        self._weights = weights
        self._product, self._attention, self._gelu = (
            OnnxNetwork("earful.model.flamingo", f"operations/{name}.onnx", {})
            for name in ("product", "attention", "gelu")
        )

    @property
    def config(self) -> FlamingoConfig:
        """Sizes and token ids."""
        return self._config

    def score(
        self,
        prompt: PromptArrays,
        answers: Sequence[Sequence[int]],
        *,
        mode: Mode = "full",
        most_packed: int = MOST_PACKED,
    ) -> list[NDArray[np.float64]]:
        """Score answers to a prompt; see ``FlamingoNetwork``.

        Args:
            prompt: The prompt.
            answers: Token ids of each answer.
            mode: Which audios the answers' tokens look at.
            most_packed: Most tokens in one pass; for more, the cached prompt serves more passes.

        Raises:
            ValueError: An answer is empty or too long, or the prompt has no place for audio.
        """
        n_prompt = len(prompt.ids)
        trees = pack_answers(
            answers, n_prompt=n_prompt, max_positions=self.config.max_positions, most=most_packed
        )
        room = max((len(tree.tokens) for tree in trees), default=0)
        reading = _Reading(self, prompt, room=room, mode=mode)
        scores: list[NDArray[np.float64]] = []
        end_of_prompt = np.zeros((0, self.config.hidden_dim), dtype=np.float32)
        for tree in trees:
            hidden = np.concatenate([end_of_prompt, reading.read_tree(tree)])
            end_of_prompt = hidden[:1]
            scores += self._look_up(hidden, tree)
        return scores

    def decode(
        self,
        prompt: PromptArrays,
        options: GenerationOptions,
        *,
        stop_ids: Sequence[int],
        mode: Mode = "full",
    ) -> Iterator[tuple[int, float]]:
        """Continue a prompt; see ``FlamingoNetwork``."""
        room = room_to_write(
            options, n_prompt=len(prompt.ids), max_positions=self.config.max_positions
        )
        choose = Sampler(options)
        reading = _Reading(self, prompt, room=room, mode=mode)
        hidden = reading.read_prompt()
        for n_left in reversed(range(room)):
            logits = self.logits(hidden)
            token = choose(logits[0])
            yield token, float(logits[0, token] - _log_sums(logits)[0])
            if not n_left or token in stop_ids:
                return
            hidden = reading.read_token(token)

    def logits(self, hidden: Numbers) -> Numbers:
        """Project hidden states ``(n, H)`` to logits ``(n, V)``."""
        tied = self.config.tied_embeddings
        return self._linear("decoder.embed_tokens" if tied else "lm_head", hidden)

    def read_audio(self, features: Numbers) -> dict[int, tuple[Numbers, Numbers]]:
        """Compute the keys and values that the gated blocks attend to.

        Args:
            features: Shape ``(L, D)``; a window without audio holds the encoder's output for
                silence, because it takes part in the audio transformer.

        Returns:
            Keys and values, each ``(L, cross_heads * cross_head_dim)``, by the number of the
            layer that the block stands before.
        """
        n_windows, dim = features.shape
        x = features * np.float32(math.sqrt(dim)) + sinusoids(n_windows, dim)
        x = self._norm("audio_transformer.norm", x, AUDIO_NORM_EPS)
        for number in range(self.config.audio_layers):
            at = f"audio_transformer.layers.{number}"
            q, k, v = (self._linear(f"{at}.attention.{part}", x) for part in "qkv")
            attended = self._attend(q, k, v, self.config.audio_heads, _ALL_VISIBLE)
            x = x + self._linear(f"{at}.attention.out", attended)
            x = self._norm(f"{at}.attention_norm", x, AUDIO_NORM_EPS)
            x = x + self._perceptron(f"{at}.feed_forward", x)
            x = self._norm(f"{at}.feed_forward_norm", x, AUDIO_NORM_EPS)
        media = {}
        for number in self.config.cross_layers:
            both = self._linear(f"decoder.cross_layers.{number}.attention.kv", x)
            keys, values = np.split(both, 2, axis=1)
            media[number] = keys, values
        return media

    def read(
        self,
        ids: NDArray[np.int64],
        positions: NDArray[np.int64],
        visible: Flags,
        windows: _Windows,
        media: Mapping[int, tuple[Numbers, Numbers]],
        cache: _Cache,
        n_wanted: int,
    ) -> Numbers:
        """Read tokens behind those that a cache holds.

        Args:
            ids: Shape ``(T,)``.
            positions: Shape ``(T,)``; from 0.
            visible: Which tokens each one sees, shape ``(T, K)``.
            windows: Which windows each one sees.
            media: As ``read_audio`` returns them.
            cache: Keys and values of the tokens before; those of the new ones are added.
            n_wanted: How many of the last tokens somebody asks about.

        Returns:
            Their hidden states, shape ``(n_wanted, H)``.
        """
        weights, config = self._weights, self.config
        x = weights["decoder.embed_tokens.weight"][ids]
        x = x + weights["decoder.embed_positions.weight"][positions + POSITION_OFFSET]
        bias = np.where(visible, np.float32(0.0), _HIDDEN)
        every, latest = _CrossMask(windows.every), _CrossMask(windows.latest)
        for number in range(config.n_layers):
            if number in media:
                mask = latest if number < config.latest_audio_layers else every
                x = self._gated(f"decoder.cross_layers.{number}", x, media[number], mask)
            at = f"decoder.layers.{number}"
            normed = self._norm(f"{at}.self_attention_norm", x)
            k, v = (self._linear(f"{at}.self_attention.{part}", normed) for part in "kv")
            if number == config.n_layers - 1:  # no later layer looks at the others
                x, normed, bias = (rows[-n_wanted:] for rows in (x, normed, bias))
            q = self._linear(f"{at}.self_attention.q", normed)
            attended = self._attend(q, *cache.extend(number, k, v), config.n_heads, bias)
            x = x + self._linear(f"{at}.self_attention.out", attended)
            normed = self._norm(f"{at}.feed_forward_norm", x)
            x = x + self._perceptron(f"{at}.feed_forward", normed)
        cache.length += len(ids)
        return self._norm("decoder.norm", x)

    def _gated(
        self, at: str, x: Numbers, media: tuple[Numbers, Numbers], mask: _CrossMask
    ) -> Numbers:
        """Add the audio's contribution: cross-attention and feed-forward, each behind a gate."""
        q = self._linear(f"{at}.attention.q", self._norm(f"{at}.attention.norm", x))
        # A position that may see nothing looks at all windows equally, as in the release.
        attended = self._attend(q * mask.sees_any, *media, self.config.cross_heads, mask.bias)
        gate = np.tanh(self._weights[f"{at}.attn_gate"])
        x = x + self._linear(f"{at}.attention.out", attended) * gate
        inner = self._linear(f"{at}.feed_forward.1", self._norm(f"{at}.feed_forward.0", x))
        fed = self._linear(f"{at}.feed_forward.3", self._gelu(inner))
        return x + fed * np.tanh(self._weights[f"{at}.ff_gate"])

    def _linear(self, name: str, x: Numbers) -> Numbers:
        bias = self._weights.get(f"{name}.bias", _NO_BIAS)
        return self._product(x, self._weights[f"{name}.weight"], bias)

    def _perceptron(self, at: str, x: Numbers) -> Numbers:
        inner = self._linear(f"{at}.0", x)
        return self._linear(f"{at}.2", np.maximum(inner, 0.0, out=inner))

    def _attend(
        self, q: Numbers, keys: Numbers, values: Numbers, n_heads: int, bias: Numbers
    ) -> Numbers:
        """Attend: q ``(T, width)``, keys and values ``(K, width)``, bias ``(T, K)``."""
        head_dim = q.shape[1] // n_heads
        scaled = q * np.float32(head_dim**-0.5)
        split = [x.reshape(len(x), n_heads, head_dim) for x in (scaled, keys, values)]
        attended: Numbers = self._attention(*split, bias).reshape(q.shape)
        return attended

    def _norm(self, name: str, x: Numbers, eps: float = NORM_EPS) -> Numbers:
        centred: Numbers = x - x.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        centred /= np.sqrt(variance + np.float32(eps))
        centred *= self._weights[f"{name}.weight"]
        centred += self._weights[f"{name}.bias"]
        return centred

    def _look_up(self, hidden: Numbers, tree: AnswerTree) -> list[NDArray[np.float64]]:
        """Look up every answer's tokens in the rows of hidden states ``(1 + N, H)``."""
        lookups = np.array([each for answer in tree.lookups for each in answer])
        rows, tokens = lookups[:, 0], lookups[:, 1]
        found = np.empty(len(lookups))
        for start in range(0, len(hidden), LOGIT_ROWS):
            logits = self.logits(hidden[start : start + LOGIT_ROWS])
            here = (rows >= start) & (rows < start + LOGIT_ROWS)
            own = rows[here] - start
            found[here] = logits[own, tokens[here]] - _log_sums(logits)[own]
        return tree.split(found)


class _Windows:
    """Which windows positions may look at, from the number of audios up to each.

    A position sees every audio before it or at it; one before the first audio sees the first.

    Args:
        n_audios: ``<audio>`` tokens up to and including each position, shape ``(T,)``.
        window_mask: Shape ``(L,)``; false for a window without audio.
        windows_per_audio: W.

    Attributes:
        every: bool, shape ``(T, L)``: the windows of all its audios.
        latest: Likewise, of the last of them only.
    """

    def __init__(
        self, n_audios: NDArray[np.int64], window_mask: Flags, windows_per_audio: int
    ) -> None:
        windows = np.arange(len(window_mask))
        end = windows_per_audio * np.maximum(n_audios, 1)[:, None]
        self.every = (windows < end) & window_mask
        self.latest = self.every & (windows >= end - windows_per_audio)


class _CrossMask:
    """Mask of a gated block.

    Args:
        visible: bool, shape ``(T, L)``.

    Attributes:
        bias: Shape ``(T, L)``: 0 where a position may look, very low elsewhere.
        sees_any: Shape ``(T, 1)``: 0 for a position that may look nowhere, else 1.
    """

    def __init__(self, visible: Flags) -> None:
        sees_any = visible.any(axis=1, keepdims=True)
        self.bias = np.where(visible | ~sees_any, np.float32(0.0), _HIDDEN)
        self.sees_any = sees_any.astype(np.float32)


class _Cache:
    """Keys and values of the tokens read so far.

    Args:
        config: Sizes.
        capacity: Most tokens.

    Attributes:
        length: Number of tokens held; lower it to forget the last ones.
    """

    def __init__(self, config: FlamingoConfig, capacity: int) -> None:
        shape = (config.n_layers, capacity, config.hidden_dim)
        self._keys, self._values = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self.length = 0

    def extend(self, layer: int, keys: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
        """Write a layer's keys and values behind ``length`` and return all of them."""
        end = self.length + len(keys)
        self._keys[layer, self.length : end] = keys
        self._values[layer, self.length : end] = values
        return self._keys[layer, :end], self._values[layer, :end]


class _Reading:
    """A prompt on its way through a network, with room behind it."""

    def __init__(
        self, network: NumpyFlamingo, prompt: PromptArrays, *, room: int, mode: Mode
    ) -> None:
        config = network.config
        self._network = network
        self._prompt = prompt
        self._mode = mode
        self._n_audios = _count_audios(prompt, config)
        self._media = network.read_audio(prompt.features)
        self._cache = _Cache(config, len(prompt.ids) + room)

    def read_prompt(self) -> Numbers:
        """Read the prompt alone; return the hidden state of its last token, ``(1, H)``."""
        return self.read_tree(AnswerTree(tokens=[], parents=[], depths=[], lookups=[]))

    def read_tree(self, tree: AnswerTree) -> Numbers:
        """Read a tree, at first behind the prompt; return ``(N, H)``, at first ``(1 + N, H)``.

        The first row is then that of the prompt's last token.
        """
        n_prompt, n_nodes = len(self._prompt.ids), len(tree.tokens)
        first = 0 if not self._cache.length else n_prompt
        if first and not n_nodes:  # answers of one token each: the prompt's end is enough
            return np.zeros((0, self._network.config.hidden_dim), dtype=np.float32)
        visible = np.zeros((n_prompt + n_nodes, n_prompt + n_nodes), dtype=bool)
        visible[:n_prompt, :n_prompt] = np.tri(n_prompt, dtype=bool)
        visible[n_prompt:, :n_prompt] = True
        visible[n_prompt:, n_prompt:] = tree.visible()
        ids = np.array([*self._prompt.ids, *tree.tokens], dtype=np.int64)
        positions = np.array([*range(n_prompt), *(n_prompt + depth for depth in tree.depths)])
        n_audios = np.concatenate([self._n_audios, np.full(n_nodes, self._seen_by_new())])
        hidden = self._read(
            ids[first:],
            positions[first:],
            visible[first:],
            n_audios[first:],
            n_wanted=n_nodes if first else 1 + n_nodes,
        )
        self._cache.length = n_prompt
        return hidden

    def read_token(self, token: int) -> Numbers:
        """Read one more token; return its hidden state, ``(1, H)``."""
        if token == self._network.config.audio_id:
            self._n_audios = self._n_audios + 1
        place = self._cache.length
        return self._read(
            np.array([token]),
            np.array([place]),
            np.ones((1, place + 1), dtype=bool),
            np.array([self._seen_by_new()]),
            n_wanted=1,
        )

    def _seen_by_new(self) -> int:
        return int(self._n_audios[-1]) if self._mode == "full" else 1

    def _read(
        self,
        ids: NDArray[np.int64],
        positions: NDArray[np.int64],
        visible: Flags,
        n_audios: NDArray[np.int64],
        *,
        n_wanted: int,
    ) -> Numbers:
        windows = _Windows(
            n_audios, self._prompt.window_mask, self._network.config.windows_per_audio
        )
        return self._network.read(
            ids, positions, visible, windows, self._media, self._cache, n_wanted
        )


def _count_audios(prompt: PromptArrays, config: FlamingoConfig) -> NDArray[np.int64]:
    """Count the audios up to each position, itself included."""
    n_audios = np.cumsum(prompt.ids == config.audio_id)
    n_slots = len(prompt.window_mask) // config.windows_per_audio
    if not 1 <= n_audios[-1] <= n_slots:
        raise ValueError(
            f"the text has {n_audios[-1]} places for audio: expected 1 to {n_slots}, one per slot"
        )
    return n_audios


def _log_sums(logits: Numbers) -> NDArray[np.float64]:
    """Return the logarithm of the sum of each row's exponentials, shape ``(n,)``."""
    highest = logits.max(axis=1, keepdims=True)
    sums = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
    return np.asarray(highest[:, 0] + np.log(sums))
