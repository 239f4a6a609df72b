"""Decisions: a prompt in words as a question with choices, and the probabilities that come back.

OpenAI's Decisions API (``POST /v1/decisions``) takes texts and no recordings, so exemplars are told
in words and the recording that is asked about is not sent. It writes nothing: every choice gets a
probability. As the choices stand in an order, which servers turn into letters, each question is
asked in two orders within one request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import EndpointError, PromptError
from earful.model.chat import break_control_strings
from earful.model.endpoint.scoring.by_chat import LEAST_MASS, Server
from earful.model.prompt import ClipRef, Prompt, Prototype
from earful.values import short_repr
from earful.wording import printable

MOST_CHOICES: Final = 255
"""Most choices of a question that the protocol knows."""

LEAST_CHOICES: Final = 2
"""Fewest choices of a question."""

_UNHEARD: Final = (
    "The recording that is asked about cannot be heard here. Judge by the recordings above: the "
    "more similar one is to it, the more its answer counts."
)
# Shares of many choices are rounded before they are sent.
_SUM_TOLERANCE: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """One request to decide.

    Attributes:
        input: What is to be judged, in words.
        questions: The questions about it, as the protocol has them.
    """

    input: str
    questions: tuple[Mapping[str, Any], ...] = field(hash=False)

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to one question with choices.

    Attributes:
        probabilities: For each choice its probability; they sum to 1.
        confidence: The server's own confidence; ``None`` where it tells none. Servers mean
            different things by it: vLLM the probability of the chosen one among all tokens.
    """

    probabilities: Mapping[str, float] = field(hash=False)
    confidence: float | None

    __repr__ = short_repr

    @property
    def chosen(self) -> str:
        """The likeliest choice, of equal ones the first."""
        return max(self.probabilities, key=lambda value: self.probabilities[value])


def told_in_words(prompt: Prompt) -> tuple[str, str]:
    """Return a prompt without its recording, as what is judged and as the question.

    Args:
        prompt: A question whose exemplars are told in words.

    Raises:
        PromptError: There are no exemplars, or they are not in words; or no question.
    """
    if any(isinstance(part, Prototype) for part in prompt.parts) or any(
        clip.is_exemplar or clip.query_from_s for clip in prompt.clips
    ):
        raise PromptError(
            "a prompt with exemplars to be heard: a decision takes them in words (shot_mode='text')"
        )
    lines: list[str] = []
    name = question = ""
    n_told = 0
    for part in prompt.parts:
        if isinstance(part, ClipRef | Prototype):
            continue
        text = break_control_strings(part.text)
        if part.kind == "system":
            lines.append(text)
        elif part.kind == "exemplar" and not part.is_answer:
            name = text
        elif part.kind == "exemplar":
            lines.append(f"{name}: {text}")
            n_told += 1
        else:
            question = text
    if not question.strip():
        raise PromptError("a prompt without a question at its end: expected one; ask something")
    if not n_told:
        raise PromptError(
            "a decision is made from exemplars in words, as the recording cannot be sent, and "
            "there is none: give an index or examples, and --shots of 1 or more; or leave "
            "--scoring out"
        )
    return "\n".join(filter(None, (*lines, _UNHEARD))), question


def in_two_orders(told: str, question: str, answers: Sequence[str]) -> DecisionRequest:
    """Return a request that asks for one of some answers, listed in two orders.

    Args:
        told: What is judged.
        question: What is asked of it.
        answers: Two at least, each once.

    >>> asked = in_two_orders("Recording 1: cat", "Which?", ["cat", "dog"]).questions
    >>> [[choice["value"] for choice in question["choices"]] for question in asked]
    [['cat', 'dog'], ['dog', 'cat']]
    """
    return DecisionRequest(
        input=told,
        questions=tuple(
            {
                "type": "choice",
                "instructions": question,
                "choices": [{"value": answer} for answer in order],
            }
            for order in (list(answers), list(answers)[::-1])
        ),
    )


def read_decisions(
    values: Mapping[str, Any], request: DecisionRequest, host: str
) -> tuple[Decision, ...]:
    """Read the answers to a request, one for each of its questions.

    Args:
        values: The reply, as plain JSON values.
        request: What was asked.
        host: The server, for errors.

    Raises:
        PromptError: The model declines to answer.
        EndpointError: It is no such reply, or not of these choices.
    """
    answers = values.get("answers")
    n = len(request.questions)
    if not isinstance(answers, list) or len(answers) != n:
        raise _no_reply(host, f"{n} answers in a list", answers)
    return tuple(
        _read(answer, [str(choice["value"]) for choice in question["choices"]], host)
        for answer, question in zip(answers, request.questions, strict=True)
    )


def decision_scores(
    answers: Sequence[str], decisions: Sequence[Decision], server: Server
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return each answer's log-probability, the mean over the orders, and what to know of it.

    Args:
        answers: The answers.
        decisions: About each order of them.
        server: What serves.

    Returns:
        float64, shape ``(n_answers,)``, at most 0; and notes.
    """
    mean = np.mean([[found.probabilities[x] for x in answers] for found in decisions], axis=0)
    notes: list[str] = []
    mass = min(_mass(found, server) for found in decisions)
    if mass < LEAST_MASS:
        notes.append(
            f"the model hardly answers by one of the labels: they have {mass:.0%} of the "
            "probability, so its scores say little"
        )
    chosen = list(dict.fromkeys(found.chosen for found in decisions))
    if len(chosen) > 1:
        notes.append(
            "which label the model decides for depends on the order in which they are listed: "
            f"{' or '.join(map(repr, chosen))}"
        )
    return np.log(np.maximum(mean, np.finfo(np.float64).tiny)), tuple(notes)


def _read(answer: Any, choices: Sequence[str], host: str) -> Decision:
    kind = answer.get("type") if isinstance(answer, Mapping) else None
    if kind == "refusal":
        raise PromptError(
            f"{host} declines to decide (a refusal); word the question or the labels otherwise, or "
            "ask another model"
        )
    if kind != "choice":
        raise _no_reply(host, "an answer of type 'choice'", answer)
    try:
        listed = [(str(one["value"]), float(one["probability"])) for one in answer["probabilities"]]
        confidence = answer.get("confidence")
        own = None if confidence is None else float(confidence)
    except (KeyError, TypeError, ValueError):
        raise _no_reply(host, "a probability for each choice", answer) from None
    found = dict(listed)
    total = math.fsum(found.values())
    if (
        len(listed) != len(choices)
        or found.keys() != set(choices)
        or not all(0.0 <= share <= 1.0 for share in found.values())
        or abs(total - 1.0) > _SUM_TOLERANCE
    ):
        raise _no_reply(host, f"probabilities of {len(choices)} choices that sum to 1", listed)
    return Decision(
        probabilities={value: found[value] / total for value in choices}, confidence=own
    )


def _mass(found: Decision, server: Server) -> float:
    """Return the choices' share of all probability, where a server tells it; else 1."""
    top = found.probabilities[found.chosen]
    if server != "vLLM" or found.confidence is None:
        return 1.0
    return min(found.confidence / top, 1.0)


def _no_reply(host: str, wanted: str, got: object) -> EndpointError:
    said = printable(repr(got))
    return EndpointError(
        f"{host} answers a decision with what is none: expected {wanted}, got "
        f"{said if len(said) <= 80 else said[:80] + '…'}; is it OpenAI's Decisions API?"
    )
