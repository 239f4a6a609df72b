"""The protocols of embedders and language models, with the records that they exchange.

Anything with a ``fingerprint`` and an ``embed`` method is an embedder. A language model states what
it can do (``Capabilities``), measures a prompt, scores answers to it and writes an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.capabilities import Capabilities
from earful.model.label_words import LabelWords
from earful.model.prompt import Prompt
from earful.values import short_repr

# Digests and descriptions of windows are longer, and tell a reader nothing.
_SHORT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Identity of an embedder: everything that decides which vector a recording gets.

    Equal fingerprints make comparable vectors; an index refuses any other than its own.

    Attributes:
        name: Registered name, hub id or folder name, such as ``"earful-tiny"``.
        revision: Hub revision or release of the weights; empty when there is none.
        weights_sha256: Hex SHA-256 over the weights; empty for an embedder without any.
        dim: Length of a vector.
        sample_rate: Sample rate of the clips it takes, in Hz.
        windowing: How recordings of any length become windows, and windows a vector.
        dtype: Arithmetic of the encoder, such as ``"float32"``.
        resampler: Resampler that brought the audio to ``sample_rate``, such as ``"soxr-hq"``.
    """

    name: str
    revision: str
    weights_sha256: str
    dim: int
    sample_rate: int
    windowing: str
    dtype: str = "float32"
    resampler: str = "soxr-hq"

    __repr__ = short_repr

    def to_dict(self) -> dict[str, str | int]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Read the values that ``to_dict`` returned.

        Raises:
            ModelError: A field is missing, unknown or of the wrong type.

        >>> f = Fingerprint(name="a", revision="", weights_sha256="", dim=2, sample_rate=8000,
        ...                 windowing="whole")
        >>> Fingerprint.from_dict(f.to_dict()) == f
        True
        """
        if not isinstance(values, dict):
            raise ModelError(f"embedder fingerprint: expected a table, got {type(values).__name__}")
        kinds = {field.name: int if field.type == "int" else str for field in fields(cls)}
        if missing := sorted(kinds.keys() - values.keys()):
            raise ModelError(f"embedder fingerprint: missing {', '.join(missing)}")
        if unknown := sorted(map(str, values.keys() - kinds.keys())):
            raise ModelError(f"embedder fingerprint: unknown {', '.join(unknown)}")
        for key, kind in kinds.items():
            if type(values[key]) is not kind:
                raise ModelError(
                    f"embedder fingerprint: {key} is {values[key]!r}, expected {kind.__name__}"
                )
        return cls(**values)

    def differences(self, other: Fingerprint) -> list[str]:
        """List every field that differs, with short values as ``"field: mine / theirs"``."""
        return [
            f"{field.name}: {mine!r} / {theirs!r}"
            if len(f"{mine}{theirs}") <= _SHORT
            else field.name
            for field in fields(self)
            if (mine := getattr(self, field.name)) != (theirs := getattr(other, field.name))
        ]


@runtime_checkable
class Embedder(Protocol):
    """Embedder of audio as vectors whose dot product is a similarity."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides which vector a clip gets."""
        ...

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        A clip's vector depends on the other clips of the batch in its last bits at most.

        Args:
            clips: ``n`` clips, each at ``fingerprint.sample_rate`` and of any length.

        Returns:
            float32, shape ``(n, dim)``; every row is finite and has unit L2 norm.

        Raises:
            ValueError: A clip has another sample rate.
        """
        ...


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """Embedder that also embeds sentences, in the same space as audio."""

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed sentences.

        Args:
            texts: ``n`` sentences; never read as anything but text.

        Returns:
            float32, shape ``(n, dim)``; unit rows in the space of ``embed``.
        """
        ...


@runtime_checkable
class ClassScorer(TextEmbedder, Protocol):
    """Embedder that also says how far it hears each of the classes that it was trained on.

    An index that it begins keeps these scores. A text is compared with them, because vectors of
    unit length do not say how sure the network was.
    """

    @property
    def n_classes(self) -> int:
        """Number of its classes, 1 or more."""
        ...

    def embed_and_score(
        self, clips: Sequence[Clip]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embed a batch and score the classes, in one pass.

        Args:
            clips: ``n`` clips, as for ``embed``.

        Returns:
            What ``embed`` returns, and float32, shape ``(n, n_classes)``: logits, finite. At 0
            a class is as likely as not.

        Raises:
            ValueError: A clip has another sample rate.
        """
        ...

    def text_weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how much each class's score counts for each text.

        Args:
            texts: ``m`` texts; never read as anything but text.

        Returns:
            float32, shape ``(m, n_classes)``. Their product with a recording's scores is higher
            the more what a text means stands out in it.

        Raises:
            PromptError: Nothing is known of a text.
        """
        ...


@runtime_checkable
class ExplainsTexts(Protocol):
    """Embedder that can tell when a text is none that it knows sounds of."""

    def explain_text(self, text: str) -> str:
        """Return one sentence for who searches by a text; empty where there is nothing to say.

        Raises:
            PromptError: Nothing is known of the text.
        """
        ...


@runtime_checkable
class LabelNamer(ClassScorer, Protocol):
    """Embedder to which the names of labels tell something before any exemplar does."""

    def standardise(self, class_scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return class scores in standard deviations of the clips that it was fitted on.

        Args:
            class_scores: Logits, shape ``(..., n_classes)``.

        Returns:
            float64, of the same shape.
        """
        ...

    def label_words(self, names: Sequence[str]) -> LabelWords:
        """Return how clearly names of labels are heard in recordings.

        Args:
            names: ``m`` names; never read as anything but text. A name of which nothing is known
                is no error.
        """
        ...


def embed_and_score(
    embedder: Embedder, clips: Sequence[Clip]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Embed a batch, with class scores where the embedder gives them.

    Args:
        embedder: Any embedder.
        clips: ``n`` clips, as for ``Embedder.embed``.

    Returns:
        What ``ClassScorer.embed_and_score`` returns; ``None`` in place of the scores for an
        embedder without any.
    """
    if isinstance(embedder, ClassScorer):
        return embedder.embed_and_score(clips)
    return embedder.embed(clips), None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOptions:
    """Options of writing an answer.

    Attributes:
        max_new_tokens: Longest answer, in tokens.
        temperature: 0 takes the most probable token, 1 samples from all probabilities.
        top_k: Sample from that many most probable tokens only; 0 for all.
        top_p: Sample from the most probable tokens that add up to this, in (0, 1].
        seed: Seed of the sampling.
        stop: Texts before which the answer ends; none of them empty.
        stop_repetition: Whether the answer ends where it begins to repeat itself, with one copy
            kept: three times the same 2 to 32 tokens in a row, or four times the same one.

    Raises:
        ValueError: A field is outside its range.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    stop_repetition: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={self.max_new_tokens}: expected 1 or more")
        if not 0.0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature}: expected 0 or more")
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k}: expected 0 (all) or more")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p={self.top_p}: expected more than 0 and at most 1")
        if isinstance(self.stop, str) or not all(self.stop):
            raise ValueError(f"stop={self.stop!r}: expected a tuple of texts, none of them empty")

    def cut(self, text: str) -> str:
        """Return a text up to the first stop in it.

        >>> GenerationOptions(stop=(". ",)).cut("A dog. It barks.")
        'A dog'
        """
        places = [text.index(stop) for stop in self.stop if stop in text]
        return text[: min(places, default=len(text))]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """Size of a prompt for a language model.

    Attributes:
        n_tokens: Its length in the model's tokens.
        slots: Places for audio that the model reserves for it, including empty ones.
        cut: A line for each recording that is longer than the model hears.
    """

    n_tokens: int
    slots: int
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A written answer.

    Attributes:
        text: The answer, without control tokens and surrounding spaces.
        n_tokens: Number of tokens that were written; after a repetition, of those that were
            kept.
        stopped: ``"end"`` when the model or a stop ended it, ``"length"`` at
            ``max_new_tokens``, ``"repetition"`` where it repeated itself; ``text`` then holds
            one copy.
        log_probability: The model's log-probability of these tokens; ``None`` where it tells none.
    """

    text: str
    n_tokens: int
    stopped: str
    log_probability: float | None

    @property
    def confidence(self) -> float | None:
        """The geometric mean of the tokens' probabilities, in [0, 1]; ``None`` without any."""
        if self.log_probability is None:
            return None
        return math.exp(self.log_probability / max(self.n_tokens, 1))


@runtime_checkable
class LanguageModel(Protocol):
    """Language model that answers a prompt of interleaved audio and text."""

    @property
    def capabilities(self) -> Capabilities:
        """Limits and abilities of the model."""
        ...

    def measure(self, prompt: Prompt) -> PromptSize:
        """Measure a prompt without decoding audio.

        Raises:
            PromptError: It is not a prompt for this model, such as one without audio.
        """
        ...

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score whole answers.

        Args:
            prompt: The prompt to answer.
            answers: ``n`` distinct answers; never read as anything but text.

        Returns:
            For each answer the log-probabilities of its tokens, including its end, so that
            their sum is the log-probability of exactly this answer.

        Raises:
            PromptError: The prompt exceeds a limit, an answer is empty, or two answers
                are the same to the model.
            AudioError: A recording cannot be read.
            ModelError: The model has no log-probabilities.
        """
        ...

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write an answer.

        Args:
            prompt: The prompt to answer.
            options: Options of writing.
            on_text: Called with each new piece of the answer as it is written; what a stop
                may still cut off is held back.

        Raises:
            PromptError: The prompt exceeds a limit.
            AudioError: A recording cannot be read.
        """
        ...


@runtime_checkable
class AsksAhead(Protocol):
    """Language model that may read several prompts at once."""

    def ask_ahead(self, questions: Sequence[tuple[Prompt, Sequence[str]]]) -> None:
        """Score answers to several prompts at once, and keep the scores for ``score`` to give.

        What cannot be asked is left out, and costs the others nothing: ``score`` says what is
        wrong with it. A bounded number of scores is kept, and each given once.

        Args:
            questions: Prompts, each with its answers, as for ``LanguageModel.score``;
                ``Capabilities.max_prompts`` or so of them.
        """
        ...
