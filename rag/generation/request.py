"""Model requests: a question with its shots, for a language model to score labels or write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import numpy as np

from earful.errors import ModelError, PromptTooLargeError
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
    Scoring,
    ShotMode,
)
from earful.model.chat import ReportsRequests
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
from earful.rag.retrieval import (
    LabelScoring,
    LabelVote,
    Query,
    Stopwatch,
    label_probabilities,
)
from earful.rag.task import Task
from earful.values import short_repr

YES_NO: Final = ["yes", "no"]
_SHOWN_AS: Final = {
    "montage": "{name} hears one recording, so the shots and the query are joined into one",
    "text": "{name} hears one recording, so it is told of the shots in words",
}
_MEANS: Final[dict[Scoring, str]] = {
    "first-token": "the model's scores are the shares of letters that stand for the labels, dealt "
    "out in two orders",
    "choice": "the model chose a label and tells no probability, so there is no confidence and "
    "nothing to weigh against the vote",
    "text": "the label was read out of what the model wrote; it tells no probability, so there is "
    "no confidence and nothing to weigh against the vote",
    "decisions": "the model heard no recording: it was told in words what the exemplars are and "
    "how similar; its scores are the probabilities that the server gives the labels, in two orders",
}
_UNVERIFIED: Final = (
    "nothing tells whether recordings reach {name}; compare its answers about silence, or see "
    "`earful models check`"
)

Found = TypeVar("Found")


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
        shortlist: The labels to choose from, where a model chooses from fewer than there are; none
            for all.
    """

    task: Task
    hits: tuple[Hit, ...]
    query: ClipRef
    labels: tuple[str, ...] = ()
    question: str = ""
    shot_mode: ShotMode | None = None
    seed: int = 0
    prototypes: tuple[Prototype, ...] = ()
    shortlist: tuple[str, ...] = ()

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
        if limits.scoring == "decisions":  # what its scores are says it
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
            labels=(self.shortlist or self.labels) if self.lists_labels(model) else (),
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

    def fit_each(self, model: LanguageModel) -> tuple[list[FittedPrompt], FittedPrompt]:
        """Build the prompts that ask for each label whether it is there, with the same shots.

        Returns:
            The prompts; and that of the label which left room for the fewest shots, by which the
            others are judged as well, or else of the first.
        """
        fits = [self.fit_yes_no(model, label) for label in self.labels]
        tightest = min(fits, key=lambda fit: len(fit.shown))
        same = replace(self, hits=tightest.shown)
        return [
            same.fit_yes_no(model, label) if len(fit.shown) > len(tightest.shown) else fit
            for label, fit in zip(self.labels, fits, strict=True)
        ], tightest

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
            listed=self.shortlist,
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
    return with_room(model, request, partial(_score_labels, model, scoring))


def _score_labels(
    model: LanguageModel, scoring: LabelScoring, request: ModelRequest
) -> tuple[Scores, FittedPrompt]:
    if request.task.kind == "classify":
        fitted = request.fit(model)
        shown, answers = answers_of(request, fitted)
        own = _probabilities(model, fitted.prompt, answers, scoring)
        of_label = dict(zip(shown, own.tolist(), strict=True))
        return np.array([of_label.get(label, 0.0) for label in request.labels]), fitted
    fits, tightest = request.fit_each(model)
    scores = [_probabilities(model, fit.prompt, YES_NO, scoring)[0] for fit in fits]
    return np.array(scores), tightest


def answers_of(request: ModelRequest, fitted: FittedPrompt) -> tuple[Sequence[str], list[str]]:
    """Return the labels that a prompt asks for, and the words of each."""
    shown = fitted.prompt.labels or request.shortlist or request.labels
    return shown, [request.task.wording(label) for label in shown]


def with_room(
    model: LanguageModel,
    request: ModelRequest,
    ask: Callable[[ModelRequest], tuple[Found, FittedPrompt]],
) -> tuple[Found, FittedPrompt]:
    """Ask a model, with half as many shots each time that its server takes less than was known.

    Args:
        model: Is asked.
        request: What is asked.
        ask: Builds the prompt of a request and asks.

    Raises:
        PromptTooLargeError: The server does not take the prompt without a shot either.
    """
    notes: tuple[str, ...] = ()
    while True:
        limits = model.capabilities
        try:
            found, fitted = ask(request)
            return found, replace(fitted, notes=(*notes, *fitted.notes))
        except PromptTooLargeError:
            # It may have said how many recordings it takes; then as many are shown.
            if model.capabilities != limits:
                continue
            if not request.hits:
                raise
            n = len(request.hits) // 2
            notes = (
                f"{limits.name}: its server takes no prompt of {len(request.hits)} shots, so at "
                f"most {n} are shown",
            )
            request = replace(request, hits=request.hits[:n])


def shortlist(
    request: ModelRequest, vote: LabelVote | None, model: LanguageModel
) -> tuple[ModelRequest, tuple[str, ...]]:
    """Leave a model the vote's likeliest labels, where it chooses from fewer than there are.

    Returns:
        The request, and a note.
    """
    most = model.capabilities.max_answers
    n = len(request.labels)
    if request.task.kind != "classify" or most is None or n <= most or vote is None:
        return request, ()
    likeliest = np.sort(np.argsort(-vote.scores, kind="stable")[:most])
    shown = tuple(request.labels[row] for row in likeliest.tolist())
    name = model.capabilities.name
    note = f"{name} chooses from {most} labels at once: the vote's likeliest of {n} are asked about"
    return replace(request, shortlist=shown), (note,)


def with_untold(
    scores: Scores, labels: Sequence[str], shown: Sequence[str], vote: LabelVote
) -> Scores:
    """Return a model's scores with the vote's share for the labels that it was not shown.

    Args:
        scores: Of all labels; 0 for those.
        labels: All labels.
        shown: Those that the model was shown; none for all.
        vote: What the exemplars say.
    """
    if not shown:
        return scores
    told = np.array([label in shown for label in labels])
    return np.where(told, scores * vote.scores[told].sum(), vote.scores)


def scoring_notes(model: LanguageModel) -> tuple[str, ...]:
    """Return what a model's scores are, where they are not its own of whole answers."""
    told = _MEANS.get(model.capabilities.scoring)
    return (told,) if told else ()


def write_answer(
    model: LanguageModel,
    request: ModelRequest,
    options: GenerationOptions,
    on_text: Callable[[str], None] | None = None,
) -> tuple[Generation, FittedPrompt]:
    """Generate an answer; raises as ``score_labels``."""

    def write(asked: ModelRequest) -> tuple[Generation, FittedPrompt]:
        fitted = asked.fit(model)
        return model.generate(fitted.prompt, options, on_text=on_text), fitted

    return with_room(model, request, write)


def to_answer(
    model: LanguageModel,
    query: Query,
    text: str,
    confidence: float | None,
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
    report = model.take_report() if isinstance(model, ReportsRequests) else None
    notes = (*notes, *fitted.notes, *(report.notes if report is not None else ()))
    if model.capabilities.hears == "unverified":
        notes = (*notes, _UNVERIFIED.format(name=model.capabilities.name))
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
        notes=notes,
        prompt=fitted.prompt,
        slots=fitted.size.slots,
        n_prompt_tokens=fitted.size.n_tokens,
        decoding=model.capabilities.decoding,
        start_s=query.reference.start_s,
        end_s=query.reference.end_s,
        group=query.exclusions.group,
        report=report,
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
    prior = None
    # To a model that hears nothing silence is the same as the recording.
    if scoring.prior and model.capabilities.scoring != "decisions":
        prior = model.score(silenced(model, prompt), answers)
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
