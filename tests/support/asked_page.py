"""A page about the demo's rarest sounds, which answers by the small model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import earful
from earful.demo import DemoCorpus
from earful.index import Index
from earful.index.health import check_health, write_health_page
from earful.model import DEFAULT_MODEL
from earful.rag.review import ReviewSession
from earful.serve import ServerState, ServeSettings
from tests.support.served_page import served
from tests.support.tone_recordings import ToneSteps

LABELS = ("bird", "door", "fire", "laughter", "saxophone", "thunder", "vinyl-scratch")


def make_examples(folder: Path) -> None:
    """Build an index of the demo's labels that its own index lacks, and a report beside it."""
    examples = shutil.copytree(
        DemoCorpus.find().queries.parent / "examples", folder / "examples", dirs_exist_ok=True
    )
    # More than a page of a search.
    shutil.copytree(DemoCorpus.find().sounds / "bird", folder / "more" / "bird")
    earful.build_index(folder / "more", folder / "rare.index")
    earful.build_index(examples, folder / "rare.index")
    index = Index.open(folder / "rare.index")
    write_health_page(check_health(index), index, folder / "health.html")


def queries(label: str) -> list[Path]:
    """Return the demo's recordings of a label that are in no index."""
    return sorted((DemoCorpus.find().queries / label).glob("*.flac"))


@contextmanager
def asked(folder: Path, scan: Path | None = None, **settings: Any) -> Iterator[str]:
    """Serve a copy of what ``make_examples`` made, and give its address."""
    index = folder / "copy.index"
    for old in (index, folder / "copy.index.audio"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder / "rare.index", index)
    reviews = {}
    if scan is not None:
        reviews["night.scan"] = ReviewSession.open(scan=scan, embedder=ToneSteps())
    state = ServerState(
        Index.open(index),
        ServeSettings(port=0, reviewer="ana", **settings),
        model=DEFAULT_MODEL,
        reviews=reviews,
    )
    with served(state) as address:
        yield address
