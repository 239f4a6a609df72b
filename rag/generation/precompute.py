"""Work done ahead: exemplars encoded before the first question, and requests asked at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from earful.errors import AudioError, ModelError, PromptError
from earful.index import Index
from earful.index.cache import FeatureCacheFolder
from earful.model import AsksAhead, ClipRef, KeepsFeatures, LanguageModel, Prompt
from earful.rag.generation.request import YES_NO, ModelRequest, answers_of, silenced
from earful.rag.retrieval import LabelScoring


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesReport:
    """Report of which exemplars were encoded.

    Attributes:
        kept: Exemplars whose features are kept now, those that were before among them.
        failed: Ids of the others, each with what went wrong.
        seconds: How long it took.
    """

    kept: int
    failed: tuple[tuple[str, str], ...]
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return {
            "kept": self.kept,
            "failed": [{"id": id_, "error": error} for id_, error in self.failed],
            "seconds": round(self.seconds, 3),
        }


def precompute_features(
    index: Index, model: LanguageModel, *, progress: Callable[[int, int], None] | None = None
) -> FeaturesReport:
    """Encode every exemplar's audio by a model, and cache the features with the index.

    Without this, each exemplar is encoded when it is first shown. What is kept already is
    not made again, so an interrupted run goes on where it was.

    Args:
        index: The exemplars.
        model: Whose features they are.
        progress: Called with how many are done, of how many.

    Raises:
        ModelError: The model keeps no features, or they cannot be written.
        IndexFolderError: A row is damaged.
    """
    if not isinstance(model, KeepsFeatures):
        raise ModelError(
            f"{model.capabilities.name} keeps no features of exemplars; there is nothing to encode"
        )
    start = time.perf_counter()
    cache = FeatureCacheFolder(index.path)
    model.keep_features(cache)
    rows = index.vectors()
    failed: list[tuple[str, str]] = []
    shown = [row for row, exemplar in enumerate(rows.exemplars) if not exemplar.is_negative]
    for n_done, row in enumerate(shown, start=1):
        exemplar = rows.exemplars[row]
        clip = ClipRef(
            audio=rows.paths[row],
            start_s=exemplar.start_s,
            end_s=exemplar.end_s,
            content_sha256=rows.content[row],
            is_exemplar=True,
            duration_s=float(rows.durations[row]),
        )
        try:
            model.encode_exemplar(clip)
        except AudioError as error:
            failed.append((exemplar.id, str(error)))
        if cache.fault:
            raise ModelError(cache.fault)
        if progress is not None:
            progress(n_done, len(shown))
    return FeaturesReport(
        kept=len(shown) - len(failed),
        failed=tuple(failed),
        seconds=time.perf_counter() - start,
    )


def ask_ahead(
    model: LanguageModel, requests: Sequence[ModelRequest], scoring: LabelScoring
) -> None:
    """Ask several requests at once of a model that can; ``score_labels`` then has the scores."""
    if model.capabilities.max_prompts == 1 or not isinstance(model, AsksAhead):
        return
    questions: list[tuple[Prompt, Sequence[str]]] = []
    for request in requests:
        with suppress(PromptError, AudioError):  # said when its own labels are scored
            if request.task.kind == "classify":
                fitted = request.fit(model)
                asked = [(fitted.prompt, answers_of(request, fitted)[1])]
            else:
                asked = [(fit.prompt, YES_NO) for fit in request.fit_each(model)[0]]
            if scoring.prior:
                asked += [(silenced(model, prompt), answers) for prompt, answers in asked]
            questions += asked
    model.ask_ahead(questions)
