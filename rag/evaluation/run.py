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

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earful.errors import EvaluationError
from earful.html import notebook_html
from earful.index.corpus import Corpus
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.run_file import read_run
from earful.rag.evaluation.running import (
    NamedModel,
    Progress,
    Run,
    RunOfModels,
    RunOfOneModel,
    to_sources,
)
from earful.rag.evaluation.scores import Scorecard, Verdict
from earful.rag.evaluation.settings import EvaluationSettings
from earful.rag.few_shot import FewShot
from earful.rag.task import Task
from earful.values import data_frame, repr_of
from earful.wording import quoted, unknown_name

if TYPE_CHECKING:
    import pandas as pd


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
    task: Task | str | Path | None = None,
    *,
    settings: EvaluationSettings = EvaluationSettings(),
    models: Sequence[NamedModel] = (),
    corpus: Corpus | None = None,
    out: str | os.PathLike[str] | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every arm about every item, and compare the arms.

    Args:
        few: Index, embedder and language model.
        task: The task that arms answer, its file or its built-in name; ``None`` to choose among
            all labels of the index.
        settings: Arms, items, seeds, leaks and intervals.
        models: Language models to compare, in place of one of ``few``: names, folders, models or
            ``ModelSource``. Each is loaded when its turn comes, and let go before the next.
        corpus: Items from outside the index; ``None`` for rows of the index.
        out: File of the run; an interrupted run is resumed.
        keep: Whether answers of a model whose weights are known are kept with the index, if they
            took long, and taken from there where the same was asked before.
        progress: Called after each item with how many are done, of how many; with several models
            an item is done once for each, and once for the arms that ask none.

    Raises:
        EvaluationError: There is nothing to ask about or nothing to answer with, ``out`` holds
            another run, or ``few`` has a language model and ``models`` are given.
        ModelError: A model cannot be loaded; of several, what others answered is in ``out``.
        LeakageError: Exemplars give items away.
        TaskError: No row answers the task, or a row's label is none of its labels.
        CorpusError: A row of the corpus is broken.
        AudioError: A recording cannot be read.
        MissingExtraError: The task asks for captions, and the extra ``captions``, which scores
            them, is not installed.
        TypeError: An argument is of another type; the message says what to give.
    """
    _check_types(settings, corpus)
    task = few.retriever.task(task, shots=None, strategy=None)
    file = None if out is None else Path(out)
    settings = replace(settings, split=settings.split or task.protocol.split)
    if corpus is not None and settings.split:
        raise EvaluationError(
            f"split {settings.split!r} chooses rows of the index, but the items come from "
            f"{corpus.source}; give one of the two"
        )
    sources = to_sources(models)
    if sources and few.model is not None:
        raise EvaluationError(
            f"language model {few.model.capabilities.name!r} is given with the index, and "
            f"{len(sources)} beside it: expected one of the two; open the index without a model"
        )
    run: Run
    if len(sources) > 1:
        run = RunOfModels(few, task, settings, corpus, sources, keep=keep)
    else:
        if sources:
            few = FewShot(retriever=few.retriever, model=sources[0].load())
        run = RunOfOneModel(few, task, settings, corpus, keep=keep)
    document, n_asked = run.run(file, progress)
    return Evaluation(document=document, scorecard=Scorecard(document), n_asked=n_asked)


def _check_types(settings: object, corpus: object) -> None:
    """Check what a program is likely to give in another form."""
    if not isinstance(settings, EvaluationSettings):
        raise TypeError(
            f"settings={quoted(settings)}: expected EvaluationSettings, such as "
            "EvaluationSettings(shots=(0, 4))"
        )
    if isinstance(corpus, str | os.PathLike):
        raise TypeError(
            f"corpus={quoted(os.fspath(corpus))}: expected a corpus, such as "
            f"earful.open_corpus({os.fspath(corpus)!r})"
        )


def load_evaluation(path: str | os.PathLike[str]) -> Evaluation:
    """Load a finished run and compute its scores again; no arm is asked.

    Raises:
        EvaluationError: The file is missing, damaged, or no run.
        MissingExtraError: As for ``evaluate``, once the scores are looked at.
    """
    document = read_run(Path(path))
    return Evaluation(document=document, scorecard=Scorecard(document), n_asked=0)
