"""``FewShot``: an index, an embedder and a task become answers with their evidence."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError, PromptError, TaskError, UnknownNameError
from earful.index.search import Backend, Hit, SearchFilter
from earful.index.store import Index
from earful.model.audio import Clip, load_audio, resample
from earful.model.prompt import ClipRef, Prompt
from earful.model.protocols import Embedder, TextEmbedder
from earful.model.registry import DEFAULT_EMBEDDER, list_embedders, load_embedder
from earful.rag.answer import Answer, LabelScore
from earful.rag.desk import TaskDesk
from earful.rag.pool import Guard, Pool, Rows, Similarities
from earful.rag.prompt import build_prompt
from earful.rag.retrieve import arrange, choose_shots
from earful.rag.score import Calibration, label_prior, vote
from earful.rag.task import Task, load_task, unknown_name

Audio = str | os.PathLike[str] | Clip

MODEL_NAME = "neighbour-vote"

_MORE_LIKELY_THAN_NOT = 0.5


class FewShot:
    """Answers about recordings from the nearest solved examples.

    What depends on the task only (its examples' vectors, its pool, its calibration) is
    worked out once and kept; a task given by name or path is read once.

    Attributes:
        embedder: What turns recordings into vectors.
    """

    def __init__(self, *, embedder: Embedder, index: Index | None = None) -> None:
        if index is not None:
            index.require(embedder.fingerprint)
        self.embedder = embedder
        self._index = index
        self._desk = TaskDesk(embedder=embedder, index=index)

    @classmethod
    def open(
        cls,
        index: str | os.PathLike[str] | Index,
        *,
        embedder: str | Embedder | None = None,
        device: str = "auto",
    ) -> Self:
        """Open an index together with the embedder that made it.

        Args:
            index: Index folder, or one opened already.
            embedder: Name or embedder to use instead of the one the index names; for
                example a folder that has moved.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

        Raises:
            IndexFolderError: The folder is missing, damaged, or made by another embedder.
            ModelError: The embedder cannot be loaded.
        """
        opened = index if isinstance(index, Index) else Index.open(index)
        stored = opened.info.fingerprint
        if embedder is None or isinstance(embedder, str):
            embedder = load_embedder(
                embedder or stored.name, revision=stored.revision, device=device, dtype=stored.dtype
            )
        return cls(embedder=embedder, index=opened)

    @classmethod
    def from_task(
        cls,
        task: Task | str | Path,
        *,
        embedder: str | Embedder = DEFAULT_EMBEDDER,
        device: str = "auto",
    ) -> Self:
        """Work without an index, from a task's own examples.

        Raises:
            TaskError: The task brings no examples, or has mistakes.
            ModelError: The embedder cannot be loaded.
        """
        loaded = task if isinstance(task, Task) else load_task(task)
        if not loaded.examples:
            raise TaskError(
                f"task {loaded.name!r} brings no examples; add some to its file, or give an index"
            )
        if isinstance(embedder, str):
            embedder = load_embedder(embedder, device=device)
        return cls(embedder=embedder)

    @property
    def index(self) -> Index:
        """The index it was opened with.

        Raises:
            ValueError: It was made from a task.
        """
        if self._index is None:
            raise ValueError("there is no index: this FewShot was made from a task")
        return self._index

    def classify(
        self,
        audio: Audio,
        *,
        task: Task | str | Path | None = None,
        labels: Sequence[str] | None = None,
        shots: int | None = None,
        strategy: str | None = None,
        seed: int = 0,
        group: str = "",
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> Answer:
        """Name the sound in a recording, by the vote of its nearest exemplars.

        Args:
            audio: A file or a clip.
            task: A task, its file or its built-in name; ``None`` for plain classification
                among ``labels``.
            labels: Candidates; ``None`` for the task's, or without a task all of the index.
            shots: How many exemplars; ``None`` for the task's number.
            strategy: How they are chosen; ``None`` for the task's way.
            seed: For every random choice.
            group: The recording's group; exemplars of it are never shown.
            start_s: Where the stretch begins in a file, in seconds.
            end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.

        Raises:
            AudioError: The recording cannot be read.
            TaskError: The task has mistakes or is of kind ``ask`` or ``caption``, or a
                label has no exemplar.
            PromptError: Every exemplar is from the query's own recording or group.
        """
        watch = _Stopwatch()
        chosen = self._desk.task(task, shots=shots, strategy=strategy)
        if not chosen.has_labels:
            raise TaskError(
                f"task {chosen.name!r} is of kind {chosen.kind!r}, which takes a language model; "
                "classify answers classify and multilabel"
            )
        query = self._embed_query(audio, start_s, end_s, group, watch)
        with watch.stage("retrieve_s"):
            prepared = self._desk.prepare(chosen, labels)
            found = self._retrieve(prepared.pool, chosen, query, seed)
            prompt = build_prompt(
                chosen,
                arrange(found.hits, chosen.shots.order, seed=seed),
                query.reference,
                labels=prepared.pool.labels,
            )
        with watch.stage("score_s"):
            calibration, note = self._desk.calibration(prepared, chosen.shots, seed)
            scores = _scores(prepared.pool, chosen, found, calibration)
        text, confidence = _verdict(chosen, scores)
        return Answer(
            audio=query.name,
            text=text,
            confidence=confidence,
            abstained=confidence < chosen.abstain_below,
            scores=scores,
            evidence=found.hits,
            model=MODEL_NAME,
            timings=MappingProxyType(watch.spent_s),
            prompt_digest=prompt.digest,
            notes=_notes(prepared.pool, chosen, found, note),
            prompt=prompt,
        )

    def prompt_for(
        self,
        audio: Audio,
        *,
        task: Task | str | Path | None = None,
        question: str = "",
        labels: Sequence[str] | None = None,
        shots: int | None = None,
        strategy: str | None = None,
        seed: int = 0,
        group: str = "",
    ) -> Prompt:
        """Build the interleaved prompt about a recording, for a task of any kind.

        Args:
            audio: As for ``classify``.
            task: As for ``classify``.
            question: Asked instead of the task's question.
            labels: As for ``classify``.
            shots: As for ``classify``.
            strategy: As for ``classify``.
            seed: As for ``classify``.
            group: As for ``classify``.

        Raises:
            AudioError: The recording cannot be read.
            TaskError: The task has mistakes, or no exemplar answers it.
            PromptError: There is no question, or every exemplar is from the query's own
                recording or group.
        """
        chosen = self._desk.task(task, shots=shots, strategy=strategy)
        query = self._embed_query(audio, 0.0, None, group, _Stopwatch())
        pool = self._desk.prepare(chosen, labels).pool
        found = self._retrieve(pool, chosen, query, seed)
        return build_prompt(
            chosen,
            arrange(found.hits, chosen.shots.order, seed=seed),
            query.reference,
            labels=pool.labels,
            question=question,
        )

    def search(
        self,
        audio: Audio | None = None,
        *,
        text: str | None = None,
        k: int = 10,
        filter: SearchFilter = SearchFilter(),
        backend: str = "exact",
    ) -> list[Hit]:
        """Find the exemplars of the index nearest to a recording or a sentence.

        Args:
            audio: A file or a clip; or give ``text``.
            text: A sentence, for an embedder that has text.
            k: How many hits at most.
            filter: Which rows may be found.
            backend: ``"exact"``, or ``"faiss"`` for the same through FAISS.

        Raises:
            AudioError: The recording cannot be read.
            ModelError: The embedder has no text, or there is no such backend.
            FilterError: ``filter.where`` cannot be evaluated.
        """
        if (audio is None) == (text is None):
            raise ValueError("give either audio or text")
        if backend not in ("exact", "faiss"):
            raise UnknownNameError(unknown_name("backend", backend, ("exact", "faiss")))
        if text is not None:
            query = self._embed_text(text)
        else:
            query = self.embedder.embed([self._load(cast(Audio, audio), 0.0, None)])[0]
        return self.index.search(query, k=k, filter=filter, backend=cast(Backend, backend))

    # --- the query -------------------------------------------------------------------

    def _embed_query(
        self, audio: Audio, start_s: float, end_s: float | None, group: str, watch: _Stopwatch
    ) -> _Query:
        with watch.stage("decode_s"):
            clip = self._load(audio, start_s, end_s)
        with watch.stage("embed_s"):
            vector = self.embedder.embed([clip])[0]
        name = (audio.source or "clip") if isinstance(audio, Clip) else os.fspath(audio)
        source = audio.source if isinstance(audio, Clip) else os.fspath(audio)
        return _Query(
            name=name,
            vector=vector,
            reference=ClipRef(
                audio=audio if isinstance(audio, Clip) else Path(audio),
                start_s=start_s,
                end_s=end_s,
                content_sha256=clip.content_sha256,
            ),
            guard=Guard(paths=_paths(source), content=clip.content_sha256, group=group),
        )

    def _load(self, audio: Audio, start_s: float, end_s: float | None) -> Clip:
        rate = self.embedder.fingerprint.sample_rate
        if not isinstance(audio, Clip):
            return load_audio(audio, sample_rate=rate, start_s=start_s, end_s=end_s)
        if start_s or end_s is not None:
            raise ValueError("start_s and end_s are for files; a Clip is asked about as a whole")
        return resample(audio, rate)

    def _embed_text(self, text: str) -> NDArray[np.float32]:
        embedder = self.embedder
        if not isinstance(embedder, TextEmbedder):
            able = ", ".join(entry.name for entry in list_embedders() if entry.text)
            raise ModelError(
                f"embedder {embedder.fingerprint.name!r} has no text; search by audio, or build "
                f"the index with one of {able}"
            )
        if not text.strip():
            raise ValueError("the sentence to search with is empty")
        return np.asarray(embedder.embed_text([text])[0], dtype=np.float32)

    # --- the shots -------------------------------------------------------------------

    def _retrieve(self, pool: Pool, task: Task, query: _Query, seed: int) -> _Found:
        allowed = pool.allowed(query.guard)
        if not allowed.any():
            raise PromptError(
                f"{query.name}: every exemplar that could answer is from the same recording, has "
                "the same content or is of the same group; add others"
            )
        rows, similarities = choose_shots(
            pool, query.vector, shots=task.shots, allowed=allowed, seed=seed
        )
        return _Found(rows=rows, similarities=similarities, hits=pool.hits(rows, similarities))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    name: str
    vector: NDArray[np.float32]
    reference: ClipRef
    guard: Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    rows: Rows
    similarities: Similarities
    hits: tuple[Hit, ...]


class _Stopwatch:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.spent_s[name] = time.perf_counter() - start


def _paths(source: str) -> frozenset[str]:
    return frozenset({os.path.abspath(source), os.path.realpath(source)} if source else ())


def _scores(
    pool: Pool, task: Task, found: _Found, calibration: Calibration
) -> tuple[LabelScore, ...]:
    exclusive = task.kind == "classify"
    scores = vote(
        found.similarities,
        pool.memberships(found.rows),
        calibration,
        prior=label_prior(pool, exclusive=exclusive),
        exclusive=exclusive,
    )
    best_first = np.argsort(-scores, kind="stable")
    return tuple(
        LabelScore(label=pool.labels[position], score=float(scores[position]))
        for position in best_first
    )


def _verdict(task: Task, scores: tuple[LabelScore, ...]) -> tuple[str, float]:
    if task.kind == "classify":
        return scores[0].label, scores[0].score
    likely = [score.label for score in scores if score.score > _MORE_LIKELY_THAN_NOT]
    least_certain = min(max(score.score, 1.0 - score.score) for score in scores)
    return ", ".join(likely) or "none", least_certain


def _notes(pool: Pool, task: Task, found: _Found, note: str) -> tuple[str, ...]:
    notes: list[str] = []
    if pool.missing:
        notes.append(f"no exemplar has the label {', '.join(map(repr, pool.missing))}")
    if len(found.rows) < task.shots.k:
        notes.append(f"only {len(found.rows)} of {task.shots.k} shots could be found")
    return (*notes, note) if note else tuple(notes)
