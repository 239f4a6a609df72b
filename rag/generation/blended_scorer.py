"""What a language model and the neighbour vote say of labels, together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from earful.model import LanguageModel
from earful.rag.answer import Answer, predicted_label, rank_labels
from earful.rag.arrays import Scores
from earful.rag.blend import Blend
from earful.rag.generation.leave_one_out import Progress, Replayer
from earful.rag.generation.prompt import FittedPrompt
from earful.rag.generation.request import Inquiry, score_labels, tell
from earful.rag.retrieval import LabelScoring, Query, Retriever, ShotSet, Stopwatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Scores of one query's labels, and where they come from.

    Attributes:
        scores: float64, shape ``(n_labels,)``, each in [0, 1].
        heard: The language model's own, likewise.
        votes: The neighbour vote's, likewise; ``None`` without shots.
        fitted: The prompt.
        blend: How the two became one; ``None`` when nothing was fitted.
        notes: What a reader should know of it.
    """

    scores: Scores
    heard: Scores
    votes: Scores | None
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
    ) -> Answer:
        """Put the scores together with what the model was shown; see ``tell``."""
        ranked = rank_labels(found.labels, self.scores)
        text, confidence = predicted_label(found.task, ranked)
        notes = (*notes, *self.notes)
        return replace(
            tell(model, query, text, confidence, self.fitted, watch, notes=notes),
            abstained=confidence < found.task.abstain_below,
            scores=ranked,
            vote=() if self.votes is None else rank_labels(found.labels, self.votes),
            model_scores=rank_labels(found.labels, self.heard) if self.blend else (),
            blend=self.blend,
        )


class Judge:
    """Asks a language model, lets the shots vote, and weighs the two.

    Args:
        retriever: Finds shots and lets them vote.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._replayer = Replayer(retriever)

    def judge(
        self,
        model: LanguageModel,
        inquiry: Inquiry,
        found: ShotSet,
        scoring: LabelScoring,
        *,
        blend: bool,
        watch: Stopwatch,
        progress: Progress | None = None,
    ) -> Judgement:
        """Score a question's labels.

        Args:
            model: Scores answers.
            inquiry: What is asked; with labels.
            found: Its shots.
            scoring: Which corrections apply; with a ``vote_weight`` nothing is fitted.
            blend: Whether to weigh the two by what exemplars say, where there are shots.
            watch: Takes ``vote_s``, ``score_s`` and, for the fit, ``blend_s``.
            progress: See ``Replayer.fit``.

        Raises:
            PromptError: The prompt does not fit, or two labels are the same to the model.
            AudioError: A recording cannot be read.
            ModelError: The model gives no log-probabilities.
        """
        votes = None
        if found.hits:
            with watch.stage("vote_s"):
                votes, _ = self._retriever.vote(found, seed=inquiry.seed)
        with watch.stage("score_s"):
            heard, fitted = score_labels(model, inquiry, scoring)
        if votes is None or found.prepared is None:
            note = "there are no exemplars to vote, so vote_weight has no effect"
            notes = (note,) if scoring.vote_weight else ()
            return Judgement(scores=heard, heard=heard, votes=None, fitted=fitted, notes=notes)
        if scoring.vote_weight is not None or not blend:
            weight = scoring.vote_weight or 0.0
            scores = (1 - weight) * heard + weight * votes
            return Judgement(scores=scores, heard=heard, votes=votes, fitted=fitted)
        if found.prepared.pool.missing:
            note = "the vote knows nothing of a label without exemplars, so the model decides alone"
            return Judgement(scores=heard, heard=heard, votes=votes, fitted=fitted, notes=(note,))
        with watch.stage("blend_s"):
            how = self._replayer.fit(model, inquiry, found.prepared, scoring, progress)
        return Judgement(
            scores=how.mix(votes, heard, exclusive=inquiry.task.kind == "classify"),
            heard=heard,
            votes=votes,
            fitted=fitted,
            blend=how,
            notes=(self._replayer.fault,) if self._replayer.fault else (),
        )
