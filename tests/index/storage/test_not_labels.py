"""The column of what is not there: added with the first such row, part of its digest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import FilterError, IndexFolderError
from earful.index import Exemplar, Index, repair_index
from earful.index.search import SearchFilter
from earful.index.storage import IndexFolder, Row, exemplar_digest
from earful.model import Fingerprint

MADE_BY = Fingerprint(
    name="toy", revision="", weights_sha256="", dim=2, sample_rate=8000, windowing="whole"
)


def row(root: Path, id_: str, labels: str = "", denied: str = "", *, scores: bool = False) -> Row:
    return Row(
        exemplar=Exemplar(
            id=id_,
            audio=PurePosixPath(f"{id_}.wav"),
            labels=tuple(labels.split()),
            not_labels=tuple(denied.split()),
        ),
        root=root,
        duration_s=1.0,
        file_sha256="",
        content_sha256="",
        vector=np.array([0.6, 0.8], np.float32),
        class_scores=np.array([1, 2, 3], np.float16) if scores else None,
    )


def said(index: Index) -> dict[str, tuple[str, str]]:
    rows = index.vectors().exemplars
    return {one.id: (" ".join(one.labels), " ".join(one.not_labels)) for one in rows}


@pytest.mark.parametrize("scores", [False, True])
def test_rows_come_back_as_they_were_whatever_is_done(tmp_path: Path, scores: bool) -> None:
    index = Index.create(tmp_path / "i", MADE_BY, n_classes=3 if scores else 0)
    index.add([row(tmp_path, "a", "fox", scores=scores), row(tmp_path, "b", "owl", scores=scores)])
    index.remove(["b"])
    index.add([row(tmp_path, "c", "", "fox owl", scores=scores)])
    index.add([row(tmp_path, "a", "fox", "owl", scores=scores)])
    wanted = {"a": ("fox", "owl"), "c": ("", "fox owl")}
    assert said(index) == wanted
    index.compact()
    assert said(index) == said(Index.open(index.path)) == wanted  # and keeps a snapshot
    assert said(Index.open(index.path)) == wanted
    repair_index(index.path, embedder=_embedder())
    for found in (Index.open(index.path), Index.open(index.path)):
        assert said(found) == wanted
        assert (found.class_scores is not None) == scores
        assert (found.labels, found.not_labels) == ({"fox": 1}, {"owl": 2, "fox": 1})
        assert (found.info.n_negative, found.info.labels) == (1, 1)
        assert found.exemplar_columns[-1] == "not_labels"


def _embedder() -> Any:
    class Toy:
        fingerprint = MADE_BY

    return Toy()


def test_another_process_writes_through_an_index_that_was_opened_before(tmp_path: Path) -> None:
    earlier = Index.create(tmp_path / "i", MADE_BY)
    earlier.add([row(tmp_path, "a", "fox")])
    Index.open(earlier.path).add([row(tmp_path, "b", "", "fox")])
    earlier.add([row(tmp_path, "c", "owl")])
    assert said(earlier) == {"a": ("fox", ""), "b": ("", "fox"), "c": ("owl", "")}


def test_an_index_without_any_has_no_such_column(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", MADE_BY)
    index.add([row(tmp_path, "a", "fox")])
    assert "not_labels" not in index.exemplar_columns
    assert index.info.format == 1
    assert index.info.to_dict().keys().isdisjoint({"not_labels", "n_negative"})
    chosen = SearchFilter(where="array_has(not_labels, 'owl')")
    with pytest.raises(FilterError, match="no row says what is not there yet: leave the part"):
        index.search(np.array([0.6, 0.8], np.float32), filter=chosen)


def test_what_a_row_denies_is_part_of_its_digest(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", MADE_BY)
    index.add([row(tmp_path, "a", "fox"), row(tmp_path, "b", "", "owl")])
    table = IndexFolder.open(index.path).table
    table._lance.update(where="id = 'b'", values={"not_labels": ["wren"]})
    (index.path / "checksums.txt").unlink()
    shutil.rmtree(index.path / "snapshot", ignore_errors=True)
    with pytest.raises(IndexFolderError, match="'b' does not match its own digest"):
        Index.open(index.path).vectors()


@given(st.lists(st.sampled_from(["owl", "wren", "bat"]), unique=True))
def test_a_row_that_denies_nothing_keeps_the_digest_of_earlier_releases(denied: list[str]) -> None:
    fox = Exemplar(
        id="a",
        audio=PurePosixPath("a.wav"),
        labels=("fox",),
        end_s=2.5,
        group="g",
        meta={"x": "y"},
        not_labels=tuple(denied),
    )
    before = "aba8da0a934a33ae01a25ef95a25b86039df7808a6d19757e93d654692f7d3a6"
    assert (exemplar_digest(fox) == before) == (not denied)
    assert exemplar_digest(replace(fox, not_labels=())) == before
