"""Answer: a text, a score for every label, and the exemplars behind them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from earful.html import notebook_html
from earful.index.search import Hit
from earful.model import ClipRef, Prompt, Scoring
from earful.model.chat import RequestReport
from earful.rag.arrays import Scores
from earful.rag.blend import Blend
from earful.rag.retrieval import Query
from earful.rag.task import Task
from earful.read_only import ReadOnlyDict
from earful.values import short_repr

_log = logging.getLogger(__name__)

_DIGITS = 6
_MORE_LIKELY_THAN_NOT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """A label and its score, in [0, 1].

    >>> LabelScore(label="dog", score=0.75)
    LabelScore(label='dog', score=0.75)
    """

    label: str
    score: float

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with its evidence.

    >>> import earful
    >>> answer = earful.FewShot.open("sounds.index").classify("street.wav")
    >>> answer.text, answer.is_sure, answer.scores[0].label
    ('siren', True, 'siren')
    >>> round(answer.margin, 6) == round(answer.scores[0].score - answer.scores[1].score, 6)
    True
    >>> [hit.exemplar.answer for hit in answer.evidence[:3]]
    ['siren', 'siren', 'siren']
    >>> sorted(answer.to_dict())[:4]
    ['abstained', 'audio', 'confidence', 'end_s']

    Attributes:
        audio: The recording, as it was given.
        text: The best label; for ``multilabel`` all that are more likely than not, joined
            by commas, or ``"none"``.
        confidence: In [0, 1]: the best label's score, or for ``multilabel`` the
            probability of the least certain decision, or for written text the geometric
            mean of its tokens' probabilities. The neighbour vote's says how often answers
            like this one are right, and so does a fitted blend's; a language model's is its
            own belief, which nothing has calibrated. ``None`` where a language model does not
            tell how sure it is; ``vote`` has the neighbour vote's own.
        abstained: Whether there is reason for doubt; ``text`` is then only the best guess. Without
            ``scores`` there is no guess either, and ``text`` says why.
        reason: Why it abstained: nothing of the recording can be heard, nothing that could answer
            is like it, the first two labels cannot be told apart, a model that weighs exemplars had
            none, or ``confidence`` is below the task's ``abstain_below``; empty when it did not. Of
            a yes or no, a note says why.
        scores: One per candidate label, best first; they sum to 1 unless the task is
            ``multilabel``; of yes and no for a yes/no question; empty for written text.
        evidence: The shots, nearest first; with a language model those it was shown.
        model: What answered.
        timings: Seconds by stage: ``decode_s``, ``embed_s``, ``retrieve_s``, ``score_s``, and
            with a language model ``vote_s`` and ``blend_s`` or ``generate_s``.
        prompt_digest: Digest of the prompt.
        notes: What a reader should know, such as labels without any exemplar.
        labels: The labels that ``text`` names; of a yes or no and of written text none.
        start_s: Where the stretch that was asked about begins in the recording, in seconds.
        end_s: Where it ends (exclusive); ``None`` for the recording's end.
        group: The recording's group, as it was given.
        prompt: The interleaved prompt.
        vote: With a language model, what the neighbour vote says: one per candidate label,
            best first; empty without shots or labels.
        model_scores: The language model's own scores, likewise, when ``scores`` are a blend of
            the two.
        blend: How they are blended, and how the blend was fitted.
        slots: Places for audio that the language model kept, empty ones among them, which
            change its answer; 0 without one.
        n_prompt_tokens: Length of the prompt in the language model's tokens; 0 without one.
        decoding: How the language model looks at audio while it writes; see ``generate``.
        scoring: How a language model's answer was scored, or chosen; see ``Capabilities``. ``None``
            where none was asked for labels.
        unparsed: What a language model wrote, where that names none of the labels, or several.
        report: What was asked of an endpoint, and what it took; ``None`` where none was asked.
    """

    audio: str
    text: str
    confidence: float | None
    abstained: bool
    scores: tuple[LabelScore, ...]
    evidence: tuple[Hit, ...]
    model: str
    reason: str = ""
    timings: Mapping[str, float] = field(default_factory=ReadOnlyDict, hash=False)
    prompt_digest: str = ""
    notes: tuple[str, ...] = ()
    prompt: Prompt | None = None
    vote: tuple[LabelScore, ...] = ()
    model_scores: tuple[LabelScore, ...] = ()
    blend: Blend | None = None
    slots: int = 0
    n_prompt_tokens: int = 0
    decoding: str = ""
    labels: tuple[str, ...] = ()
    start_s: float = 0.0
    end_s: float | None = None
    group: str = ""
    scoring: Scoring | None = None
    unparsed: str = ""
    report: RequestReport | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "timings", ReadOnlyDict(self.timings))

    def __repr__(self) -> str:
        return short_repr(self, "text", "confidence", "reason", "evidence", "model", "audio")

    _repr_html_ = notebook_html("answer.html")

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values in a fixed order; all but timings and the prompt's parts.

        Without timings the same question gives the same bytes of JSON.
        """
        values: dict[str, object] = {
            "audio": self.audio,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "group": self.group,
            "text": self.text,
            "labels": list(self.labels),
            "confidence": None if self.confidence is None else round(self.confidence, _DIGITS),
            "abstained": self.abstained,
            "reason": self.reason,
            "scores": _plain(self.scores),
            "evidence": [hit.to_dict() for hit in self.evidence],
            "model": self.model,
            "prompt_digest": self.prompt_digest,
            "notes": list(self.notes),
        }
        if self.slots:
            values |= {
                "vote": _plain(self.vote),
                "model_scores": _plain(self.model_scores),
                "blend": self.blend.to_dict() if self.blend else None,
                "slots": self.slots,
                "n_prompt_tokens": self.n_prompt_tokens,
                "decoding": self.decoding,
            }
        if self.scoring is not None:
            values["scoring"] = self.scoring
        if self.unparsed:
            values["unparsed"] = self.unparsed
        if self.report is not None:
            values["requests"] = self.report.to_dict()
        return values

    @property
    def declined(self) -> bool:
        """Whether there is not even a guess; ``text`` says why."""
        return self.abstained and not self.scores and not self.labels

    @property
    def is_sure(self) -> bool:
        """Whether it did not abstain."""
        return not self.abstained

    @property
    def margin(self) -> float:
        """The best label's score minus the next one's, in [0, 1]; 0 without scores."""
        first, second = ([score.score for score in self.scores] + [0.0, 0.0])[:2]
        return first - second

    @property
    def runners_up(self) -> tuple[LabelScore, ...]:
        """The next two labels after the one that is the answer."""
        return tuple([score for score in self.scores if score.label != self.text][:2])

    @property
    def query(self) -> ClipRef:
        """Where the recording lies, as far as the answer knows it; its samples if it was a clip."""
        clips = self.prompt.clips if self.prompt is not None else ()
        if clips:
            return clips[-1]
        return ClipRef(audio=Path(self.audio), start_s=self.start_s, end_s=self.end_s)

    def summary(self) -> str:
        """Return one line: the answer and the runners-up."""
        if self.declined:
            return self.text
        then = ", ".join(f"{score.label} {score.score:.0%}" for score in self.runners_up)
        sure = "" if self.confidence is None else f" {self.confidence:.0%}"
        best = f"{self.text}{sure}" + (f" (then {then})" if then else "")
        if not self.abstained:
            return best
        why = f" ({self.reason})" if self.reason else ""
        return f"not sure{why}; best guess: {best}"


def reason_to_abstain(task: Task, confidence: float | None, doubt: str) -> str:
    """Return why an answer abstains, or ``""``.

    Args:
        task: What is asked.
        confidence: Of the answer; ``None`` where there is none to compare.
        doubt: What else speaks against it; empty for nothing.
    """
    if doubt or confidence is None or confidence >= task.abstain_below:
        return doubt
    return f"confidence {confidence:.0%} is below {task.abstain_below:.0%}, as the task wants it"


def weigh_hearing(answer: Answer, query: Query, *, always_answer: bool) -> Answer:
    """Add what an encoder hears of the recording, and abstain where nothing is left of it.

    Args:
        answer: To whatever was asked.
        query: The recording.
        always_answer: Whether to abstain in no case.
    """
    if not query.faults:
        return answer
    answer = replace(answer, notes=(*query.notes, *answer.notes))
    if not query.unusable or always_answer:
        return answer
    return replace(answer, abstained=True, reason=query.unusable)


def decline_unheard(query: Query, *, model: str) -> Answer | None:
    """Return an answer without a guess where nothing of a recording can be heard.

    Args:
        query: The recording.
        model: Who would have been asked.
    """
    if not query.unusable:
        return None
    return Answer(
        audio=query.name,
        text=f"cannot say: {query.unusable}",
        confidence=0.0,
        abstained=True,
        reason=query.unusable,
        scores=(),
        evidence=(),
        model=model,
        notes=query.notes,
        start_s=query.reference.start_s,
        end_s=query.reference.end_s,
        group=query.exclusions.group,
    )


def log_answer(answer: Answer) -> Answer:
    """Log an answer with how long it took, and return it."""
    timings = {stage: round(spent_s, _DIGITS) for stage, spent_s in answer.timings.items()}
    _log.info(
        "%s: answered by %s in %.3f s",
        answer.audio,
        answer.model,
        sum(timings.values()),
        extra={
            "audio": answer.audio,
            "model": answer.model,
            "n_shots": len(answer.evidence),
            "n_prompt_tokens": answer.n_prompt_tokens,
            "prompt_digest": answer.prompt_digest,
            "timings": timings,
        },
    )
    return answer


def rank_labels(labels: tuple[str, ...], scores: Scores) -> tuple[LabelScore, ...]:
    """Pair labels with their scores, best first; ties keep the labels' order."""
    best_first = np.argsort(-scores, kind="stable")
    return tuple(LabelScore(label=labels[row], score=float(scores[row])) for row in best_first)


def predicted_label(task: Task, ranked: tuple[LabelScore, ...]) -> tuple[str, float]:
    """Return an answer's text and its confidence; see ``Answer``."""
    if task.kind == "classify":
        return ranked[0].label, ranked[0].score
    least_certain = min(max(score.score, 1.0 - score.score) for score in ranked)
    return ", ".join(predicted_labels(task, ranked)) or "none", least_certain


def predicted_labels(task: Task, ranked: tuple[LabelScore, ...]) -> tuple[str, ...]:
    """Return the labels of an answer: the best one, or all that are more likely than not."""
    if task.kind == "classify":
        return (ranked[0].label,)
    return tuple(score.label for score in ranked if score.score > _MORE_LIKELY_THAN_NOT)


def _plain(scores: tuple[LabelScore, ...]) -> list[dict[str, object]]:
    return [{"label": score.label, "score": round(score.score, _DIGITS)} for score in scores]
