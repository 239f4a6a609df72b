"""Model requests: a question with its shots, for a language model to score labels or write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from earful.errors import ModelError
from earful.index.search import Hit
from earful.model import (
    Capabilities,
    ClipRef,
    Generation,
    GenerationOptions,
    LanguageModel,
    Prompt,
    PromptWording,
    Prototype,
    ShotMode,
)
from earful.rag.answer import Answer
from earful.rag.arrays import Scores
from earful.rag.generation.prompt import (
    PLAIN_WORDING,
    FittedPrompt,
    arrange_shots,
    build_prompt,
    build_prototype_prompt,
    build_yes_no_prompt,
    fit_prompt,
    fit_prototypes,
)
from earful.rag.montage import choose_shot_mode, most_shots, without_query
from earful.rag.retrieval import LabelScoring, Query, Stopwatch, label_probabilities
from earful.rag.task import Task
from earful.values import short_repr

_SHOWN_AS: Final = {
    "montage": "{name} hears one recording, so the shots and the query are joined into one",
    "text": "{name} hears one recording, so it is told of the shots in words",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One question to a language model, with its shots.

    Attributes:
        task: What is asked.
        hits: Shots, nearest first.
        query: The recording asked about.
        labels: Candidate labels; empty for a task without labels.
        question: Asked instead of the task's.
        shot_mode: See ``build_prompt``; ``None`` for the way that suits the model best.
        seed: For an order of shots that is drawn.
        prototypes: Labels to show instead of the shots, best first, for a model that takes them;
            the answer is then one of these.
    """

    task: Task
    hits: tuple[Hit, ...]
    query: ClipRef
    labels: tuple[str, ...] = ()
    question: str = ""
    shot_mode: ShotMode | None = None
    seed: int = 0
    prototypes: tuple[Prototype, ...] = ()

    __repr__ = short_repr

    def fit(self, model: LanguageModel) -> FittedPrompt:
        """Build the prompt with as many shots, or labels, as the model can take.

        Raises:
            PromptError: There is no question, or it does not fit.
        """
        if self.prototypes:
            return fit_prototypes(
                model, partial(self._show_labels, model), self.prototypes, self.hits
            )
        return self._fit_shots(model, partial(self.build_for, model))

    def _fit_shots(
        self, model: LanguageModel, build: Callable[[Sequence[Hit]], Prompt]
    ) -> FittedPrompt:
        """Show as many shots as the model takes, in the way that suits it best."""
        limits = model.capabilities
        mode = self.shot_mode_for(model)
        most = most_shots(self.query, limits) if mode == "montage" and self.hits else None
        fitted = fit_prompt(model, build, self.hits, most=most)
        if self.shot_mode is not None or mode == "interleaved" or not fitted.shown:
            return fitted
        return replace(fitted, notes=(_SHOWN_AS[mode].format(name=limits.name), *fitted.notes))

    def shot_mode_for(self, model: LanguageModel) -> ShotMode:
        """Return how a model is shown the shots.

        Raises:
            PromptError: It cannot be shown them as is wanted.
        """
        return choose_shot_mode(self.shot_mode, model.capabilities)

    def build_for(self, model: LanguageModel, shown: Sequence[Hit]) -> Prompt:
        """Build the prompt with some of the shots in a model's own wording; see ``build``."""
        return self.build(
            shown,
            shot_mode=self.shot_mode_for(model),
            limits=model.capabilities,
            lists_labels=self.lists_labels(model),
            wording=model.capabilities.wording,
        )

    def _show_labels(self, model: LanguageModel, shown: Sequence[Prototype]) -> Prompt:
        return build_prototype_prompt(
            self.task,
            arrange_shots(shown, self.task.shots.order, seed=self.seed),
            self.query,
            labels=self.labels if self.lists_labels(model) else (),
            wording=model.capabilities.wording,
        )

    def lists_labels(self, model: LanguageModel) -> bool:
        """Whether the question lists the labels: as the task says, or as the model was trained."""
        wanted = self.task.lists_labels
        return model.capabilities.lists_labels if wanted is None else wanted

    def fit_yes_no(self, model: LanguageModel, label: str) -> FittedPrompt:
        """Build the prompt that asks whether one label is there; see ``fit``."""

        def build(shown: Sequence[Hit]) -> Prompt:
            arranged = arrange_shots(shown, self.task.shots.order, seed=self.seed)
            return build_yes_no_prompt(
                self.task,
                arranged,
                self.query,
                label,
                shot_mode=self.shot_mode_for(model),
                limits=model.capabilities,
                wording=model.capabilities.wording,
            )

        return self._fit_shots(model, build)

    def build(
        self,
        shown: Sequence[Hit],
        *,
        shot_mode: ShotMode | None = None,
        limits: Capabilities | None = None,
        lists_labels: bool = True,
        wording: PromptWording = PLAIN_WORDING,
    ) -> Prompt:
        """Build the prompt with some of the shots, given nearest first; see ``build_prompt``."""
        return build_prompt(
            self.task,
            arrange_shots(shown, self.task.shots.order, seed=self.seed),
            self.query,
            labels=self.labels,
            question=self.question,
            shot_mode=shot_mode or self.shot_mode or "interleaved",
            limits=limits,
            lists_labels=lists_labels,
            wording=wording,
        )


def score_labels(
    model: LanguageModel, request: ModelRequest, scoring: LabelScoring
) -> tuple[Scores, FittedPrompt]:
    """Score a request's labels.

    For ``classify`` all labels are answers to one prompt; where labels are shown to the model,
    those that are, and the score of any other is 0. For ``multilabel`` each label is a question
    of its own, answered by yes or no, and its score is the share of the yes.

    Args:
        model: Scores answers.
        request: What is asked; with labels.
        scoring: Which corrections apply.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1]; and the prompt, for ``multilabel``
        that of the label which left room for the fewest shots, or else of the first.

    Raises:
        PromptError: The prompt does not fit, or two labels are the same to the model.
        AudioError: A recording cannot be read.
        ModelError: The model gives no log-probabilities.
    """
    if not model.capabilities.logprobs:
        raise ModelError(
            f"{model.capabilities.name} gives no log-probabilities, so it cannot score labels; "
            "classify without a model, or ask it"
        )
    task = request.task
    if task.kind == "classify":
        fitted = request.fit(model)
        shown = fitted.prompt.labels or request.labels
        answers = [task.wording(label) for label in shown]
        own = _probabilities(model, fitted.prompt, answers, scoring)
        of_label = dict(zip(shown, own.tolist(), strict=True))
        return np.array([of_label.get(label, 0.0) for label in request.labels]), fitted
    fits = [request.fit_yes_no(model, label) for label in request.labels]
    tightest = min(fits, key=lambda fit: len(fit.shown))
    # A longer label may leave room for fewer shots; all labels are judged by the same ones.
    same = replace(request, hits=tightest.shown)
    scores = np.empty(len(request.labels))
    for row, (label, fit) in enumerate(zip(request.labels, fits, strict=True)):
        if len(fit.shown) > len(tightest.shown):
            fit = same.fit_yes_no(model, label)
        scores[row] = _probabilities(model, fit.prompt, ["yes", "no"], scoring)[0]
    return scores, tightest


def write_answer(
    model: LanguageModel,
    request: ModelRequest,
    options: GenerationOptions,
    on_text: Callable[[str], None] | None = None,
) -> tuple[Generation, FittedPrompt]:
    """Generate an answer; raises as ``score_labels``."""
    fitted = request.fit(model)
    return model.generate(fitted.prompt, options, on_text=on_text), fitted


def to_answer(
    model: LanguageModel,
    query: Query,
    text: str,
    confidence: float,
    fitted: FittedPrompt,
    watch: Stopwatch,
    *,
    notes: tuple[str, ...],
) -> Answer:
    """Make an ``Answer`` of a model's text and of the prompt it was given.

    Args:
        model: What answered.
        query: The recording asked about.
        text: The answer.
        confidence: How sure the model is of it; see ``Answer``.
        fitted: The prompt it was given.
        watch: Seconds spent.
        notes: What a reader should know besides what the prompt left out.
    """
    return Answer(
        audio=query.name,
        text=text,
        confidence=confidence,
        abstained=False,
        scores=(),
        evidence=fitted.shown,
        model=model.capabilities.name,
        timings=watch.spent_s,
        prompt_digest=fitted.prompt.digest,
        notes=(*notes, *fitted.notes),
        prompt=fitted.prompt,
        slots=fitted.size.slots,
        n_prompt_tokens=fitted.size.n_tokens,
        decoding=model.capabilities.decoding,
        start_s=query.reference.start_s,
        end_s=query.reference.end_s,
        group=query.exclusions.group,
    )


def generation_notes(generation: Generation) -> tuple[str, ...]:
    """Return a note that an answer was cut off; none when the model ended it."""
    if generation.stopped == "end":
        return ()
    if generation.stopped == "repetition":
        return ("the answer began to repeat itself; it was ended there, and the copies left out",)
    return (f"the answer was cut off after {generation.n_tokens} tokens",)


def _probabilities(
    model: LanguageModel, prompt: Prompt, answers: Sequence[str], scoring: LabelScoring
) -> Scores:
    prior = model.score(silenced(model, prompt), answers) if scoring.prior else None
    return label_probabilities(model.score(prompt, answers), scoring=scoring, prior=prior)


def silenced(model: LanguageModel, prompt: Prompt) -> Prompt:
    """Replace the query, the last place for audio or the end of a montage, by digital silence."""
    last = max(n for n, part in enumerate(prompt.parts) if isinstance(part, ClipRef))
    place = prompt.parts[last]
    silence = ClipRef(audio=model.capabilities.silence())
    if isinstance(place, ClipRef) and place.query_from_s:
        silence = without_query(place)
    parts = [silence if n == last else part for n, part in enumerate(prompt.parts)]
    return Prompt(parts=tuple(parts), is_dialogue=prompt.is_dialogue)
