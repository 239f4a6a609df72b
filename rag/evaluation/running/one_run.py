"""One run of an evaluation: every arm asked about the same items, by one language model or none."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from earful.errors import EvaluationError, TaskError
from earful.index.corpus import Corpus, stretch_fields
from earful.model import Capabilities, GenerationOptions, LanguageModel, ShotMode
from earful.model.chat import ChecksHearing, ReportsRequests
from earful.rag.evaluation.arms import (
    AnswerStore,
    Arm,
    ArmRunner,
    Prediction,
    arms_of,
    embedding_seconds,
    meter_model,
)
from earful.rag.evaluation.items import Item, ItemSet, items_of_corpus, items_of_index
from earful.rag.evaluation.leakage import Leak, find_leaks, keep_apart, refuse_leaks
from earful.rag.evaluation.metrics import require_caption_tools
from earful.rag.evaluation.run_file import RunFile
from earful.rag.evaluation.scores import ENOUGH_GROUPS, fewest_to_tell
from earful.rag.evaluation.settings import EvaluationSettings
from earful.rag.few_shot import FewShot
from earful.rag.montage import choose_shot_mode
from earful.rag.retrieval import Candidates, PreparedTask, Retriever
from earful.rag.task import Task
from earful.wording import counted, listed

Progress = Callable[[int, int], None]

_N_TIMED = 8
_PACKAGES = ("numpy", "onnxruntime", "scikit-learn", "soundfile", "soxr", "lancedb")
# Which compute the answers of other models, where they are installed.
_EXTRAS = ("torch",)


class Run:
    """One evaluation under way: its items, arms and notes.

    Args:
        few: Index, embedder and language model.
        task: The task that arms answer.
        settings: As for ``evaluate``, like the two that follow.
        corpus: Items from outside the index.
        keep: Whether answers that an earlier evaluation kept are taken, and new ones kept.
    """

    def __init__(
        self,
        few: FewShot,
        task: Task,
        settings: EvaluationSettings,
        corpus: Corpus | None,
        *,
        keep: bool = True,
    ) -> None:
        if task.kind == "caption":
            require_caption_tools()
        split = settings.split
        self._few = few
        self._task = task
        self._settings = settings
        self._corpus = corpus
        self._keep = keep
        self._held_out = corpus is not None or bool(split)
        # The items, and the exemplars that may answer: none of the split asked about.
        self._items = _gather_items(few, task, split, corpus).limited(settings.limit, seed=0)
        self._retriever = Retriever(
            embedder=few.embedder,
            index=few.index,
            exemplar_filter=(lambda exemplar: exemplar.split != split) if split else None,
        )
        self._notes = list(self._items.notes)
        self._stores: list[AnswerStore] = []

    def run(self, out: Path | None, progress: Progress | None) -> tuple[dict[str, Any], int]:
        """Ask every arm about every item.

        Args:
            out: As for ``evaluate``, like the next.
            progress: Called after each item.

        Returns:
            The document of the run, and how many items were asked about now.
        """
        raise NotImplementedError

    # --- what every run does --------------------------------------------------------------

    @property
    def _prepared(self) -> PreparedTask:
        """The task with the exemplars that may answer it."""
        return self._retriever.prepare(self._task)

    def _check_exemplars(self, *, need_exemplars: bool) -> Candidates:
        """Check that exemplars can answer, and note what makes the numbers rough."""
        candidates = self._prepared.candidates
        if not len(candidates) and need_exemplars:
            raise EvaluationError(
                f"task {self._task.name!r}: no exemplar can answer: expected rows with its labels, "
                "or examples in the task file; a model alone is asked by shots=(0,), "
                "arms=('zero-shot',) (--shots 0 --arms zero-shot)"
            )
        _check_labels(self._items.items, candidates, self._task)
        self._notes += _unanswerable(self._items.items, candidates, self._task)
        n_groups = len({item.group for item in self._items.items})
        if n_groups < ENOUGH_GROUPS:
            least = fewest_to_tell(self._settings.confidence)
            self._notes.append(
                f"the items come from {counted(n_groups, 'group')} only: intervals and tests are "
                + (
                    f"rough, and below {least} nothing is told apart"
                    if n_groups < least
                    else "rough"
                )
            )
        return candidates

    def _arms_of(
        self, limits: Capabilities | None, *, only: Sequence[str]
    ) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
        """Return the arms of a language model, with as many shots as it takes, and notes."""
        settings = self._settings
        modes: tuple[ShotMode, ...] = ()
        notes: tuple[str, ...] = ()
        most = None
        if limits is not None:
            modes, notes = _modes_of(settings.shot_modes, limits)
            if settings.shot_modes and not modes:
                most = 0
            elif modes or choose_shot_mode(None, limits) == "interleaved":
                most = max(limits.max_audios - 1, 0)
        arms, more = arms_of(
            self._task,
            shots=settings.shots,
            strategies=settings.strategies,
            only=only,
            has_model=limits is not None,
            most=most,
            shot_modes=modes,
            blends=limits is None or limits.logprobs,
            hears=limits is None or limits.scoring != "decisions",
        )
        return arms, (*notes, *more)

    def _runner_of(
        self, model: LanguageModel | None, arms: Sequence[Arm], *, counts: bool
    ) -> ArmRunner:
        """Return what asks arms; answers of a model whose weights are known are kept."""
        store = None
        if model is not None:
            index = self._few.index
            if self._keep and index is not None and model.capabilities.weights_sha256:
                store = AnswerStore(index.path, model.capabilities)
                self._stores.append(store)
            counts = counts or hasattr(model, "total")
            if counts or store is not None:
                model = meter_model(model, store)
        return ArmRunner(
            self._retriever,
            model,
            self._task,
            arms,
            seeds=range(self._settings.seeds),
            options=GenerationOptions(max_new_tokens=self._settings.max_new_tokens),
            counts=counts,
        )

    def _document(
        self,
        header: Mapping[str, Any],
        items: Sequence[Item],
        leaks: Sequence[Leak],
        rows: Sequence[Prediction],
    ) -> dict[str, Any]:
        """Make the document of the run."""
        timed = [item.query for item in items[:_N_TIMED]]
        return {
            **header,
            "notes": [*self._notes, *{store.fault: None for store in self._stores if store.fault}],
            "leaks": [leak.to_dict() for leak in leaks],
            "source": {
                "task": str(self._task.source.resolve()) if self._task.source else "",
                "corpus": str(self._corpus.source) if self._corpus else "",
            },
            "embedding_s": round(embedding_seconds(self._retriever, timed), 6),
            "machine": {"platform": platform.platform(), "processor": platform.machine()},
            "shown": _shown(
                self._prepared.candidates, {shot for row in rows for shot in row.shots}
            ),
            "rows": [row.to_dict() for row in rows],
        }

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
        """Return what decides the answers, but for language models and arms."""
        embedder = self._retriever.embedder
        return {
            "task": self._task.to_dict(),
            "settings": self._settings.to_dict(),
            "labels": list(candidates.labels),
            "embedder": embedder.fingerprint.to_dict() if embedder else None,
            "exemplars": {"n": len(candidates), "digest": candidates.digest},
            "versions": {
                "earful": metadata.version("earful"),
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _PACKAGES},
                **{name: metadata.version(name) for name in _EXTRAS if find_spec(name)},
            },
            "items": [item.to_dict() for item in items],
        }


class RunOfOneModel(Run):
    """A run of one language model, or of none."""

    def run(self, out: Path | None, progress: Progress | None) -> tuple[dict[str, Any], int]:
        """Ask every arm about every item; see ``Run``."""
        model = self._few.model
        limits = None if model is None else checked_capabilities(model)
        arms, notes = self._arms_of(limits, only=self._settings.arms)
        self._notes += notes
        runner = self._runner_of(model, arms, counts=False)
        candidates = self._check_exemplars(
            need_exemplars=any(not arm.by_model or arm.k for arm in arms)
        )
        items, leaks = self._check_leaks(candidates)
        shared = self._header(items, candidates)
        header = {
            "task": shared.pop("task"),
            "settings": shared.pop("settings"),
            "arms": [arm_values(arm) for arm in arms],
            **{name: shared.pop(name) for name in ("labels", "embedder", "exemplars")},
            "model": None if limits is None else dict(limits.to_dict()),
            **shared,
        }
        with nullcontext() if out is None else RunFile(out, header) as file:
            answers = {} if file is None else dict(file.done)
            waiting = [item for item in items if item.id not in answers]
            self._notes += runner.fit_probe(items, held_out=self._held_out)
            for item, found in runner.ask(waiting):
                answers[item.id] = found
                if file is not None:
                    file.append(item.id, found)
                if progress is not None:
                    progress(len(answers), len(items))
            if isinstance(model, ReportsRequests):
                self._notes.append(requests_note(model))
            rows = [row for item in items for row in answers[item.id]]
            document = self._document(header, items, leaks, rows)
            if file is not None and not file.is_finished:
                file.finish(document)
        return document, len(waiting)


def arm_values(arm: Arm) -> dict[str, object]:
    """Return an arm's plain JSON values in a run's file."""
    return arm.to_dict() | {"is_default": arm.is_default}


def checked_capabilities(model: LanguageModel) -> Capabilities:
    """Return what a language model can, once it has found out what it hears."""
    if isinstance(model, ChecksHearing):
        model.check_hearing()
    return model.capabilities


def requests_note(model: ReportsRequests) -> str:
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


def _modes_of(
    wanted: Sequence[ShotMode], limits: Capabilities
) -> tuple[tuple[ShotMode, ...], tuple[str, ...]]:
    """Return those of the wanted modes of shots that a model takes, and a note of the others."""
    taken = tuple(mode for mode in wanted if mode in limits.usable_shot_modes)
    left_out = [mode for mode in wanted if mode not in taken]
    if not left_out:
        return taken, ()
    rest = "" if taken else ": it is asked without shots only"
    return taken, (
        f"the language model cannot be shown exemplars as {' or '.join(left_out)}{rest}",
    )


def _gather_items(few: FewShot, task: Task, split: str, corpus: Corpus | None) -> ItemSet:
    """Return the items of a corpus, or else of the index."""
    if corpus is not None:
        if few.retriever.embedder is None:
            raise EvaluationError(
                "no embedder: this FewShot is a language model alone; expected one of an index, as "
                "by FewShot.open, or of a task, as by FewShot.from_task"
            )
        return items_of_corpus(task, corpus, few.embedder)
    index = few.index
    if index is None:
        raise EvaluationError("nothing to ask about; give an index or a labelled corpus")
    answering = (row for row in index.vectors().exemplars if not row.is_negative)
    if split and all(row.split == split for row in answering):
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


def _check_labels(items: Sequence[Item], candidates: Candidates, task: Task) -> None:
    """Raise ``EvaluationError`` where every answer would be wrong, whatever were said."""
    wanted = {label for item in items for label in item.labels}
    if not task.has_labels or not wanted or not candidates.labels:
        return
    if wanted.isdisjoint(candidates.labels):
        raise EvaluationError(
            f"task {task.name!r}: no label of the items can be answered: expected some of "
            f"{listed(sorted(candidates.labels))}, got {listed(sorted(wanted))}; name them alike, "
            "or declare them in a task file, with aliases"
        )


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
