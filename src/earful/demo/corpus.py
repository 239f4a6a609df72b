"""The demo's recordings: where they lie, an index of them, and answers about others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import CorpusError
from earful.model import DEFAULT_EMBEDDER

if TYPE_CHECKING:
    from earful.index.builder import BuildProgress, BuildReport
    from earful.rag import Answer, FewShot

# Beside this file in an installation from a wheel, which takes them from notebooks/demo
# (pyproject.toml); a checkout has them there alone.
_HERE = Path(__file__).resolve().parent
_INSTALLED = _HERE / "recordings"
_CHECKOUT = _HERE.parents[2] / "notebooks/demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCorpus:
    """Paths of the demo's parts.

    Attributes:
        sounds: Labelled corpus that becomes the index.
        task: Task file with a few examples of labels that the index lacks.
        queries: Folder per label of clips to classify, none of them an example.
    """

    sounds: Path
    task: Path
    queries: Path

    @classmethod
    def find(cls) -> DemoCorpus:
        """Find the corpus that ``EARFUL_DEMO`` names, or the one that came with earful.

        Raises:
            CorpusError: It is not there, or parts of it are missing.
        """
        named = os.environ.get("EARFUL_DEMO")
        root = Path(named or (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT))
        found = cls(
            sounds=root / "sounds", task=root / "unseen.toml", queries=root / "unseen/queries"
        )
        if all(part.exists() for part in (found.sounds, found.task, found.queries)):
            return found
        if named:
            raise CorpusError(
                f"EARFUL_DEMO={named}: lacks some of the demo recordings; expected sounds/, "
                "unseen/ and unseen.toml. Unset it to use those that come with earful"
            )
        raise CorpusError(
            f"{root}: lacks some of the demo recordings, which come with earful; install it again "
            "(`pip install --force-reinstall earful`), or let EARFUL_DEMO name a folder with "
            "sounds/, unseen/ and unseen.toml, as notebooks/demo in the repository is"
        )


def build_demo_index(
    corpus: DemoCorpus,
    index: Path,
    *,
    embedder: str = DEFAULT_EMBEDDER,
    progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Embed the demo's labelled sounds into ``index``; only new ones when it exists."""
    from earful.index.builder import build_index

    return build_index(corpus.sounds, index, embedder=embedder, progress=progress)


def classify_unseen(corpus: DemoCorpus, few: FewShot) -> Iterator[tuple[str, Answer]]:
    """Classify every query clip and yield ``(true label, answer)`` in a fixed order."""
    from earful.index.corpus import open_corpus
    from earful.rag.task import load_task

    task = load_task(corpus.task)
    queries = open_corpus(corpus.queries)
    for row in queries:
        path = queries.path(row.exemplar)
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        yield row.exemplar.answer, few.classify(path, task=task, group=row.exemplar.group)
