"""Features of recordings: each encoded alone and kept, an exemplar's in a cache on disk as well."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import BY_TIMES, Clip
from earful.model.hub_models.reading import HubNetwork
from earful.model.hub_models.rendering import Renderer
from earful.model.kept_features import FeatureCache
from earful.model.prompt import ClipRef

Features = NDArray[np.float32]

_IN_MEMORY_BYTES: Final = 512 << 20
_DURATIONS_IN_MEMORY: Final = 4096
_TOLERANCE_S: Final = 0.05  # how far a header may be off
_LAYOUT: Final = 1


class Hearing:
    """Features of recordings, kept as long as memory allows.

    Args:
        renderer: Makes inputs of a recording.
        network: Encodes them.
        longest_s: Seconds of a recording that are heard, from its beginning.
        maker: All that decides the features, apart from the recording.
    """

    def __init__(
        self, renderer: Renderer, network: HubNetwork, *, longest_s: float, maker: str
    ) -> None:
        self.renderer = renderer
        self.network = network
        self.longest_s = longest_s
        self._maker = hashlib.sha256(f"{_LAYOUT}:{maker}".encode()).hexdigest()[:32]
        self._cache: FeatureCache | None = None
        self._memory: OrderedDict[tuple[str, bool], Features] = OrderedDict()
        self._n_bytes = 0
        self._known_duration_s = lru_cache(_DURATIONS_IN_MEMORY)(ClipRef.length_s)

    def keep(self, cache: FeatureCache) -> None:
        """Look up exemplars' features in a cache, and store new ones there."""
        self._cache = cache
        self._memory.clear()  # features of another cache are not in this one
        self._n_bytes = 0

    def features(self, ref: ClipRef) -> Features:
        """Return a recording's features, kept ones where possible.

        Returns:
            float32, shape ``(n_tokens, width)``.

        Raises:
            AudioError: The recording cannot be read.
        """
        content = ref.known_content
        cache = self._cache if ref.is_exemplar and content else None
        # A query's features are never cached on disk, even if they are also an exemplar's.
        place = (content, cache is not None)
        if place in self._memory:
            self._memory.move_to_end(place)
            return self._memory[place]
        key = f"{self._maker}/{content}"
        found = cache.get(key) if cache is not None else None
        if found is None:
            found = self._hear(ref)
            if cache is not None:
                cache.put(key, found)
        if content:
            self._remember(place, found)
        return found

    def count(self, ref: ClipRef) -> int:
        """Return how many tokens a recording takes, from its header."""
        try:
            seconds = min(self._duration_s(ref), self.longest_s)
        except AudioError:
            seconds = self.longest_s  # reading it raises the error, unless its features are kept
        if isinstance(ref.audio, Clip) and ref.audio.sample_rate == self.renderer.sample_rate:
            longest = round(self.longest_s * self.renderer.sample_rate)
            return self.renderer.count(min(ref.audio.samples.size, longest))
        return self.renderer.count(round(seconds * self.renderer.sample_rate))

    def cut(self, ref: ClipRef, name: str) -> str:
        """Describe a recording that is longer than what is heard of it; empty when it is not."""
        try:
            found_s = self._duration_s(ref)
        except AudioError:
            return ""
        if found_s <= self.longest_s + _TOLERANCE_S:
            return ""
        heard = f"only the first {self.longest_s:g} s of {found_s:.2f} s"
        if not ref.is_exemplar:
            heard += f"; ask about another part {BY_TIMES}"
        return f"{ref}: {name} hears {heard}"

    def _duration_s(self, ref: ClipRef) -> float:
        is_known = ref.content_sha256 and not isinstance(ref.audio, Clip)
        return self._known_duration_s(ref) if is_known else ref.length_s()

    def _hear(self, ref: ClipRef) -> Features:
        with ref.naming_exemplar():
            samples = ref.read(self.renderer.sample_rate, longest_s=self.longest_s)
        return self.network.encode(self.renderer.hear(samples))

    def _remember(self, place: tuple[str, bool], found: Features) -> None:
        self._memory[place] = found
        self._n_bytes += found.nbytes
        while self._n_bytes > _IN_MEMORY_BYTES and len(self._memory) > 1:
            _, dropped = self._memory.popitem(last=False)
            self._n_bytes -= dropped.nbytes
