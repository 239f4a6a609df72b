"""Kept prefixes: keys and values of what prompts begin with, read once for all that share it.

A prompt is read in parts, cut before the recording that is asked about, behind it, and behind each
turn of a dialogue; what was read up to a cut is kept. A prompt that begins alike goes on from it.
The cuts depend on the prompt alone, so that the same parts are computed whether or not one of them
was kept: the scores are the same to the last bit, whatever was asked before.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

KEPT_BYTES: Final = 1 << 30
"""Memory for kept prefixes."""


@dataclass(slots=True, kw_only=True, eq=False)
class Reading:
    """A prompt, or its beginning, that was read.

    Attributes:
        cache: Keys and values of its tokens, of ``transformers``.
        logits: float32, shape ``(V,)``: of the token that follows.
        n_tokens: Its length.
    """

    cache: Any
    logits: Tensor
    n_tokens: int

    def forked(self) -> Reading:
        """Return a reading to go on from, which leaves this one as it is."""
        cache = copy.copy(self.cache)
        cache.layers = [_forked_layer(layer) for layer in self.cache.layers]
        return replace(self, cache=cache)


class KeptPrefixes:
    """Readings of beginnings, by what is in them; the least recently used go first.

    Args:
        most_bytes: Memory for all of them; a longer one is not kept.
    """

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[str, tuple[Reading, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    @property
    def n_bytes(self) -> int:
        """Memory that they take."""
        return sum(size for _, size in self._kept.values())

    def longest(self, keys: Sequence[str]) -> tuple[int, Reading] | None:
        """Return the last of some keys that is kept, by its place, and a reading to go on from."""
        for place in reversed(range(len(keys))):
            if (found := self._kept.get(keys[place])) is not None:
                self._kept.move_to_end(keys[place])
                return place, found[0].forked()
        return None

    def keep(self, found: Sequence[tuple[str, Reading]], *, behind: str | None = None) -> None:
        """Keep the beginnings of one prompt, shortest first: the longest of them go first.

        Args:
            found: Each with its key.
            behind: Key of what they go on from, which stays longer than they do.
        """
        for key, reading in reversed(found):
            size = held_bytes(reading.cache) + reading.logits.nbytes
            if size <= self.most_bytes:
                self._kept[key] = (reading, size)
                self._kept.move_to_end(key)
        if behind is not None and behind in self._kept:
            self._kept.move_to_end(behind)
        while self.n_bytes > self.most_bytes:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()


def cut_points(
    ids: NDArray[np.integer[Any]],
    is_audio: NDArray[np.bool_],
    n_tokens: Sequence[int],
    *,
    end_id: int,
    is_dialogue: bool,
) -> tuple[int, ...]:
    """Return where a prompt is cut, in rising order.

    Args:
        ids: Shape ``(n,)``.
        is_audio: bool, shape ``(n,)``.
        n_tokens: Tokens of each recording, in order.
        end_id: Id that ends a turn.
        is_dialogue: Whether turns follow that another prompt may begin with; then its own end is
            the last cut.

    >>> is_audio = np.array([0, 1, 1, 0, 0, 1, 1, 0, 0], dtype=bool)
    >>> cut_points(np.arange(9), is_audio, [2, 2], end_id=99, is_dialogue=False)
    (5, 7)
    """
    places = np.flatnonzero(is_audio)
    if not n_tokens or not n_tokens[-1]:
        return ()
    begin, end = int(places[-n_tokens[-1]]), int(places[-1]) + 1
    cuts = {begin} if len(n_tokens) > 1 else set()
    cuts.add(end)
    if is_dialogue:
        ends = end + np.flatnonzero(ids[end:] == end_id)
        if ends.size:
            # What is written behind a question opens the answer; the next prompt has it, too.
            opening = ids[ends[-1] :].tolist()
            size = len(opening)
            cuts |= {int(n) + size for n in ends if ids[n : n + size].tolist() == opening}
    return tuple(sorted(cut for cut in cuts if 0 < cut < ids.size or (is_dialogue and cut)))


def prefix_keys(
    ids: NDArray[np.integer[Any]],
    is_audio: NDArray[np.bool_],
    features: NDArray[np.float32],
    ends: Sequence[int],
) -> list[str]:
    """Return digests of the parts up to each of some ends: of ids, features and cuts.

    Args:
        ids: Shape ``(n,)``.
        is_audio: bool, shape ``(n,)``.
        features: float32, shape ``(n_audio_tokens, width)``.
        ends: In rising order.
    """
    digest = hashlib.sha256()
    keys: list[str] = []
    start = n_heard = 0
    for end in ends:
        n_audio = int(is_audio[start:end].sum())
        digest.update(np.array([end, n_audio], dtype=np.int64).tobytes())
        digest.update(np.ascontiguousarray(ids[start:end], dtype=np.int64).tobytes())
        digest.update(np.ascontiguousarray(features[n_heard : n_heard + n_audio]).tobytes())
        keys.append(digest.hexdigest())
        start, n_heard = end, n_heard + n_audio
    return keys


def cache_bytes(cache: Any) -> int:
    """Return the memory that keys and values take, in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(cache))


def held_bytes(cache: Any) -> int:
    """Return the memory that a cache keeps from being freed, in bytes."""
    storages = [tensor.untyped_storage() for tensor in _tensors(cache)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _tensors(cache: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for layer in cache.layers:
        for value in vars(layer).values():
            values = value.values() if isinstance(value, dict) else [value]
            found += [tensor for tensor in values if isinstance(tensor, Tensor)]
    return found


def _forked_layer(layer: Any) -> Any:
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    # These put new tensors in place of the old ones; whatever else may write into them.
    if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer):
        return copy.copy(layer)
    return copy.deepcopy(layer)
