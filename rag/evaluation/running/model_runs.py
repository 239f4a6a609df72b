"""A run of several language models: each loaded when its turn comes, and asked about every item.

The vote and the baselines are asked once, for all. Each model has a part in the run's file, so that
of a run that was interrupted a model with all of its answers is not even loaded again.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from earful.errors import EvaluationError
from earful.index.corpus import Corpus
from earful.model import LanguageModel
from earful.model.chat import ReportsRequests
from earful.rag.evaluation.arms import BY_MODEL, Arm, ArmRunner, Prediction
from earful.rag.evaluation.items import Item
from earful.rag.evaluation.run_file import Part, RunFile, read_run
from earful.rag.evaluation.running.one_run import (
    Progress,
    Run,
    arm_values,
    checked_capabilities,
    requests_note,
)
from earful.rag.evaluation.running.sources import ModelSource
from earful.rag.evaluation.settings import EvaluationSettings
from earful.rag.few_shot import FewShot
from earful.rag.task import Task

_Answers = dict[str, tuple[Prediction, ...]]


class RunOfModels(Run):
    """A run of several language models.

    Args:
        few: Index and embedder, without a language model.
        task: As for ``Run``, like the two that follow.
        settings: Arms, items, seeds, leaks and intervals.
        corpus: Items from outside the index.
        sources: The language models.
        keep: As for ``Run``.

    Raises:
        EvaluationError: No arm asks a language model.
    """

    def __init__(
        self,
        few: FewShot,
        task: Task,
        settings: EvaluationSettings,
        corpus: Corpus | None,
        sources: Sequence[ModelSource],
        *,
        keep: bool = True,
    ) -> None:
        super().__init__(few, task, settings, corpus, keep=keep)
        self._sources = tuple(sources)
        named = settings.arms
        self._by_model = [how for how in named if how in BY_MODEL] if named else sorted(BY_MODEL)
        self._plain = tuple(how for how in named if how not in BY_MODEL)
        self._has_plain = bool(self._plain) or not named
        if not self._by_model:
            raise EvaluationError(
                f"{', '.join(named)}: no arm asks a language model, and {len(sources)} are given; "
                "leave them out, or add retrieved or zero-shot to the arms"
            )

    def run(self, out: Path | None, progress: Progress | None) -> tuple[dict[str, Any], int]:
        """Ask every arm of every model about every item; see ``Run``."""
        shared: tuple[Arm, ...] = ()
        if self._has_plain:
            # Without any number of shots but 0 there is no vote, and no baseline need be.
            shared, notes = self._arms_of(None, only=self._plain)
            self._notes += notes
        candidates = self._check_exemplars(need_exemplars=bool(shared) or any(self._settings.shots))
        items, leaks = self._check_leaks(candidates)
        header = {
            **self._header(items, candidates),
            "model": None,
            "model_names": [source.name for source in self._sources],
        }
        with nullcontext() if out is None else RunFile(out, header) as file:
            if file is not None and file.is_finished:
                return read_run(file.path), 0
            asking = _Asking(items, 1 + len(self._sources), file, progress)
            answers = [self._ask_shared(asking, shared)]
            models: list[dict[str, Any]] = []
            arms = list(map(arm_values, shared))
            for source in self._sources:
                part = self._ask_model(asking, source)
                about = part.about or {}
                arms += about["arms"]
                self._notes += about["notes"]
                models.append({"name": source.name, **about["model"], "spent": part.spent})
                answers.append(part.done)
            rows = [row for item in items for of_part in answers for row in of_part[item.id]]
            whole = {**header, "arms": arms, "models": models}
            document = self._document(whole, items, leaks, rows)
            if file is not None:
                file.finish(document)
        return document, asking.n_asked

    def _ask_shared(self, asking: _Asking, arms: tuple[Arm, ...]) -> _Answers:
        """Ask the arms that take no language model."""
        if not arms:
            asking.n_done += len(asking.items)
            return {item.id: () for item in asking.items}
        runner = self._runner_of(None, arms, counts=False)
        self._notes += runner.fit_probe(asking.items, held_out=self._held_out)
        done = {} if asking.file is None else dict(asking.file.done)
        asking.ask(runner, done)
        return done

    def _ask_model(self, asking: _Asking, source: ModelSource) -> Part:
        """Load a language model and ask it, unless all of its answers are there."""
        part = Part() if asking.file is None else asking.file.parts.get(source.name, Part())
        if part.about is not None and all(item.id in part.done for item in asking.items):
            asking.n_done += len(asking.items)
            return part
        self._load_and_ask(asking, source, part)
        # The next one may need the memory.
        _free_memory()
        return part

    def _load_and_ask(self, asking: _Asking, source: ModelSource, part: Part) -> None:
        model = source.load()
        runner, about = self._open(source, model)
        if part.about is None:
            part.about = about
            if asking.file is not None:
                asking.file.begin_part(source.name, about)
        elif dict(part.about) != about:
            raise EvaluationError(
                f"language model {source.name!r} is not the one that answered before, or runs "
                "otherwise: give another --out, or delete the run to begin anew"
            )
        asking.ask(runner, part.done, part=part, name=source.name)
        if isinstance(model, ReportsRequests):
            self._notes.append(f"{source.name}: {requests_note(model)}")

    def _open(self, source: ModelSource, model: LanguageModel) -> tuple[ArmRunner, dict[str, Any]]:
        """Return what asks a language model, and what decides its answers."""
        try:
            arms, notes = self._arms_of(checked_capabilities(model), only=self._by_model)
        except EvaluationError as error:
            raise EvaluationError(f"language model {source.name!r}: {error}") from error
        arms = tuple(replace(arm, model=source.name) for arm in arms)
        about = {
            "model": model.capabilities.to_dict(),
            "arms": list(map(arm_values, arms)),
            "notes": [f"{source.name}: {note}" for note in notes],
        }
        # As it is read again from a file, with lists where there are tuples.
        return self._runner_of(model, arms, counts=True), json.loads(json.dumps(about))


class _Asking:
    """Asking about items, part by part: what was asked is saved at once."""

    def __init__(
        self,
        items: Sequence[Item],
        n_parts: int,
        file: RunFile | None,
        progress: Progress | None,
    ) -> None:
        self.items = items
        self.file = file
        self.n_asked = 0
        self.n_done = 0
        self._n = n_parts * len(items)
        self._progress = progress

    def ask(
        self, runner: ArmRunner, done: _Answers, *, part: Part | None = None, name: str = ""
    ) -> None:
        """Ask about the items without an answer, and add what was found to ``done``."""
        waiting = [item for item in self.items if item.id not in done]
        self.n_done += len(self.items) - len(waiting)
        self.n_asked += len(waiting)
        for item, found in runner.ask(waiting):
            done[item.id] = found
            spent: Mapping[str, float] = runner.take_total().to_totals()
            if part is not None:
                part.spend(spent)
            if self.file is not None:
                self.file.append(item.id, found, part=name, spent=spent)
            self.n_done += 1
            if self._progress is not None:
                self._progress(self.n_done, self._n)


def _free_memory() -> None:
    """Give back what a language model that is done has taken."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
