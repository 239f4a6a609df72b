"""Marks of shards in ``index.json``: which part of a corpus an index is, or is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMark:
    """What says of an index that it is one part of a corpus.

    Attributes:
        i: Which part, from 1.
        n: How many parts there are.
        corpus: Hex digest of all rows of the corpus.
        done: Whether a build of this part has come to its end, and none has begun since.
    """

    i: int
    n: int
    corpus: str
    done: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what is in ``index.json``.

        Raises:
            KeyError: A field is missing.
            ValueError: A field is wrong.
        """
        i, n = whole_number(values, "i", least=1), whole_number(values, "n", least=1)
        corpus, done = values["corpus"], values["done"]
        if i > n or not isinstance(done, bool) or not _SHA256.fullmatch(str(corpus)):
            raise ValueError(f"shard={values!r}: expected i, n, corpus and done")
        return cls(i=i, n=n, corpus=corpus, done=done)

    def __str__(self) -> str:
        return f"{self.i}/{self.n}{'' if self.done else ', unfinished'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedShards:
    """What says of an index which parts of a corpus were merged into it, each to its end.

    Attributes:
        n: How many parts there are.
        corpus: Hex digest of all rows of the corpus.
        shards: The parts that were, from 1, in order.
    """

    n: int
    corpus: str
    shards: tuple[int, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what is in ``index.json``.

        Raises:
            KeyError: A field is missing.
            ValueError: A field is wrong.
        """
        n, corpus, shards = whole_number(values, "n", least=1), values["corpus"], values["shards"]
        are_numbers = isinstance(shards, list) and all(type(one) is int for one in shards)
        if not (are_numbers and _SHA256.fullmatch(str(corpus))):
            raise ValueError(f"merged={values!r}: expected n, corpus and shards")
        if sorted(set(shards)) != shards or not all(1 <= one <= n for one in shards):
            raise ValueError(f"shards={shards!r}: expected different ones from 1 to {n}, in order")
        return cls(n=n, corpus=corpus, shards=tuple(shards))

    def with_all_of(self, other: MergedShards | None) -> MergedShards:
        """Return it with those merged before, where these are parts of the same cut."""
        if other is None or (other.n, other.corpus) != (self.n, self.corpus):
            return self
        shards = tuple(sorted({*self.shards, *other.shards}))
        return MergedShards(n=self.n, corpus=self.corpus, shards=shards)


def whole_number(values: Mapping[str, Any], name: str, *, least: int = 0) -> int:
    """Return a number of ``index.json``.

    Raises:
        KeyError: It is missing.
        ValueError: It is none, or too low.
    """
    found = values[name]
    if type(found) is not int or found < least:
        raise ValueError(f"{name}={found!r}: expected a whole number of {least} or more")
    return found
