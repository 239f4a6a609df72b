import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index import Exemplar, Index, Shard, build_index, merge_indexes
from earful.index.builder import rehearse_build
from earful.index.corpus import open_corpus
from earful.index.distributed import shard_of
from earful.index.storage import IndexFolder, read_header
from tests.index.distributed.conftest import OPTIONS
from tests.support.levels import RATE, Levels

NAMES = st.text("abc/.1é", min_size=1, max_size=6)


def build_shard(table: Path, index: Path, text: str, embedder: Levels | None = None) -> None:
    embedder = embedder or Levels()
    build_index(table, index, embedder=embedder, options=OPTIONS, shard=Shard.parse(text))


@pytest.mark.parametrize(
    "text", ["", "3", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/2", "1/9999999"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected I/N"):
        Shard.parse(text)


def test_rows_of_one_group_or_file_share_a_shard_that_never_changes() -> None:
    one = Exemplar(id="a", audio=PurePosixPath("night/é.wav"), group="")
    again = Exemplar(id="b", audio=PurePosixPath("night/e\u0301.wav"), start_s=2.0)
    assert shard_of(one, 1000) == shard_of(again, 1000) == 198
    grouped = replace(one, group="site"), replace(again, audio=PurePosixPath("x"), group="site")
    assert {shard_of(row, 1000) for row in grouped} == {200}


@given(
    rows=st.lists(st.tuples(NAMES, st.sampled_from(["", "g", "h"])), max_size=20),
    n=st.integers(1, 9),
)
def test_every_row_is_in_one_shard_whatever_the_others_are(
    rows: list[tuple[str, str]], n: int
) -> None:
    exemplars = [
        Exemplar(id=str(k), audio=PurePosixPath(audio), group=group)
        for k, (audio, group) in enumerate(rows)
    ]
    shards = [Shard(i=i, n=n) for i in range(1, n + 1)]
    for row in exemplars:
        assert [shard.i for shard in shards if shard.holds(row)] == [shard_of(row, n)]


def test_shards_are_spread_evenly() -> None:
    rows = [Exemplar(id=str(k), audio=PurePosixPath(f"{k}.wav")) for k in range(8000)]
    counts = [sum(shard_of(row, 8) == i for row in rows) for i in range(1, 9)]
    assert min(counts) > 900
    assert max(counts) < 1100


def test_a_shard_says_what_it_is_and_resumes_without_decoding(table: Path, tmp_path: Path) -> None:
    index = tmp_path / "one.index"
    build_shard(table, index, "1/2", first := Levels())
    mark = read_header(index).shard
    assert mark is not None
    assert (mark.i, mark.n, mark.done) == (1, 2, True)
    info = Index.open(index).info
    assert (info.shard, info.n) == ("1/2", sum(1 for _ in Index.open(index).vectors().exemplars))
    assert 0 < first.n_clips < 12
    build_shard(table, index, "1/2", second := Levels())
    assert second.n_clips == 0


def test_a_killed_shard_is_unfinished(table: Path, tmp_path: Path) -> None:
    index = tmp_path / "one.index"
    with pytest.raises(OSError, match="stopped on purpose"):
        build_shard(table, index, "1/2", Levels(fail_at=1))
    assert str(read_header(index).shard) == "1/2, unfinished"
    build_shard(table, tmp_path / "two.index", "2/2")
    with pytest.raises(IndexFolderError, match="has not come to its end; run it again"):
        merge_indexes([index, tmp_path / "two.index"], tmp_path / "all.index")
    assert not (tmp_path / "all.index").exists()


def test_what_does_not_belong_into_the_folder_of_a_shard_is_refused(
    table: Path, tmp_path: Path
) -> None:
    index, whole = tmp_path / "one.index", tmp_path / "whole.index"
    build_shard(table, index, "1/2")
    build_index(table, whole, embedder=Levels(), options=OPTIONS)
    before = (index / "index.json").read_bytes()
    with pytest.raises(IndexFolderError, match="is shard 1/2, expected 2/2"):
        build_shard(table, index, "2/2")
    with pytest.raises(IndexFolderError, match=r"build into it with --shard 1/2"):
        build_index(table, index, embedder=Levels(), options=OPTIONS)
    with pytest.raises(IndexFolderError, match="holds rows and is no shard"):
        build_shard(table, whole, "1/2")
    table.write_text(table.read_text().replace(",a,", ",owl,"))
    with pytest.raises(IndexFolderError, match="was begun with another table"):
        build_shard(table, index, "1/2")
    assert (index / "index.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("i", 3), ("n", "2"), ("corpus", "short"), ("done", 1), ("i", None)],
)
def test_a_damaged_mark_is_an_error(table: Path, tmp_path: Path, name: str, value: object) -> None:
    folder = IndexFolder.create(tmp_path / "one.index", Levels().fingerprint)
    values = json.loads((folder.path / "index.json").read_text())
    mark = {"i": 1, "n": 2, "corpus": "0" * 64, "done": True, name: value}
    (folder.path / "index.json").write_text(json.dumps({**values, "shard": mark}))
    with pytest.raises(IndexFolderError, match=r"index\.json: is damaged"):
        read_header(folder.path)


def test_a_rehearsal_decodes_the_rows_of_its_shard(table: Path) -> None:
    corpus, counts = open_corpus(table), []
    for text in ("1/2", "2/2"):
        found = rehearse_build(corpus, sample_rate=RATE, options=OPTIONS, shard=Shard.parse(text))
        counts.append((found.n, len(found.rejected)))
    assert sum(n for n, _ in counts) == 14
    assert sum(n for _, n in counts) == 1
