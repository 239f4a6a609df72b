"""Does few-shot help here? Every way to answer, over the same labelled recordings.

::

    few = FewShot.open("sounds.index", model="earful-tiny")
    told = evaluate(few, load_task("urban.toml"))
    print(told.verdict.text)

The items are rows of the index, asked about in turn, each kept apart from its own
recording and group; or the rows of one split, answered by the others; or a labelled corpus
outside the index. Before anything is asked, exemplars that give items away are looked for
(``leakage.py``).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from earful.errors import EvaluationError
from earful.index.corpus import Corpus
from earful.model import GenerationOptions, LanguageModel
from earful.rag.evaluation.arms import arms_of
from earful.rag.evaluation.items import Item, items_of_corpus, items_of_index
from earful.rag.evaluation.leakage import (
    NEAR_DUPLICATE,
    ON_LEAKS,
    Leak,
    OnLeaks,
    find_leaks,
    keep_apart,
    refuse_leaks,
)
from earful.rag.evaluation.run_file import RunFile, read_run
from earful.rag.evaluation.runner import Asker, Row, embedding_seconds
from earful.rag.evaluation.scorecard import Scorecard
from earful.rag.evaluation.verdict import ENOUGH_GROUPS
from earful.rag.few_shot import FewShot
from earful.rag.retrieval import Pool, Retriever
from earful.rag.task import Label, Protocol, Shots, Task, load_task
from earful.wording import counted, unknown_name

Progress = Callable[[int, int], None]

_N_TIMED = 8
_PACKAGES = ("numpy", "torch", "scikit-learn", "soundfile", "soxr", "lancedb")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What an evaluation does.

    Attributes:
        shots: Numbers of shots; 0 asks the language model without any.
        seeds: Arms that draw are asked once for each seed from 0 up to this.
        strategies: How shots are retrieved; none for the task's way.
        arms: Ways to answer that are wanted; none for all. See ``arms.HOWS``.
        split: Rows of the index that are asked about, answered by the others; empty for
            the task's, and where that is empty for all in turn.
        limit: Items at most, drawn with the labels taking turns; ``None`` for all.
        leaks: What to do about exemplars that give items away.
        near_duplicate: Cosine similarity from which two recordings count as the same.
        max_new_tokens: Longest written answer.
        confidence: Of the intervals.
        resamples: For the bootstrap.

    Raises:
        EvaluationError: A field is outside its range.
    """

    shots: tuple[int, ...] = (0, 1, 2, 4, 8)
    seeds: int = 3
    strategies: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    split: str = ""
    limit: int | None = None
    leaks: OnLeaks = "refuse"
    near_duplicate: float = NEAR_DUPLICATE
    max_new_tokens: int = 128
    confidence: float = 0.95
    resamples: int = 2000

    def __post_init__(self) -> None:
        if self.leaks not in ON_LEAKS:
            raise EvaluationError(unknown_name("leaks", self.leaks, ON_LEAKS))
        for name, found, least in (
            ("seeds", self.seeds, 1),
            ("limit", self.limit or 1, 1),
            ("resamples", self.resamples, 100),
        ):
            if found < least:
                raise EvaluationError(f"{name}={found}; want {least} or more")
        if self.limit == 0:
            raise EvaluationError("limit=0; want 1 or more, or none")
        if not 0.5 <= self.confidence < 1.0:
            raise EvaluationError(f"confidence={self.confidence}; want 0.5 or more and below 1")
        if not 0.0 < self.near_duplicate <= 1.0:
            raise EvaluationError(
                f"near_duplicate={self.near_duplicate}; want more than 0 and at most 1"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        for name in ("shots", "strategies", "arms"):
            values[name] = list(values[name])
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what ``to_dict`` wrote."""
        plain = dict(values)
        for name in ("shots", "strategies", "arms"):
            plain[name] = tuple(plain[name])
        return cls(**plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What came out.

    Attributes:
        document: All that was asked and answered, as plain JSON values; see ``runfile.py``.
        scorecard: The numbers, computed from it.
        n_asked: Items that were asked about now; the others were there from an earlier,
            interrupted run.
    """

    document: dict[str, Any]
    scorecard: Scorecard
    n_asked: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return self.scorecard.to_dict()


def evaluate(
    few: FewShot,
    task: Task,
    *,
    settings: EvaluationSettings = EvaluationSettings(),
    corpus: Corpus | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every arm about every item, and compare them.

    Args:
        few: Index, embedder and language model.
        task: What is asked.
        settings: What to do.
        corpus: Items from outside the index; ``None`` for rows of the index.
        out: File that the run is kept in; a run that was interrupted goes on.
        progress: Called after each item with how many are done, of how many.

    Raises:
        EvaluationError: There is nothing to ask or nobody to answer, or ``out`` holds
            another run.
        LeakageError: Exemplars give items away.
        TaskError: No row answers the task, or a row's label is none of its labels.
        CorpusError: A row of the corpus is broken.
        AudioError: A recording cannot be read.
    """
    settings = replace(settings, split=settings.split or task.protocol.split)
    if corpus is not None and settings.split:
        raise EvaluationError(
            f"split {settings.split!r} chooses rows of the index, and the items come from "
            f"{corpus.source}; give one of the two"
        )
    return _Run(few, task, settings, corpus).run(out, progress)


def replay(path: Path) -> Evaluation:
    """Compute every number of a finished run again from its rows; nobody is asked.

    Raises:
        EvaluationError: It is missing, damaged, or no run.
    """
    document = read_run(path)
    return Evaluation(document=document, scorecard=Scorecard(document), n_asked=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAgain:
    """A run beside the same run asked again.

    Attributes:
        n_rows: Answers compared.
        different: ``"ITEM, ARM: was A, is B"`` for each answer or prompt that changed.
        changed: What of the run's header is no longer the same, such as ``"versions"``.
    """

    n_rows: int
    different: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether every answer and every prompt is the same."""
        return not self.different

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "different": list(self.different),
            "changed": list(self.changed),
        }

    def describe(self) -> str:
        """Return what people read, a line a difference."""
        told = f"{self.n_rows - len(self.different)} of {self.n_rows} answers are the same"
        if self.changed:
            told += f"; changed since: {', '.join(self.changed)}"
        return "\n".join([told, *self.different])


def ask_again(
    few: FewShot, path: Path, *, allow_outside: bool = False, progress: Progress | None = None
) -> AskedAgain:
    """Run an evaluation again as its file says, and compare every answer and prompt.

    Args:
        few: The same index, embedder and language model.
        path: A finished run.
        allow_outside: As for ``load_task``.
        progress: As for ``evaluate``.

    Raises:
        EvaluationError: It is no run, or its items came from outside the index.
    """
    old = read_run(path)
    if old["source"]["corpus"]:
        raise EvaluationError(
            f"{path}: its items came from {old['source']['corpus']}; run it again with --data"
        )
    settings = EvaluationSettings.from_dict(old["settings"])
    task = recorded_task(old, allow_outside=allow_outside)
    new = evaluate(few, task, settings=settings, progress=progress).document
    rows = {(row["item"], row["arm"], row["seed"]): row for row in new["rows"]}
    different: list[str] = []
    for row in old["rows"]:
        again = rows.get((row["item"], row["arm"], row["seed"]))
        name = f"{row['item']}, {row['arm']}"
        if again is None:
            different.append(f"{name}: was not asked again")
        elif (again["text"], again["labels"]) != (row["text"], row["labels"]):
            different.append(f"{name}: was {row['text']!r}, is {again['text']!r}")
        elif again["digest"] != row["digest"]:
            different.append(f"{name}: was asked by another prompt")
    compared = ("task", "arms", "labels", "embedder", "exemplars", "model", "versions", "items")
    return AskedAgain(
        n_rows=len(old["rows"]),
        different=tuple(different),
        changed=tuple(name for name in compared if old[name] != new[name]),
    )


def recorded_task(document: dict[str, Any], *, allow_outside: bool = False) -> Task:
    """Read the task of a run anew, from its file; one made in Python from the run itself.

    Args:
        document: The run.
        allow_outside: As for ``load_task``.

    Raises:
        TaskError: Its file is gone or has mistakes.
        EvaluationError: It was made in Python with examples of its own.
    """
    if source := document["source"]["task"]:
        return load_task(Path(source), allow_outside=allow_outside)
    told = document["task"]
    if told["examples"]:
        raise EvaluationError(
            f"task {told['name']!r} was made in Python with examples of its own; evaluate it there"
        )
    return Task(
        name=told["name"],
        kind=told["kind"],
        aliases=tuple(told["aliases"]),
        question=told["question"],
        description=told["description"],
        labels={
            name: Label(wording=label["wording"], aliases=tuple(label["aliases"]))
            for name, label in told["labels"].items()
        },
        shots=Shots(**told["shots"]),
        **told["answer"],
        metric=told["metric"],
        protocol=Protocol(**{**told["evaluation"], "subset": tuple(told["evaluation"]["subset"])}),
    )


class _Run:
    """One evaluation: who is asked about what."""

    def __init__(
        self, few: FewShot, task: Task, settings: EvaluationSettings, corpus: Corpus | None
    ) -> None:
        index = few.index_or_none
        self._model = few.model
        self._task = task
        self._settings = settings
        self._corpus = corpus
        self._held_out = corpus is not None or bool(settings.split)
        if corpus is None and index is None:
            raise EvaluationError("nothing to ask about; give an index or a labelled corpus")
        split = settings.split
        self._retriever = Retriever(
            embedder=few.embedder,
            index=index,
            shows=(lambda exemplar: exemplar.split != split) if split else None,
        )
        if corpus is not None:
            self._items = items_of_corpus(task, corpus, few.embedder)
        else:
            assert index is not None  # seen above
            if split and all(row.split == split for row in index.vectors().exemplars):
                raise EvaluationError(
                    f"every row of the index is of split {split!r}, so nothing is left to answer; "
                    "add rows of another split"
                )
            self._items = items_of_index(task, index.vectors(), split=split, name=str(index.path))
        self._items = self._items.limited(settings.limit, seed=0)
        most = None if few.model is None else max(few.model.capabilities.max_audios - 1, 0)
        self._arms, notes = arms_of(
            task,
            shots=settings.shots,
            strategies=settings.strategies,
            only=settings.arms,
            has_model=few.model is not None,
            most=most,
        )
        self._notes = [*self._items.notes, *notes]
        self._asker = Asker(
            self._retriever,
            few.model,
            task,
            self._arms,
            seeds=range(settings.seeds),
            options=GenerationOptions(max_new_tokens=settings.max_new_tokens),
        )

    def run(self, out: Path | None, progress: Progress | None) -> Evaluation:
        pool = self._asker.prepared.pool
        if not len(pool) and any(not arm.by_model or arm.k for arm in self._arms):
            raise EvaluationError(
                f"task {self._task.name!r}: no exemplar can answer; want rows with its labels, or "
                "examples in the task file"
            )
        self._notes += _unanswerable(self._items.items, pool, self._task)
        n_groups = len({item.group for item in self._items.items})
        if n_groups < ENOUGH_GROUPS:
            self._notes.append(
                f"the items come from {counted(n_groups, 'group')} only: intervals and tests "
                "are rough"
            )
        items, leaks = self._guarded(pool)
        header = self._header(items, pool)
        if out is None:
            return self._answered(items, leaks, header, None, progress)
        with RunFile(out, header) as file:
            return self._answered(items, leaks, header, file, progress)

    def _answered(
        self,
        items: Sequence[Item],
        leaks: Sequence[Leak],
        header: dict[str, Any],
        file: RunFile | None,
        progress: Progress | None,
    ) -> Evaluation:
        """Ask about what has no answer yet, and put everything together."""
        answers = {} if file is None else dict(file.done)
        waiting = [item for item in items if item.id not in answers]
        self._notes += self._asker.fit_probe(items, held_out=self._held_out)
        for item in waiting:
            answers[item.id] = tuple(self._asker.ask(item))
            if file is not None:
                file.append(item.id, answers[item.id])
            if progress is not None:
                progress(len(answers), len(items))
        timed = [item.query for item in items[:_N_TIMED]]
        document = {
            **header,
            "notes": list(self._notes),
            "leaks": [leak.to_dict() for leak in leaks],
            "source": {
                "task": str(self._task.source.resolve()) if self._task.source else "",
                "corpus": str(self._corpus.source) if self._corpus else "",
            },
            "embedding_s": round(embedding_seconds(self._retriever, timed), 6),
            "machine": {"platform": platform.platform(), "processor": platform.machine()},
            "shown": _shown(
                self._asker.prepared.pool,
                {shot for rows in answers.values() for shot in _shots(rows)},
            ),
            "rows": [row.to_dict() for item in items for row in answers[item.id]],
        }
        if file is not None and not file.is_finished:
            file.finish(document)
        return Evaluation(document=document, scorecard=Scorecard(document), n_asked=len(waiting))

    def _guarded(self, pool: Pool) -> tuple[tuple[Item, ...], tuple[Leak, ...]]:
        items = self._items.items
        leaks = find_leaks(
            items, pool, threshold=self._settings.near_duplicate, held_out=self._held_out
        )
        if self._settings.leaks == "refuse":
            refuse_leaks(leaks)
        elif leaks and self._settings.leaks == "exclude":
            n = len({leak.item for leak in leaks})
            self._notes.append(
                f"{counted(len(leaks), 'pair was', 'pairs were')} kept apart: "
                f"{counted(n, 'item is', 'items are')} given away"
            )
            items = keep_apart(items, leaks, pool)
        elif leaks:
            n = len({leak.item for leak in leaks})
            self._notes.append(
                f"{counted(n, 'item')} given away by exemplars and asked about all the same; the "
                "numbers flatter"
            )
        return items, leaks

    def _header(self, items: Sequence[Item], pool: Pool) -> dict[str, Any]:
        """Return all that decides the answers."""
        embedder = self._retriever.embedder
        return {
            "task": self._task.to_dict(),
            "settings": self._settings.to_dict(),
            "arms": [arm.to_dict() | {"is_default": arm.is_default} for arm in self._arms],
            "labels": list(pool.labels),
            "embedder": embedder.fingerprint.to_dict() if embedder else None,
            "exemplars": {"n": len(pool), "digest": pool.digest},
            "model": None if self._model is None else _told(self._model),
            "versions": {
                "earful": metadata.version("earful"),
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _PACKAGES},
            },
            "items": [item.to_dict() for item in items],
        }


def _shown(pool: Pool, ids: set[str]) -> list[dict[str, Any]]:
    """Return where the exemplars that answers name can be heard."""
    return [
        {
            "id": exemplar.id,
            "audio": str(path),
            "start_s": exemplar.start_s,
            "end_s": exemplar.end_s,
            "references": list(exemplar.labels) or [exemplar.answer],
        }
        for exemplar, path in zip(pool.exemplars, pool.paths, strict=True)
        if exemplar.id in ids
    ]


def _shots(rows: Sequence[Row]) -> list[str]:
    return [shot for row in rows for shot in row.shots]


def _told(model: LanguageModel) -> dict[str, Any]:
    return dict(model.capabilities.to_dict())


def _unanswerable(items: Sequence[Item], pool: Pool, task: Task) -> list[str]:
    if not task.has_labels:
        return []
    known = {pool.labels[label] for own in pool.row_labels for label in own}
    lost = sorted({label for item in items for label in item.labels} - known)
    if not lost:
        return []
    n = sum(not known.issuperset(item.labels) for item in items)
    shown = ", ".join(map(repr, lost[:10])) + (" and others" if len(lost) > 10 else "")
    have = counted(n, "item has", "items have")
    return [f"{have} a label without any exemplar, which shots cannot show: {shown}"]
