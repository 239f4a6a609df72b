"""Capabilities: what a language model takes and can do, as all that retrieval knows of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from earful.model.audio import Clip
from earful.model.prompt import PromptWording, ShotMode

Scoring = Literal["exact", "first-token", "choice", "text", "decisions"]
"""How a language model scores answers; see ``Capabilities``."""

Hears = Literal["verified", "unverified", "no"]
"""Whether recordings reach a language model; see ``Capabilities``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Limits and abilities of a language model.

    Attributes:
        name: Registered name, or the folder it was loaded from.
        weights_sha256: Hex SHA-256 over its weights; empty when unknown.
        arithmetic: Type, quantisation and kind of device that it computes with, where these may
            differ for the same weights; empty where they may not, or nothing is known.
        max_audios: Most recordings in one prompt, including the query's.
        max_seconds_per_audio: Longest segment of each that it hears, in seconds.
        max_total_seconds: Most seconds of all recordings of a prompt together.
        max_text_tokens: Longest prompt, in its own tokens; of a model that reads audio as tokens,
            those included.
        scoring: How it scores answers. ``"exact"``: by the log-probabilities of all their tokens.
            ``"first-token"``: by that of the letter which stands for each. ``"choice"``: it
            only says which of the answers it takes. ``"text"``: it only writes, and its answer is
            looked for in what it wrote. ``"decisions"``: by the probability of each, told of
            recordings in words and hearing none.
        shot_modes: How it can be shown exemplars, the best way first.
        system_text: Whether a prompt may open with words of the system; of a model without,
            they stand before the first question.
        hears: Whether recordings reach it. ``"verified"``: a test showed it. ``"unverified"``:
            nothing tells. ``"no"``: they are dropped on the way, or not sent.
        max_answers: Most answers that it can be asked to score or choose from at once; ``None`` for
            any number.
        multi_turn: Whether it takes a dialogue.
        batch_safe: Whether an answer is the same beside others in a batch.
        max_prompts: Prompts to give ``AsksAhead.ask_ahead`` at once, where it reads several
            together; 1 where it reads one at a time.
        decoding: How it looks at audio while it writes, where there is a choice.
        licence: Permitted use of its weights; empty when unknown.
        lists_labels: Whether a prompt should list the labels to choose from.
        caveat: Warning to users about its answers; empty for none.
        sample_rate: Rate at which it hears a recording, in Hz.
        window_seconds: Length of what it hears as one piece, in seconds.
        wording: Phrases it was trained on.
        writes_captions: Whether it describes recordings and answers open questions in words of
            its own; of one that does not, ``FewShot`` makes them from exemplars, or declines.
        prototypes_by: Digest of the embedder's weights by whose similarities ``classify`` shows it
            labels, each with all of its exemplars, instead of the nearest exemplars.
        blend: Weight, from 0 to 1, and temperature of a blend with the vote where it takes
            prototypes; ``None`` where exemplars of the task decide.
    """

    name: str
    weights_sha256: str = ""
    arithmetic: str = ""
    max_audios: int
    max_seconds_per_audio: float
    max_total_seconds: float = math.inf
    max_text_tokens: int
    scoring: Scoring = "exact"
    multi_turn: bool
    batch_safe: bool
    decoding: str = ""
    licence: str = ""
    lists_labels: bool = True
    caveat: str = ""
    sample_rate: int = 44_100
    window_seconds: float = 7.0
    wording: PromptWording = field(default_factory=PromptWording)
    writes_captions: bool = True
    prototypes_by: str = ""
    blend: tuple[float, float] | None = None
    shot_modes: tuple[ShotMode, ...] = ("interleaved", "text")
    system_text: bool = True
    hears: Hears = "verified"
    max_answers: int | None = None
    max_prompts: int = 1

    @property
    def logprobs(self) -> bool:
        """Whether ``score`` works."""
        return self.scoring in ("exact", "first-token", "decisions")

    @property
    def usable_shot_modes(self) -> tuple[ShotMode, ...]:
        """``shot_modes`` without those for which it takes too few recordings in one prompt."""
        return tuple(
            mode for mode in self.shot_modes if mode != "interleaved" or self.max_audios > 1
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, but for the wording."""
        found = {
            known.name: list(value) if isinstance(value, tuple) else value
            for known in fields(self)
            if known.name != "wording"
            for value in [getattr(self, known.name)]
        }
        # JSON knows no infinity.
        total = self.max_total_seconds
        return {
            **found,
            "max_total_seconds": total if math.isfinite(total) else None,
            "shot_modes": list(self.shot_modes),
            "blend": None if self.blend is None else list(self.blend),
        }

    def silence(self) -> Clip:
        """Return one window of digital silence, to ask about in a recording's place."""
        n_samples = round(self.window_seconds * self.sample_rate)
        return Clip(
            samples=np.zeros(n_samples, dtype=np.float32),
            sample_rate=self.sample_rate,
            source="silence",
        )
