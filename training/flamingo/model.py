"""A Flamingo to be trained from scratch: its sizes, and weights that begin by looking things up.

Gates are open, since there is no pretrained decoder to protect. Attention begins where it
would have to get to: what mimetic initialisation (Trockman and Kolter, arXiv 2305.09828)
does for single layers is done here for the induction circuit (Olsson et al., "In-context
Learning and Induction Heads", arXiv 2209.11895), with evidence as a second key. The hidden
space is split into four:

* *words*: what a token is,
* *places*: where it stands, as random Fourier features,
* *sounds*: its latest audio, which the first gated block writes: some axes of the vector, and all
  channels of evidence (``model/small/evidence.py``),
* *before*: what the token before it is, which one head of the first layer writes.

In the second layer a position looks for positions that come after the token that it is itself,
those first whose audio has most evidence, and copies their word: what was answered about the
recording, or the label, for which most speaks. A perceptron that was fitted to evidence alone is
the beginning of the first feed-forward (``perceptron.py``). So an untrained network answers a
little better than the rule of label means. All of it is plain weights, which training changes
like any others; the other layers, and what is said about sounds without any exemplar, are up to
training alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from training.flamingo.perceptron import TEMPERATURE, Perceptron

from earful.model.flamingo import Flamingo, FlamingoConfig, GatedCrossLayer
from earful.model.small import CHANNEL_GAINS, N_CHANNELS, VECTOR_LENGTH

_LINEAR_STD = 0.02
_OUTPUT_STD = 0.0
"""Of what writes to the hidden state, so that at first nothing drowns what is written there. At
0.002 one answer in ten differed from the rule's."""
_OPEN = 1.0
"""Gates are its tanh."""
_WORD_LENGTH = 1.0
_PLACE_LENGTH = 1.0
_SOUND_LENGTH = 1.2
_EVIDENCE_LENGTH = 0.3
"""Of a channel that is 1."""
_BEFORE_LENGTH = 1.0
_COPY_LENGTH = 4.0
_SHARP_PLACE = 20.0
_SHARP_WORD = 30.0
"""Attention's scores where places and words agree wholly. With 18, three quarters of the attention
lay on tokens that are no answer."""
_SHARP_EVIDENCE = 1.5
"""What a unit of the perceptron's score is in attention's."""
_WEIGHED_LENGTH = 0.1
"""Of a unit of what the perceptron adds."""
_WEIGHED_CHANNEL = 6
"""Where it is written: the channel that says which audio is the query's, which no label's is."""
_EVIDENCE_KEY = 2.0


class _Spaces(NamedTuple):
    """Orthonormal columns, each ``(hidden_dim, own width)``."""

    words: Tensor
    before: Tensor
    places: Tensor
    sounds: Tensor


def sizes(vocab_size: int, *, dim: int, hidden_dim: int = 256, n_layers: int = 3) -> FlamingoConfig:
    """Return the sizes of the small Flamingo, for vectors of ``dim`` numbers."""
    audio_dim = dim + N_CHANNELS
    return FlamingoConfig(
        audio_dim=audio_dim,
        # The audio transformer is its norm and its places: with a layer, names were found later.
        audio_layers=0,
        audio_heads=4,
        audio_ffn_dim=audio_dim,
        windows_per_audio=4,
        hidden_dim=hidden_dim,
        n_layers=n_layers,
        # Few and wide: a head compares sounds and words by one product.
        n_heads=2,
        ffn_dim=2 * hidden_dim,
        max_positions=1024,
        vocab_size=vocab_size,
        latest_audio_layers=n_layers - 1,
        cross_heads=2,
        cross_head_dim=9 * hidden_dim // 64,
        audio_id=vocab_size - 3,
        end_of_chunk_id=vocab_size - 2,
        separator_id=vocab_size - 1,
    )


def read_axes(config: FlamingoConfig, halves: tuple[int, ...]) -> list[int]:
    """Return which of the audio features' axes are read at first: some of each half, all channels.

    Args:
        config: Sizes.
        halves: Lengths of the vector's halves.
    """
    n_read = config.cross_heads * config.cross_head_dim - N_CHANNELS
    starts = [sum(halves[:number]) for number in range(len(halves))]
    share = n_read // len(halves)
    read = [
        axis
        for start, length in zip(starts, halves, strict=True)
        for axis in range(start, start + min(share, length))
    ]
    return [*read, *range(config.audio_dim - N_CHANNELS, config.audio_dim)]


def initialise(
    model: Flamingo,
    generator: torch.Generator,
    halves: tuple[int, ...],
    perceptron: Perceptron | None = None,
) -> None:
    """Set all weights; see the module.

    Args:
        model: Of any weights.
        generator: Decides.
        halves: Lengths of the vector's halves.
        perceptron: Weighs evidence; without one its channels are added up.
    """
    config = model.config
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear):
                writes = name.endswith((".out", "feed_forward.2", "feed_forward.3"))
                std = _OUTPUT_STD if writes else _LINEAR_STD
                module.weight.normal_(std=std, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
        basis = _basis(config.hidden_dim, generator)
        inner = config.cross_heads * config.cross_head_dim
        n_places = 2 * (3 * config.hidden_dim // 32)
        n_words = (config.hidden_dim - 1 - inner - n_places) // 2
        sizes_of = [n_words, n_words, n_places, inner]
        spaces = _Spaces(*torch.split(basis[:, : sum(sizes_of)], sizes_of, dim=1))
        words = model.decoder.embed_tokens.weight
        # Of equal length: the norm before attention would scale evidence by what a name is called.
        drawn = functional.normalize(torch.randn(len(words), n_words, generator=generator), dim=1)
        words.copy_(_WORD_LENGTH * drawn @ spaces.words.T)
        _write_sounds(model, spaces, read_axes(config, halves))
        if perceptron is not None:
            _weigh(model, spaces, perceptron)
        length = math.hypot(_WORD_LENGTH, _PLACE_LENGTH, _SOUND_LENGTH)
        _look_before(model, spaces, math.sqrt(config.hidden_dim) / length, generator)
        length = math.hypot(length, _BEFORE_LENGTH)
        usual = 0.0 if perceptron is None else perceptron.usual
        scale = math.sqrt(config.hidden_dim) / length
        _look_up(model.decoder.layers[1], spaces, scale, usual, generator)


def _write_sounds(model: Flamingo, spaces: _Spaces, axes: Sequence[int]) -> None:
    """Let the first gated block write some axes of the latest audio into their space."""
    config = model.config
    inner = spaces.sounds.shape[1]
    for block in model.decoder.cross_layers.values():
        block = cast(GatedCrossLayer, block)
        block.attn_gate.fill_(_OPEN)
        block.ff_gate.fill_(_OPEN)
    first = cast(GatedCrossLayer, next(iter(model.decoder.cross_layers.values())))
    n_sounds = len(axes) - N_CHANNELS
    values = first.attention.kv.weight[inner:]
    values.zero_()
    for place, axis in enumerate(axes[:n_sounds]):
        values[place, axis] = 1.0
    for place, axis in enumerate(axes[n_sounds:]):
        values[inner - N_CHANNELS + place, axis] = 1.0
    # Behind the audio norm an axis of the vector has a variance of about 1; a channel is as much
    # longer as the vector is shorter than the root of its size.
    gains = torch.full((inner,), _SOUND_LENGTH / math.sqrt(n_sounds))
    gains[inner - N_CHANNELS :] = _EVIDENCE_LENGTH * VECTOR_LENGTH / math.sqrt(config.audio_dim)
    first.attention.out.weight.copy_(spaces.sounds * gains / math.tanh(_OPEN))


def _weigh(model: Flamingo, spaces: _Spaces, perceptron: Perceptron) -> None:
    """Let the first gated block's feed-forward weigh a label's evidence as a perceptron does."""
    config = model.config
    first = cast(GatedCrossLayer, next(iter(model.decoder.cross_layers.values())))
    channels = spaces.sounds[:, -N_CHANNELS:]
    # A label's slot has a word, a place and four channels that are 1.
    scale = math.sqrt(config.hidden_dim)
    scale /= math.hypot(_WORD_LENGTH, _PLACE_LENGTH, 2 * _EVIDENCE_LENGTH)
    n = len(perceptron.outer)
    inner = cast(nn.Linear, first.feed_forward[1]).weight
    outer = cast(nn.Linear, first.feed_forward[3]).weight
    inner[:n].copy_(perceptron.inner @ channels.T / (scale * _EVIDENCE_LENGTH))
    added = _WEIGHED_LENGTH / math.tanh(_OPEN) * perceptron.outer
    outer[:, :n].copy_(channels[:, _WEIGHED_CHANNEL, None] * added)


def _look_before(
    model: Flamingo, spaces: _Spaces, scale: float, generator: torch.Generator
) -> None:
    """Let the first layer's first head look one token back and write down what stood there.

    Places are Fourier features, so one step back is a rotation of them.
    """
    config = model.config
    head_dim = config.hidden_dim // config.n_heads
    n = spaces.places.shape[1] // 2
    frequencies = math.pi * torch.rand(n, generator=generator)
    n_places = model.decoder.embed_positions.num_embeddings
    angles = torch.arange(n_places)[:, None] * frequencies
    waves = torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(n)
    model.decoder.embed_positions.weight.copy_(_PLACE_LENGTH * waves @ spaces.places.T)
    rows = torch.arange(n)
    back = torch.zeros(2 * n, 2 * n)
    back[rows, rows] = back[rows + n, rows + n] = frequencies.cos()
    back[rows, rows + n] = frequencies.sin()
    back[rows + n, rows] = -frequencies.sin()
    layer = model.decoder.layers[0]
    gain = _gain(_SHARP_PLACE, head_dim, scale * _PLACE_LENGTH)
    for name, turn in (("q", back), ("k", torch.eye(2 * n))):
        weight = _project(layer, name)
        weight[:head_dim].zero_()
        weight[: 2 * n].copy_(gain * turn @ spaces.places.T)
    _carry(layer, 0, head_dim, spaces.words, spaces.before, _BEFORE_LENGTH / scale)


def _look_up(
    layer: nn.Module, spaces: _Spaces, scale: float, usual: float, generator: torch.Generator
) -> None:
    """Let each head look for evidence after a like word, and copy the word found there.

    A usual score is taken off, by the channel that is always 1: the norm before attention scales
    evidence a little more in one slot than in another, the more the farther it is from 0.
    """
    heads = cast(int, layer.get_submodule("self_attention").n_heads)
    head_dim = _project(layer, "q").shape[0] // heads
    n_words = spaces.words.shape[1]
    n_shared = min(n_words, head_dim - 1)
    for_word = _gain(_SHARP_WORD, head_dim, scale * _WORD_LENGTH) * math.sqrt(n_words / n_shared)
    channels = spaces.sounds[:, -N_CHANNELS:]
    evidence = channels[:, : len(CHANNEL_GAINS)] @ torch.tensor(CHANNEL_GAINS)
    evidence /= TEMPERATURE * _EVIDENCE_LENGTH
    evidence += channels[:, _WEIGHED_CHANNEL] / _WEIGHED_LENGTH
    evidence -= usual / _EVIDENCE_LENGTH * channels[:, -1]
    evidence *= _EVIDENCE_KEY * _SHARP_EVIDENCE / scale
    for head in range(heads):
        narrowed = _orthogonal(n_words, generator)[:n_shared]
        first = head * head_dim
        for name, words in (("q", spaces.words), ("k", spaces.before)):
            weight = _project(layer, name)[first : first + head_dim]
            weight.zero_()
            weight[1 : 1 + n_shared].copy_(for_word * narrowed @ words.T)
        # Whoever looks, looks for evidence: a query that is always there.
        _project(layer, "k")[first].copy_(evidence)
        query = cast(nn.Linear, layer.get_submodule("self_attention.q"))
        query.bias[first] = math.sqrt(head_dim) / _EVIDENCE_KEY
        share = _COPY_LENGTH / scale / heads
        _carry(layer, head, head_dim, spaces.words, spaces.words, share)


def _carry(
    layer: nn.Module, head: int, head_dim: int, source: Tensor, target: Tensor, gain: float
) -> None:
    """Let a head's values be what stands in one space, and write them into another."""
    rows = slice(head * head_dim, head * head_dim + source.shape[1])
    own = slice(head * head_dim, (head + 1) * head_dim)
    values, out = _project(layer, "v"), _project(layer, "out")
    values[own].zero_()
    values[rows].copy_(math.sqrt(gain) * source.T)
    out[:, own].zero_()
    out[:, rows].copy_(math.sqrt(gain) * target)


def _gain(score: float, head_dim: int, length: float) -> float:
    """Return the gain of queries and of keys that gives this score to equal vectors."""
    return math.sqrt(score * math.sqrt(head_dim)) / length


def _basis(width: int, generator: torch.Generator) -> Tensor:
    """Return orthonormal columns without a mean, one fewer than ``width``.

    A norm takes off the mean of what it reads: what has one would leak into all spaces.
    """
    drawn = torch.randn(width, width, generator=generator)
    drawn[:, 0] = 1.0
    found: Tensor = torch.linalg.qr(drawn)[0][:, 1:]
    return found


def _orthogonal(width: int, generator: torch.Generator) -> Tensor:
    found: Tensor = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    return found


def _project(layer: nn.Module, name: str) -> Tensor:
    return cast(nn.Linear, layer.get_submodule(f"self_attention.{name}")).weight
