"""A scripted model that is asked several prompts at once, and keeps their scores."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, PromptError
from earful.model import Prompt, ScriptedLanguageModel


class AskedAhead(ScriptedLanguageModel):
    """Scripted language model that takes several prompts at once.

    Attributes:
        groups: How many it was asked at once, each time.
        n_single: How many prompts it then had to score by themselves.
    """

    def __init__(self, *, max_prompts: int = 4, **more: Any) -> None:
        super().__init__(**more)
        self._capabilities = replace(self._capabilities, max_prompts=max_prompts)
        self.groups: list[int] = []
        self.n_single = 0
        self._kept: dict[tuple[str, tuple[str, ...]], list[NDArray[np.float64]]] = {}

    def ask_ahead(self, questions: Sequence[tuple[Prompt, Sequence[str]]]) -> None:
        """Score all that can be scored."""
        self.groups.append(len(questions))
        for prompt, answers in questions:
            try:
                scores = super().score(prompt, answers)
            except (AudioError, PromptError):
                continue
            self._kept[prompt.digest, tuple(answers)] = scores

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Give what was kept, or score."""
        kept = self._kept.get((prompt.digest, tuple(answers)))
        if kept is not None:
            return kept
        self.n_single += 1
        return super().score(prompt, answers)
