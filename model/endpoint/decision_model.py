"""A language model behind an endpoint that decides between answers, told of recordings in words.

It hears nothing, so it need not be a model of audio: what it knows of a recording is which
exemplars are similar to it, how similar, and their labels. It is asked only where the user says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import EarfulError, EndpointError, ModelError, PromptError, PromptTooLargeError
from earful.model.chat import Choice
from earful.model.endpoint.canary import CheckReport
from earful.model.endpoint.faults import AbsentError, RefusedError
from earful.model.endpoint.language_model import PREFIX, EndpointLanguageModel
from earful.model.endpoint.scoring import (
    LEAST_CHOICES,
    MOST_CHOICES,
    TOP_LOGPROBS,
    Decision,
    DecisionRequest,
    Server,
    check_answers,
    decision_scores,
    in_two_orders,
    read_decisions,
    told_in_words,
)
from earful.model.endpoint.settings import EndpointSettings
from earful.model.prompt import Prompt, Text
from earful.model.protocols import Generation, GenerationOptions, PromptSize

_QUESTION: Final = "Which number is it?"
# vLLM: "This model supports at most 26 choices per question".
_CAP = re.compile(r"at most (\d+) (?:choices|options)", re.IGNORECASE)


class DecidingLanguageModel(EndpointLanguageModel):
    """A language model behind an endpoint that is asked through the Decisions API.

    It scores labels, and writes nothing. Recordings are not sent.

    Args:
        name: Name of the model there; empty for the only one.
        settings: Where the endpoint is, and how it is asked.
    """

    def __init__(self, name: str, settings: EndpointSettings = EndpointSettings()) -> None:
        super().__init__(name, settings)
        self._capabilities = replace(
            self._capabilities,
            # The recording asked about has its place in a prompt, and is left out of what is sent.
            max_audios=1,
            max_seconds_per_audio=math.inf,
            scoring="decisions",
            max_answers=MOST_CHOICES,
            multi_turn=False,
            writes_captions=False,
            lists_labels=False,
            shot_modes=("text",),
            hears="no",
        )

    # --- checks ------------------------------------------------------------------------

    _kind = ("decisions",)

    def check_hearing(self) -> None:
        """Check that it decides, unless that is known; it hears nothing, and need not.

        Raises:
            EndpointError: It cannot be asked, or the server makes no decisions with it.
        """
        if self._check is None:
            self.check()

    def _probe(self, server: Server, max_tokens: int) -> CheckReport:
        """Ask for one decision, to learn whether the server makes any and between how many."""
        client, n_before = self._client, self._client.meter.total.n_requests
        waiting = [MOST_CHOICES, TOP_LOGPROBS, LEAST_CHOICES]
        while True:
            n = waiting.pop(0)
            # Not the first one, which a model that has not read it may like best.
            number = str(n // 2 + 1)
            numbers = [str(row + 1) for row in range(n)]
            both = in_two_orders(f"The number is {number}.", _QUESTION, numbers)
            request = DecisionRequest(input=both.input, questions=both.questions[:1])
            try:
                reply = client.decide(request, may_keep=False)
                (found,) = read_decisions(reply, request, client.host)
                break
            except (RefusedError, PromptTooLargeError) as error:
                cap = _CAP.search(str(error))
                if cap and LEAST_CHOICES <= int(cap[1]) < n:
                    waiting = [int(cap[1])]
                elif not waiting:
                    raise self._no_decisions(error) from None
            except AbsentError as error:
                raise self._no_decisions(error) from None
        is_read = found.chosen == number
        return CheckReport(
            server=server,
            model=client.model,
            hears="no",
            reason="decisions take words alone; "
            + ("it read the number" if is_read else "it did not read the number")
            + f" in a test with {n} choices",
            max_audios=0,
            max_seconds=0.0,
            max_tokens=max_tokens,
            scoring="decisions",
            max_choices=n,
            n_requests=client.meter.total.n_requests - n_before,
        )

    def _no_decisions(self, error: EarfulError) -> EndpointError:
        return EndpointError(
            f"{PREFIX}{self._client.model} at {self._client.host} makes no decisions ({error}); "
            "serve a model that the Decisions API of vLLM 0.33 or later takes, or leave "
            "--scoring out"
        )

    def _apply(self, found: CheckReport, identity: str) -> None:
        self._capabilities = replace(
            self._capabilities,
            name=f"{PREFIX}{found.model}",
            weights_sha256=identity,
            max_text_tokens=found.max_tokens or self._capabilities.max_text_tokens,
            max_answers=found.max_choices,
        )

    # --- LanguageModel -----------------------------------------------------------------

    def measure(self, prompt: Prompt) -> PromptSize:
        """Measure the words of a prompt, roughly; see ``LanguageModel``."""
        in_words = tuple(part for part in prompt.parts if isinstance(part, Text))
        size = super().measure(Prompt(parts=in_words, is_dialogue=prompt.is_dialogue))
        return replace(size, slots=prompt.n_clips)

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score answers by the probabilities of decisions; see ``LanguageModel``.

        Raises:
            PromptError: There are no exemplars in words, or too many answers; or the model
                declines.
            EndpointError: It cannot be asked.
        """
        self.check_hearing()
        check_answers(answers)
        told, question = told_in_words(prompt)
        if len(answers) < LEAST_CHOICES:
            return [np.zeros(1) for _ in answers]
        most = self._capabilities.max_answers or MOST_CHOICES
        if len(answers) > most:
            raise PromptError(
                f"{len(answers)} answers, expected at most {most} in one decision: give fewer "
                "labels, or exemplars, whose vote then chooses the likeliest"
            )
        request = in_two_orders(told, question, answers)
        decisions = self._decide(request)
        scores, notes = decision_scores(answers, decisions, self._server)
        for note in notes:
            self._client.meter.note(note)
        return [np.array([score]) for score in scores]

    def choose(
        self, prompt: Prompt, answers: Sequence[str], *, aliases: Sequence[Sequence[str]] = ()
    ) -> Choice:
        """Choose the likeliest of some answers; see ``ChoosesAnswers``."""
        row = int(np.argmax([float(tokens.sum()) for tokens in self.score(prompt, answers)]))
        return Choice(row=row, text=answers[row])

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write an answer, which is refused: decisions have no words.

        Raises:
            ModelError: Always.
        """
        raise ModelError(
            f"{self._capabilities.name} is asked for decisions, which have no words of their own: "
            "classify with labels, or leave --scoring out"
        )

    def _decide(self, request: DecisionRequest) -> tuple[Decision, ...]:
        return read_decisions(self._client.decide(request), request, self._client.host)
