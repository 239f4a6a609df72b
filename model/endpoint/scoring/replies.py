"""Replies of an endpoint: what was written, the log-probabilities with it, and its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earful.errors import EndpointError
from earful.model.endpoint.reports import tokens_of
from earful.model.endpoint.scoring.answer_parser import strip_reasoning
from earful.model.protocols import GenerationOptions
from earful.model.writing import ShownText
from earful.values import short_repr

# Characters: a thought may begin in them, or what is cut.
_HELD_BACK: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChoice:
    """A token that was written, and what might have been.

    Attributes:
        token: The token's text.
        log_probability: Its log-probability.
        others: Texts of the likeliest tokens, itself mostly among them, and their
            log-probabilities; of texts that occur twice the sum.
    """

    token: str
    log_probability: float
    others: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply of an endpoint.

    Attributes:
        text: What was written, without what the model thought aloud.
        finish: Why it ended, in the protocol's words: ``"stop"``, ``"length"``, ...
        tokens: The tokens that were written, where the server tells log-probabilities.
        prompt_tokens_said: For each token of the prompt its text and log-probability, where the
            server tells them; without the first, which has none.
        prompt_tokens: Tokens of the prompt; ``None`` where the server does not count them.
        audio_tokens: Of these, those of audio, where the server says; else 0.
        completion_tokens: Tokens that were written; 0 where the server does not count them.
    """

    text: str
    finish: str
    tokens: tuple[TokenChoice, ...]
    prompt_tokens_said: tuple[tuple[str, float], ...]
    prompt_tokens: int | None
    audio_tokens: int
    completion_tokens: int

    __repr__ = short_repr

    @property
    def log_probability(self) -> float | None:
        """The sum over the tokens that were written; ``None`` where the server tells none."""
        if not self.tokens:
            return None
        return math.fsum(token.log_probability for token in self.tokens)


class VisibleText:
    """What is shown of an answer while it is written: no thought, and nothing that a stop cuts."""

    def __init__(self, options: GenerationOptions, on_text: Callable[[str], None]) -> None:
        self._options = options
        self._shown = ShownText(on_text, options, held_back=_HELD_BACK)
        self._raw = ""

    def add(self, piece: str) -> None:
        """Show as much of what is written as will stay."""
        self._raw += piece
        self._shown.show(self._options.cut(strip_reasoning(self._raw)))

    def finish(self, text: str) -> None:
        """Show the rest."""
        self._shown.finish(text)


def read_reply(values: Mapping[str, Any], host: str) -> Reply:
    """Read a reply.

    Args:
        values: As the server sent it, as plain JSON values.
        host: The server, for errors.

    Raises:
        EndpointError: It is no reply.
    """
    try:
        (choice, *_) = values["choices"]
        message = choice["message"]
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise TypeError(f"content of type {type(text).__name__}")
        if refusal := message.get("refusal"):
            text = text or str(refusal)
        prompt, audio, completion = tokens_of(values)
        usage = values.get("usage")
        return Reply(
            text=strip_reasoning(text),
            finish=str(choice.get("finish_reason") or ""),
            tokens=tuple(map(_token, (choice.get("logprobs") or {}).get("content") or ())),
            prompt_tokens_said=tuple(map(_said, filter(None, values.get("prompt_logprobs") or ()))),
            prompt_tokens=prompt if isinstance(usage, Mapping) and prompt else None,
            audio_tokens=audio,
            completion_tokens=completion,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EndpointError(
            f"{host} answers with what is no reply ({type(error).__name__}: {error}); is it an "
            "endpoint of OpenAI's chat protocol?"
        ) from None


def _token(entry: Mapping[str, Any]) -> TokenChoice:
    others: dict[str, float] = {}
    for other in entry.get("top_logprobs") or ():
        text, found = str(other["token"]), float(other["logprob"])
        # Two tokens may have one text, such as bytes that are none by themselves.
        others[text] = _log_sum(others[text], found) if text in others else found
    return TokenChoice(
        token=str(entry["token"]), log_probability=float(entry["logprob"]), others=others
    )


def _said(entry: Mapping[str, Any]) -> tuple[str, float]:
    """Read one place of vLLM's ``prompt_logprobs``: the token that is there comes first."""
    first = next(iter(entry.values()))
    return str(first.get("decoded_token") or ""), float(first["logprob"])


def _log_sum(one: float, other: float) -> float:
    high = max(one, other)
    if high == -math.inf:
        return high
    return high + math.log(math.exp(one - high) + math.exp(other - high))
