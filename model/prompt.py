"""Prompts for language models: texts, each with its speaker, and places for audio.

They are independent of any model's syntax. A model's own format puts its control tokens
between the parts (``flamingo.prompt_format``), so text from a corpus can never become one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import AudioLimits, Clip, load_isolated, probe_isolated, resample
from earful.values import short_repr

_DIGITS = 4

ShotMode = Literal["interleaved", "montage", "text"]
"""How a prompt shows exemplars: each with its recording, all in one recording, or in words."""

Speaker = Literal["system", "exemplar", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text in a prompt, with its speaker.

    Attributes:
        kind: The speaker: the ``system``, an ``exemplar``, the ``user``, or the model itself
            in an earlier turn (``assistant``).
        text: The words; data, never control tokens.
        is_answer: Whether an exemplar's words are its answer rather than its question.
    """

    kind: Speaker
    text: str
    is_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRef:
    """A place for audio in a prompt: decoded audio, or a segment of a file.

    Attributes:
        audio: File to read, or a decoded clip.
        start_s: Where the segment begins in a file, in seconds.
        end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.
        content_sha256: Digest of the decoded segment; empty when unknown.
        is_exemplar: Whether it is an exemplar's audio, whose features are worth keeping.
        query_from_s: Where the recording asked about begins in a montage, in seconds; 0 in any
            other recording.
        duration_s: The segment's length, in seconds; 0 where it is not known.
    """

    audio: Path | Clip
    start_s: float = 0.0
    end_s: float | None = None
    content_sha256: str = ""
    is_exemplar: bool = False
    query_from_s: float = 0.0
    duration_s: float = 0.0

    def __str__(self) -> str:
        name = (self.audio.source or "clip") if isinstance(self.audio, Clip) else str(self.audio)
        if not self.start_s and self.end_s is None:
            return name
        end = "end" if self.end_s is None else f"{self.end_s:g}"
        return f"{name} [{self.start_s:g}-{end} s]"

    @property
    def known_content(self) -> str:
        """Digest of its content, a decoded clip's own included; empty when unknown."""
        if not self.content_sha256 and isinstance(self.audio, Clip):
            return self.audio.content_sha256
        return self.content_sha256

    def length_s(self) -> float:
        """Return its length in seconds, from a file's header if need be.

        Raises:
            AudioError: The file cannot be read.
        """
        if isinstance(self.audio, Clip):
            return self.audio.duration_s
        if self.duration_s:
            return self.duration_s
        if self.end_s is not None:
            return self.end_s - self.start_s
        return probe_isolated(self.audio).duration_s - self.start_s

    def read(self, sample_rate: int, *, longest_s: float) -> NDArray[np.float32]:
        """Decode its beginning as mono audio.

        Args:
            sample_rate: Of the result, in Hz.
            longest_s: No more than this of it is wanted, in seconds; infinity for all.

        Returns:
            float32, shape ``(n_samples,)``.

        Raises:
            AudioError: The file cannot be read, or an exemplar's segment has changed.
        """
        if isinstance(self.audio, Clip):
            samples = resample(self.audio, sample_rate).samples
            return samples if math.isinf(longest_s) else samples[: round(longest_s * sample_rate)]
        end_s = self.end_s
        if self.length_s() > longest_s:
            end_s = self.start_s + longest_s
        clip = load_isolated(self.audio, sample_rate=sample_rate, start_s=self.start_s, end_s=end_s)
        if self.is_exemplar and self.content_sha256:
            self.require_unchanged(clip if end_s == self.end_s else None)
        return clip.samples

    @contextmanager
    def naming_exemplar(self) -> Iterator[None]:
        """Say of an error in a block that reads it that it is an exemplar's, if it is one.

        Raises:
            AudioError: As the block raised it, or for an exemplar with how to list all like it.
        """
        try:
            yield
        except AudioError as error:
            if not self.is_exemplar:
                raise
            raise AudioError(
                f"an exemplar cannot be heard: {error}; `earful index verify` lists all like it, "
                "and --model none answers without hearing any"
            ) from error

    def require_unchanged(self, clip: Clip | None = None) -> None:
        """Refuse an exemplar whose audio is no longer the audio that its label was given for.

        Args:
            clip: The whole segment as it was decoded; ``None`` to decode it.

        Raises:
            AudioError: The file cannot be read, or has changed.
        """
        if clip is None:
            # Its length was checked when the index was built.
            clip = load_isolated(
                Path(str(self.audio)),
                start_s=self.start_s,
                end_s=self.end_s,
                limits=AudioLimits(max_duration_s=math.inf),
            )
        if clip.content_sha256 != self.content_sha256:
            raise AudioError(
                f"{self}: has changed since it was embedded, so its label may be wrong; run "
                "`earful index build` again, or restore the old file"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """A place for audio in a prompt that stands for a label: all of its exemplars, and its name.

    Attributes:
        label: The label.
        clips: Exemplars to hear; none for a label of which only the name is known.
        similarity: Of the query to all of the label's exemplars, as retrieval found it.
        heard: Standard deviations by which the label's name is heard in the query, as retrieval
            found it; ``None`` where names mean nothing to the embedder.
    """

    label: str
    clips: tuple[ClipRef, ...]
    similarity: float
    heard: float | None = None

    def __str__(self) -> str:
        n = len(self.clips)
        exemplars = f"{n} exemplar{'' if n == 1 else 's'}" if n else "no exemplar"
        name = "" if self.heard is None else f", name {self.heard:+.1f}"
        return f"label {self.label!r}: {exemplars}, similarity {self.similarity:+.2f}{name}"


Place = ClipRef | Prototype
"""A place for audio in a prompt."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Input of a language model: its parts, in order.

    A question: an optional opening by the system; for every exemplar a clip, a question
    and an answer (or, shown as text only, no clip); then the query's clip and the user's
    question, which comes last. In place of an exemplar's clip may stand a label's prototype, for a
    model that takes them. A dialogue: an optional opening, one clip, then the turns
    of user and assistant in alternation, the user's last.

    Attributes:
        parts: Text and places for audio.
        is_dialogue: Whether it is a dialogue rather than a question.
    """

    parts: tuple[Text | Place, ...]
    is_dialogue: bool = False

    __repr__ = short_repr

    @property
    def places(self) -> tuple[Place, ...]:
        """The places for audio, in order."""
        return tuple(part for part in self.parts if not isinstance(part, Text))

    @property
    def clips(self) -> tuple[ClipRef, ...]:
        """The recordings, in order, those of prototypes included."""
        return tuple(
            clip
            for place in self.places
            for clip in (place.clips if isinstance(place, Prototype) else (place,))
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels whose prototypes it shows, in order."""
        return tuple(place.label for place in self.places if isinstance(place, Prototype))

    @property
    def n_clips(self) -> int:
        """Number of places for audio, including the query's."""
        return len(self.places)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over words, speakers and audio content.

        Audio of known content counts by its digest, so that a corpus in another folder
        gives equal prompts.
        """
        plain: list[object] = [
            [part.kind, part.is_answer, part.text] if isinstance(part, Text) else _plain(part)
            for part in self.parts
        ]
        if self.is_dialogue:
            plain.append("dialogue")
        encoded = json.dumps(plain, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(encoded.encode("ascii")).hexdigest()

    def render(self) -> str:
        """Return the prompt as text for people to read, part by part.

        Further lines of a part are indented, so that no text can look like a part.
        """
        lines: list[str] = []
        n_clips = 0
        for part in self.parts:
            if not isinstance(part, Text):
                n_clips += 1
                lines.append(_part(f"audio {n_clips}", str(part)))
            else:
                lines.append(_part("answer" if part.is_answer else part.kind, part.text))
        return "\n".join(lines)


def _plain(place: Place) -> list[object]:
    if isinstance(place, ClipRef):
        return ["audio", place.content_sha256 or str(place)]
    clips = [clip.content_sha256 or str(clip) for clip in place.clips]
    # Rounded, since the last digits of a similarity are a device's own.
    heard = None if place.heard is None else round(place.heard, _DIGITS)
    return ["label", place.label, clips, round(place.similarity, _DIGITS), heard]


def _part(title: str, text: str) -> str:
    first, *others = text.splitlines() or [""]
    return "\n".join([f"[{title}] {first}", *(f"    {line}" for line in others)])


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptWording:
    """Phrases that prompts are made of, apart from the words of tasks and corpora.

    A language model brings its own, the phrases it was trained on; these are plain ones for
    models that were not. ``{label}`` stands for a label.

    Attributes:
        classify_opening: Opens a prompt that asks for one label.
        multilabel_opening: Opens one that asks for any number of labels.
        ask_opening: Opens a question.
        caption_opening: Opens one that asks for a description.
        dialogue_opening: Opens a dialogue.
        similar_examples: Comes before the opening where retrieved shots follow.
        random_examples: The same where the shots were drawn.
        classify_question: Asked where a task has no question of its own.
        multilabel_question: Likewise.
        caption_question: Likewise.
        exemplar_question: Asked of an exemplar whose own question is unknown.
        question_prefix: Comes before every question of kind ``ask``.
        presence_question: Asks whether one label is there.
        yes_no_options: Follows a question whose answer is yes or no.
        options_header: Comes before the labels to choose from.
        option: One label to choose from.
        no_label: Answer of an exemplar that carries no label.
    """

    classify_opening: str = "The task is event classification."
    multilabel_opening: str = "The task is tagging."
    ask_opening: str = "The task is audio question answering."
    caption_opening: str = "The task is audio captioning."
    dialogue_opening: str = "The task is dialog."
    similar_examples: str = "Here are similar examples. "
    random_examples: str = "Here are random examples. "
    classify_question: str = "Classify this sound."
    multilabel_question: str = "Use a few labels to describe this sound."
    caption_question: str = "Describe the sound in a sentence."
    exemplar_question: str = "What is this sound?"
    question_prefix: str = "Please answer this question: "
    presence_question: str = "is there {label} in this sound?"
    yes_no_options: str = "\nOPTIONS:\nyes.\nno."
    options_header: str = "\nOPTIONS:"
    option: str = "\n - {label}."
    no_label: str = "none"

    def opening(self, kind: str) -> str:
        """Return what opens a prompt of a task's kind."""
        return {
            "classify": self.classify_opening,
            "multilabel": self.multilabel_opening,
            "ask": self.ask_opening,
            "caption": self.caption_opening,
        }[kind]

    def question(self, kind: str) -> str:
        """Return the default question of a task's kind; empty for ``ask``, which has none."""
        return {
            "classify": self.classify_question,
            "multilabel": self.multilabel_question,
            "ask": "",
            "caption": self.caption_question,
        }[kind]

    def options(self, labels: Iterable[str]) -> str:
        """Return the list of labels to choose from.

        >>> print(PromptWording().options(["cat", "dog"]))
        <BLANKLINE>
        OPTIONS:
         - cat.
         - dog.
        """
        # Not str.format: a label is data, braces and all.
        return self.options_header + "".join(
            self.option.replace("{label}", label) for label in labels
        )
