"""Shards: which rows of a corpus belong to part 3 of 64.

A row belongs to a shard by what it is, not by its place, so that a line inserted into the table
moves no other row. Rows of one group, or else of one audio file, stay together: their audio is
read once, and equal audio mostly meets.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from earful.errors import IndexFolderError
from earful.index.corpus import Corpus, CorpusRow, Exemplar, to_nfc
from earful.index.storage import IndexFolder, ShardMark, exemplar_digest
from earful.wording import as_argument, quoted

_MOST_SHARDS: Final = 1_000_000
_FORM: Final = re.compile(r"([0-9]{1,7})/([0-9]{1,7})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of ``n`` parts of a corpus.

    Attributes:
        i: Which one, from 1.
        n: How many there are.

    Raises:
        ValueError: They are out of range.
    """

    i: int
    n: int

    def __post_init__(self) -> None:
        if not 1 <= self.i <= self.n <= _MOST_SHARDS:
            raise ValueError(
                f"shard {self.i}/{self.n}: expected I/N with I from 1 to N and N at most "
                f"{_MOST_SHARDS:,}, such as 3/64"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"3/64"``.

        >>> Shard.parse("3/64")
        Shard(i=3, n=64)

        Raises:
            ValueError: It has another form.
        """
        if (found := _FORM.fullmatch(text.strip())) is None:
            raise ValueError(
                f"shard {quoted(text)}: expected I/N, such as 3/64 for the third of 64"
            )
        return cls(i=int(found[1]), n=int(found[2]))

    def __str__(self) -> str:
        return f"{self.i}/{self.n}"

    def holds(self, exemplar: Exemplar) -> bool:
        """Tell whether a row belongs to this shard.

        >>> row = Exemplar(id="a", audio="a.wav")
        >>> [Shard(i=i, n=3).holds(row) for i in (1, 2, 3)].count(True)
        1
        """
        return shard_of(exemplar, self.n) == self.i

    def rows(self, rows: Iterable[CorpusRow]) -> Iterator[tuple[int, CorpusRow]]:
        """Yield the rows of this shard, each with its place among all."""
        return ((n, row) for n, row in enumerate(rows) if self.holds(row.exemplar))


def shard_of(exemplar: Exemplar, n: int) -> int:
    """Return to which of ``n`` shards a row belongs, from 1; equal on every machine."""
    audio = to_nfc(exemplar.audio.as_posix())
    key = f"group\0{exemplar.group}" if exemplar.group else f"audio\0{audio}"
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % n + 1


class CorpusDigest:
    """Digest over the rows of a corpus, in their order, by which all shards know it.

    It says nothing of where the corpus lies, which may differ between machines.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, row: CorpusRow) -> None:
        """Add the next row."""
        self._digest.update(bytes.fromhex(exemplar_digest(row.exemplar)))

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return self._digest.hexdigest()


def require_shard(index: IndexFolder, corpus: Corpus, mark: ShardMark | None) -> None:
    """Accept a build of a shard into an index that is new or the same shard of the same corpus.

    Args:
        index: The index.
        corpus: The corpus.
        mark: What is to be built; ``None`` for a whole corpus.

    Raises:
        IndexFolderError: The index holds something else; nothing was written.
    """
    found = index.header.shard
    again = f"`earful index build {as_argument(corpus.source)} --index NEW.index"
    if mark is None:
        if found is not None:
            raise IndexFolderError(
                f"{index.path}: is shard {found.i}/{found.n} of a corpus; build into it with "
                f"--shard {found.i}/{found.n}, or build into the merged index of all shards. "
                "Nothing was written"
            )
        return
    wanted = f"{mark.i}/{mark.n}"
    if found is None:
        if len(index.table):
            raise IndexFolderError(
                f"{index.path}: holds rows and is no shard, expected shard {wanted} or a new "
                f"folder: {again} --shard {wanted}`. Nothing was written"
            )
        return
    if (found.i, found.n) != (mark.i, mark.n):
        raise IndexFolderError(
            f"{index.path}: is shard {found.i}/{found.n}, expected {wanted}; give the folder of "
            f"that shard, or a new one: {again} --shard {wanted}`. Nothing was written"
        )
    if found.corpus != mark.corpus:
        raise IndexFolderError(
            f"{index.path}: was begun with another table than {corpus.source} is now (digest "
            f"{found.corpus[:12]}, now {mark.corpus[:12]}). Finish and merge the shards with the "
            "table they were begun with, then build the new one into the merged index, which "
            f"embeds only what changed; or begin anew: {again} --shard {wanted}`. Nothing was "
            "written"
        )
