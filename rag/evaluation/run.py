"""Evaluation runs: every arm asked about the same labelled recordings.

::

    few = FewShot.open("sounds.index", model="earful-small")
    found = evaluate(few, load_task("urban.toml"))
    print(found.verdict.text)

The items are rows of the index, asked about in turn, each kept apart from its own
recording and group; or the rows of one split, answered by the others; or a labelled corpus
outside the index. First of all, exemplars that give items away are looked for
(``leakage.py``).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earful.errors import EvaluationError, TaskError
from earful.html import notebook_html
from earful.index.corpus import Corpus, stretch_fields
from earful.model import GenerationOptions, LanguageModel
from earful.model.chat import ChecksHearing, ReportsRequests
from earful.rag.evaluation.arms import Arm, ArmRunner, arms_of, embedding_seconds
from earful.rag.evaluation.items import Item, ItemSet, items_of_corpus, items_of_index
from earful.rag.evaluation.leakage import Leak, find_leaks, keep_apart, refuse_leaks
from earful.rag.evaluation.metrics import require_caption_tools
from earful.rag.evaluation.run_file import RunFile, read_run
from earful.rag.evaluation.scores import ENOUGH_GROUPS, Scorecard, Verdict
from earful.rag.evaluation.settings import EvaluationSettings
from earful.rag.few_shot import FewShot
from earful.rag.montage import choose_shot_mode
from earful.rag.retrieval import Candidates, Retriever
from earful.rag.task import Task
from earful.values import data_frame, repr_of
from earful.wording import counted, unknown_name

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]

_N_TIMED = 8
_PACKAGES = ("numpy", "onnxruntime", "scikit-learn", "soundfile", "soxr", "lancedb")
# Which compute the answers of other models, where they are installed.
_EXTRAS = ("torch",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A finished run with its scores.

    >>> import earful
    >>> few = earful.FewShot.open("sounds.index")
    >>> settings = earful.EvaluationSettings(shots=(1, 3), leaks="allow", resamples=100)
    >>> found = earful.evaluate(few, earful.load_task("urban.toml"), settings=settings)
    >>> found.best.name, found.accuracy(), round(found.accuracy("majority"), 2)
    ('vote@1', 1.0, 0.33)
    >>> found.verdict.text[:22]
    'use the neighbour vote'
    >>> [score.arm.name for score in found.scorecard.arms]
    ['vote@1', 'vote@3', 'probe', 'majority']

    Attributes:
        document: Every question and answer, as plain JSON values; see ``run_file.py``.
        scorecard: The scores, computed from the document.
        n_asked: Items that were asked about now; the others are from an earlier,
            interrupted run.
    """

    document: dict[str, Any] = field(hash=False)
    scorecard: Scorecard = field(compare=False)
    n_asked: int

    def __repr__(self) -> str:
        return repr_of(self, scorecard=self.scorecard)

    _repr_html_ = notebook_html("evaluation.html")

    @property
    def verdict(self) -> Verdict:
        """Whether retrieval helps, in one sentence, and which arm to use."""
        return self.scorecard.verdict

    @property
    def best(self) -> Arm:
        """The arm to use: the cheapest that is not shown to be worse than the best value's."""
        return self.verdict.arm

    def accuracy(self, arm: Arm | str | None = None) -> float:
        """Return the share of items that an arm answers right, in [0, 1].

        Args:
            arm: An arm or its name; ``None`` for ``best``.

        Raises:
            EvaluationError: There is no such arm, or the task's metrics have no accuracy.
        """
        name = arm if isinstance(arm, str) else (arm or self.best).name
        scores = {score.arm.name: score.metrics for score in self.scorecard.arms}
        if name not in scores:
            raise EvaluationError(unknown_name("arm", name, tuple(scores)))
        if "accuracy" not in scores[name]:
            raise EvaluationError(
                f"no accuracy: expected one of {', '.join(scores[name])}; see scorecard.arms"
            )
        return scores[name]["accuracy"].value

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with a row an answer: an arm and a seed about an item.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        truth = {item["id"]: item["labels"] or item["references"] for item in self.scorecard.items}
        rows = [{**row, "truth": truth[row["item"]]} for row in self.document["rows"]]
        return data_frame(rows, ["item", "truth", *(x for x in rows[0] if x != "item")])

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
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
    """Ask every arm about every item, and compare the arms.

    Args:
        few: Index, embedder and language model.
        task: The task that arms answer.
        settings: Arms, items, seeds, leaks and intervals.
        corpus: Items from outside the index; ``None`` for rows of the index.
        out: File of the run; an interrupted run is resumed.
        progress: Called after each item with how many are done, of how many.

    Raises:
        EvaluationError: There is nothing to ask about or nothing to answer with, or ``out``
            holds another run.
        LeakageError: Exemplars give items away.
        TaskError: No row answers the task, or a row's label is none of its labels.
        CorpusError: A row of the corpus is broken.
        AudioError: A recording cannot be read.
        MissingExtraError: The task asks for captions, and the extra ``captions``, which scores
            them, is not installed.
    """
    settings = replace(settings, split=settings.split or task.protocol.split)
    if corpus is not None and settings.split:
        raise EvaluationError(
            f"split {settings.split!r} chooses rows of the index, but the items come from "
            f"{corpus.source}; give one of the two"
        )
    return _Run(few, task, settings, corpus).run(out, progress)


def load_evaluation(path: Path) -> Evaluation:
    """Load a finished run and compute its scores again; no arm is asked.

    Raises:
        EvaluationError: The file is missing, damaged, or no run.
        MissingExtraError: As for ``evaluate``, once the scores are looked at.
    """
    document = read_run(path)
    return Evaluation(document=document, scorecard=Scorecard(document), n_asked=0)


class _Run:
    """One evaluation under way: its items, arms and notes."""

    def __init__(
        self, few: FewShot, task: Task, settings: EvaluationSettings, corpus: Corpus | None
    ) -> None:
        if task.kind == "caption":
            require_caption_tools()
        split = settings.split
        self._model = few.model
        self._task = task
        self._settings = settings
        self._corpus = corpus
        self._held_out = corpus is not None or bool(split)
        # The items, and the exemplars that may answer: none of the split asked about.
        self._items = _gather_items(few, task, split, corpus).limited(settings.limit, seed=0)
        self._retriever = Retriever(
            embedder=few.embedder,
            index=few.index,
            exemplar_filter=(lambda exemplar: exemplar.split != split) if split else None,
        )
        # The arms, with as many shots as the model can take beside the query.
        most = None if few.model is None else _most_shots(few.model)
        self._arms, notes = arms_of(
            task,
            shots=settings.shots,
            strategies=settings.strategies,
            only=settings.arms,
            has_model=few.model is not None,
            most=most,
            blends=few.model is None or few.model.capabilities.logprobs,
        )
        self._notes = [*self._items.notes, *notes]
        self._runner = ArmRunner(
            self._retriever,
            few.model,
            task,
            self._arms,
            seeds=range(settings.seeds),
            options=GenerationOptions(max_new_tokens=settings.max_new_tokens),
        )

    def run(self, out: Path | None, progress: Progress | None) -> Evaluation:
        # Check that exemplars can answer, and note what makes the numbers rough.
        candidates = self._runner.prepared.candidates
        if not len(candidates) and any(not arm.by_model or arm.k for arm in self._arms):
            raise EvaluationError(
                f"task {self._task.name!r}: no exemplar can answer: expected rows with its labels, "
                "or examples in the task file"
            )
        self._notes += _unanswerable(self._items.items, candidates, self._task)
        n_groups = len({item.group for item in self._items.items})
        if n_groups < ENOUGH_GROUPS:
            self._notes.append(
                f"the items come from {counted(n_groups, 'group')} only: intervals and tests "
                "are rough"
            )
        # Check that they do not give the items away.
        items, leaks = self._check_leaks(candidates)
        # Ask every arm, into a file if there is to be one.
        header = self._header(items, candidates)
        if out is None:
            return self._ask(items, leaks, header, None, progress)
        with RunFile(out, header) as file:
            return self._ask(items, leaks, header, file, progress)

    def _ask(
        self,
        items: Sequence[Item],
        leaks: Sequence[Leak],
        header: dict[str, Any],
        file: RunFile | None,
        progress: Progress | None,
    ) -> Evaluation:
        """Ask about the items without answers, and make the document of the run."""
        answers = {} if file is None else dict(file.done)
        waiting = [item for item in items if item.id not in answers]
        self._notes += self._runner.fit_probe(items, held_out=self._held_out)
        for start in range(0, len(waiting), self._runner.n_at_once):
            asked = self._runner.ask(waiting[start : start + self._runner.n_at_once])
            for item, answers[item.id] in asked:
                if file is not None:
                    file.append(item.id, answers[item.id])
                if progress is not None:
                    progress(len(answers), len(items))
        if isinstance(self._model, ReportsRequests):
            self._notes.append(_requests_note(self._model))
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
                self._runner.prepared.candidates,
                {shot for rows in answers.values() for row in rows for shot in row.shots},
            ),
            "rows": [row.to_dict() for item in items for row in answers[item.id]],
        }
        if file is not None and not file.is_finished:
            file.finish(document)
        return Evaluation(document=document, scorecard=Scorecard(document), n_asked=len(waiting))

    def _check_leaks(self, candidates: Candidates) -> tuple[tuple[Item, ...], tuple[Leak, ...]]:
        """Find leaks, and refuse, exclude or allow them as the settings say."""
        items = self._items.items
        searched = find_leaks(
            items, candidates, threshold=self._settings.near_duplicate, held_out=self._held_out
        )
        leaks = searched.leaks
        if searched.unheard:
            self._notes.append(
                f"{counted(len(searched.unheard), 'recording')} could not be compared with what "
                "sounds alike, so near-duplicates among them are not known; the first: "
                f"{searched.unheard[0]}"
            )
        if self._settings.leaks == "refuse":
            refuse_leaks(leaks)
        elif leaks and self._settings.leaks == "exclude":
            n = len({leak.item for leak in leaks})
            self._notes.append(
                f"{counted(len(leaks), 'pair was', 'pairs were')} kept apart: "
                f"{counted(n, 'item is', 'items are')} given away"
            )
            items = keep_apart(items, leaks, candidates)
        elif leaks:
            n = len({leak.item for leak in leaks})
            self._notes.append(
                f"{counted(n, 'item')} given away by exemplars and asked about all the same; the "
                "numbers flatter"
            )
        return items, leaks

    def _header(self, items: Sequence[Item], candidates: Candidates) -> dict[str, Any]:
        """Return everything that decides the answers."""
        embedder = self._retriever.embedder
        return {
            "task": self._task.to_dict(),
            "settings": self._settings.to_dict(),
            "arms": [arm.to_dict() | {"is_default": arm.is_default} for arm in self._arms],
            "labels": list(candidates.labels),
            "embedder": embedder.fingerprint.to_dict() if embedder else None,
            "exemplars": {"n": len(candidates), "digest": candidates.digest},
            "model": None if self._model is None else dict(self._model.capabilities.to_dict()),
            "versions": {
                "earful": metadata.version("earful"),
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _PACKAGES},
                **{name: metadata.version(name) for name in _EXTRAS if find_spec(name)},
            },
            "items": [item.to_dict() for item in items],
        }


def _most_shots(model: LanguageModel) -> int | None:
    """Return how many shots a model hears at most; ``None`` where one recording holds them all."""
    if isinstance(model, ChecksHearing):
        model.check_hearing()
    if choose_shot_mode(None, model.capabilities) != "interleaved":
        return None
    return max(model.capabilities.max_audios - 1, 0)


def _requests_note(model: ReportsRequests) -> str:
    """Return what was asked of an endpoint in this session, and what it cost."""
    total = model.total
    note = (
        f"the endpoint was sent {counted(total.n_posts, 'request')} now, {total.n_kept} were "
        f"answered by kept replies; {counted(total.prompt_tokens, 'token')} read, "
        f"{total.completion_tokens} written"
    )
    if total.n_uncounted:
        note += f", without {counted(total.n_uncounted, 'reply', 'replies')} that counts none"
    return note if total.cost is None else f"{note}, at a cost of {total.cost:.4f}"


def _gather_items(few: FewShot, task: Task, split: str, corpus: Corpus | None) -> ItemSet:
    """Return the items of a corpus, or else of the index."""
    if corpus is not None:
        return items_of_corpus(task, corpus, few.embedder)
    index = few.index
    if index is None:
        raise EvaluationError("nothing to ask about; give an index or a labelled corpus")
    if split and all(row.split == split for row in index.vectors().exemplars):
        raise EvaluationError(
            f"every row of the index is of split {split!r}, so nothing is left to answer; "
            "add rows of another split"
        )
    if why := index.why_empty():
        raise TaskError(f"{index.path}: {why}")
    return items_of_index(task, index.vectors(), split=split, name=str(index.path))


def _shown(candidates: Candidates, ids: set[str]) -> list[dict[str, Any]]:
    """Return the recordings and references of the exemplars that answers name."""
    return [
        {
            "id": exemplar.id,
            "audio": str(path),
            **stretch_fields(exemplar),
            "references": list(exemplar.labels) or [exemplar.answer],
        }
        for exemplar, path in zip(candidates.exemplars, candidates.paths, strict=True)
        if exemplar.id in ids
    ]


def _unanswerable(items: Sequence[Item], candidates: Candidates, task: Task) -> list[str]:
    """Return a note about items with a label that no exemplar has."""
    if not task.has_labels:
        return []
    known = {candidates.labels[label] for own in candidates.row_labels for label in own}
    lost = sorted({label for item in items for label in item.labels} - known)
    if not lost:
        return []
    n = sum(not known.issuperset(item.labels) for item in items)
    shown = ", ".join(map(repr, lost[:10])) + (" and others" if len(lost) > 10 else "")
    have = counted(n, "item has", "items have")
    return [f"{have} a label without any exemplar, which shots cannot show: {shown}"]
