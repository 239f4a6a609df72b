"""Gathering of candidates: which exemplars of an index and of a task may answer it."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, TaskError
from earful.index.corpus import Exemplar
from earful.index.search import ClassScores, VectorSet, group_equal, labels_of_all
from earful.index.storage import to_float16
from earful.model import Embedder, embed_and_score
from earful.model.audio import Clip, load_isolated
from earful.rag.arrays import Rows
from earful.rag.retrieval.candidates import Candidates
from earful.rag.task import Example, Task
from earful.wording import counted, nearest_name

# An exemplar's id, the set it is of, its row there, and the positions of its labels.
_Found = tuple[str, VectorSet, int, tuple[int, ...]]

_AT_ONCE = 16
_MISSPELT = 0.8
"""How alike the spelling of two labels is, of 1, where one is taken for the other."""


def gather_candidates(
    task: Task,
    *,
    index: VectorSet | None,
    examples: VectorSet | None,
    labels: Sequence[str] | None = None,
    need_exemplars: bool = True,
) -> Candidates:
    """Gather the candidates of a task: its own examples and the index's rows with its labels.

    A row belongs when one of its labels is a label of the task or an alias of one; for a
    task without labels, when it has an answer. Rows of equal audio get the labels of all. A
    task's example replaces an index row of the same id. In a ``multilabel`` task, an example
    with no labels says "none of these"; what a row's ``not_labels`` deny plays no part.

    Args:
        task: What is asked.
        index: Rows of an index, if there is one.
        examples: The task's own examples, embedded, if it has any.
        labels: Candidates instead of all labels of the task.
        need_exemplars: Whether a candidate without any exemplar is an error, as it is for
            a vote; a language model knows words that no exemplar has.

    Raises:
        TaskError: A candidate is not a label of a task that declares its labels, has no
            exemplar, or stands twice; or no exemplar is left for any label; or there is
            no label to choose from.
    """
    names = _candidates(task, index, examples, labels)
    position_of = _positions(task, names)
    parts = [part for part in (examples, index) if part is not None and len(part)]
    found: list[_Found] = []
    taken: set[str] = set()
    for part in parts:
        for row, exemplar in enumerate(part.exemplars):
            positions = tuple(sorted({position_of[x] for x in exemplar.labels if x in position_of}))
            if exemplar.id not in taken and _belongs(task, exemplar, positions, part is examples):
                found.append((exemplar.id, part, row, positions))
        taken = {id_ for id_, _, _, _ in found}
    found.sort(key=lambda item: item[0])
    exemplars = [part.exemplars[row] for _, part, row, _ in found]
    row_labels = [positions for _, _, _, positions in found]
    contested: list[tuple[int, ...]] = []
    if task.has_labels:
        for group in group_equal([part.content[row] for _, part, row, _ in found]):
            together = tuple(sorted({label for n in group for label in row_labels[n]}))
            if any(row_labels[n] != together for n in group):
                contested.append(group)
                labelled = labels_of_all([exemplars[n] for n in group])
                for n in group:
                    row_labels[n] = together
                    exemplars[n] = exemplars[n].relabelled(labelled)
    candidates = Candidates(
        labels=names,
        exemplars=tuple(exemplars),
        paths=tuple(part.paths[row] for _, part, row, _ in found),
        content=tuple(part.content[row] for _, part, row, _ in found),
        durations=tuple(float(part.durations[row]) for _, part, row, _ in found),
        vectors=_vectors(parts, found),
        row_labels=tuple(row_labels),
        stored_scores=_stored_scores(parts, found),
        n_of_other_tasks=_n_of_other_tasks(task, parts),
        contested=contested,
        near_labels=_near_labels(names, row_labels, parts) if task.has_labels else {},
    )
    if need_exemplars:
        require_exemplars(
            task,
            candidates,
            silent=candidates.missing,
            index=index,
            examples=examples,
            asked_for=labels is not None,
        )
    elif task.has_labels and not names:
        raise TaskError(f"task {task.name!r} has no labels to choose from; give some")
    return candidates


def require_exemplars(
    task: Task,
    candidates: Candidates,
    *,
    silent: Sequence[str],
    index: VectorSet | None,
    examples: VectorSet | None,
    asked_for: bool,
) -> None:
    """Refuse a task that nothing can answer by a vote.

    Args:
        task: What is asked.
        candidates: From ``gather_candidates``.
        silent: Labels for which neither an exemplar nor their name speaks.
        index: As for ``gather_candidates``.
        examples: As for ``gather_candidates``.
        asked_for: Whether the labels were asked for one by one, so that something must speak
            for each.

    Raises:
        TaskError: Nothing speaks for a label, or for any.
    """
    parts = [part for part in (examples, index) if part is not None]
    if task.has_labels and silent and (asked_for or not len(candidates)):
        known = _known_labels(parts)
        shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
        near = difflib.get_close_matches(silent[0], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TaskError(
            f"no exemplar has the label {', '.join(map(repr, silent))}.{hint} There "
            f"are: {shown or 'none'}. Add examples to a task file, or recordings to the index"
        )
    if not len(candidates) and not (task.has_labels and candidates.labels):
        wanted = "labelled" if task.has_labels else "answered"
        others = candidates.n_of_other_tasks
        hint = f" ({other_tasks(others)})" if others else ""
        raise TaskError(
            f"task {task.name!r}: there are no {wanted} exemplars{hint}; add examples to the task "
            "file, or recordings to the index"
        )


def other_tasks(n_of_other_tasks: Mapping[str, int]) -> str:
    """Describe the other tasks that exemplars with answers belong to, and how to use them here.

    >>> other_tasks({"genre classification": 3})
    "3 have an answer to another task, 'genre classification'; `aliases` of a task file take it in"
    """
    names = ", ".join(map(repr, n_of_other_tasks))
    n = sum(n_of_other_tasks.values())
    have = counted(n, "has", "have")
    what, it = ("another task", "it") if len(n_of_other_tasks) == 1 else ("other tasks", "them")
    return f"{have} an answer to {what}, {names}; `aliases` of a task file take {it} in"


def _n_of_other_tasks(task: Task, parts: Sequence[VectorSet]) -> dict[str, int]:
    if task.has_labels:
        return {}
    names = (e.task for part in parts for e in part.exemplars if e.answer)
    return dict(sorted(Counter(name for name in names if not task.is_named(name)).items()))


def _near_labels(
    names: Sequence[str], row_labels: Sequence[tuple[int, ...]], parts: Sequence[VectorSet]
) -> dict[str, str]:
    """Map labels without an exemplar to one of other exemplars that is spelt nearly alike."""
    shown = {names[position] for positions in row_labels for position in positions}
    if not (missing := [name for name in names if name not in shown]):
        return {}
    known = {label.lower(): label for label in _known_labels(parts) if label not in shown}
    near = {}
    for name in missing:
        found = nearest_name(name.lower(), list(known))
        if difflib.SequenceMatcher(None, name.lower(), found).ratio() >= _MISSPELT:
            near[name] = known[found]
    return near


def _known_labels(parts: Sequence[VectorSet]) -> list[str]:
    return sorted({label for part in parts for e in part.exemplars for label in e.labels})


def _candidates(
    task: Task,
    index: VectorSet | None,
    examples: VectorSet | None,
    labels: Sequence[str] | None,
) -> tuple[str, ...]:
    if not task.has_labels:
        return ()
    if labels is None:
        if task.labels:
            return tuple(task.labels)
        source = examples or index
        return tuple(sorted({x for e in source.exemplars for x in e.labels})) if source else ()
    names = tuple(unicodedata.normalize("NFC", label) for label in labels)
    for position, name in enumerate(names):
        if name in names[:position]:
            raise TaskError(f"label {name!r} is given twice: expected each label once")
        if task.labels and name not in task.labels:
            raise TaskError(
                f"label {name!r} is none of task {task.name!r}; it has {', '.join(task.labels)}"
            )
    if not names:
        raise TaskError("no labels to choose from; give at least one, or none for all")
    return names


def _positions(task: Task, names: Sequence[str]) -> dict[str, int]:
    """Map every name and alias to its label's position."""
    position_of: dict[str, int] = {}
    for position, name in enumerate(names):
        label = task.labels.get(name)
        for text in (name, *(label.aliases if label else ())):
            position_of[unicodedata.normalize("NFC", text)] = position
    return position_of


def _belongs(task: Task, exemplar: Exemplar, positions: tuple[int, ...], own: bool) -> bool:
    if task.has_labels:
        says_none = not (exemplar.labels or exemplar.not_labels)
        return bool(positions) or (own and task.kind == "multilabel" and says_none)
    return bool(exemplar.answer) and task.is_named(exemplar.task)


def _vectors(parts: Sequence[VectorSet], found: Sequence[_Found]) -> NDArray[np.float32]:
    vectors = np.empty((len(found), parts[0].vectors.shape[1] if parts else 0), dtype=np.float32)
    for part, at, rows in _shares(parts, found):
        if len(rows) == len(found) == len(part):
            # All rows of one set, in the same order: a large index is not copied.
            return part.vectors
        vectors[at] = part.vectors[rows]
    return vectors


def _stored_scores(parts: Sequence[VectorSet], found: Sequence[_Found]) -> ClassScores | None:
    known = [(part.stored_scores, at, rows) for part, at, rows in _shares(parts, found)]
    shares = [(scores, at, rows) for scores, at, rows in known if scores is not None]
    if not shares or len(shares) < len(known):
        return None
    if len(shares) == 1:
        scores, _, rows = shares[0]
        return scores.subset(rows)
    return ClassScores.gathered(len(found), shares)


def _shares(
    parts: Sequence[VectorSet], found: Sequence[_Found]
) -> Iterator[tuple[VectorSet, Rows, Rows]]:
    """Yield each set that gives rows, with their places among all and their own numbers."""
    for part in parts:
        mine = [(at, row) for at, (_, owner, row, _) in enumerate(found) if owner is part]
        if mine:
            at, rows = np.array(mine, dtype=np.intp).T
            yield part, at, rows


# --- a task's own examples --------------------------------------------------------------------


def embed_examples(examples: Sequence[Example], embedder: Embedder) -> VectorSet:
    """Decode and embed a task's examples, with class scores where the embedder gives them.

    Args:
        examples: At least one.
        embedder: The one whose vectors the queries have.

    Raises:
        TaskError: An example's audio cannot be read; the message says where the example
            stands and why.
    """
    content: list[str] = []
    durations: list[float] = []
    vectors, scores = [], []
    for start in range(0, len(examples), _AT_ONCE):
        some = examples[start : start + _AT_ONCE]
        clips = [_example_clip(example, embedder) for example in some]
        content += [clip.content_sha256 for clip in clips]
        durations += [clip.duration_s for clip in clips]
        rows, logits = embed_and_score(embedder, clips)
        vectors.append(rows)
        if logits is not None:
            scores.append(to_float16(logits))
    return VectorSet(
        exemplars=[example.exemplar for example in examples],
        paths=[example.path for example in examples],
        content=content,
        vectors=np.concatenate(vectors),
        durations=durations,
        stored_scores=ClassScores.of(np.concatenate(scores)) if scores else None,
    )


def _example_clip(example: Example, embedder: Embedder) -> Clip:
    exemplar = example.exemplar
    try:
        return load_isolated(
            example.path,
            sample_rate=embedder.fingerprint.sample_rate,
            start_s=exemplar.start_s,
            end_s=exemplar.end_s,
        )
    except AudioError as error:
        raise TaskError(f"{example.where}: {error}") from error
