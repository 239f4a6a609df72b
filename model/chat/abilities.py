"""Abilities that a language model may have besides those of ``LanguageModel``, each a protocol.

Models that are asked over a network have them: they may choose without any log-probability, find
out by a test whether recordings reach them, and count what they were asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

from earful.model.prompt import Prompt
from earful.values import short_repr
from earful.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model's choice between answers.

    Attributes:
        row: Which of the answers; ``None`` where what it wrote names none of them, or several.
        text: What it wrote.
    """

    row: int | None
    text: str

    __repr__ = short_repr


@runtime_checkable
class ChoosesAnswers(Protocol):
    """Language model that says which of some answers it takes, without log-probabilities."""

    def choose(
        self, prompt: Prompt, answers: Sequence[str], *, aliases: Sequence[Sequence[str]] = ()
    ) -> Choice:
        """Choose one of some answers.

        Args:
            prompt: The prompt to answer.
            answers: ``n`` distinct answers; never read as anything but text.
            aliases: For each answer, other texts that mean it; none when empty.

        Raises:
            PromptError: The prompt exceeds a limit, or an answer is empty or cannot be asked for.
            AudioError: A recording cannot be read.
            ModelError: The model cannot be asked.
        """
        ...


@runtime_checkable
class ChecksHearing(Protocol):
    """Language model that finds out by a test whether recordings reach it, and what it takes."""

    def check_hearing(self) -> None:
        """Test it, unless a test is known, and set ``capabilities`` by what was found.

        Raises:
            ModelError: It cannot be asked, or recordings are dropped on the way to it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReport:
    """Report on requests: how many, what they took, and what a reader should know of them.

    Attributes:
        n_requests: Requests that were answered.
        n_posts: Times that something was sent, repeated attempts included; each may be billed.
        n_kept: Requests that a reply which was kept before answered, without sending anything.
        prompt_tokens: Tokens of prompts, as the server counted them.
        audio_tokens: Of these, those of audio, where the server says.
        completion_tokens: Tokens that were written.
        n_uncounted: Answered requests whose tokens the server did not count.
        cost: By the prices that the user gave, in their currency; ``None`` without prices.
        server_model: What the server calls the model that answered.
        fingerprint: The server's ``system_fingerprint``; empty where it gives none.
        notes: What a reader should know of these requests.
    """

    n_requests: int = 0
    n_posts: int = 0
    n_kept: int = 0
    prompt_tokens: int = 0
    audio_tokens: int = 0
    completion_tokens: int = 0
    n_uncounted: int = 0
    cost: float | None = None
    server_model: str = ""
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def __add__(self, other: RequestReport) -> RequestReport:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return replace(
            self,
            n_requests=self.n_requests + other.n_requests,
            n_posts=self.n_posts + other.n_posts,
            n_kept=self.n_kept + other.n_kept,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            audio_tokens=self.audio_tokens + other.audio_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            n_uncounted=self.n_uncounted + other.n_uncounted,
            cost=sum(costs) if costs else None,
            server_model=other.server_model or self.server_model,
            fingerprint=other.fingerprint or self.fingerprint,
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )

    def describe(self) -> str:
        """Return one line: what was asked, what it took, and who answered.

        >>> RequestReport(n_requests=2, prompt_tokens=1200, completion_tokens=2).describe()
        '2 requests, 1,200 tokens read, 2 written'
        """
        parts = [counted(self.n_requests, "request")]
        if self.n_kept:
            parts.append(f"{counted(self.n_kept, 'reply', 'replies')} kept from before")
        if self.prompt_tokens:
            audio = f" ({self.audio_tokens:,} of audio)" if self.audio_tokens else ""
            parts.append(f"{self.prompt_tokens:,} tokens read{audio}")
            parts.append(f"{self.completion_tokens:,} written")
        if self.n_uncounted:
            parts.append(f"tokens of {self.n_uncounted} not counted by the server")
        if self.cost is not None:
            parts.append(f"cost {self.cost:.4f}")
        by = f"; answered by {self.server_model}" if self.server_model else ""
        return ", ".join(parts) + by

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, but for the notes."""
        values = asdict(self)
        del values["notes"]
        return values


@runtime_checkable
class ReportsRequests(Protocol):
    """Language model that counts what it was asked."""

    def take_report(self) -> RequestReport:
        """Return the report on all requests since it was last taken, and begin another."""
        ...

    @property
    def total(self) -> RequestReport:
        """The report on all requests so far."""
        ...
