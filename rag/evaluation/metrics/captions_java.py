"""METEOR, SPICE and SPIDEr: caption scores that are Java programs of their own.

METEOR comes with the extra ``captions``. SPICE needs files that its package fetches at its
first use, which happens only when somebody asks for it. Where one of them cannot run, it is
left out with a note that says what is missing: an evaluation never stops for them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from earful.rag.evaluation.metrics.captions import caption_scores, tokenise

Texts = Mapping[int, list[str]]

_PACKAGE = "pycocoevalcap"
_METEOR_JAR = "meteor-1.5.jar"
_METEOR = ("java", "-jar", "-Xmx2G", _METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm")


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
        what = "they need Java (apt install default-jre)"
        return JavaScores(
            corpus=MappingProxyType({}), notes=(f"METEOR and SPICE are left out: {what}",)
        )
    folder = _package_folder()
    if folder is None:
        what = "pip install 'earful[captions]'"
        return JavaScores(
            corpus=MappingProxyType({}), notes=(f"METEOR and SPICE are left out: {what}",)
        )
    said = {row: [" ".join(tokenise(text))] for row, text in enumerate(candidates)}
    wanted = {
        row: [" ".join(tokenise(text)) for text in texts] for row, texts in enumerate(references)
    }
    corpus: dict[str, float] = {}
    notes: list[str] = []
    programs: dict[str, Callable[[Path, Texts, Texts], float]] = {"meteor": _meteor}
    if any(folder.glob("spice/lib/stanford-corenlp*.jar")):
        programs["spice"] = _spice
    else:
        notes.append(
            "SPICE is left out: its package fetches 350 MB at its first use; allow that with "
            '`python -c "from pycocoevalcap.spice.spice import Spice; Spice()"`'
        )
    for name, program in programs.items():
        try:
            corpus[name] = program(folder, wanted, said)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            notes.append(f"{name.upper()} is left out: its program cannot run ({reason})")
    if "spice" in corpus:
        corpus["spider"] = (cider + corpus["spice"]) / 2
    return JavaScores(corpus=MappingProxyType(corpus), notes=tuple(notes))


def _package_folder() -> Path | None:
    found = importlib.util.find_spec(_PACKAGE)
    places = [] if found is None else list(found.submodule_search_locations or ())
    return Path(places[0]) if places else None


def _meteor(folder: Path, wanted: Texts, said: Texts) -> float:
    """Run METEOR 1.5 (Denkowski and Lavie, 2014) over its standard input and output.

    It does not find its tables below a folder with a space in its name, so it is run from
    a link to them elsewhere.
    """
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / "meteor" / _METEOR_JAR, scratch)
        (Path(scratch) / "data").symlink_to(folder / "meteor" / "data")
        with subprocess.Popen(
            _METEOR,
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        ) as process:
            try:
                stats = [_asked(process, ["SCORE", *wanted[row], said[row][0]]) for row in said]
                _asked(process, ["EVAL", *stats])
                # A score an item was asked for, of which one is read; the last is of all.
                for _ in range(len(said) - 1):
                    _told(process)
                return float(_told(process))
            finally:
                process.kill()


def _asked(process: subprocess.Popen[str], parts: Sequence[str]) -> str:
    if process.stdin is None:
        raise OSError("its input is closed")
    process.stdin.write(" ||| ".join(parts) + "\n")
    process.stdin.flush()
    return _told(process)


def _told(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise OSError("it ended without an answer")
    return line.strip()


def _spice(_folder: Path, wanted: Texts, said: Texts) -> float:
    from pycocoevalcap.spice.spice import Spice

    # It prints what it does and how long it takes.
    with contextlib.redirect_stdout(io.StringIO()):
        return float(Spice().compute_score(wanted, said)[0])
