"""What an evaluation asks about: recordings whose answers are known.

They are rows of an index, each asked about as if it were new (it never meets itself, its
recording or its group), or rows of a corpus outside the index. Several rows about one
stretch and one question, such as five captions of a clip, are one item with as many
references.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earful.errors import AudioError, TaskError
from earful.index.corpus import Corpus, CorpusRow, Exemplar
from earful.index.search import VectorSet
from earful.model import ClipRef, Embedder
from earful.model.audio import Clip, load_isolated
from earful.rag.evaluation.metrics import normalise, select_subset
from earful.rag.retrieval import Exclusions, Query
from earful.rag.task import Task
from earful.wording import counted, unknown_name

_EMBEDDED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A recording and what is right about it.

    Attributes:
        id: Of its first row.
        query: The recording, its vector and what it must not meet.
        labels: Those that are right, in the task's own names.
        references: Answers that are right, as its rows give them; labels included.
        question: What its rows ask; empty for the task's question.
        group: Recording, site or speaker; items of one group are not independent. Its
            path when the corpus knows no groups.
        origin: Where the recording first came from, such as ``freesound:123``; empty when
            the corpus does not know.
    """

    id: str
    query: Query
    labels: tuple[str, ...]
    references: tuple[str, ...]
    question: str
    group: str
    origin: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return what a run's file says of it."""
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
    """The items of an evaluation, and what was left out.

    Attributes:
        items: In the order of their ids.
        notes: Lines about rows that could not be asked about.
    """

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    def limited(self, n: int | None, *, seed: int) -> ItemSet:
        """Draw ``n`` items, the labels taking turns; all of them when there are no more."""
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
    """Ask about rows of an index.

    Args:
        task: What is asked; rows that do not answer it are not items.
        index: The rows with their vectors.
        split: Only rows of this split; empty for all.
        name: What errors call the index.

    Raises:
        TaskError: There is no such split, or no row answers the task.
    """
    splits = sorted({exemplar.split for exemplar in index.exemplars} - {""})
    if split and split not in splits:
        if splits:
            what = f"{unknown_name('split', split, splits)}. Ask about one of those"
        else:
            what = (
                f"no row has split {split!r}, as no row has any; build the index from a table with "
                "a split column, or of a --dataset"
            )
        raise TaskError(f"{name}: {what}, or leave the split out to ask about every row in turn")
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
                ),
                exclusions=Exclusions(
                    paths=frozenset({str(path)}), content=content, group=exemplar.group
                ),
            ),
        )
        for exemplar, path, content, vector in zip(
            index.exemplars, index.paths, index.content, index.vectors, strict=True
        )
        if not split or exemplar.split == split
    ]
    return _gathered(task, rows, what=f"split {split!r}" if split else "the index")


def items_of_corpus(task: Task, corpus: Corpus, embedder: Embedder) -> ItemSet:
    """Ask about the rows of a corpus outside the index, read and embedded here.

    Raises:
        CorpusError: A row is broken.
        AudioError: A recording cannot be read; the message begins with its row.
        TaskError: A row has a label that is none of the task's, or none answers it.
    """
    known = _names(task)
    rows: list[_Row] = []
    waiting: list[CorpusRow] = []

    def embed() -> None:
        clips = [_clip(row, corpus, embedder) for row in waiting]
        for row, clip, vector in zip(waiting, clips, embedder.embed(clips), strict=True):
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
            )
            rows.append(_Row(exemplar=row.exemplar, query=query))
        waiting.clear()

    for row in corpus:
        for label in row.exemplar.labels:
            if known and label not in known:
                raise TaskError(
                    f"{row.where}: label {label!r} is none of task {task.name!r}: "
                    f"{unknown_name('label', label, sorted(known))}. Declare it, or give it as an "
                    "alias of one"
                )
        waiting.append(row)
        if len(waiting) == _EMBEDDED_AT_ONCE:
            embed()
    if waiting:
        embed()
    return _gathered(task, rows, what=str(corpus.source))


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


def _gathered(task: Task, rows: Iterable[_Row], *, what: str) -> ItemSet:
    notes: list[str] = []
    answering = [row for row in rows if _answers(task, row.exemplar)]
    if task.has_labels:
        items, n_ambiguous = _labelled(task, answering)
        if n_ambiguous:
            notes.append(
                f"{counted(n_ambiguous, 'row carries', 'rows carry')} several of the "
                "labels, and no question is asked about those; a task of kind multilabel takes them"
            )
    else:
        items = _answered(answering)
        subset = task.protocol.subset
        if subset:
            kept = [item for item in items if select_subset(item.references, subset)]
            notes.append(f"{len(kept)} of {len(items)} questions are {' and '.join(subset)}")
            items = kept
    if not items:
        wanted = "a label of the task's" if task.has_labels else "an answer to the task"
        raise TaskError(
            f"task {task.name!r}: nothing in {what} can be asked about; want rows with {wanted}"
        )
    return ItemSet(items=tuple(sorted(items, key=lambda item: item.id)), notes=tuple(notes))


def _names(task: Task) -> dict[str, str]:
    """Map the task's labels and their aliases to the labels."""
    names: dict[str, str] = {}
    for name, label in task.labels.items():
        for text in (name, *label.aliases):
            names[text] = name
    return names


def _answers(task: Task, exemplar: Exemplar) -> bool:
    if not task.has_labels:
        return bool(exemplar.answer) and task.is_named(exemplar.task)
    names = _names(task)
    if names:
        return task.kind == "multilabel" or any(label in names for label in exemplar.labels)
    return bool(exemplar.labels)


def _labelled(task: Task, rows: Sequence[_Row]) -> tuple[list[Item], int]:
    names = _names(task)
    items: list[Item] = []
    n_ambiguous = 0
    for row in rows:
        own = row.exemplar.labels
        labels = tuple(dict.fromkeys(names[x] for x in own if x in names)) if names else own
        if task.kind == "classify" and len(labels) > 1:
            n_ambiguous += 1
            continue
        items.append(
            Item(
                id=row.exemplar.id,
                query=row.query,
                labels=labels,
                references=labels,
                question="",
                group=_group(row),
                origin=row.exemplar.meta.get("origin", ""),
            )
        )
    return items, n_ambiguous


def _answered(rows: Sequence[_Row]) -> list[Item]:
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
