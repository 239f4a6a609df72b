"""Metrics of written answers: exact match, token F1, and the labels that a text names.

Audio Flamingo's release prints outputs and references and contains no metric code, so this is
the plain reading: an exact match after strip, lower case and dropping a final full stop.
Nothing is matched loosely without saying so: ``near_label`` is reported separately.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earful.rag.task import Subset

_SPACES = re.compile(r"\s+")
_WORDS = re.compile(r"[^\W_]+")
_NUMBERS = frozenset(
    {
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
        *("eighteen", "nineteen", "twenty"),
    }
)
_ARTICLES = frozenset({"a", "an", "the"})


def normalise(text: str) -> str:
    """Normalise a text for comparison: case, spaces, a final full stop.

    >>> normalise("  A Dog. ")
    'a dog'
    """
    text = _SPACES.sub(" ", text).strip().casefold()
    return text.removesuffix(".").rstrip()


def match_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that a text equals after ``normalise``; ``None`` for no label.

    >>> match_label("Siren.", ["dog", "siren"]), match_label("a siren", ["dog", "siren"])
    ('siren', None)
    """
    normalised = normalise(text)
    return next((label for label in labels if normalise(label) == normalised), None)


def near_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that shares the most words with a text; ``None`` for none or a tie.

    >>> near_label("a loud siren", ["dog bark", "siren"])
    'siren'
    """
    scored = [(token_f1(text, [label]), label) for label in labels]
    best = max((score for score, _ in scored), default=0.0)
    found = [label for score, label in scored if score == best]
    return found[0] if best > 0 and len(found) == 1 else None


def split_labels(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels in a comma-separated text, in its order.

    Labels may hold commas: the longest that fits is taken. Parts that are no label are dropped.

    >>> split_labels("dog, rain, heavy, dog", ["dog", "rain, heavy", "rain"])
    ('dog', 'rain, heavy')
    """
    name_of = {normalise(label): label for label in labels}
    parts = [normalise(part) for part in text.split(",")]
    found: dict[str, None] = {}
    at = 0
    while at < len(parts):
        for stop in range(len(parts), at, -1):
            joined = ", ".join(parts[at:stop])
            if joined in name_of:
                found[name_of[joined]] = None
                at = stop
                break
        else:
            at += 1
    return tuple(found)


def exact_match(text: str, references: Sequence[str]) -> float:
    """Return 1.0 when a text is the answer that most annotators gave, else 0.0.

    Where several answers were given equally often, each of them is right.

    >>> exact_match("Yes", ["yes", "yes", "no"]), exact_match("no", ["yes", "yes", "no"])
    (1.0, 0.0)
    """
    counts = Counter(map(normalise, references))
    most = max(counts.values(), default=0)
    return float(counts.get(normalise(text), 0) == most > 0)


def token_f1(text: str, references: Sequence[str]) -> float:
    """Return the F1 of words shared with the nearest reference (SQuAD, arXiv 1606.05250).

    Articles and punctuation do not count.
    """
    return max((_token_f1(_tokens(text), _tokens(one)) for one in references), default=0.0)


def set_f1(predicted: Sequence[str], truth: Sequence[str]) -> float:
    """Return the F1 of two sets of labels; 1.0 when both are empty.

    Its mean over items stands in for the reference's "F1 approx", whose rule is unpublished.
    """
    if not predicted and not truth:
        return 1.0
    return 2 * len({*predicted} & {*truth}) / (len({*predicted}) + len({*truth}))


def select_subset(references: Sequence[str], subset: Sequence[Subset]) -> bool:
    """Whether a question belongs to all the named subsets (ClothoAQA, arXiv 2204.09634).

    ``unanimous``: all annotators gave the same answer. ``majority``: more than half did.
    ``binary``: every answer is yes or no. ``non-binary``: the most frequent answer is
    neither. ``numerical``: the most frequent answer is a number.

    Args:
        references: The annotators' answers.
        subset: Names of subsets.
    """
    counts = Counter(map(normalise, references))
    if not counts:
        return False
    (answer, n), total = counts.most_common(1)[0], counts.total()
    holds = {
        "unanimous": n == total,
        "majority": 2 * n > total,
        "binary": all(known in ("yes", "no") for known in counts),
        "non-binary": answer not in ("yes", "no"),
        "numerical": answer in _NUMBERS or answer.isdecimal(),
    }
    return all(holds[name] for name in subset)


def _tokens(text: str) -> Counter[str]:
    return Counter(x for x in _WORDS.findall(text.casefold()) if x not in _ARTICLES)


def _token_f1(one: Counter[str], other: Counter[str]) -> float:
    if not one or not other:
        return float(one == other)
    shared = (one & other).total()
    return 2 * shared / (one.total() + other.total())
