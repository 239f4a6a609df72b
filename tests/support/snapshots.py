"""Indexes with and without a snapshot, and all that a question may want to know of one."""

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.search import SearchFilter
from earful.index.storage import Row, to_float16
from earful.model import Fingerprint

DIM = 8
MADE_BY = Fingerprint(
    name="toy", revision="", weights_sha256="ab", dim=DIM, sample_rate=8000, windowing="whole"
)
QUERY = np.eye(DIM, dtype=np.float32)[0]
WEIGHTS = np.array([1, -0.5, 0.25], np.float32)


def row_of(root: Path, number: int) -> Row:
    drawn = np.random.default_rng(number)
    vector = drawn.standard_normal(DIM)
    return Row(
        exemplar=Exemplar(
            id=f"tür/{number:04}",
            audio=PurePosixPath(f"{number % 3}/{number}.wav"),
            start_s=float(number % 2),
            end_s=None if number % 2 else 2.5,
            labels=("dog", "rain")[: number % 3],
            split="train" if number % 4 else "test",
            group=f"g{number // 2}",
            meta={"n": str(number)},
        ),
        root=root,
        duration_s=1.5,
        file_sha256=f"{number:064x}",
        content_sha256=f"{number // 2:064x}",
        vector=(vector / np.linalg.norm(vector)).astype(np.float32),
        class_scores=to_float16(drawn.standard_normal(3) * 9),
    )


def made_index(folder: Path, n: int) -> Path:
    index = Index.create(folder / "sounds.index", MADE_BY, n_classes=3)
    # The last first: rows of a table are in no order.
    for numbers in (range(n // 2, n), range(n // 2)):
        index.add([row_of(folder / "sounds", number) for number in numbers])
    return index.path


def names(index: Path) -> list[str]:
    return sorted(path.name for path in (index / "snapshot").glob("*"))


def told(index: Index) -> list[Any]:
    """Everything that a question may want to know of an index."""
    rows = index.vectors()
    scores = rows.class_scores
    assert scores is not None
    return [
        list(rows.exemplars),
        list(rows.paths),
        list(rows.content),
        rows.vectors.tolist(),
        scores.tolist(),
        index.search(QUERY, k=99),
        index.search(QUERY, k=3, filter=SearchFilter(labels=frozenset({"rain"}))),
        index.search_classes(WEIGHTS, k=5),
        index.info,
        index.__len__(),
        index.state,
        index.read_table(["id", "labels", "end_s"]).to_pylist(),
    ]


def drop_snapshot(index: Path) -> None:
    """Remove the snapshot of an index folder, if there is one."""
    shutil.rmtree(index / "snapshot", ignore_errors=True)
