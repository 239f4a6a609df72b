"""A scripted language model, for tests and to inspect prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from earful.errors import PromptError
from earful.model.capabilities import Capabilities
from earful.model.prompt import Prompt, Text
from earful.model.protocols import Generation, GenerationOptions, PromptSize
from earful.model.repetition import find_repetition, trim_separators
from earful.values import language_model_repr

CAPABILITIES = Capabilities(
    name="scripted",
    max_audios=8,
    max_seconds_per_audio=33.25,
    max_text_tokens=512,
    multi_turn=True,
    batch_safe=True,
)


class ScriptedLanguageModel:
    """Language model that replies from a list, scores by a function and records prompts.

    A token is a word here. No audio is read.

    Args:
        replies: Its answers, one after the other; the last one is repeated.
        log_probability: Score of an answer to a prompt; the same for all answers by default.
        capabilities: Limits and abilities that it states.

    Attributes:
        prompts: The prompts that it scored or answered, in order.

    >>> model = ScriptedLanguageModel(replies=["a dog"])
    >>> model.generate(Prompt(parts=())).text
    'a dog'
    """

    def __init__(
        self,
        *,
        replies: Sequence[str] = ("",),
        log_probability: Callable[[Prompt, str], float] = lambda _prompt, _answer: 0.0,
        capabilities: Capabilities = CAPABILITIES,
    ) -> None:
        self._replies = list(replies)
        self._log_probability = log_probability
        self._capabilities = capabilities
        self.prompts: list[Prompt] = []

    __repr__ = language_model_repr

    @property
    def capabilities(self) -> Capabilities:
        """Limits and abilities that it states."""
        return self._capabilities

    def measure(self, prompt: Prompt) -> PromptSize:
        """Count the words, and one slot for each recording."""
        words = [part.text.split() for part in prompt.parts if isinstance(part, Text)]
        return PromptSize(n_tokens=sum(map(len, words)), slots=prompt.n_clips)

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score each answer by the function, as one token."""
        if len(set(answers)) < len(answers):
            raise PromptError(f"answers {', '.join(map(repr, answers))}: expected each once")
        self.prompts.append(prompt)
        return [np.array([self._log_probability(prompt, answer)]) for answer in answers]

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Return the next reply, cut to ``max_new_tokens`` words, at stops and repetition."""
        self.prompts.append(prompt)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        reply = options.cut(reply)
        words = reply.split()
        stopped = "length" if len(words) > options.max_new_tokens else "end"
        words = words[: options.max_new_tokens]
        text = " ".join(words)
        if options.stop_repetition and (n_kept := find_repetition(words)) is not None:
            words, stopped = words[:n_kept], "repetition"
            text = trim_separators(" ".join(words))
        if on_text is not None:
            on_text(text)
        return Generation(
            text=text,
            n_tokens=len(words),
            stopped=stopped,
            log_probability=0.0,
        )
