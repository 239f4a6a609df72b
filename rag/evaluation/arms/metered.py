"""Metered language model: counts what it is asked, and asks nothing twice that was kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from earful.model import (
    Capabilities,
    Generation,
    GenerationOptions,
    LanguageModel,
    Prompt,
    PromptSize,
)
from earful.model.audio import Clip
from earful.rag.evaluation.arms.answer_store import AnswerStore, Kept
from earful.values import language_model_repr

Found = TypeVar("Found")

# What a language model may have besides the members of the protocol, handed on as it is.
_HANDED_ON: Final = ("keep_features", "encode_exemplar", "check_hearing", "take_report", "total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What answers took of a language model.

    Attributes:
        requests: Requests; of an endpoint, as it counted them.
        tokens: Their tokens, prompts and answers.
        cost: By the prices that the user gave; ``None`` without prices.
        kept_s: Seconds that it took to make those answers which were kept, and not asked for now.
        asked: Of the requests, those that were made now.
        asked_tokens: Tokens of these.
        asked_s: Seconds of these.
    """

    requests: int = 0
    tokens: int = 0
    cost: float | None = None
    kept_s: float = 0.0
    asked: int = 0
    asked_tokens: int = 0
    asked_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Spent(
            requests=self.requests + other.requests,
            tokens=self.tokens + other.tokens,
            cost=sum(costs) if costs else None,
            kept_s=self.kept_s + other.kept_s,
            asked=self.asked + other.asked,
            asked_tokens=self.asked_tokens + other.asked_tokens,
            asked_s=self.asked_s + other.asked_s,
        )

    def to_totals(self) -> dict[str, float]:
        """Return what was asked just now, to be added up in a run's file."""
        totals: dict[str, float] = {
            "requests": self.asked,
            "tokens": self.asked_tokens,
            "seconds": self.asked_s,
        }
        return totals if self.cost is None else {**totals, "cost": self.cost}


class MeteredModel:
    """Language model that counts what another one is asked.

    Answers of known weights to recordings of known content are kept, if they took long, and given
    again. ``meter_model`` makes one.

    Args:
        model: The language model.
        store: Keeps its answers; ``None`` to ask each time.
    """

    def __init__(self, model: LanguageModel, store: AnswerStore | None = None) -> None:
        self._model = model
        self._store = store
        self._spent = Spent()
        # Seconds that scores took which were asked for ahead, by question.
        self._ahead_s: dict[str, float] = {}

    __repr__ = language_model_repr

    @property
    def capabilities(self) -> Capabilities:
        """Limits and abilities of the model."""
        return self._model.capabilities

    def take_spent(self) -> Spent:
        """Return what was spent since this was last called."""
        spent, self._spent = self._spent, Spent()
        return spent

    def measure(self, prompt: Prompt) -> PromptSize:
        """Measure a prompt; see ``LanguageModel``."""
        return self._model.measure(prompt)

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score whole answers; see ``LanguageModel``."""
        return self._answer(
            prompt,
            {"score": list(answers)},
            lambda: self._model.score(prompt, answers),
            lambda scores: [tokens.tolist() for tokens in scores],
            lambda plain: _scores_of(plain, len(answers)),
        )

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write an answer; see ``LanguageModel``."""
        return self._answer(
            prompt,
            {"generate": asdict(options)},
            lambda: self._model.generate(prompt, options, on_text=on_text),
            asdict,
            _generation_of,
            n_written=lambda generation: generation.n_tokens,
        )

    def _answer(
        self,
        prompt: Prompt,
        asked: Mapping[str, object],
        ask: Callable[[], Found],
        to_plain: Callable[[Found], Any],
        from_plain: Callable[[Any], Found],
        n_written: Callable[[Found], int] = lambda _: 0,
    ) -> Found:
        """Give the answer that was kept, or ask for it."""
        size = self._model.measure(prompt)
        store = self._store if self._store is not None and _is_known(prompt) else None
        question = {**asked, "prompt": prompt.digest, "slots": size.slots}
        ahead_s = self._ahead_s.pop(_key(question), 0.0) if self._ahead_s else 0.0
        if store is not None and (kept := store.get(question)) is not None:
            # Whoever can write to the index can write a line whose digest is right.
            with suppress(TypeError, ValueError):
                found = from_plain(kept.value)
                self._spent += Spent(requests=1, tokens=kept.tokens, kept_s=kept.spent_s)
                return found
        before = _reading(self._model)
        started = time.perf_counter()
        found = ask()
        spent_s = ahead_s + time.perf_counter() - started
        spent = _between(before, _reading(self._model), size.n_tokens + n_written(found), spent_s)
        self._spent += spent
        if store is not None:
            kept = Kept(value=to_plain(found), tokens=spent.tokens, spent_s=spent_s)
            store.put(question, kept)
        return found


def meter_model(model: LanguageModel, store: AnswerStore | None = None) -> MeteredModel:
    """Meter a language model; what it has besides the protocol's members it keeps."""
    # The class has them, as isinstance looks for a protocol's members there.
    members: dict[str, Any] = {
        name: _handed_on(name) for name in _HANDED_ON if hasattr(model, name)
    }
    if hasattr(model, "ask_ahead"):
        members["ask_ahead"] = _ask_ahead
    if hasattr(model, "choose"):
        members["choose"] = _choose
    kind = type(MeteredModel.__name__, (MeteredModel,), members)
    made: MeteredModel = kind(model, store)
    return made


def _handed_on(name: str) -> property:
    return property(lambda self: getattr(self._model, name))


def _choose(self: Any, prompt: Prompt, answers: Sequence[str], **more: Any) -> Any:
    """Choose one of some answers; nothing of it is kept."""
    before, size = _reading(self._model), self._model.measure(prompt)
    started = time.perf_counter()
    found = self._model.choose(prompt, answers, **more)
    spent_s = time.perf_counter() - started
    self._spent += _between(before, _reading(self._model), size.n_tokens, spent_s)
    return found


def _ask_ahead(self: Any, questions: Sequence[tuple[Prompt, Sequence[str]]]) -> None:
    """Ask ahead for what is not kept; each question is counted an equal part of the time."""
    wanted: list[tuple[Prompt, Sequence[str]]] = []
    keys: list[str] = []
    for prompt, answers in questions:
        slots = self._model.measure(prompt).slots
        question = {"score": list(answers), "prompt": prompt.digest, "slots": slots}
        if self._store is None or not _is_known(prompt) or self._store.get(question) is None:
            wanted.append((prompt, answers))
            keys.append(_key(question))
    started = time.perf_counter()
    self._model.ask_ahead(wanted)
    each_s = (time.perf_counter() - started) / max(1, len(wanted))
    self._ahead_s.update(dict.fromkeys(keys, each_s))


def _key(question: Mapping[str, object]) -> str:
    return json.dumps(question, sort_keys=True)


def _reading(model: LanguageModel) -> Any:
    """Return the requests that a model has counted itself; ``None`` where it counts none."""
    return getattr(model, "total", None)


def _between(before: Any, after: Any, n_tokens: int, spent_s: float) -> Spent:
    """Return what was spent between two readings; of a model that counts nothing, one request."""
    if after is None or before is None:
        return Spent(requests=1, tokens=n_tokens, asked=1, asked_tokens=n_tokens, asked_s=spent_s)
    made = after.n_requests - before.n_requests
    kept = after.n_kept - before.n_kept
    counted = (after.prompt_tokens + after.completion_tokens) - (
        before.prompt_tokens + before.completion_tokens
    )
    cost = None if after.cost is None else after.cost - (before.cost or 0.0)
    return Spent(
        requests=made + kept,
        # A reply that was kept before is not counted again, nor is all that no server counted.
        tokens=counted if counted and not kept else max(counted, n_tokens),
        cost=cost,
        asked=made,
        asked_tokens=counted,
        asked_s=spent_s,
    )


def _scores_of(plain: Any, n: int) -> list[NDArray[np.float64]]:
    """Read the log-probabilities of ``n`` answers' tokens."""
    found = [np.array(tokens, dtype=np.float64) for tokens in plain]
    if len(found) != n or not all(
        tokens.ndim == 1 and tokens.size and not np.isnan(tokens).any() for tokens in found
    ):
        raise ValueError("these are no log-probabilities")
    return found


def _generation_of(plain: Any) -> Generation:
    """Read a written answer."""
    found = Generation(**plain)
    told = found.log_probability is None or isinstance(found.log_probability, float)
    if not (isinstance(found.text, str) and isinstance(found.n_tokens, int) and told):
        raise TypeError("this is no written answer")
    return found


def _is_known(prompt: Prompt) -> bool:
    """Whether a prompt's digest names all that is heard: contents, or silence."""
    return all(
        clip.content_sha256 or (isinstance(clip.audio, Clip) and not clip.audio.samples.any())
        for clip in prompt.clips
    )
