"""Where shots come from: an index and a task's own examples, searched with a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError, TaskError, UnknownNameError
from earful.index import Index
from earful.index.search import Hit, IndexBackend, SearchFilter
from earful.model import Embedder, TextEmbedder, list_embedders
from earful.rag.arrays import Scores
from earful.rag.retrieval.desk import Prepared, Shows, TaskDesk
from earful.rag.retrieval.query import Audio, Query, Stopwatch, read_clip, read_query
from earful.rag.retrieval.shots import ShotSet, find_shots, vote_of
from earful.rag.task import Shots, Task
from earful.wording import unknown_name


class Retriever:
    """Reads queries, finds their shots and lets them vote.

    Args:
        embedder: What turns recordings into vectors; ``None`` when nothing is retrieved.
        index: Exemplars besides a task's own.
        shows: Which exemplars of the index may become shots; all when ``None``.

    Raises:
        IndexMismatchError: The index was made by another embedder.
    """

    def __init__(
        self, *, embedder: Embedder | None, index: Index | None, shows: Shows | None = None
    ) -> None:
        if index is not None and embedder is not None:
            index.require(embedder.fingerprint)
        self.embedder = embedder
        self.index = index
        self._desk = TaskDesk(embedder=embedder, index=index, shows=shows)

    def task(
        self,
        source: Task | str | Path | None,
        *,
        shots: int | None,
        strategy: str | None,
        most: int | None = None,
    ) -> Task:
        """Return a task with its shots changed as asked; see ``TaskDesk.task``.

        Args:
            source: The task, its file or its name.
            shots: How many; ``None`` for the task's number.
            strategy: How they are chosen; ``None`` for the task's way.
            most: How many can be shown. More are cut off with a note when they are asked
                for; the default, which nobody asked for, is lowered to this number.
        """
        found = self._desk.task(source, shots=shots or None, strategy=strategy)
        if shots is None and most is not None and most < found.shots.k == Shots().k:
            return self._desk.task(source, shots=most, strategy=strategy)
        return found

    def prepare(self, task: Task) -> Prepared:
        """Return what may answer a task, whether or not every label has an exemplar.

        Raises:
            TaskError: See ``build_pool``.
        """
        return self._desk.prepare(task, None, need_exemplars=False)

    def read(
        self, audio: Audio, start_s: float, end_s: float | None, group: str, watch: Stopwatch
    ) -> Query:
        """Decode and embed a recording; see ``read_query``."""
        return read_query(
            audio, embedder=self.embedder, start_s=start_s, end_s=end_s, group=group, watch=watch
        )

    def find(
        self,
        task: Task,
        query: Query,
        labels: Sequence[str] | None,
        *,
        shots: int | None,
        need_exemplars: bool,
        seed: int,
    ) -> ShotSet:
        """Choose a query's shots.

        Args:
            task: What is asked, and how shots are chosen.
            query: From ``read``.
            labels: Candidates instead of the task's.
            shots: How many were asked for; 0 for none.
            need_exemplars: Whether there is no answer without an exemplar of every label.
            seed: For random choices.

        Raises:
            TaskError: No exemplar answers the task, or shots are asked for where there
                are none to find.
            PromptError: Every exemplar is from the query's own recording or group.
        """
        alone = shots == 0 or self.embedder is None
        if alone and need_exemplars:
            raise TaskError("0 shots leave nothing to vote; want 1 or more, or a language model")
        if alone and shots:
            raise TaskError(f"{shots} shots are asked for, but there is no index to find them in")
        prepared = self._desk.prepare(task, labels, need_exemplars=need_exemplars)
        if alone:
            return ShotSet.none(task, prepared.pool.labels)
        if not len(prepared.pool):
            note = "no exemplar has an answer to this, so none is shown"
            return ShotSet.none(task, prepared.pool.labels, note)
        return find_shots(prepared, task, query, seed=seed)

    def vote(self, shots: ShotSet, *, seed: int) -> tuple[Scores, str]:
        """Let shots vote; see ``vote_of``."""
        return vote_of(self._desk, shots, seed=seed)

    def search(
        self,
        audio: Audio | None,
        *,
        text: str | None,
        k: int,
        filter: SearchFilter,
        backend: str,
    ) -> list[Hit]:
        """Find the exemplars of the index nearest to a recording or a sentence.

        Raises:
            ValueError: There is no index, or not one of the two.
        """
        if self.index is None or self.embedder is None:
            raise ValueError("there is no index to search")
        if (audio is None) == (text is None):
            raise ValueError("give either audio or text")
        if backend not in get_args(IndexBackend):
            raise UnknownNameError(unknown_name("backend", backend, get_args(IndexBackend)))
        if text is not None:
            query = _embed_text(self.embedder, text)
        else:
            rate = self.embedder.fingerprint.sample_rate
            query = self.embedder.embed([read_clip(cast(Audio, audio), rate, 0.0, None)])[0]
        return self.index.search(query, k=k, filter=filter, backend=cast(IndexBackend, backend))


def _embed_text(embedder: Embedder, text: str) -> NDArray[np.float32]:
    if not isinstance(embedder, TextEmbedder):
        able = ", ".join(entry.name for entry in list_embedders() if entry.text)
        raise ModelError(
            f"embedder {embedder.fingerprint.name!r} has no text; search by audio, or build "
            f"the index with one of {able}"
        )
    if not text.strip():
        raise ValueError("the sentence to search with is empty")
    return np.asarray(embedder.embed_text([text])[0], dtype=np.float32)
