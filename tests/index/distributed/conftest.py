"""A corpus of twelve recordings with a copy, a broken one and a denial, for units and shards."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earful.index import Index, Shard, build_index, verify_index
from earful.index.corpus import CorpusRow, open_corpus
from earful.index.distributed import UnitDriver
from earful.index.intake import BuildOptions
from earful.index.storage import IndexFolder
from tests.support.levels import Levels, write_level, write_table

OPTIONS = BuildOptions(n_decoders=2)
Drive = Callable[..., UnitDriver]


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode in this process, which takes less time than to start others."""
    monkeypatch.setenv("EARFUL_DECODE", "here")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of fourteen rows: one's audio is a copy, one's is none."""
    rows = []
    for number in range(12):
        name = f"{number:02}.wav"
        write_level(tmp_path / "sounds" / name, 0.05 + number / 20)
        rows.append({"audio": f"sounds/{name}", "label": "abc"[number % 3], "group": ""})
    shutil.copy(tmp_path / "sounds/03.wav", tmp_path / "sounds/copy.wav")
    (tmp_path / "sounds/broken.wav").write_bytes(b"no audio at all")
    rows.append({"audio": "sounds/copy.wav", "label": "a", "group": "g"})
    rows.append({"audio": "sounds/broken.wav", "label": "b", "group": "g"})
    write_table(tmp_path / "table.csv", rows)
    return tmp_path / "table.csv"


@pytest.fixture
def corpus_rows(table: Path) -> list[tuple[int, CorpusRow]]:
    return list(enumerate(open_corpus(table)))


@pytest.fixture
def folder(tmp_path: Path) -> IndexFolder:
    """An empty index."""
    return IndexFolder.create(tmp_path / "units.index", Levels().fingerprint)


def build_shards(table: Path, folder: Path, n: int) -> list[Path]:
    parts = [folder / f"part-{i}.index" for i in range(1, n + 1)]
    for i, part in enumerate(parts, start=1):
        build_index(table, part, embedder=Levels(), options=OPTIONS, shard=Shard(i=i, n=n))
    return parts


def contents(path: Path) -> list[tuple[str, str]]:
    read = Index.open(path).read_table(["id", "row_sha256"])
    return list(zip(*read.to_pydict().values(), strict=True))


def hits(path: Path) -> list[tuple[str, float]]:
    query = np.array([0.6, 0.8], dtype=np.float32)
    return [(hit.exemplar.id, hit.similarity) for hit in Index.open(path).search(query, k=20)]


def assert_same(found: Path, wanted: Path) -> None:
    one, other = Index.open(found), Index.open(wanted)
    assert contents(found) == contents(wanted)
    assert hits(found) == hits(wanted)
    assert one.rejections() == other.rejections()
    assert (one.info.n, one.info.labels, one.roots()) == (
        other.info.n,
        other.info.labels,
        other.roots(),
    )
    assert one.info.not_labels == other.info.not_labels
    assert verify_index(one).problems == ()


@pytest.fixture
def parts(table: Path, tmp_path: Path) -> list[Path]:
    """Three shards of one table."""
    return build_shards(table, tmp_path / "parts", 3)
