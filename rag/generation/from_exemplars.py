"""Sentences from exemplars: captions and answers made of what was retrieved, or declined.

For language models too small to write of their own (``Capabilities.writes_captions``). Nothing
here invents a word: a sentence is an exemplar's own, or names a label that won the vote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.rag.answer import LabelScore
from earful.rag.generation.questions import asks_for_a_description, plain_words

_MORE_LIKELY_THAN_NOT: Final = 0.5
_MOST_COMPARED: Final = 5  # captions, the nearest
_MOST_NAMED: Final = 3
_UNLIKE: Final = "nothing in the index is like it"

# Words that captions share whatever they are about.
_LITTLE: Final = frozenset(
    {
        *("a", "an", "the", "of", "in", "on", "at", "to", "by", "with", "from", "for", "and", "or"),
        *("is", "are", "was", "were", "be", "being", "it", "its", "this", "that", "there", "as"),
        *("while", "then", "some", "someone", "something", "sound", "sounds", "recording"),
        *("noise", "noises", "hear", "heard", "background", "loud", "loudly", "several", "one"),
    }
)

# Sounds that are not counted, apart from words in -ing and plurals.
_UNCOUNTED: Final = frozenset(
    {
        *("rain", "wind", "thunder", "hail", "water", "fire", "surf", "traffic", "static"),
        *("laughter", "applause", "speech", "music", "silence", "noise", "chatter", "brass"),
        *("breath", "hiss", "feedback", "reverb", "machinery", "glass", "percussion"),
    }
)
_VOWEL = re.compile(r"[aeiou]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The label that retrieval suggests for a recording.

    Attributes:
        ranked: The neighbour vote's scores of labels, best first; empty without labels.
        exclusive: Whether one label is right, or each is decided for itself.
        labelled: Shots with labels, nearest first.
        answered: Shots with answers, nearest first.
        likeness: How far the recording is like any of the shots, in [0, 1].
    """

    ranked: tuple[LabelScore, ...] = ()
    exclusive: bool = True
    labelled: tuple[Hit, ...] = ()
    answered: tuple[Hit, ...] = ()
    likeness: float = 0.0

    @property
    def nearest(self) -> Hit | None:
        """The nearest shot of either kind."""
        return max((*self.labelled, *self.answered), key=lambda hit: hit.similarity, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A text made from exemplars.

    Attributes:
        text: The text; why there is none when declined.
        confidence: In [0, 1]; 0 when declined.
        evidence: Shots that it was made from.
        note: How it was made; empty when declined.
        declined: Whether there is no answer.
    """

    text: str
    confidence: float = 0.0
    evidence: tuple[Hit, ...] = ()
    note: str = ""
    declined: bool = False


def describe_heard(heard: Heard) -> Said:
    """Describe a recording in a sentence: an exemplar's caption, or the labels that won.

    With labels, the caption of the nearest exemplar that has the winning ones. Without, the
    nearest exemplar's, if the captions of the others are about the same things.
    """
    if doubt := _doubt(heard):
        return _decline(heard, "describe", doubt)
    if heard.ranked:
        names = _names(heard)
        fit = (hit for hit in heard.labelled if set(names) <= set(hit.exemplar.labels))
        found = next(filter(caption_of, fit), None)
        said = _name(heard, f"a recording of {listed([with_article(x) for x in names])}")
        if found is None:
            return said
        note = f"the caption of {found.exemplar.id}, the nearest of those with {_scores(heard)}"
        return Said(
            text=caption_of(found), confidence=said.confidence, evidence=said.evidence, note=note
        )
    captioned = [hit for hit in heard.answered if caption_of(hit)][:_MOST_COMPARED]
    share = agreement([caption_of(hit) for hit in captioned])
    if share <= _MORE_LIKELY_THAN_NOT:
        return _decline(heard, "describe", "the captions of the nearest are about other things")
    return Said(
        text=caption_of(captioned[0]),
        confidence=share,
        evidence=tuple(captioned),
        note=f"the caption of {captioned[0].exemplar.id}, the nearest; the others are like it",
    )


def name_heard(heard: Heard) -> Said:
    """Answer what the sound is: the labels that won the vote, with an article."""
    doubt = _doubt(heard) or ("" if heard.ranked else "the exemplars have no labels")
    if doubt:
        return _decline(heard, "answer", doubt)
    return _name(heard, listed([with_article(name) for name in _names(heard)]))


def answer_heard(heard: Heard, question: str) -> Said:
    """Answer a question as the nearest exemplars answered it, where most of them agree."""
    asked = plain_words(question)
    if heard.nearest is None:
        return _decline(heard, "answer", _doubt(heard))
    same = [hit for hit in heard.answered if plain_words(hit.exemplar.question) == asked]
    if not same:
        return _decline(heard, "answer", "no exemplar near it answers this question")
    if heard.likeness < _MORE_LIKELY_THAN_NOT:
        return _decline(heard, "answer", _UNLIKE)
    answers = [plain_words(hit.exemplar.answer) for hit in same]
    best = max(answers, key=answers.count)
    share = answers.count(best) / len(answers)
    if share <= _MORE_LIKELY_THAN_NOT:
        return _decline(heard, "answer", "the exemplars nearest to it answer differently")
    text = same[answers.index(best)].exemplar.answer
    note = f"the answer of {answers.count(best)} of {len(same)} exemplars to the same question"
    return Said(text=text, confidence=share, evidence=tuple(same), note=note)


def _doubt(heard: Heard) -> str:
    """Explain why no name can be told; empty when one can."""
    if heard.nearest is None:
        return "there are no exemplars to compare it with"
    if heard.likeness < _MORE_LIKELY_THAN_NOT:
        return _UNLIKE
    if heard.ranked and not _names(heard):
        return f"the exemplars nearest to it disagree ({_scores(heard, 2)})"
    return ""


def _names(heard: Heard) -> list[str]:
    """Return the labels that are more likely than not.

    Whatever else names sounds, such as the classes that a network hears, joins them here; the
    sentences below are made of these names alone.
    """
    likely = [score.label for score in heard.ranked if score.score > _MORE_LIKELY_THAN_NOT]
    return likely[: 1 if heard.exclusive else _MOST_NAMED]


def _name(heard: Heard, text: str) -> Said:
    return Said(
        text=text,
        confidence=heard.ranked[0].score,
        evidence=heard.labelled,
        note=f"made of the exemplars' labels: the vote gives {_scores(heard)}",
    )


def _decline(heard: Heard, what: str, why: str) -> Said:
    nearest = heard.nearest
    near = ""
    if nearest is not None:
        called = ", ".join(nearest.exemplar.labels) or nearest.exemplar.answer
        near = f"; the nearest is {called!r} ({nearest.exemplar.id}, {nearest.similarity:.2f})"
    return Said(
        text=f"I cannot {what} this: {why}{near}",
        evidence=heard.labelled or heard.answered,
        declined=True,
    )


def _scores(heard: Heard, least: int = 1) -> str:
    n = max(len(_names(heard)), least)
    return ", ".join(f"{score.label!r} {score.score:.0%}" for score in heard.ranked[:n])


def caption_of(hit: Hit) -> str:
    """Return an exemplar's caption; empty when it has none but its labels, or another answer."""
    exemplar: Exemplar = hit.exemplar
    if exemplar.question and not asks_for_a_description(exemplar.question):
        return ""
    if exemplar.task not in ("", "caption"):
        return ""
    labels = plain_words(" ".join(exemplar.labels).replace("_", " "))
    return "" if plain_words(exemplar.answer.replace("_", " ")) == labels else exemplar.answer


def agreement(captions: Sequence[str]) -> float:
    """Return the share of captions that have a telling word in common with the first.

    The first counts, so that one caption agrees with itself.

    >>> agreement(["a dog barks", "the dog is barking", "rain on a roof"])
    0.6666666666666666
    """
    said = [set(plain_words(text)) - _LITTLE for text in captions]
    if not said:
        return 0.0
    return (1 + sum(not said[0].isdisjoint(other) for other in said[1:])) / len(said)


def with_article(label: str) -> str:
    """Return a label as it stands in a sentence.

    >>> with_article("church_bell"), with_article("rain"), with_article("Owl")
    ('a church bell', 'rain', 'an owl')
    >>> with_article("footsteps"), with_article("dog barking"), with_article("TR-808")
    ('footsteps', 'dog barking', 'a TR-808')
    """
    text = label.replace("_", " ").strip()
    text = " ".join(word.lower() if word.istitle() else word for word in text.split())
    last = text.split()[-1].lower() if text else ""
    is_plural = last.endswith("s") and not last.endswith("ss")
    if not last or is_plural or last.endswith("ing") or last in _UNCOUNTED:
        return text
    return f"{'an' if _VOWEL.match(text) else 'a'} {text}"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence.

    >>> listed(["rain"]), listed(["rain", "wind", "a bell"])
    ('rain', 'rain, wind and a bell')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
