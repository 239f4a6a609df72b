"""Caption metrics: CIDEr-D, BLEU and ROUGE-L against references, as in audio captioning.

They are computed by the COCO caption tools (Chen et al., arXiv 1504.00325) as the package
``pycocoevalcap`` has them, by its parts without Java: CIDEr-D (Vedantam et al., arXiv 1411.5726)
with document frequencies over the references at hand, corpus BLEU (Papineni et al., ACL 2002)
with the closest reference length, and ROUGE-L (Lin, 2004) with beta 1.2. Words are lower case,
without punctuation: for plain captions the same as from the Java tokenizer of the COCO tools.
Like it, this one splits contractions (``don't``) into two words. Brackets and ampersands, which
it keeps as words of their own, are dropped here.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.errors import MissingExtraError
from earful.read_only import ReadOnlyDict

Values = NDArray[np.float64]
Words = tuple[str, ...]
CocoTexts = Mapping[int, list[str]]
"""Number of each item to its texts."""

CAPTION_METRICS = ("cider", "bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l")

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


def require_caption_tools() -> None:
    """Check that captions can be scored.

    Raises:
        MissingExtraError: The extra ``captions`` is not installed.
    """
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise MissingExtraError(
            "scores of captions need the extra captions: pip install 'earful[captions]'"
        )


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
        MissingExtraError: The extra ``captions`` is not installed.
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
    require_caption_tools()
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    expected, captions = as_coco(candidates, references)
    corpus: dict[str, float] = {}
    items: dict[str, Values] = {}
    for metric in metrics:
        if metric == "cider":
            # Its document frequencies have no maximum where the references have no words.
            if not any(text for texts in expected.values() for text in texts):
                total, each = 0.0, np.zeros(len(captions))
            else:
                total, each = Cider().compute_score(expected, captions)
        elif metric == "rouge-l":
            total, each = Rouge().compute_score(expected, captions)
        else:
            n = int(metric.removeprefix("bleu-"))
            totals, rows = Bleu(n).compute_score(expected, captions, verbose=0)
            total, each = totals[-1], rows[-1]
        corpus[metric], items[metric] = float(total), np.asarray(each, dtype=np.float64)
    return CaptionScores(corpus=ReadOnlyDict(corpus), items=ReadOnlyDict(items))


def bleu_of_rows(
    candidates: Sequence[str], references: Sequence[Sequence[str]], *, n: int
) -> Callable[[NDArray[np.intp]], float]:
    """Return corpus BLEU as a function of row numbers; words are counted once, for a bootstrap.

    Args:
        candidates: One caption an item.
        references: At least one caption an item.
        n: Length of the longest n-grams, 1 to 4.

    Raises:
        MissingExtraError: The extra ``captions`` is not installed.
    """
    require_caption_tools()
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    parts = [
        BleuScorer(_words(text), [_words(other) for other in texts], n=n)
        for text, texts in zip(candidates, references, strict=True)
    ]

    def corpus_bleu(rows: NDArray[np.intp]) -> float:
        together = BleuScorer(n=n)
        for row in rows:
            together += parts[row]
        return float(together.compute_score(option="closest")[0][-1])

    return corpus_bleu


def as_coco(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[CocoTexts, CocoTexts]:
    """Return references and captions by row, as the COCO tools take them: words with spaces."""
    captions = {row: [_words(text)] for row, text in enumerate(candidates)}
    expected = {row: [_words(text) for text in texts] for row, texts in enumerate(references)}
    return expected, captions


def tokenise(text: str) -> Words:
    """Return the words of a caption.

    >>> tokenise("A dog doesn't bark; it's low-pitched.")
    ('a', 'dog', 'does', "n't", 'bark', 'it', "'s", 'low-pitched')
    """
    plain = text.lower().replace("\u2019", "'")
    apart = _CONTRACTION.sub(lambda found: f" {found.group()} ", plain)
    return tuple(_WORD.findall(apart))


def _words(text: str) -> str:
    return " ".join(tokenise(text))
