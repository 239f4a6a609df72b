"""METEOR, SPICE and SPIDEr: caption scores that are Java programs of their own.

METEOR comes with the extra ``captions``. SPICE needs files that its package fetches at its
first use. Where one of them cannot run, it is left out with a note that says what is
missing: an evaluation never stops for them.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from earful.rag.captions import caption_scores, tokenise


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaScores:
    """Scores over all items.

    Attributes:
        corpus: ``meteor``, ``spice`` and ``spider``, those that could be had.
        notes: What was left out, and what it takes.
    """

    corpus: Mapping[str, float]
    notes: tuple[str, ...] = ()


def java_scores(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> JavaScores:
    """Score captions by what Java programs there are.

    SPIDEr is the mean of CIDEr-D and SPICE (Liu et al., arXiv 1612.00370).

    Args:
        candidates: One caption an item.
        references: At least one caption an item.

    Raises:
        ValueError: As for ``caption_scores``.
    """
    cider = caption_scores(candidates, references, metrics=("cider",)).corpus["cider"]
    if shutil.which("java") is None:
        return JavaScores(
            corpus=MappingProxyType({}),
            notes=("METEOR and SPICE are left out: they need Java (apt install default-jre)",),
        )
    try:
        from pycocoevalcap.meteor.meteor import Meteor
        from pycocoevalcap.spice.spice import Spice
    except ImportError:
        return JavaScores(
            corpus=MappingProxyType({}),
            notes=("METEOR and SPICE are left out: pip install 'earful[captions]'",),
        )
    said = {row: [" ".join(tokenise(text))] for row, text in enumerate(candidates)}
    wanted = {
        row: [" ".join(tokenise(text)) for text in texts] for row, texts in enumerate(references)
    }
    corpus: dict[str, float] = {}
    notes: list[str] = []
    for name, scorer in (("meteor", Meteor), ("spice", Spice)):
        try:
            # They print what they fetch and how long they take.
            with contextlib.redirect_stdout(io.StringIO()):
                corpus[name] = float(scorer().compute_score(wanted, said)[0])
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            notes.append(f"{name.upper()} is left out: its program cannot run ({reason})")
    if "spice" in corpus:
        corpus["spider"] = (cider + corpus["spice"]) / 2
    return JavaScores(corpus=MappingProxyType(corpus), notes=tuple(notes))
