"""Rehearsals: a corpus read and decoded as a build would, with nothing embedded or written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from earful.index.corpus import Corpus, CorpusRow, Rejection
from earful.index.distributed import Shard
from earful.index.intake import (
    BuildOptions,
    Decoded,
    DoubtCounter,
    DoubtfulAudio,
    Inspected,
    Rejected,
    RowDecoder,
    Unchanged,
    in_order,
)
from earful.model.audio import hearing_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Rehearsal: what a build would find in the audio of a corpus.

    Attributes:
        rejected: Rows that it would reject, in the corpus's order; only what shows in a vector
            was not looked for.
        doubtful: Rows of which an encoder hears little, by what is wrong.
        total_s: Length of all usable segments, in seconds.
        shortest_s: The shortest of them, in seconds; 0 when there is none.
        longest_s: The longest of them, in seconds; 0 when there is none.
        n: Rows that were read.
    """

    rejected: tuple[Rejection, ...]
    doubtful: tuple[DoubtfulAudio, ...]
    total_s: float
    shortest_s: float
    longest_s: float
    n: int


def rehearse_build(
    corpus: Corpus,
    *,
    sample_rate: int,
    listener: object = None,
    options: BuildOptions = BuildOptions(),
    shard: Shard | None = None,
    progress: Callable[[int], None] | None = None,
) -> Rehearsal:
    """Read and decode every row of a corpus as a build does, and embed none.

    Args:
        corpus: The corpus.
        sample_rate: Sample rate of the embedder, in Hz.
        listener: The embedder, where it is at hand; see ``hearing_faults``.
        options: Options of the build.
        shard: The part of the corpus that would be built; ``None`` for all.
        progress: Called with the number of rows done.

    Raises:
        CorpusError: A table or a row of it is broken.
    """
    decoder = RowDecoder(corpus, {}, sample_rate=sample_rate, limits=options.limits)
    lengths: list[float] = []
    rejected: list[Rejection] = []
    doubts = DoubtCounter()

    def decode(numbered: tuple[int, CorpusRow]) -> tuple[CorpusRow, Decoded | Unchanged | Rejected]:
        outcome = decoder.inspect(numbered)
        return numbered[1], decoder.decode(outcome) if isinstance(outcome, Inspected) else outcome

    n_threads = options.n_threads
    n = 0
    with ThreadPoolExecutor(n_threads, thread_name_prefix="earful-decode") as pool:
        rows = enumerate(corpus) if shard is None else shard.rows(corpus)
        for row, outcome in in_order(pool, decode, rows, n_most=2 * n_threads):
            n += 1
            if isinstance(outcome, Rejected):
                rejected.append(outcome.rejection)
            elif isinstance(outcome, Decoded):
                lengths.append(outcome.clip.duration_s)
                faults = hearing_faults(outcome.clip, listener)
                doubts.add(row.exemplar, outcome.inspected.audio_key, faults)
            if progress is not None:
                progress(n)
    return Rehearsal(
        rejected=tuple(rejected),
        doubtful=doubts.doubtful,
        total_s=sum(lengths),
        shortest_s=min(lengths, default=0.0),
        longest_s=max(lengths, default=0.0),
        n=n,
    )
