"""Items of an evaluation: recordings whose answers are known.

They are rows of an index, each asked about as if it were new (its shots never hold itself, its
recording or its group), or rows of a corpus outside the index. Several rows about one
segment and one question, such as five captions of a clip, are one item with as many
references; rows of equal audio are one item with the labels of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earful.errors import AudioError, TaskError
from earful.index.corpus import Corpus, CorpusRow, Exemplar
from earful.index.search import VectorSet, group_equal, labels_of_all
from earful.model import ClipRef, Embedder, embed_and_score
from earful.model.audio import Clip, load_isolated
from earful.rag.evaluation.metrics import normalise, select_subset
from earful.rag.retrieval import Exclusions, Query
from earful.rag.task import Task
from earful.wording import counted, unknown_name

_EMBEDDED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A recording with its right answers.

    Attributes:
        id: Id of its first row.
        query: The recording, its vector and its exclusions.
        labels: The right labels, in the task's own names.
        references: The right answers, as its rows give them; labels included.
        question: The question of its rows; empty for the task's question.
        group: Recording, site or speaker; items of one group are not independent. The
            recording's path when the corpus has no groups.
        origin: Where the recording first came from, such as ``freesound:123``; empty when
            unknown.
    """

    id: str
    query: Query
    labels: tuple[str, ...]
    references: tuple[str, ...]
    question: str
    group: str
    origin: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return its plain JSON values in a run's file."""
        reference = self.query.reference
        return {
            "id": self.id,
            "audio": self.query.name,
            "start_s": reference.start_s,
            "end_s": reference.end_s,
            "content_sha256": reference.content_sha256,
            "labels": list(self.labels),
            "references": list(self.references),
            "question": self.question,
            "group": self.group,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSet:
    """The items of an evaluation, with notes about rows that were left out.

    Attributes:
        items: Items, sorted by id.
        notes: Lines about rows that could not be asked about.
    """

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    def limited(self, n: int | None, *, seed: int) -> ItemSet:
        """Draw ``n`` items, the labels taking turns; return all when there are no more."""
        if n is None or n >= len(self.items):
            return self
        random = np.random.default_rng(seed)
        queues: dict[tuple[str, ...], list[Item]] = {}
        for position in random.permutation(len(self.items)).tolist():
            item = self.items[position]
            queues.setdefault(item.labels[:1], []).append(item)
        drawn: list[Item] = []
        names = sorted(queues)
        while len(drawn) < n:
            for name in names:
                if queues[name] and len(drawn) < n:
                    drawn.append(queues[name].pop())
        note = f"{n} of {len(self.items)} items were drawn, the labels taking turns"
        drawn.sort(key=lambda item: item.id)
        return ItemSet(items=tuple(drawn), notes=(*self.notes, note))


def items_of_index(
    task: Task, index: VectorSet, *, split: str = "", name: str = "the index"
) -> ItemSet:
    """Make items of an index's rows.

    Args:
        task: The task; rows that do not answer it are not items.
        index: The rows with their vectors.
        split: Only rows of this split; empty for all.
        name: Name of the index in errors.

    Raises:
        TaskError: There is no such split, or no row answers the task.
    """
    splits = sorted({exemplar.split for exemplar in index.exemplars} - {""})
    if split and split not in splits:
        if splits:
            fault = f"{unknown_name('split', split, splits)}. Ask about one of those"
        else:
            fault = (
                f"no row has split {split!r}, as no row has any; build the index from a table with "
                "a split column"
            )
        raise TaskError(f"{name}: {fault}, or leave the split out to ask about every row in turn")
    # Whoever asks about a file has its class scores, too.
    scores = index.class_scores
    rows = [
        _Row(
            exemplar=exemplar,
            query=Query(
                name=str(path),
                vector=vector,
                reference=ClipRef(
                    audio=path,
                    start_s=exemplar.start_s,
                    end_s=exemplar.end_s,
                    content_sha256=content,
                    is_exemplar=True,
                    duration_s=float(index.durations[row]),
                ),
                exclusions=Exclusions(
                    paths=frozenset({str(path)}), content=content, group=exemplar.group
                ),
                class_scores=None if scores is None else scores[row].astype(np.float32),
            ),
        )
        for row, (exemplar, path, content, vector) in enumerate(
            zip(index.exemplars, index.paths, index.content, index.vectors, strict=True)
        )
        if not split or exemplar.split == split
    ]
    return _to_items(task, rows, where=f"split {split!r}" if split else "the index")


def items_of_corpus(task: Task, corpus: Corpus, embedder: Embedder) -> ItemSet:
    """Make items of a corpus outside the index, reading and embedding its recordings.

    Raises:
        CorpusError: A row is broken.
        AudioError: A recording cannot be read; the message begins with its row.
        TaskError: A row has a label that is none of the task's, or no row answers the task.
    """
    known = _names(task)
    rows: list[_Row] = []
    batch: list[CorpusRow] = []

    def embed() -> None:
        clips = [_clip(row, corpus, embedder) for row in batch]
        vectors, logits = embed_and_score(embedder, clips)
        scores = [None] * len(clips) if logits is None else logits
        for row, clip, vector, own in zip(batch, clips, vectors, scores, strict=True):
            path = corpus.path(row.exemplar).resolve()
            query = Query(
                name=str(path),
                vector=vector,
                reference=ClipRef(
                    audio=path,
                    start_s=row.exemplar.start_s,
                    end_s=row.exemplar.end_s,
                    content_sha256=clip.content_sha256,
                ),
                exclusions=Exclusions(
                    paths=frozenset({str(path)}),
                    content=clip.content_sha256,
                    group=row.exemplar.group,
                ),
                class_scores=own,
            )
            rows.append(_Row(exemplar=row.exemplar, query=query))
        batch.clear()

    for row in corpus:
        for label in row.exemplar.labels:
            if known and label not in known:
                raise TaskError(
                    f"{row.where}: label {label!r} is none of task {task.name!r}: "
                    f"{unknown_name('label', label, sorted(known))}. Declare it, or give it as an "
                    "alias of one"
                )
        batch.append(row)
        if len(batch) == _EMBEDDED_AT_ONCE:
            embed()
    if batch:
        embed()
    return _to_items(task, rows, where=str(corpus.source))


def _clip(row: CorpusRow, corpus: Corpus, embedder: Embedder) -> Clip:
    try:
        return load_isolated(
            corpus.path(row.exemplar),
            sample_rate=embedder.fingerprint.sample_rate,
            start_s=row.exemplar.start_s,
            end_s=row.exemplar.end_s,
        )
    except AudioError as error:
        raise AudioError(f"{row.where}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    exemplar: Exemplar
    query: Query


def _to_items(task: Task, rows: Iterable[_Row], *, where: str) -> ItemSet:
    """Group rows that answer a task into items, and note what was left out."""
    notes: list[str] = []
    answering = [row for row in rows if _answers(task, row.exemplar)]
    if task.has_labels:
        items, n_ambiguous, n_further = _labelled(task, answering)
        if n_ambiguous:
            notes.append(
                f"{counted(n_ambiguous, 'row carries', 'rows carry')} several of the "
                "labels, and no question is asked about those; a task of kind multilabel takes them"
            )
        if n_further:
            notes.append(
                f"{counted(n_further, 'row is', 'rows are')} of the same audio as another, and "
                "asked about with it, once"
            )
    else:
        items = _answered(answering)
        subset = task.protocol.subset
        if subset:
            kept = [item for item in items if select_subset(item.references, subset)]
            notes.append(f"{len(kept)} of {len(items)} questions are {' and '.join(subset)}")
            items = kept
    if not items:
        expected = "one of the task's labels" if task.has_labels else "an answer to the task"
        raise TaskError(
            f"task {task.name!r}: nothing in {where} can be asked about: expected rows with "
            f"{expected}"
        )
    return ItemSet(items=tuple(sorted(items, key=lambda item: item.id)), notes=tuple(notes))


def _names(task: Task) -> dict[str, str]:
    """Map the task's labels and their aliases to its labels."""
    return {text: name for name, own in task.labels.items() for text in (name, *own.aliases)}


def _answers(task: Task, exemplar: Exemplar) -> bool:
    if not task.has_labels:
        return bool(exemplar.answer) and task.is_named(exemplar.task)
    if exemplar.not_labels and not exemplar.labels:
        return False  # what is not there does not say what is
    names = _names(task)
    if names:
        return task.kind == "multilabel" or any(label in names for label in exemplar.labels)
    return bool(exemplar.labels)


def _labelled(task: Task, rows: Sequence[_Row]) -> tuple[list[Item], int, int]:
    """Make an item of each recording.

    Returns:
        The items; how many rows have several labels in the place of one; and how many further
        rows are of a recording that has an item.
    """
    names = _names(task)
    items: list[Item] = []
    n_ambiguous = n_further = 0
    for same in group_equal([row.query.exclusions.content for row in rows]):
        together = sorted((rows[n] for n in same), key=lambda row: row.exemplar.id)
        row = together[0]
        own = row.exemplar.labels if len(same) == 1 else labels_of_all(x.exemplar for x in together)
        labels = tuple(dict.fromkeys(names[x] for x in own if x in names)) if names else own
        if task.kind == "classify" and len(labels) > 1:
            n_ambiguous += len(same)
            continue
        n_further += len(same) - 1
        items.append(
            Item(
                id=row.exemplar.id,
                query=_excluding(together),
                labels=labels,
                references=labels,
                question="",
                group=_group(row),
                origin=row.exemplar.meta.get("origin", ""),
            )
        )
    return items, n_ambiguous, n_further


def _excluding(together: Sequence[_Row]) -> Query:
    """Return the first query of some rows of equal audio, with the exclusions of all."""
    query = together[0].query
    all_of = [row.query.exclusions for row in together]
    return replace(
        query,
        exclusions=replace(
            query.exclusions,
            paths=frozenset(path for own in all_of for path in own.paths),
            further_groups=frozenset(own.group for own in all_of) - {"", query.exclusions.group},
        ),
    )


def _answered(rows: Sequence[_Row]) -> list[Item]:
    """Make one item of all rows about one segment and one question."""
    together: dict[tuple[Path | str, float, float | None, str], list[_Row]] = {}
    for row in rows:
        reference = row.query.reference
        key = (row.query.name, reference.start_s, reference.end_s, normalise(row.exemplar.question))
        together.setdefault(key, []).append(row)
    return [
        Item(
            id=same[0].exemplar.id,
            query=same[0].query,
            labels=(),
            references=tuple(row.exemplar.answer for row in same),
            question=same[0].exemplar.question,
            group=_group(same[0]),
            origin=same[0].exemplar.meta.get("origin", ""),
        )
        for same in together.values()
    ]


def _group(row: _Row) -> str:
    return row.exemplar.group or row.query.name
