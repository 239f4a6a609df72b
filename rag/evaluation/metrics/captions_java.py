"""Caption metrics by Java programs: METEOR, SPICE and SPIDEr.

METEOR comes with the extra ``captions``, which every score of captions takes. SPICE needs
files that its package fetches at its first use, which only the user may start. A metric that
cannot run is left out with a note that says what is missing: an evaluation never stops because
of one.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earful.rag.evaluation.metrics.captions import CocoTexts, as_coco, caption_scores
from earful.read_only import ReadOnlyDict

_METEOR_JAR = "meteor-1.5.jar"
_METEOR = ("java", "-jar", "-Xmx2G", _METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm")


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaScores:
    """Scores over all items.

    Attributes:
        corpus: ``meteor``, ``spice`` and ``spider``, as far as they could be computed.
        notes: Metrics that were left out, and what they need.
    """

    corpus: Mapping[str, float] = field(hash=False)
    notes: tuple[str, ...] = ()


def java_scores(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> JavaScores:
    """Score captions by the Java programs that are installed.

    SPIDEr is the mean of CIDEr-D and SPICE (Liu et al., arXiv 1612.00370).

    Args:
        candidates: One caption an item.
        references: At least one caption an item.

    Raises:
        ValueError: As for ``caption_scores``.
        MissingExtraError: The extra ``captions`` is not installed.
    """
    cider = caption_scores(candidates, references, metrics=("cider",)).corpus["cider"]
    if shutil.which("java") is None:
        note = "METEOR and SPICE are left out: they need Java (apt install default-jre)"
        return JavaScores(corpus=ReadOnlyDict(), notes=(note,))
    folder = _package_folder()
    expected, captions = as_coco(candidates, references)
    corpus: dict[str, float] = {}
    notes: list[str] = []
    programs: dict[str, Callable[[Path, CocoTexts, CocoTexts], float]] = {"meteor": _meteor}
    if any(folder.glob("spice/lib/stanford-corenlp*.jar")):
        programs["spice"] = _spice
    else:
        notes.append(
            "SPICE is left out: its package fetches 350 MB at its first use; allow that with "
            '`python -c "from pycocoevalcap.spice.spice import Spice; Spice()"`'
        )
    for name, program in programs.items():
        try:
            corpus[name] = program(folder, expected, captions)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            notes.append(f"{name.upper()} is left out: its program cannot run ({reason})")
    if "spice" in corpus:
        corpus["spider"] = (cider + corpus["spice"]) / 2
    return JavaScores(corpus=ReadOnlyDict(corpus), notes=tuple(notes))


def _package_folder() -> Path:
    import pycocoevalcap

    # A package without an __init__.py has places, and no file.
    return Path(pycocoevalcap.__path__[0])


def _meteor(folder: Path, references: CocoTexts, captions: CocoTexts) -> float:
    """Run METEOR 1.5 (Denkowski and Lavie, 2014) over its standard input and output.

    It does not find its tables below a folder with a space in its name, so it is run from a
    temporary folder with a link to them, or a copy. The package's own ``Meteor`` waits for ever
    where the program dies: it then holds the lock that its ``__del__`` takes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / "meteor" / _METEOR_JAR, scratch)
        tables = folder / "meteor" / "data"
        try:
            (Path(scratch) / "data").symlink_to(tables)
        except OSError:  # a Windows user without the right to make links
            shutil.copytree(tables, Path(scratch) / "data")
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
                stats = [
                    _request(process, ["SCORE", *references[row], captions[row][0]])
                    for row in captions
                ]
                # EVAL answers with a score an item, of which one is read here, then the total.
                _request(process, ["EVAL", *stats])
                for _ in range(len(captions) - 1):
                    _read_line(process)
                return float(_read_line(process))
            finally:
                process.kill()


def _request(process: subprocess.Popen[str], parts: Sequence[str]) -> str:
    if process.stdin is None:
        raise OSError("its input is closed")
    process.stdin.write(" ||| ".join(parts) + "\n")
    process.stdin.flush()
    return _read_line(process)


def _read_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise OSError("it ended without an answer")
    return line.strip()


def _spice(_folder: Path, references: CocoTexts, captions: CocoTexts) -> float:
    from pycocoevalcap.spice.spice import Spice

    # It prints its progress and timings.
    with contextlib.redirect_stdout(io.StringIO()):
        return float(Spice().compute_score(references, captions)[0])
