"""Snapshots that are damaged or a stranger's: never used, and made again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.index import Index, repair_index, verify_index
from earful.index.builder import build_index
from earful.index.cache import Snapshot
from tests.support.small_corpus import Samples, write_corpus
from tests.support.snapshots import (
    names,
    told,
)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def nothing(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut, flip, nothing, None])
@pytest.mark.parametrize("part", ["rows.arrow", "vector.arrow", "class_scores.arrow", "json"])
def test_a_damaged_file_is_not_used_and_made_again(
    kept: Path, part: str, damage: Callable[[bytes], bytes] | None, no_lance: Callable[[], None]
) -> None:
    wanted = told(Index.open(kept))
    (path,) = (kept / "snapshot").glob(f"*{part}")
    whole = path.read_bytes()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(whole))
    assert told(Index.open(kept)) == wanted
    if part != "class_scores.arrow":  # which nobody needs to answer most questions
        assert path.read_bytes() == whole
        no_lance()
        assert told(Index.open(kept)) == wanted


HOSTILE: dict[str, object] = {
    "a list": [],
    "null": None,
    "nothing": {},
    "files as a list": {"files": ["rows"]},
    "files of no names": {"files": {"rows": {}}},
    "file names of another type": {"files": {"rows": 5, "vector": [], "class_scores": None}},
    "a version beyond numbers": {"version": float("inf")},
    "a version as a word": {"version": "first"},
    "another state": {"state": "0" * 64},
    "another embedder": {"made_by": ""},
    "a path": {"files": {"rows": {"file": "../../index.json", "sha256": ""}}},
    "the folder": {"files": {"rows": {"file": ".", "sha256": ""}}},
    "a zero": {"files": {"rows": {"file": "\0", "sha256": ""}}},
    "a number": {"files": {"rows": {"file": 1, "sha256": 1}}},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_description_of_a_snapshot_is_not_used(kept: Path, change: object) -> None:
    wanted = told(Index.open(kept))
    path = kept / "snapshot/snapshot.json"
    about = json.loads(path.read_text())
    told_of = {**about, **change} if isinstance(change, dict) and change else change
    path.write_text(json.dumps(told_of))
    assert told(Index.open(kept)) == wanted
    path.write_text("[" * 100_000)
    assert told(Index.open(kept)) == wanted


def rewritten(index: Path, change: Callable[[Any], Any]) -> None:
    """Write a snapshot whose digests are right and whose rows are others."""
    about = json.loads((index / "snapshot/snapshot.json").read_text())
    opened = Index.open(index)
    rows = opened.read_table(opened._folder.table.columns)
    assert Snapshot.keep(
        index,
        change(rows),
        state=about["state"],
        made_by=about["made_by"],
        version=about["version"],
    )


def without(name: str) -> Callable[[Any], Any]:
    return lambda rows: rows.drop_columns([name])


def as_numbers(name: str) -> Callable[[Any], Any]:
    def change(rows: Any) -> Any:
        at = rows.schema.get_field_index(name)
        return rows.set_column(at, name, [[1.0] * len(rows)])

    return change


def without_values(name: str) -> Callable[[Any], Any]:
    def change(rows: Any) -> Any:
        import pyarrow as pa

        at = rows.schema.get_field_index(name)
        return rows.set_column(at, name, pa.nulls(len(rows), rows.column(name).type))

    return change


@pytest.mark.parametrize("name", ["id", "labels", "root", "vector", "class_scores", "meta"])
@pytest.mark.parametrize("how", [without, as_numbers, without_values])
def test_columns_of_another_kind_are_not_used(
    kept: Path, name: str, how: Callable[[str], Callable[[Any], Any]]
) -> None:
    wanted = told(Index.open(kept))
    rewritten(kept, how(name))
    assert told(Index.open(kept)) == wanted


@pytest.mark.slow
def test_damage_of_the_table_is_found_and_mended_while_answers_stay_right(tmp_path: Path) -> None:
    corpus, path = write_corpus(tmp_path / "sounds", 10), tmp_path / "built.index"
    build_index(corpus, path, embedder=Samples())
    query: NDArray[np.float32] = Index.open(path).vectors().vectors[3]
    wanted = Index.open(path).search(query, k=10)
    (data,) = path.glob("table/exemplars.lance/data/*")
    data.write_bytes(flip(data.read_bytes()))
    assert Index.open(path).search(query, k=10) == wanted
    assert data.name in verify_index(Index.open(path)).problems[0].audio
    before = names(path)
    report = repair_index(path, corpus, embedder=Samples())
    assert (report.n, report.missing) == (10, 0)
    assert verify_index(Index.open(path)).problems == ()
    assert Index.open(path).search(query, k=10) == wanted
    assert names(path) != before
