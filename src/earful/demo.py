"""The demo: the main job, end to end, on the recordings that come with the repository.

An index is built from the labelled demo corpus. Then clips are classified whose labels are
not in that index, from the few examples that a task file has.
"""

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

_FOLDER = Path("notebooks/demo")


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
        """Find the corpus that ``EARFUL_DEMO`` names, or in this checkout, or below this folder.

        Raises:
            CorpusError: It is not there, as in an installation from a wheel.
        """
        named = os.environ.get("EARFUL_DEMO")
        checkout = Path(__file__).resolve().parent.parent.parent
        roots = [Path(named)] if named else [checkout / _FOLDER, Path.cwd() / _FOLDER]
        for root in roots:
            found = cls(
                sounds=root / "sounds", task=root / "unseen.toml", queries=root / "unseen/queries"
            )
            if all(part.exists() for part in (found.sounds, found.task, found.queries)):
                return found
        if named:
            raise CorpusError(
                f"the demo recordings are not all in EARFUL_DEMO={named}; they come with the "
                "repository: let it name the notebooks/demo folder of a clone, or unset it there"
            )
        raise CorpusError(
            f"the demo recordings are neither in {roots[0]} nor in {roots[1]}; they come with the "
            "repository, not with the wheel. Run the demo in a clone, or let EARFUL_DEMO name its "
            "notebooks/demo folder"
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
        path = Path(os.path.relpath(queries.path(row.exemplar)))
        yield row.exemplar.answer, few.classify(path, task=task, group=row.exemplar.group)
