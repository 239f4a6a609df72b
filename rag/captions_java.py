"""METEOR, SPICE and SPIDEr: caption scores that are Java programs of their own.

METEOR comes with the extra ``captions``. SPICE needs files that its package fetches at its
first use, which happens only when somebody asks for it. Where one of them cannot run, it is
left out with a note that says what is missing: an evaluation never stops for them.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
    for name, make in (("meteor", Meteor), ("spice", Spice)):
        if name == "spice" and not _has_models(make):
            notes.append(
                "SPICE is left out: its package fetches 350 MB at its first use; allow that with "
                '`python -c "from pycocoevalcap.spice.spice import Spice; Spice()"`'
            )
            continue
        try:
            # They print what they do and how long they take.
            with contextlib.redirect_stdout(io.StringIO()):
                scorer = make()
                try:
                    corpus[name] = float(scorer.compute_score(wanted, said)[0])
                finally:
                    _end(scorer)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            notes.append(f"{name.upper()} is left out: its program cannot run ({reason})")
    if "spice" in corpus:
        corpus["spider"] = (cider + corpus["spice"]) / 2
    return JavaScores(corpus=MappingProxyType(corpus), notes=tuple(notes))


def _has_models(spice: Any) -> bool:
    """Say whether SPICE has the files that it would fetch; nothing is fetched unasked."""
    source = getattr(sys.modules.get(spice.__module__), "__file__", None)
    return source is not None and any(Path(source).parent.glob("lib/stanford-corenlp*.jar"))


def _end(scorer: Any) -> None:
    """End the program of a scorer that keeps one running."""
    process = getattr(scorer, "meteor_p", None)
    if process is not None:
        process.kill()
        process.communicate()
