"""Label scorer: a language model's scores and the neighbour vote, alone or blended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from earful.model import LanguageModel
from earful.rag.answer import (
    Answer,
    predicted_label,
    predicted_labels,
    rank_labels,
    reason_to_abstain,
)
from earful.rag.arrays import Scores
from earful.rag.blend import Blend
from earful.rag.generation.leave_one_out import BlendFitter, Progress
from earful.rag.generation.prompt import FittedPrompt
from earful.rag.generation.prototypes import prototypes_of, takes_prototypes
from earful.rag.generation.request import (
    ModelRequest,
    score_labels,
    scoring_notes,
    shortlist,
    to_answer,
    with_untold,
)
from earful.rag.retrieval import (
    LabelScoring,
    LabelVote,
    Query,
    Retriever,
    ShotSet,
    Stopwatch,
)

_NO_PRIOR: Final = "prior has no effect, as the model hears neither the recording nor silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """Scores of one query's labels, and where they come from.

    Attributes:
        scores: float64, shape ``(n_labels,)``, each in [0, 1].
        model_scores: The language model's own, likewise.
        vote: The neighbour vote; ``None`` without shots.
        fitted: The prompt.
        blend: How the two became one; ``None`` when nothing was fitted.
        notes: What a reader should know of the scores.
    """

    scores: Scores
    model_scores: Scores
    vote: LabelVote | None
    fitted: FittedPrompt
    blend: Blend | None = None
    notes: tuple[str, ...] = ()

    def answer(
        self,
        model: LanguageModel,
        query: Query,
        found: ShotSet,
        watch: Stopwatch,
        *,
        notes: tuple[str, ...],
        always_answer: bool,
    ) -> Answer:
        """Make an ``Answer`` of the scores; see ``to_answer``."""
        ranked = rank_labels(found.labels, self.scores)
        text, confidence = predicted_label(found.task, ranked)
        notes = (*notes, *self.notes, *scoring_notes(model))
        doubt = ""
        if self.vote is not None and not always_answer:
            doubt = self.vote.doubt(found.labels, self.scores)
            # Of recordings like those that it was fitted on a blend may know more than the vote. A
            # weight that no exemplar of this task speaks for makes no vote firm that is undecided.
            if self.blend is not None and not self.blend.n_held_out:
                doubt = doubt or self.vote.doubt(found.labels, self.vote.scores)
        elif not always_answer and model.capabilities.prototypes_by:
            # Trained to weigh exemplars, it is as firm without any, and seldom right.
            doubt = (
                f"no exemplar was used, and {model.capabilities.name} only weighs those that it is "
                "shown"
            )
        reason = reason_to_abstain(found.task, confidence, doubt)
        return replace(
            to_answer(model, query, text, confidence, self.fitted, watch, notes=notes),
            abstained=bool(reason),
            reason=reason,
            scores=ranked,
            labels=predicted_labels(found.task, ranked),
            vote=() if self.vote is None else rank_labels(found.labels, self.vote.scores),
            model_scores=rank_labels(found.labels, self.model_scores) if self.blend else (),
            blend=self.blend,
            scoring=model.capabilities.scoring,
        )


class LabelScorer:
    """Scores labels by a language model and by the vote of the shots, and weighs the two.

    Args:
        retriever: Finds shots and lets them vote.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._blends = BlendFitter(retriever)

    def score(
        self,
        model: LanguageModel,
        request: ModelRequest,
        found: ShotSet,
        scoring: LabelScoring,
        *,
        blend: bool,
        watch: Stopwatch,
        progress: Progress | None = None,
    ) -> LabelScores:
        """Score a request's labels.

        Args:
            model: Scores answers.
            request: What is asked; with labels.
            found: Its shots.
            scoring: Which corrections apply; with a ``vote_weight`` nothing is fitted.
            blend: Whether to weigh the two by what exemplars say, where there are shots.
            watch: Takes ``vote_s``, ``score_s`` and, for the fit, ``blend_s``.
            progress: See ``BlendFitter.fit``.

        Raises:
            PromptError: The prompt does not fit, or two labels are the same to the model.
            AudioError: A recording cannot be read.
            ModelError: The model gives no log-probabilities.
        """
        # Both are asked, so that a reader can compare them.
        vote, told = None, tuple[str, ...]()
        if found.hits or found.voters is not None:
            with watch.stage("vote_s"):
                vote = self._retriever.vote(found, seed=request.seed)
                request = self._with_prototypes(model, request, found, vote)
                request, told = shortlist(request, vote, model)
        if scoring.prior and model.capabilities.scoring == "decisions":
            told = (*told, _NO_PRIOR)
        with watch.stage("score_s"):
            model_scores, fitted = score_labels(model, request, scoring)
        if vote is not None:
            # Of labels that the model was not shown it says nothing, so the vote's share is theirs.
            shown = fitted.prompt.labels or request.shortlist
            model_scores = with_untold(model_scores, request.labels, shown, vote)
        alone = LabelScores(
            scores=model_scores, model_scores=model_scores, vote=None, fitted=fitted, notes=told
        )
        if vote is None or found.prepared is None:
            note = "there are no exemplars to vote, so vote_weight has no effect"
            notes = (*told, note) if scoring.vote_weight else told
            return replace(alone, notes=notes)
        # One alone, or a weight that the user gave.
        if scoring.vote_weight is not None or not blend:
            weight = scoring.vote_weight or 0.0
            scores = (1 - weight) * model_scores + weight * vote.scores
            return replace(alone, scores=scores, vote=vote)
        if found.prepared.means.silent:
            note = "the vote knows nothing of a label without exemplars, so the model decides alone"
            return replace(alone, vote=vote, notes=(*told, note))
        # A weight that held-out exemplars decide, or the model's training did.
        trained = model.capabilities.blend
        with watch.stage("blend_s"):
            if request.prototypes and trained is not None:
                # Of names alone it knows less than their plain order says.
                weight = trained[0] if any(x.clips for x in request.prototypes) else 0.0
                fit = Blend(weight=weight, temperature=trained[1], is_trained=True)
                return replace(
                    alone,
                    scores=fit.mix(vote.scores, model_scores, exclusive=True),
                    vote=vote,
                    blend=fit,
                )
            fit = self._blends.fit(model, request, found.prepared, scoring, progress)
        return replace(
            alone,
            scores=fit.mix(vote.scores, model_scores, exclusive=request.task.kind == "classify"),
            vote=vote,
            blend=fit,
            notes=(*told, self._blends.fault) if self._blends.fault else told,
        )

    def _with_prototypes(
        self, model: LanguageModel, request: ModelRequest, found: ShotSet, vote: LabelVote
    ) -> ModelRequest:
        """Show labels in place of shots, to a model that takes them."""
        if (
            found.prepared is None
            or found.voters is None
            or vote.evidence is None
            or request.shot_mode not in (None, "interleaved")
            or not takes_prototypes(model, self._retriever.embedder)
        ):
            return request
        most = model.capabilities.max_audios - 1
        candidates = found.prepared.candidates
        shown = prototypes_of(candidates, found.voters, vote.evidence, most)
        return replace(request, prototypes=shown)
