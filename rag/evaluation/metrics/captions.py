"""Caption metrics: CIDEr-D, BLEU and ROUGE-L against references, as in audio captioning.

They follow the COCO caption evaluation (Chen et al., arXiv 1504.00325): CIDEr-D (Vedantam et
al., arXiv 1411.5726) with n-grams of 1 to 4 words, document frequencies over the references
at hand, a length penalty of sigma 6 and a factor of 10; corpus BLEU (Papineni et al., ACL
2002) with the closest reference length; ROUGE-L (Lin, 2004) with beta 1.2, precision and
recall each the best over references. Words are lower case, without punctuation: for plain
captions the same as from the Java tokenizer of the COCO tools. Like it, this one splits
contractions (``don't``) into two words. Brackets and ampersands, which it keeps as words of
their own, are dropped here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.read_only import ReadOnlyDict

Values = NDArray[np.float64]
Words = tuple[str, ...]
Grams = Counter[Words]

CAPTION_METRICS = ("cider", "bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l")

_N = 4
_SIGMA = 6.0
_BETA = 1.2
# Added to counts by the COCO tools, so that no logarithm is of 0.
_SMALL, _TINY = 1e-9, 1e-15
_WORD = re.compile(r"n't|[^\W_]+(?:[-.][^\W_]+)*|'[^\W_]+")
_CONTRACTION = re.compile(r"n't\b|'(?:s|re|ve|ll|d|m)\b")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaptionScores:
    """Scores of captions.

    Attributes:
        corpus: Name of a metric to its value over all items.
        items: Name of a metric to one value an item, shape ``(n,)`` each. For CIDEr-D and
            ROUGE-L the corpus value is their mean; for BLEU it is not.
    """

    corpus: Mapping[str, float]
    items: Mapping[str, Values]


def caption_scores(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[str] = CAPTION_METRICS,
) -> CaptionScores:
    """Score captions against references.

    Args:
        candidates: One caption an item.
        references: At least one caption an item.
        metrics: Some of ``CAPTION_METRICS``.

    Raises:
        ValueError: The lengths differ, there is no item, an item has no reference, or a
            metric is unknown.
    """
    if len(candidates) != len(references) or not candidates:
        raise ValueError(
            f"{len(candidates)} captions and references of {len(references)} items: expected one "
            "or more, as many of each"
        )
    if unknown := sorted(set(metrics) - set(CAPTION_METRICS)):
        raise ValueError(f"metric {unknown[0]!r}: expected some of {', '.join(CAPTION_METRICS)}")
    for row, texts in enumerate(references):
        if not texts:
            raise ValueError(f"item {row} has no reference: expected at least one caption")
    captions = [tokenise(text) for text in candidates]
    expected = [[tokenise(text) for text in texts] for texts in references]
    pairs = list(zip(captions, expected, strict=True))
    corpus: dict[str, float] = {}
    items: dict[str, Values] = {}
    for metric in metrics:
        if metric == "cider":
            items[metric] = _cider(captions, expected)
            corpus[metric] = float(items[metric].mean())
        elif metric == "rouge-l":
            items[metric] = np.array([_rouge_l(*pair) for pair in pairs])
            corpus[metric] = float(items[metric].mean())
        else:
            order = int(metric.removeprefix("bleu-"))
            counts = np.array([_bleu_counts(*pair) for pair in pairs])
            items[metric] = np.array([_bleu(one, order) for one in counts])
            corpus[metric] = _bleu(counts.sum(axis=0), order)
    return CaptionScores(corpus=ReadOnlyDict(corpus), items=ReadOnlyDict(items))


def tokenise(text: str) -> Words:
    """Return the words of a caption.

    >>> tokenise("A dog doesn't bark; it's low-pitched.")
    ('a', 'dog', 'does', "n't", 'bark', 'it', "'s", 'low-pitched')
    """
    plain = text.lower().replace("\u2019", "'")
    apart = _CONTRACTION.sub(lambda found: f" {found.group()} ", plain)
    return tuple(_WORD.findall(apart))


def _grams(words: Words) -> Grams:
    return Counter(
        words[start : start + n] for n in range(1, _N + 1) for start in range(len(words) - n + 1)
    )


def _cider(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> Values:
    """Return the CIDEr-D of each item."""
    frequency: Grams = Counter()
    reference_grams = [[_grams(words) for words in texts] for texts in references]
    for texts in reference_grams:
        frequency.update({gram for grams in texts for gram in grams})
    log_items = math.log(len(captions))

    def weigh(grams: Grams) -> tuple[list[dict[Words, float]], list[float]]:
        weights: list[dict[Words, float]] = [{} for _ in range(_N)]
        for gram, n in grams.items():
            rarity = log_items - math.log(max(1, frequency[gram]))
            weights[len(gram) - 1][gram] = n * rarity
        return weights, [math.sqrt(sum(w * w for w in one.values())) for one in weights]

    scores = np.empty(len(captions))
    for row, (words, others) in enumerate(zip(captions, references, strict=True)):
        mine, my_norms = weigh(_grams(words))
        total = 0.0
        for other, grams in zip(others, reference_grams[row], strict=True):
            theirs, their_norms = weigh(grams)
            # The COCO tools compare lengths in pairs of words: a caption of n has n - 1.
            apart = max(len(words) - 1, 0) - max(len(other) - 1, 0)
            penalty = math.exp(-(apart**2) / (2 * _SIGMA**2))
            for n in range(_N):
                shared = sum(
                    min(weight, theirs[n][gram]) * theirs[n][gram]
                    for gram, weight in mine[n].items()
                    if gram in theirs[n]
                )
                norms = my_norms[n] * their_norms[n]
                total += penalty * (shared / norms if norms else shared) / _N
        scores[row] = 10.0 * total / len(others)
    return scores


def _bleu_counts(words: Words, texts: Sequence[Words]) -> list[float]:
    """Return the length, the closest reference length, then matches and n-grams by n."""
    closest = min((abs(len(other) - len(words)), len(other)) for other in texts)[1]
    most: Grams = Counter()
    for other in texts:
        most |= _grams(other)
    clipped = _grams(words) & most
    matches = [0.0] * _N
    for gram, n in clipped.items():
        matches[len(gram) - 1] += n
    totals = [float(max(len(words) - n, 0)) for n in range(_N)]
    return [float(len(words)), float(closest), *matches, *totals]


def _bleu(counts: Values | Sequence[float], order: int) -> float:
    length, closest, *others = (float(x) for x in counts)
    matches, totals = others[:_N], others[_N:]
    product = 1.0
    for n in range(order):
        product *= (matches[n] + _TINY) / (totals[n] + _SMALL)
    score: float = product ** (1.0 / order)
    ratio = (length + _TINY) / (closest + _SMALL)
    return score * math.exp(1 - 1 / ratio) if ratio < 1 else score


def _rouge_l(words: Words, texts: Sequence[Words]) -> float:
    precision = recall = 0.0
    for other in texts:
        common = _longest_common(words, other)
        precision = max(precision, common / len(words) if words else 0.0)
        recall = max(recall, common / len(other) if other else 0.0)
    if not (precision and recall):
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _longest_common(words: Words, other: Words) -> int:
    """Return the length of the longest common subsequence."""
    before = [0] * (len(other) + 1)
    for word in words:
        now = [0]
        for column, its in enumerate(other):
            now.append(before[column] + 1 if word == its else max(before[column + 1], now[column]))
        before = now
    return before[-1]
